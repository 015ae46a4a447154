//! The edge: a request to an awake agent's port, against nginx in front of the same program outside a sandbox.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use creel_api::PublishPort;
use creel_domain::{PortAccess, Runtime};
use creel_tests::{Part, Platform};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::figures;

const ROUNDS: usize = 15;
/// Requests of one round, and over how many connections at once.
const REQUESTS: usize = 4000;
const CONNECTIONS: usize = 32;
const PORT: u16 = 3000;
/// What listens behind both.
const UPSTREAM: &str = "require('http').createServer((q, a) => { a.setHeader('content-length', 100); a.end('x'.repeat(100)) })\
    .listen(Number(process.argv[1] || 3000), '127.0.0.1')";

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    platform.agent("claw", Runtime::Openclaw).await;
    let node = "/opt/node/bin/node";
    // In a session of its own it outlives the command that starts it.
    let begin = format!(
        "(setsid {node} -e \"{UPSTREAM}\" >/dev/null 2>&1 &) ; \
         until bash -c '</dev/tcp/127.0.0.1/{PORT}' 2>/dev/null; do sleep 0.1; done"
    );
    let begun = platform.shell("claw", &begin).await;
    ensure!(begun.exit_status == 0, "{begun:?}");
    let how = PublishPort {
        access: PortAccess::Public,
        page: false,
    };
    platform.client().publish_port("claw", PORT, &how).await?;
    let edge = platform.client().url().trim_start_matches("http://").to_owned();
    let nginx = Nginx::start(&platform.image("openclaw").join("opt/node/bin/node"))?;
    let hosts = [
        (edge.as_str(), "claw--3000.localhost"),
        (&nginx.address, "localhost"),
    ];
    for (address, host) in hosts {
        volley(address, host, 200, 4)
            .await
            .with_context(|| address.to_owned())?;
    }
    for (name, requests, connections) in [
        ("edge: 1000 requests one by one, against nginx", REQUESTS / 4, 1),
        (
            "edge: 4000 requests, 32 at once, against nginx",
            REQUESTS,
            CONNECTIONS,
        ),
    ] {
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            let ours = volley(&edge, hosts[0].1, requests, connections).await?;
            let floor = volley(&nginx.address, hosts[1].1, requests, connections).await?;
            pairs.push((ours, floor));
        }
        figures::pairs(name, &pairs);
    }
    let pids = [Part::Edge, Part::Bridge].map(|part| platform.find(part));
    let ours: Vec<i32> = pids
        .iter()
        .flatten()
        .map(|pid| pid.as_raw_nonzero().get())
        .collect();
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let mut used = Vec::new();
        for ((address, host), pids) in hosts.iter().zip([&ours, &nginx.workers()?]) {
            let before = figures::cpu(pids)?;
            volley(address, host, REQUESTS, CONNECTIONS).await?;
            used.push(figures::cpu(pids)? - before);
        }
        pairs.push((used[0], used[1]));
    }
    figures::pairs("edge and bridge: processor of those, against nginx", &pairs);
    Ok(())
}

/// So many requests over so many kept connections; how long all of them took.
async fn volley(address: &str, host: &str, requests: usize, connections: usize) -> Result<Duration> {
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let mut streams = Vec::new();
    for _ in 0..connections {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // The first answer says how long they are.
        let length = first(&mut stream, &request).await?;
        streams.push((stream, length));
    }
    let began = Instant::now();
    let each = requests / connections;
    let tasks = streams.into_iter().map(|(mut stream, length)| {
        let request = request.clone();
        tokio::spawn(async move {
            let mut answer = vec![0; length];
            for _ in 0..each {
                stream.write_all(request.as_bytes()).await?;
                stream.read_exact(&mut answer).await?;
                ensure!(answer.starts_with(b"HTTP/1.1 200"), "another answer");
            }
            anyhow::Ok(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    Ok(began.elapsed())
}

async fn first(stream: &mut TcpStream, request: &str) -> Result<usize> {
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"x".repeat(100).as_slice()) {
        let read = stream.read_buf(&mut answer).await?;
        ensure!(
            read > 0 && answer.len() < 4096,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    Ok(answer.len())
}

/// nginx in front of the same program, both outside a sandbox.
struct Nginx {
    address: String,
    nginx: Child,
    node: Child,
    _home: tempfile::TempDir,
}

impl Nginx {
    fn start(node: &std::path::Path) -> Result<Self> {
        let free = || -> Result<u16> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        let (port, behind) = (free()?, free()?);
        let home = tempfile::tempdir()?;
        let node = Command::new(node)
            .args(["-e", UPSTREAM, &behind.to_string()])
            .stdout(Stdio::null())
            .spawn()?;
        let config = home.path().join("nginx.conf");
        let at = home.path().display();
        std::fs::write(
            &config,
            format!(
                "daemon off; worker_processes 2; pid {at}/pid; error_log stderr;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; keepalive_requests 1000000;\n\
                   client_body_temp_path {at}/a; proxy_temp_path {at}/b; fastcgi_temp_path {at}/c;\n\
                   uwsgi_temp_path {at}/d; scgi_temp_path {at}/e;\n\
                   upstream node {{ server 127.0.0.1:{behind}; keepalive 64; }}\n\
                   server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://node;\n\
                     proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host $host;\n\
                     proxy_set_header X-Forwarded-For $remote_addr; proxy_buffering off; }} }} }}\n"
            ),
        )?;
        let nginx = Command::new("nginx").arg("-c").arg(&config).spawn();
        let nginx = nginx.context("nginx is not installed: run `just bench`")?;
        std::thread::sleep(Duration::from_secs(1));
        Ok(Self {
            address: format!("127.0.0.1:{port}"),
            nginx,
            node,
            _home: home,
        })
    }

    fn workers(&self) -> Result<Vec<i32>> {
        let pid = self.nginx.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        Ok(children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers end with it; a child that is gone already is no matter.
        if let Some(pid) = rustix::process::Pid::from_raw(i32::try_from(self.nginx.id()).unwrap_or(0)) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.nginx.wait();
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}
