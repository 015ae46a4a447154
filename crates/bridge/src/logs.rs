//! The newest lines of the bridge and of the runtime, in memory: bounded in lines, in bytes of a line and
//! in bytes together. Nothing of it is kept on the volume.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use creel_protocol::{LogLine, limits};
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    sync::watch,
};

/// All lines together. Many long lines push older ones out before [`limits::LOG_LINES`] is reached.
const LOG_BYTES: usize = 4 << 20;

#[derive(Clone)]
pub(crate) struct Logs {
    ring: Arc<Mutex<Ring>>,
    /// How many lines there ever were.
    count: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// Number of the line after the newest.
    next: u64,
}

impl Logs {
    pub(crate) fn new() -> Self {
        Self {
            ring: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
        }
    }

    /// A line of the bridge itself.
    pub(crate) fn bridge(&self, text: impl Into<String>) {
        self.push("bridge", text.into());
    }

    pub(crate) fn push(&self, source: &str, mut text: String) {
        if text.len() > limits::LOG_LINE_BYTES {
            text.truncate(text.floor_char_boundary(limits::LOG_LINE_BYTES - CUT.len()));
            text.push_str(CUT);
        }
        let line = LogLine {
            at: Timestamp::now(),
            source: source.to_owned(),
            text,
        };
        let count = {
            let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
            ring.push(line);
            ring.next
        };
        self.count.send_replace(count);
    }

    /// The newest `tail` lines, and the number to go on from.
    pub(crate) fn tail(&self, tail: usize) -> (Vec<LogLine>, u64) {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let skip = ring.lines.len().saturating_sub(tail);
        (ring.lines.iter().skip(skip).cloned().collect(), ring.next)
    }

    /// Waits for lines from number `from` on. A reader who falls behind misses what was pushed out.
    pub(crate) async fn after(&self, from: u64) -> (Vec<LogLine>, u64) {
        let mut count = self.count.subscribe();
        // The sender lives as long as we do.
        let _ = count.wait_for(|count| *count > from).await;
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = usize::try_from(ring.next.saturating_sub(from)).unwrap_or(usize::MAX);
        let skip = ring.lines.len().saturating_sub(missing);
        let lines = ring
            .lines
            .iter()
            .skip(skip)
            .take(LINES_AT_ONCE)
            .cloned()
            .collect::<Vec<_>>();
        let next = ring.next - (ring.lines.len() - skip - lines.len()) as u64;
        (lines, next)
    }

    /// Copies a stream of a process, line by line, until it ends.
    pub(crate) async fn copy(self, source: &'static str, mut stream: impl AsyncRead + Unpin) {
        let mut line = Vec::new();
        let mut dropped = false;
        let mut buffer = vec![0; 8192];
        loop {
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            for &byte in &buffer[..read] {
                if byte == b'\n' {
                    self.push_bytes(source, &mut line, &mut dropped);
                } else if line.len() < limits::LOG_LINE_BYTES {
                    line.push(byte);
                } else {
                    dropped = true;
                }
            }
            if read == 0 {
                if !line.is_empty() {
                    self.push_bytes(source, &mut line, &mut dropped);
                }
                return;
            }
        }
    }

    fn push_bytes(&self, source: &str, line: &mut Vec<u8>, dropped: &mut bool) {
        let mut text = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
        if std::mem::take(dropped) {
            text.push_str(CUT);
        }
        line.clear();
        self.push(source, text);
    }
}

const CUT: &str = " … (cut)";
/// Copied out of the ring in one go.
const LINES_AT_ONCE: usize = 256;

impl Ring {
    fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        self.next += 1;
        while self.lines.len() > limits::LOG_LINES || self.bytes > LOG_BYTES {
            let Some(oldest) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= oldest.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_are_cut_and_old_ones_go() {
        let logs = Logs::new();
        let long = vec![b'x'; limits::LOG_LINE_BYTES * 3];
        logs.clone().copy("runtime.stdout", &long[..]).await;
        let (lines, _) = logs.tail(9);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].text.len() <= limits::LOG_LINE_BYTES && lines[0].text.ends_with(CUT));
        for number in 0..limits::LOG_LINES + 5 {
            logs.bridge(number.to_string());
        }
        let (lines, next) = logs.tail(usize::MAX);
        assert_eq!(
            (lines.len(), next),
            (limits::LOG_LINES, limits::LOG_LINES as u64 + 6)
        );
        assert_eq!(lines[0].text, "5");
    }

    #[test]
    fn all_lines_together_are_bounded() {
        let logs = Logs::new();
        for _ in 0..2000 {
            logs.bridge("x".repeat(limits::LOG_LINE_BYTES));
        }
        let bytes: usize = logs.tail(usize::MAX).0.iter().map(|line| line.text.len()).sum();
        assert!(bytes <= LOG_BYTES, "{bytes}");
    }

    #[tokio::test]
    async fn a_follower_gets_each_line_once() {
        let logs = Logs::new();
        logs.bridge("before");
        let (_, mut next) = logs.tail(1);
        let mut seen = Vec::new();
        for number in 0..600 {
            logs.bridge(number.to_string());
        }
        while seen.len() < 600 {
            let (lines, then) = logs.after(next).await;
            seen.extend(lines.into_iter().map(|line| line.text));
            next = then;
        }
        let expected: Vec<_> = (0..600).map(|number| number.to_string()).collect();
        assert_eq!(seen, expected);
    }
}
