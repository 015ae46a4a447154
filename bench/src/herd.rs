//! Many agents: all of them asleep and what the platform costs then, all of them knocked at at once.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use creel_api::PublishPort;
use creel_domain::{Depth, PortAccess, Runtime};
use creel_tests::{Part, Platform};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{figures, memory, wake};

const ASLEEP: usize = 200;
const HERD: usize = 100;
/// Within so long all of the herd is knocked at.
const WITHIN: Duration = Duration::from_millis(100);
const ROUNDS: usize = 5;
const IDLE: Duration = Duration::from_secs(20);
const PORT: u16 = 3000;

pub(crate) async fn run(platform: &Platform) -> Result<()> {
    let names: Vec<String> = (0..ASLEEP).map(|number| format!("agent-{number}")).collect();
    for name in &names {
        platform.agent(name, Runtime::Lite).await;
    }
    let (herd, rest) = names.split_at(HERD);
    for name in herd {
        let serve = format!(
            "mkdir -p www && echo {name} > www/index.html && httpd -p 127.0.0.1:{PORT} -h www && \
                 until wget -Y off -q -O /dev/null http://127.0.0.1:{PORT}/; do sleep 0.01; done"
        );
        let served = platform.shell(name, &serve).await;
        ensure!(served.exit_status == 0, "{served:?}");
        let how = PublishPort {
            access: PortAccess::Public,
            page: false,
        };
        platform.client().publish_port(name, PORT, &how).await?;
        wake::asleep(platform, name, Depth::Frozen).await?;
    }
    for name in rest {
        wake::asleep(platform, name, Depth::Frozen).await?;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let parts = [Part::Control, Part::Edge, Part::Supervisor];
    let pids: Vec<i32> = parts
        .iter()
        .filter_map(|part| platform.find(*part))
        .map(|pid| pid.as_raw_nonzero().get())
        .collect();
    let before = figures::cpu(&pids)?;
    tokio::time::sleep(IDLE).await;
    let used = figures::cpu(&pids)? - before;
    figures::bytes(
        &format!("creel itself, {ASLEEP} lite ones frozen"),
        memory::own(platform),
        120 << 20,
        "the goal for 1000",
    );
    figures::pairs(
        "processor in 20 s then, against 1 % of a core",
        &[(used, IDLE / 100)],
    );

    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let knocks = herd.iter().enumerate().map(|(number, name)| async move {
            let wait = WITHIN * u32::try_from(number).unwrap_or(0) / u32::try_from(HERD).unwrap_or(1);
            tokio::time::sleep(wait).await;
            knock(platform, name).await
        });
        for answered in join_all(knocks).await {
            answered?;
        }
        pairs.push((began.elapsed(), Duration::from_secs(3)));
        for name in herd {
            wake::asleep(platform, name, Depth::Frozen).await?;
        }
    }
    figures::pairs(
        &format!("{HERD} asleep knocked at in 0.1 s: the last, against 3 s"),
        &pairs,
    );
    Ok(())
}

async fn knock(platform: &Platform, name: &str) -> Result<()> {
    let address = platform.client().url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET / HTTP/1.1\r\nhost: {name}--{PORT}.localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    ensure!(
        answer.starts_with("HTTP/1.1 200") && answer.trim_end().ends_with(name),
        "{answer}"
    );
    Ok(())
}
