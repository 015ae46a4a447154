//! OpenClaw's gateway as a process: started, asked whether it is ready, started again after a pause.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use creel_protocol::inside;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustix::process::Signal;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{Shared, State, link::Link};
use crate::{paths::Paths, processes::Group};

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Alive for so long, it starts afresh with the first pause.
const SETTLED: Duration = Duration::from_secs(60);
/// For a cold start on a busy host.
const START_TIMEOUT: Duration = Duration::from_secs(180);
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Between SIGTERM and SIGKILL.
pub(super) const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// What OpenClaw exits with when it does not like its configuration.
const BAD_CONFIGURATION: u8 = 78;

/// How the image says that OpenClaw is started.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Launch {
    argv: Vec<String>,
    cwd: PathBuf,
    env: BTreeMap<String, String>,
    directories: Vec<PathBuf>,
    config_template: PathBuf,
    pub(super) port: u16,
    ready_path: String,
    #[serde(skip)]
    around: Vec<(std::ffi::OsString, std::ffi::OsString)>,
}

impl Launch {
    pub(super) fn read(paths: &Paths) -> Result<Self, String> {
        let file = paths.image.join("opt/openclaw/launch.json");
        let text =
            std::fs::read(&file).map_err(|error| format!("the image has no {}: {error}", file.display()))?;
        let mut launch: Self =
            serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        launch.around = paths.environment();
        Ok(launch)
    }

    fn command(&self, password: &str) -> std::io::Result<Command> {
        for directory in &self.directories {
            std::fs::create_dir_all(directory)?;
        }
        if let Some(config) = self.env.get("OPENCLAW_CONFIG_PATH") {
            let text = std::fs::read_to_string(&self.config_template)?;
            crate::seed::replace(config.as_ref(), &text)?;
        }
        let (program, rest) = self.argv.split_first().ok_or(std::io::ErrorKind::InvalidData)?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .current_dir(&self.cwd)
            .env_clear()
            .envs(self.around.iter().cloned())
            .envs(&self.env)
            .env("OPENCLAW_GATEWAY_PASSWORD", password)
            .env(
                "CREEL_MODEL_URL",
                format!("http://127.0.0.1:{}/v1", inside::MODELS_PORT),
            )
            .env("CREEL_MODEL_KEY", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok(command)
    }

    /// Whether the gateway calls itself ready.
    pub(super) async fn asks_ready(&self) -> Result<(), String> {
        let ask = async {
            let stream = TcpStream::connect(("127.0.0.1", self.port))
                .await
                .map_err(|error| error.to_string())?;
            let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            let request = Request::get(&self.ready_path)
                .header("host", "127.0.0.1")
                .header("connection", "close")
                .body(Empty::new())
                .map_err(|error| error.to_string())?;
            // Ends with the answer: it is asked to close.
            tokio::spawn(async move { drop(connection.await) });
            let answer = sender
                .send_request(request)
                .await
                .map_err(|error| error.to_string())?;
            match answer.status().as_u16() {
                200 => Ok(()),
                status => Err(format!("it answers {status}")),
            }
        };
        match tokio::time::timeout(ASK_TIMEOUT, ask).await {
            Ok(answer) => answer.map_err(|reason| format!("OpenClaw is not ready: {reason}")),
            Err(_) => Err("OpenClaw does not answer".to_owned()),
        }
    }
}

/// What the link signs in with; people come in by the name that Creel puts on their requests.
fn password() -> String {
    let mut bytes = [0_u8; 32];
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Keeps a gateway running until the bridge stops.
pub(super) async fn keep_running(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    if let Ok(launch) = &shared.launch {
        while !shared.stopping.is_cancelled() {
            shared.state.send_replace(State::Starting);
            let began = Instant::now();
            let reason = live(&shared, launch).await;
            if shared.stopping.is_cancelled() {
                break;
            }
            shared.restarts.fetch_add(1, Ordering::Relaxed);
            shared.logs.bridge(format!("OpenClaw ended: {reason}"));
            shared.state.send_replace(State::Backoff(reason));
            if began.elapsed() > SETTLED {
                pause = FIRST_PAUSE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shared.stopping.cancelled() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
    shared.stopped.send_replace(true);
}

/// One life of the gateway; why it ended.
async fn live(shared: &Arc<Shared>, launch: &Launch) -> String {
    let password = password();
    let started = launch
        .command(&password)
        .and_then(|mut command| shared.processes.spawn(&mut command));
    let (mut child, mut group) = match started {
        Ok(started) => started,
        Err(error) => return format!("it could not be started: {error}"),
    };
    if let Some(Ok(stdout)) = child.stdout.take().map(tokio::process::ChildStdout::from_std) {
        tokio::spawn(shared.logs.clone().copy("runtime.stdout", stdout));
    }
    if let Some(Ok(stderr)) = child.stderr.take().map(tokio::process::ChildStderr::from_std) {
        tokio::spawn(shared.logs.clone().copy("runtime.stderr", stderr));
    }
    let mut ended = group.clone_wait();
    let talk = async {
        let mut deadline = Instant::now() + START_TIMEOUT;
        loop {
            let (visitors, allowed) = (shared.visitors.clone(), shared.allowed.clone());
            match Link::open(launch.port, &password, visitors, allowed).await {
                Ok(link) => {
                    let link = Arc::new(link);
                    shared.state.send_replace(State::Ready(Arc::clone(&link)));
                    link.closed().await;
                    shared.state.send_replace(State::Starting);
                    // It was up: the time since it began says nothing about how long it may take to answer again.
                    deadline = Instant::now() + START_TIMEOUT;
                }
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(reason) => return format!("it did not become ready: {reason}"),
            }
        }
    };
    tokio::select! {
        code = &mut ended => {
            group.has_ended(code);
            match code {
                BAD_CONFIGURATION => "it refused its configuration; see the log".to_owned(),
                137 => "it was killed, most likely for want of memory: give the agent more".to_owned(),
                code => format!("it exited with status {code}"),
            }
        }
        reason = talk => {
            stop(&mut group).await;
            reason
        }
        () = shared.stopping.cancelled() => {
            stop(&mut group).await;
            "the sandbox is stopped".to_owned()
        }
    }
}

async fn stop(group: &mut Group) {
    group.signal(Signal::TERM);
    if tokio::time::timeout(STOP_TIMEOUT, group.wait()).await.is_err() {
        group.kill();
        let _ = tokio::time::timeout(STOP_TIMEOUT, group.wait()).await;
    }
}
