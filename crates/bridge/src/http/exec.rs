//! `/v1/exec`: a WebSocket; the first message is the request, the rest are frames.

use std::time::Duration;

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use creel_protocol::{ExecFrame, ExecRequest, limits};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;

use super::Server;
use crate::{exec, refusal::Refusal};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(15);
/// Frames under way in each direction.
const FRAMES: usize = 16;

pub(super) async fn exec(State(server): State<Server>, upgrade: WebSocketUpgrade) -> Response {
    let Ok(place) = server.execs.clone().try_acquire_owned() else {
        let sentence = format!("{} commands run already: wait for one to end", limits::EXECS);
        return Refusal::new("busy", sentence).into_response();
    };
    upgrade.max_message_size(1 << 20).on_upgrade(async move |socket| {
        let _place = place;
        talk(server, socket).await;
    })
}

async fn talk(server: Server, mut socket: WebSocket) {
    let fail = |reason: String| Message::Binary(ExecFrame::Failed(reason).encode());
    let first = tokio::time::timeout(REQUEST_TIMEOUT, socket.recv()).await;
    let request = match first {
        Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str::<ExecRequest>(&text),
        _ => return,
    };
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            let _ = socket
                .send(fail(format!("the request makes no sense: {error}")))
                .await;
            return;
        }
    };
    let running = match exec::start(&server.processes, &server.paths, &request) {
        Ok(running) => running,
        Err(reason) => {
            let _ = socket.send(fail(reason)).await;
            return;
        }
    };
    let (mut to, mut from) = socket.split();
    let (input, input_frames) = mpsc::channel::<ExecFrame>(FRAMES);
    let (output, mut output_frames) = mpsc::channel::<ExecFrame>(FRAMES);
    let receiving = async {
        while let Some(Ok(message)) = from.next().await {
            let frame = match message {
                Message::Binary(bytes) => ExecFrame::decode(&bytes),
                Message::Close(_) => return,
                _ => continue,
            };
            // Nonsense from our own control: hang up.
            let Ok(frame) = frame else { return };
            if input.send(frame).await.is_err() {
                return;
            }
        }
    };
    let sending = async {
        loop {
            let message = match tokio::time::timeout(PING_EVERY, output_frames.recv()).await {
                Ok(Some(frame)) => Message::Binary(frame.encode()),
                Ok(None) => return,
                Err(_) => Message::Ping(bytes::Bytes::new()),
            };
            if to.send(message).await.is_err() {
                return;
            }
        }
    };
    let limit = request.timeout_ms.map(Duration::from_millis);
    let command = async {
        let carried = running.carry(input_frames, output.clone());
        match limit {
            None => carried.await,
            Some(limit) => {
                if tokio::time::timeout(limit, carried).await.is_err() {
                    let _ = output.send(ExecFrame::Exit(124)).await;
                }
            }
        }
        drop(output);
    };
    tokio::select! {
        // Hanging up drops the command, which kills it.
        () = receiving => {}
        ((), ()) = async { tokio::join!(command, sending) } => {}
    }
}
