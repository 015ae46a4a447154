//! The live form of exec: a WebSocket whose messages are frames.

use creel_api::client::Client;
use creel_protocol::{ExecFrame, ExecRequest};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use crate::failure::{Failure, Result};

type Socket = WebSocketStream<reqwest::Upgraded>;

/// Opens it and says what to run. Both halves are used at once: a command that waits for us to read must
/// not wait for us to write.
pub(super) async fn open(client: &Client, agent: &str, request: &ExecRequest) -> Result<(Sender, Receiver)> {
    let key = generate_key();
    let (connection, accept) = client.exec_connection(agent, &key).await?;
    if accept != derive_accept_key(key.as_bytes()) {
        return Err(Failure::sentence(
            "something between here and Creel breaks WebSockets: connect directly",
        ));
    }
    let most = Some(ExecFrame::MAX_BYTES + 1);
    let config = WebSocketConfig::default()
        .max_message_size(most)
        .max_frame_size(most);
    let mut socket = WebSocketStream::from_raw_socket(connection, Role::Client, Some(config)).await;
    let request = serde_json::to_string(request).map_err(std::io::Error::other)?;
    socket.send(Message::text(request)).await.map_err(lost)?;
    let (sender, receiver) = socket.split();
    Ok((Sender(sender), Receiver(receiver)))
}

pub(super) struct Sender(SplitSink<Socket, Message>);

impl Sender {
    /// Whether it was taken. When it was not, the command is over, and what it said last is still to be read.
    pub(super) async fn send(&mut self, frame: &ExecFrame) -> bool {
        self.0.send(Message::binary(frame.encode())).await.is_ok()
    }
}

pub(super) struct Receiver(SplitStream<Socket>);

impl Receiver {
    /// The next frame; the end without an exit status is an error.
    pub(super) async fn next(&mut self) -> Result<ExecFrame> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => {
                    return ExecFrame::decode(&bytes).map_err(|error| Failure::sentence(error.to_string()));
                }
                Some(Ok(Message::Close(_))) | None => {
                    return Err(Failure::sentence(
                        "the connection ended before the command did: it was killed",
                    ));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(lost(error)),
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn lost(error: tokio_tungstenite::tungstenite::Error) -> Failure {
    Failure::sentence(format!(
        "the connection to the command was lost, it was killed ({error})"
    ))
}
