//! Commands in a sandbox: run to the end and answered, or live over a WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    Json as Answered,
    extract::{
        FromRequestParts, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code},
    },
    http::request::Parts,
    response::Response,
};
use bytes::Bytes;
use creel_api::{ErrorCode, Exec, ExecResult, Problem};
use creel_domain::{Act, Agent, Scope};
use creel_protocol::{Bridge, ExecFrame, ExecRequest, ExecSession};
use creel_store::Org;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::{Answer, Failure, sentence},
};
use crate::{Control, rest::Reached};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// What the bridge may need beyond the command's own time.
const GRACE: Duration = Duration::from_secs(5);
/// Of each stream of a one-shot command.
const OUTPUT_BYTES: usize = 1 << 20;
/// Arguments together.
const ARGUMENT_BYTES: usize = 128 * 1024;
const ARGUMENTS: usize = 1024;
/// The first message of a live command, and the longest of any kind.
const MESSAGE_BYTES: usize = 256 * 1024;
/// For the first message to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// A live connection is asked so often whether somebody is there.
const PING_EVERY: Duration = Duration::from_secs(20);

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new().routes(routes!(run, live))
}

/// Runs a command to its end and answers what it printed.
#[utoipa::path(post, path = "/v1/agents/{agent}/exec", tag = "exec", request_body = Exec,
    params(("agent" = String, Path)),
    responses((status = 200, body = ExecResult), (status = "default", body = Problem)))]
async fn run(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    body: Json<Exec>,
) -> Answer<Answered<ExecResult>> {
    let exec = body.value;
    let timeout = match exec.timeout_ms.map(Duration::from_millis) {
        None => DEFAULT_TIMEOUT,
        Some(timeout) if !timeout.is_zero() && timeout <= MAX_TIMEOUT => timeout,
        Some(_) => return Err(Failure::invalid("`timeout_ms` must be 1 to 600000.")),
    };
    let request = ExecRequest {
        argv: exec.argv,
        cwd: exec.cwd,
        env: exec.env,
        tty: None,
        timeout_ms: u64::try_from(timeout.as_millis()).ok(),
    };
    check(&request)?;
    let agent = control.agent(caller.org, &agent).await?;
    let bridge = control.bridge(&agent).await?;
    caller.org(&control).record(told(&agent, &request)).await?;
    let session = bridge.exec(request).await?;
    let stdin = exec.stdin.unwrap_or_default();
    match tokio::time::timeout(timeout + GRACE, to_the_end(session, Bytes::from(stdin))).await {
        Ok(result) => result.map(Answered),
        // Dropping the session has killed the command.
        Err(_) => Err(Failure::new(
            ErrorCode::AgentUnreachable,
            "The sandbox did not end the command in time; it was given up.",
        )),
    }
}

/// What the audit trail says of a command: which program, and none of its arguments, which may hold secrets.
fn told(agent: &Agent, request: &ExecRequest) -> Act {
    let program = request.argv.first().map(String::as_str).unwrap_or_default();
    let act = Act::new("exec.run").on("agent", agent.id).named(&agent.name);
    act.with("program", program)
        .with("terminal", request.tty.is_some())
}

fn check(request: &ExecRequest) -> Answer<()> {
    let bytes: usize = request.argv.iter().map(String::len).sum();
    let good = (1..=ARGUMENTS).contains(&request.argv.len())
        && bytes <= ARGUMENT_BYTES
        && request.argv.first().is_some_and(|program| !program.is_empty())
        && request.argv.iter().all(|argument| !argument.contains('\0'));
    if good {
        Ok(())
    } else {
        Err(Failure::invalid(format!(
            "`argv` is a program and its arguments: 1 to {ARGUMENTS} of them, {ARGUMENT_BYTES} bytes together, without NULs."
        )))
    }
}

async fn to_the_end(session: ExecSession, stdin: Bytes) -> Answer<ExecResult> {
    let ExecSession { mut output, input } = session;
    // Kept until the end: closing it would say that we hung up.
    let kept = input.clone();
    let feed = async move {
        for start in (0..stdin.len()).step_by(ExecFrame::MAX_BYTES) {
            let end = stdin.len().min(start + ExecFrame::MAX_BYTES);
            if input
                .send(ExecFrame::Stdin(stdin.slice(start..end)))
                .await
                .is_err()
            {
                return;
            }
        }
        // A command that ended meanwhile does not listen, which is fine.
        let _ = input.send(ExecFrame::StdinEnd).await;
    };
    let read = async move {
        let (mut stdout, mut stderr) = (Kept::default(), Kept::default());
        while let Some(frame) = output.next().await {
            match frame? {
                ExecFrame::Stdout(bytes) => stdout.push(&bytes),
                ExecFrame::Stderr(bytes) => stderr.push(&bytes),
                ExecFrame::Exit(exit_status) => {
                    return Ok(ExecResult {
                        exit_status,
                        truncated: stdout.truncated || stderr.truncated,
                        stdout: stdout.text(),
                        stderr: stderr.text(),
                    });
                }
                ExecFrame::Failed(reason) => return Err(Failure::invalid(sentence(&reason))),
                _ => {
                    return Err(Failure::new(
                        ErrorCode::AgentFailed,
                        "The sandbox sent a frame that is not its to send.",
                    ));
                }
            }
        }
        Err(Failure::new(
            ErrorCode::AgentUnreachable,
            "The connection to the sandbox broke before the command ended.",
        ))
    };
    tokio::pin!(feed, read);
    let result = tokio::select! {
        result = &mut read => result,
        () = &mut feed => read.await,
    };
    drop(kept);
    result
}

