//! An agent's computer: its files, commands and logs.
//!
//! | | below `/v1/agents/{agent}` |
//! |---|---|
//! | `GET /files?path=P` | [`EntryList`] |
//! | `DELETE /files?path=P&recursive=B` | |
//! | `GET`, `PUT /files/content?path=P` | the bytes |
//! | `POST /files/mkdir?path=P` | with its parents; one that is there is no error |
//! | `POST /files/move?from=P&to=P` | |
//!
//! Relative paths begin in the workspace; absolute ones must lie below `/data`. An interactive command
//! is a WebSocket on the same address as the one-shot form; its messages are those of
//! `docs/reference/exec.md`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
    pub bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<Timestamp>,
    /// Permission bits.
    pub mode: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Other,
}

/// At most 10 000 entries, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryList {
    pub items: Vec<Entry>,
}

/// `POST /v1/agents/{agent}/exec`: runs to its end and answers what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// Program and arguments.
    pub argv: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Given to it as its standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// 60 seconds when absent; at most 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecResult {
    /// 128 + the signal when one ended it.
    pub exit_status: u8,
    /// Bytes that are not UTF-8 are replaced. At most 1 MiB each; `truncated` says whether some is missing.
    pub stdout: String,
    pub stderr: String,
    pub truncated: bool,
}

/// `GET /v1/agents/{agent}/logs`: one JSON object a line, or a stream by `Accept`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    pub at: Timestamp,
    /// `bridge`, `runtime.stdout` or `runtime.stderr`.
    pub source: String,
    pub text: String,
}
