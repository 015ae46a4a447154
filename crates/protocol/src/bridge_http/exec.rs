//! A command in a sandbox, over a WebSocket on the bridge's socket.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream};
use tokio::{net::UnixStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};

use super::{call, socket};
use crate::{BridgeError, ExecFrame, ExecRequest, ExecSession};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The bridge pings every 15 seconds.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(45);
/// Frames under way in each direction.
const FRAMES: usize = 16;

pub(super) async fn start(inbound: &Path, request: ExecRequest) -> Result<ExecSession, BridgeError> {
    let text = serde_json::to_string(&request).map_err(|error| BridgeError::Garbage(error.to_string()))?;
    let stream = socket::connect(inbound).await?;
    let config = WebSocketConfig::default()
        .read_buffer_size(32 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(512 * 1024)
        .max_message_size(Some(ExecFrame::MAX_BYTES + 1))
        .max_frame_size(Some(ExecFrame::MAX_BYTES + 1));
    let handshake = client_async_with_config("ws://bridge/v1/exec", stream, Some(config));
    let (mut socket, _) = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .map_err(|_| BridgeError::Unreachable("no answer within 10 seconds".to_owned()))?
        .map_err(refused)?;
    socket.send(Message::text(text)).await.map_err(refused)?;
    let (input, input_frames) = mpsc::channel(FRAMES);
    let (output_frames, mut output) = mpsc::channel(FRAMES);
    tokio::spawn(pump(socket, input_frames, output_frames));
    Ok(ExecSession {
        output: stream::poll_fn(move |context| output.poll_recv(context)).boxed(),
        input,
    })
}

/// Carries frames both ways until the command ends, the reader is gone or the connection breaks.
/// Dropping the connection is what kills the command.
async fn pump(
    socket: WebSocketStream<UnixStream>,
    mut input: mpsc::Receiver<ExecFrame>,
    output: mpsc::Sender<Result<ExecFrame, BridgeError>>,
) {
    let (mut to, mut from) = socket.split();
    let sending = async {
        while let Some(frame) = input.recv().await {
            if to.send(Message::Binary(frame.encode())).await.is_err() {
                break;
            }
        }
        // Nobody speaks any more; somebody may still listen.
        std::future::pending::<()>().await;
    };
    let receiving = async {
        loop {
            let frame = next_frame(&mut from).await;
            let last = !matches!(frame, Ok(ExecFrame::Stdout(_) | ExecFrame::Stderr(_)));
            if output.send(frame).await.is_err() || last {
                break;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
        () = output.closed() => {}
    }
}

async fn next_frame<S>(from: &mut S) -> Result<ExecFrame, BridgeError>
where
    S: Stream<Item = Result<Message, tungstenite::Error>> + Unpin,
{
    let garbage = |what: &str| Err(BridgeError::Garbage(what.to_owned()));
    loop {
        let Ok(message) = tokio::time::timeout(SILENCE_TIMEOUT, from.next()).await else {
            return Err(BridgeError::Unreachable("silent for 45 seconds".to_owned()));
        };
        let bytes: Bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_))) | None => {
                return Err(BridgeError::Unreachable(
                    "the connection ended before the command".to_owned(),
                ));
            }
            Some(Ok(_)) => return garbage("text where a frame was expected"),
            Some(Err(error)) => return Err(refused(error)),
        };
        return match ExecFrame::decode(&bytes) {
            Ok(ExecFrame::Failed(reason)) => Ok(ExecFrame::Failed(call::clean(&reason, 500))),
            Ok(frame @ (ExecFrame::Stdout(_) | ExecFrame::Stderr(_) | ExecFrame::Exit(_))) => Ok(frame),
            Ok(_) => garbage("a frame that only a client may send"),
            Err(error) => Err(BridgeError::Garbage(error.to_string())),
        };
    }
}

fn refused(error: tungstenite::Error) -> BridgeError {
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status();
            call::refusal(status, response.body().as_deref().unwrap_or_default())
        }
        tungstenite::Error::Io(error) => BridgeError::Unreachable(error.to_string()),
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            BridgeError::Unreachable("the connection ended".to_owned())
        }
        other => BridgeError::Garbage(other.to_string()),
    }
}