/// The beginning of a stream.
#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Kept {
    fn push(&mut self, piece: &[u8]) {
        let room = OUTPUT_BYTES - self.bytes.len();
        self.truncated |= piece.len() > room;
        self.bytes.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// An upgrade, refused as a problem where it is none.
struct Upgrade(WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Upgrade {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        WebSocketUpgrade::from_request_parts(parts, state)
            .await
            .map(Self)
            .map_err(|_| {
                Failure::invalid(
                    "This address is a WebSocket: ask for an upgrade, with version 13 and a key.",
                )
            })
    }
}

/// Runs a command live: a WebSocket whose messages are described in `docs/reference/exec.md`.
#[utoipa::path(get, path = "/v1/agents/{agent}/exec", tag = "exec", params(("agent" = String, Path)),
    responses((status = 101), (status = "default", body = Problem)))]
async fn live(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Upgrade(upgrade): Upgrade,
) -> Answer<Response> {
    let agent = control.agent(caller.org, &agent).await?;
    let bridge = control.bridge(&agent).await?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .write_buffer_size(0);
    let (org, held) = (caller.org(&control), caller.held_for(Scope::ComputerWrite));
    Ok(upgrade.on_upgrade(async move |socket| talk(socket, bridge, org, agent, held.lost(&control)).await))
}

/// `lost` returns when whoever asked may no longer.
async fn talk(
    mut socket: WebSocket,
    bridge: Reached,
    org: Org,
    agent: Agent,
    lost: impl Future<Output = ()>,
) {
    let session = match begin(&mut socket, &*bridge, &org, &agent).await {
        Ok(session) => session,
        Err(reason) => {
            // The other end may be gone already.
            let _ = socket
                .send(Message::Binary(ExecFrame::Failed(reason).encode()))
                .await;
            let _ = socket.send(Message::Close(None)).await;
            return;
        }
    };
    let ExecSession { mut output, input } = session;
    let (mut to_client, mut from_client) = socket.split();
    let (bad, mut refused) = mpsc::channel::<&'static str>(1);
    // What the client says waits for the command; what the command says waits for the client. Neither
    // waits for both, so a full pipe in one direction does not stop the other.
    let hear = async {
        while let Some(Ok(message)) = from_client.next().await {
            let frame = match message {
                Message::Binary(bytes) => ExecFrame::decode(&bytes),
                Message::Ping(_) | Message::Pong(_) => continue,
                Message::Close(_) => break,
                Message::Text(_) => {
                    let _ = bad.send("after the request, every message is binary").await;
                    break;
                }
            };
            match frame {
                Ok(
                    frame @ (ExecFrame::Stdin(_)
                    | ExecFrame::StdinEnd
                    | ExecFrame::Resize(..)
                    | ExecFrame::Signal(_)),
                ) => {
                    if input.send(frame).await.is_err() {
                        // The command has ended; its last words are on their way.
                        std::future::pending::<()>().await;
                    }
                }
                Ok(_) | Err(_) => {
                    let _ = bad.send("a message was no frame that a client sends").await;
                    break;
                }
            }
        }
    };
    let say = async {
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            let message = tokio::select! {
                frame = output.next() => match frame {
                    Some(Ok(frame)) => {
                        let last = matches!(frame, ExecFrame::Exit(_) | ExecFrame::Failed(_));
                        if to_client.send(Message::Binary(frame.encode())).await.is_err() || last {
                            break;
                        }
                        continue;
                    }
                    Some(Err(error)) => Message::Binary(ExecFrame::Failed(error.to_string()).encode()),
                    None => Message::Binary(ExecFrame::Failed("the connection to the sandbox broke".to_owned()).encode()),
                },
                _ = ping.tick() => {
                    if to_client.send(Message::Ping(Bytes::new())).await.is_err() {
                        break;
                    }
                    continue;
                }
            };
            let _ = to_client.send(message).await;
            break;
        }
    };
    // Leaving either ends both, and with them the command.
    let may_no_longer = tokio::select! {
        () = say => false,
        () = hear => false,
        () = lost => true,
    };
    drop(output);
    let close = match refused.try_recv() {
        _ if may_no_longer => Some((close_code::POLICY, "you may do this no longer")),
        Ok(reason) => Some((close_code::PROTOCOL, reason)),
        Err(_) => None,
    };
    let close = close.map(|(code, reason)| CloseFrame {
        code,
        reason: reason.into(),
    });
    let _ = to_client.send(Message::Close(close)).await;
}

/// The client's first message, and the command it starts.
async fn begin(
    socket: &mut WebSocket,
    bridge: &dyn Bridge,
    org: &Org,
    agent: &Agent,
) -> Result<ExecSession, String> {
    let first = tokio::time::timeout(REQUEST_WITHIN, async {
        loop {
            match socket.recv().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return Err("the first message must be text: the request as JSON".to_owned()),
            }
        }
    })
    .await
    .map_err(|_| "no request came".to_owned())??;
    let request: ExecRequest =
        serde_json::from_str(&first).map_err(|error| format!("the request does not fit: {error}"))?;
    check(&request).map_err(|failure| failure.detail().to_owned())?;
    let recorded = org.record(told(agent, &request)).await;
    recorded.map_err(|error| error.to_string())?;
    bridge.exec(request).await.map_err(|error| error.to_string())
}
