//! What was said in a session: a file of JSON lines, one for each turn that ended well.
//!
//! A line is appended and synced in one go before the turn is told to be done. A crash leaves at most one
//! torn line at the end, which the next append cuts off.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use creel_domain::{SessionName, TurnId};
use creel_protocol::{HistoryEntry, SessionSummary, ToolUse};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of older turns, what is sent to the model.
const CONTEXT_BYTES: usize = 256 * 1024;
/// A session's file beyond this loses its older half.
const FILE_BYTES: u64 = 16 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) turn: TurnId,
    pub(super) message: String,
    pub(super) text: String,
    pub(super) tools: Vec<UsedTool>,
    /// As the model saw them, the user's first.
    pub(super) messages: Vec<Value>,
    pub(super) at: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct UsedTool {
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) output: String,
}

impl Remembered {
    pub(super) fn entries(&self) -> [HistoryEntry; 2] {
        let tools = self.tools.iter().map(|tool| ToolUse {
            name: tool.name.clone(),
            arguments: tool.arguments.clone(),
            output: Some(tool.output.clone()),
        });
        [
            HistoryEntry::User {
                text: self.message.clone(),
                at: Some(self.at),
            },
            HistoryEntry::Agent {
                text: self.text.clone(),
                tools: tools.collect(),
                at: Some(self.at),
            },
        ]
    }
}

/// The newest turns that fit, whole.
pub(super) fn recent(turns: &[Remembered]) -> Vec<Value> {
    let mut left = CONTEXT_BYTES;
    let fitting = turns.iter().rev().take_while(|turn| {
        let bytes: usize = turn
            .messages
            .iter()
            .map(|message| message.to_string().len())
            .sum();
        left = left.saturating_sub(bytes);
        left > 0
    });
    let mut chosen: Vec<_> = fitting.collect();
    chosen.reverse();
    chosen
        .into_iter()
        .flat_map(|turn| turn.messages.clone())
        .collect()
}

pub(super) struct Memory {
    directory: PathBuf,
}

impl Memory {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn file(&self, session: &SessionName) -> PathBuf {
        self.directory.join(format!("{session}.jsonl"))
    }

    /// Every turn that can be read; a torn or foreign line is passed over.
    pub(super) fn load(&self, session: &SessionName) -> io::Result<Vec<Remembered>> {
        let bytes = match fs::read(self.file(session)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        Ok(bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect())
    }

    pub(super) fn append(&self, session: &SessionName, turn: &Remembered) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let path = self.file(session);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)?;
        let length = file.metadata()?.len();
        if length > FILE_BYTES {
            self.halve(session)?;
            file = OpenOptions::new().append(true).open(&path)?;
        }
        let mut line = serde_json::to_vec(turn)?;
        line.push(b'\n');
        if length > 0 && !ends_with_newline(&path)? {
            line.insert(0, b'\n');
        }
        file.write_all(&line)?;
        file.sync_data()
    }

    fn halve(&self, session: &SessionName) -> io::Result<()> {
        let turns = self.load(session)?;
        let kept = turns[turns.len() / 2..]
            .iter()
            .filter_map(|turn| serde_json::to_string(turn).ok());
        let text: String = kept.map(|line| line + "\n").collect();
        crate::seed::replace(&self.file(session), &text)
    }

    pub(super) fn sessions(&self) -> io::Result<Vec<SessionSummary>> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut sessions = Vec::new();
        for entry in entries.take(1000) {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let Some(Ok(session)) = name.strip_suffix(".jsonl").map(str::parse::<SessionName>) else {
                continue;
            };
            let turns = self.load(&session)?;
            sessions.push(SessionSummary {
                session,
                messages: 2 * turns.len() as u64,
                updated_at: turns.last().map(|turn| turn.at),
            });
        }
        sessions.sort_by_key(|session| std::cmp::Reverse(session.updated_at));
        Ok(sessions)
    }
}

fn ends_with_newline(path: &std::path::Path) -> io::Result<bool> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(path)?;
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u128) -> Remembered {
        Remembered {
            turn: format!("trn_{number:026}").parse().expect("an id"),
            message: "hello".to_owned(),
            text: number.to_string(),
            tools: vec![],
            messages: vec![serde_json::json!({"role": "user", "content": "x".repeat(100_000)})],
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_torn_line_costs_only_itself() {
        let home = tempfile::tempdir().expect("a directory");
        let memory = Memory::new(home.path().join("sessions"));
        let session = SessionName::default();
        memory.append(&session, &turn(1)).expect("kept");
        let path = memory.file(&session);
        let whole = fs::read(&path).expect("there");
        fs::write(&path, [&whole[..], &whole[..50]].concat()).expect("torn");
        memory.append(&session, &turn(2)).expect("kept");
        let texts: Vec<_> = memory
            .load(&session)
            .expect("read")
            .into_iter()
            .map(|turn| turn.text)
            .collect();
        assert_eq!(texts, ["1", "2"]);
        assert_eq!(memory.sessions().expect("listed")[0].messages, 4);
    }

    #[test]
    fn the_model_sees_the_newest_that_fit() {
        let turns: Vec<_> = (0..9).map(turn).collect();
        assert_eq!(recent(&turns).len(), 2);
    }
}
