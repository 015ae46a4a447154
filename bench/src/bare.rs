//! The floor of everything with OpenClaw: the OpenClaw of our image with its own flags, without Creel and
//! without a sandbox, spoken to over its own WebSocket.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::memory;

const START: Duration = Duration::from_secs(180);
const PASSWORD: &str = "bench";

pub(crate) struct Bare {
    child: Child,
    socket: WebSocketStream<TcpStream>,
    turns: u32,
    // Last: its files are in use until then.
    _state: tempfile::TempDir,
}

/// In mount and process namespaces of its own, so that all of it ends with its parent.
const ENTER: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs none "$2/top"
mkdir "$2/top/upper" "$2/top/work" "$2/top/root"
mount -t overlay none -o "lowerdir=$1,upperdir=$2/top/upper,workdir=$2/top/work" "$2/top/root"
mount --bind "$2/data" "$2/top/root/data"
mount -t proc none "$2/top/root/proc"
mount --rbind /dev "$2/top/root/dev"
cd "$2/top/root"
exec chroot --userspec=1000:1000 --groups= . /bin/sh -c 'cd /data; exec "$@"' sh "${@:3}"
"#;

impl Bare {
    pub(crate) async fn start(rootfs: &Path, models: &str) -> Result<Self> {
        let state = tempfile::tempdir()?;
        for directory in ["top", "data/home", "data/creel", "data/state", "data/workspace"] {
            fs::create_dir_all(state.path().join(directory))?;
        }
        let launch = fs::read(rootfs.join("opt/openclaw/launch.json"))?;
        let launch: Value = serde_json::from_slice(&launch)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let usual = launch["port"].to_string();
        let config = fs::read_to_string(rootfs.join("opt/openclaw/openclaw.json"))?;
        fs::write(
            state.path().join("data/creel/openclaw.json"),
            config.replace(&usual, &port.to_string()),
        )?;
        let owned = Command::new("chown")
            .args(["-R", "1000:1000"])
            .arg(state.path().join("data"))
            .status()?;
        ensure!(owned.success(), "chown: {owned}");
        let words = |value: &Value| {
            value
                .as_str()
                .unwrap_or_default()
                .replace(&usual, &port.to_string())
        };
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "bash", "-c", ENTER, "bash"])
            .arg(rootfs)
            .arg(state.path())
            .args(launch["argv"].as_array().context("argv")?.iter().map(words))
            .env_clear()
            .envs(
                launch["env"]
                    .as_object()
                    .context("env")?
                    .iter()
                    .map(|(name, value)| (name, words(value))),
            )
            .env("OPENCLAW_GATEWAY_PASSWORD", PASSWORD)
            .env("CREEL_MODEL_URL", models)
            .env("CREEL_MODEL_KEY", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let child = command.spawn().context("unshare")?;
        let deadline = Instant::now() + START;
        loop {
            match connect(port).await {
                Ok(socket) => {
                    return Ok(Self {
                        child,
                        socket,
                        turns: 0,
                        _state: state,
                    });
                }
                Err(error) if Instant::now() > deadline => {
                    return Err(error.context("OpenClaw did not start"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// One turn, from the message's first byte to the end of its answer.
    pub(crate) async fn turn(&mut self, message: &str) -> Result<Duration> {
        self.turns += 1;
        let key = format!("{:08x}-0000-4000-8000-000000000000", self.turns);
        let began = Instant::now();
        let send = json!({"sessionKey": "agent:main:main", "message": message, "idempotencyKey": key});
        request(&mut self.socket, "send", "chat.send", send).await?;
        loop {
            let frame = next(&mut self.socket).await?;
            let payload = &frame["payload"];
            if frame["event"] != "chat" || payload["runId"] != key.as_str() {
                continue;
            }
            match payload["state"].as_str() {
                Some("final") => return Ok(began.elapsed()),
                Some("error" | "aborted") => bail!("the bare turn failed: {payload}"),
                _ => {}
            }
        }
    }

    /// All of it, without the program that made its namespaces.
    pub(crate) fn pss(&self) -> u64 {
        memory::of_descendants(self.child.id())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // The first process of the namespace, with which all others die. It changed its user, so the kernel
        // does not end it together with unshare.
        let parent = self.child.id();
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        for pid in children.unwrap_or_default().split_whitespace() {
            if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

async fn connect(port: u16) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let (mut socket, _) = client_async(format!("ws://127.0.0.1:{port}/"), stream).await?;
    while next(&mut socket).await?["event"] != "connect.challenge" {}
    let connect = json!({
        "minProtocol": 4, "maxProtocol": 4, "role": "operator",
        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
        "scopes": ["operator.read", "operator.write", "operator.admin"],
        "caps": ["tool-events"], "auth": {"password": PASSWORD},
    });
    request(&mut socket, "connect", "connect", connect).await?;
    Ok(socket)
}

async fn request(
    socket: &mut WebSocketStream<TcpStream>,
    id: &str,
    method: &str,
    parameters: Value,
) -> Result<()> {
    let frame = json!({"type": "req", "id": id, "method": method, "params": parameters});
    socket.send(Message::text(frame.to_string())).await?;
    loop {
        let frame = next(socket).await?;
        if frame["type"] == "res" && frame["id"] == id {
            ensure!(frame["ok"] == true, "{method}: {}", frame["error"]);
            return Ok(());
        }
    }
}

async fn next(socket: &mut WebSocketStream<TcpStream>) -> Result<Value> {
    loop {
        let message = tokio::time::timeout(START, socket.next()).await?;
        if let Message::Text(text) = message.context("OpenClaw hung up")?? {
            return Ok(serde_json::from_str(&text)?);
        }
    }
}
