//! A command inside a sandbox, with its streams: one WebSocket message per frame, end to end.
//!
//! A frame is a binary message: one byte of kind, then the payload. The client sends the request as
//! its first message (text, JSON), then `stdin`, `stdin_end`, `resize` and `signal`; the other side
//! sends `stdout` and `stderr`, and `exit` or `failed` as its last.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::BridgeError;

/// What to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecRequest {
    /// Program and arguments, 1 to 1024 of them, 128 KiB together. Looked up in `PATH`.
    pub argv: Vec<String>,
    /// Working directory; relative to the workspace, which is the default.
    #[serde(default)]
    pub cwd: Option<String>,
    /// Added to the environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// A terminal of this size (columns, rows) instead of three pipes.
    #[serde(default)]
    pub tty: Option<(u16, u16)>,
    /// Killed after so long; none: until the client is gone.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecFrame {
    Stdin(Bytes),
    StdinEnd,
    Stdout(Bytes),
    Stderr(Bytes),
    /// Columns, rows.
    Resize(u16, u16),
    /// A signal number for the command's process group.
    Signal(u8),
    /// The command ended: its exit status, or 128 + the signal that ended it.
    Exit(u8),
    /// It could not be run: a sentence.
    Failed(String),
}

/// A command under way: what it says, and where to say something to it. Dropping it kills the command.
pub struct ExecSession {
    pub output: BoxStream<'static, Result<ExecFrame, BridgeError>>,
    pub input: mpsc::Sender<ExecFrame>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a frame of an exec stream: {0}")]
pub struct BadFrame(&'static str);

impl ExecFrame {
    /// The longest payload of one frame; longer output is cut into several.
    pub const MAX_BYTES: usize = 64 * 1024;

    pub fn encode(&self) -> Bytes {
        let (kind, payload): (u8, &[u8]) = match self {
            Self::Stdin(bytes) => (0, bytes),
            Self::Stdout(bytes) => (1, bytes),
            Self::Stderr(bytes) => (2, bytes),
            Self::Exit(status) => (3, &[*status]),
            Self::Resize(columns, rows) => {
                let mut out = BytesMut::with_capacity(5);
                out.put_u8(4);
                out.put_u16(*columns);
                out.put_u16(*rows);
                return out.freeze();
            }
            Self::StdinEnd => (5, &[]),
            Self::Signal(signal) => (6, &[*signal]),
            Self::Failed(reason) => (7, reason.as_bytes()),
        };
        let mut out = BytesMut::with_capacity(1 + payload.len());
        out.put_u8(kind);
        out.put_slice(payload);
        out.freeze()
    }

    pub fn decode(message: &Bytes) -> Result<Self, BadFrame> {
        let Some((&kind, payload)) = message.split_first() else {
            return Err(BadFrame("it is empty"));
        };
        if payload.len() > Self::MAX_BYTES {
            return Err(BadFrame("it is longer than 64 KiB"));
        }
        let bytes = || message.slice(1..);
        match (kind, payload) {
            (0, _) => Ok(Self::Stdin(bytes())),
            (1, _) => Ok(Self::Stdout(bytes())),
            (2, _) => Ok(Self::Stderr(bytes())),
            (3, [status]) => Ok(Self::Exit(*status)),
            (4, [c1, c0, r1, r0]) => Ok(Self::Resize(
                u16::from_be_bytes([*c1, *c0]),
                u16::from_be_bytes([*r1, *r0]),
            )),
            (5, []) => Ok(Self::StdinEnd),
            (6, [signal]) => Ok(Self::Signal(*signal)),
            (7, _) => Ok(Self::Failed(String::from_utf8_lossy(payload).into_owned())),
            _ => Err(BadFrame("unknown kind, or a payload of the wrong length")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hostile_bytes_never_panic_and_good_ones_survive(message: Vec<u8>) {
            let message = Bytes::from(message);
            if let Ok(frame) = ExecFrame::decode(&message)
                && !matches!(frame, ExecFrame::Failed(_))
            {
                prop_assert_eq!(frame.encode(), message);
            }
        }
    }

    #[test]
    fn each_frame_survives() {
        for frame in [
            ExecFrame::Stdin(Bytes::from_static(b"x")),
            ExecFrame::StdinEnd,
            ExecFrame::Resize(120, 40),
            ExecFrame::Signal(2),
            ExecFrame::Exit(137),
            ExecFrame::Failed("no such program".to_owned()),
        ] {
            assert_eq!(ExecFrame::decode(&frame.encode()), Ok(frame));
        }
    }
}
