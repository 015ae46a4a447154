//! What control asks of the bridge in a sandbox. The bridge is assumed to be in enemy hands: whoever
//! implements this trait over a socket bounds every size and wait, and believes no identity in it.
//!
//! Over the wire, on `bridge.sock`:
//!
//! | | |
//! |---|---|
//! | `GET /v1/health` | [`creel_domain::BridgeHealth`] |
//! | `PUT /v1/turns/{turn}` | body [`TurnRequest`]; answers `text/event-stream`, each event's id its number |
//! | `DELETE /v1/turns/{turn}` | cancels |
//! | `GET /v1/sessions` | list of [`SessionSummary`] |
//! | `GET /v1/sessions/{session}/messages?limit=N` | the newest N [`HistoryEntry`], oldest first |
//! | `GET /v1/exec` (WebSocket) | [`crate::ExecRequest`], then frames |
//! | `GET /v1/files?path=P` | a directory's [`FileEntry`] list |
//! | `GET /v1/files/content?path=P` | a file's bytes |
//! | `PUT /v1/files/content?path=P` | writes a file whole: a half-sent body leaves the old one |
//! | `POST /v1/files/mkdir?path=P`, `POST /v1/files/move?from=P&to=P`, `DELETE /v1/files?path=P&recursive=B` | |
//! | `GET /v1/logs?tail=N&follow=B` | JSON lines of [`LogLine`] |
//! | `GET /v1/ports/{port}` (`Upgrade: creel-port`) | that loopback port, byte for byte: [`crate::connect_port`] |
//! | `POST /v1/shutdown` | ends the runtime, then the sandbox |
//!
//! A refusal is a status with `{"code": …, "message": …}`.

use std::sync::Arc;

use bytes::Bytes;
use creel_domain::{BridgeHealth, SandboxId, SessionName, TurnEvent, TurnId};
use futures_util::{future::BoxFuture, stream::BoxStream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ExecRequest, ExecSession};

pub type ByteStream = BoxStream<'static, Result<Bytes, std::io::Error>>;
pub type EventStream = BoxStream<'static, Result<NumberedEvent, BridgeError>>;
pub type LogStream = BoxStream<'static, Result<LogLine, BridgeError>>;

/// Bounds of the contract; each also stands in docs/limits.md.
pub mod limits {
    /// The longest message of a turn, in bytes.
    pub const MESSAGE_BYTES: usize = 256 * 1024;
    /// The longest answer of a turn; more is a failed turn.
    pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;
    /// Events of one turn that are kept for a reader who comes back.
    pub const TURN_EVENTS: usize = 16 * 1024;
    /// Turns under way in one sandbox.
    pub const TURNS: usize = 16;
    /// Tool arguments and tool output in one event.
    pub const TOOL_TEXT_BYTES: usize = 16 * 1024;
    /// Entries in one directory listing; more are counted, not listed.
    pub const DIRECTORY_ENTRIES: usize = 10_000;
    /// Log lines kept by the bridge, and the longest of them.
    pub const LOG_LINES: usize = 10_000;
    pub const LOG_LINE_BYTES: usize = 8 * 1024;
    /// Commands under way in one sandbox.
    pub const EXECS: usize = 32;
    /// Connections from outside to ports of one sandbox.
    pub const PORT_CONNECTIONS: usize = 1024;
    /// Messages in one answer of history.
    pub const HISTORY_ENTRIES: usize = 1000;
}

/// Finds the bridge of a sandbox.
pub trait Bridges: Send + Sync + 'static {
    fn bridge(&self, sandbox: SandboxId) -> Arc<dyn Bridge>;
}

/// One bridge. Calls connect when they are made; there is no state to lose.
pub trait Bridge: Send + Sync {
    fn health(&self) -> BoxFuture<'_, Result<BridgeHealth, BridgeError>>;

    /// Starts the turn, or joins it when this bridge already has it: the id makes it safe to ask again
    /// after a crash. Events are numbered from 1; only those after `after` are sent. Hanging up does not
    /// end the turn.
    fn turn(
        &self,
        turn: TurnId,
        request: TurnRequest,
        after: u64,
    ) -> BoxFuture<'_, Result<EventStream, BridgeError>>;

    /// Ends a turn; an unknown or ended one is not an error.
    fn cancel(&self, turn: TurnId) -> BoxFuture<'_, Result<(), BridgeError>>;

    fn sessions(&self) -> BoxFuture<'_, Result<Vec<SessionSummary>, BridgeError>>;

    fn history(
        &self,
        session: SessionName,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<HistoryEntry>, BridgeError>>;

    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<ExecSession, BridgeError>>;

    fn list(&self, path: String) -> BoxFuture<'_, Result<Vec<FileEntry>, BridgeError>>;
    fn read(&self, path: String) -> BoxFuture<'_, Result<ReadFile, BridgeError>>;
    fn write(&self, path: String, content: ByteStream) -> BoxFuture<'_, Result<(), BridgeError>>;
    fn mkdir(&self, path: String) -> BoxFuture<'_, Result<(), BridgeError>>;
    fn rename(&self, from: String, to: String) -> BoxFuture<'_, Result<(), BridgeError>>;
    fn remove(&self, path: String, recursive: bool) -> BoxFuture<'_, Result<(), BridgeError>>;

    fn logs(&self, tail: usize, follow: bool) -> BoxFuture<'_, Result<LogStream, BridgeError>>;
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnRequest {
    pub session: SessionName,
    pub message: String,
    /// The runtime does the jobs that it has planned itself and that are due; the message is for people.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_jobs: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberedEvent {
    pub number: u64,
    pub event: TurnEvent,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSummary {
    pub session: SessionName,
    pub messages: u64,
    pub updated_at: Option<Timestamp>,
}

/// One message as the runtime remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "role")]
pub enum HistoryEntry {
    User {
        text: String,
        at: Option<Timestamp>,
    },
    Agent {
        text: String,
        tools: Vec<ToolUse>,
        at: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolUse {
    pub name: String,
    /// JSON text.
    pub arguments: String,
    pub output: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub name: String,
    pub kind: FileKind,
    pub bytes: u64,
    pub modified_at: Option<Timestamp>,
    /// Permission bits, octal when shown.
    pub mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    File,
    Directory,
    Symlink,
    Other,
}

pub struct ReadFile {
    pub bytes: u64,
    pub content: ByteStream,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    /// `bridge`, `runtime.stdout` or `runtime.stderr`.
    pub source: String,
    pub text: String,
}

/// Why a bridge did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// Nobody listens, or it did not answer in time.
    #[error("the sandbox does not answer: {0}")]
    Unreachable(String),
    /// It answered something that the contract does not allow.
    #[error("the sandbox gave an answer that makes no sense: {0}")]
    Garbage(String),
    /// It refused: a code of docs/errors (`not_found`, `exists`, `not_a_directory`, `is_a_directory`,
    /// `not_empty`, `path_outside`, `disk_full`, `too_large`, `busy`, `not_ready`, `invalid`, `failed`)
    /// and a sentence.
    #[error("{message}")]
    Refused { code: String, message: String },
}
