//! What people and programs see: data on standard output, everything else on standard error.

pub(crate) mod progress;
pub(crate) mod secret;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod units;

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::failure::Result;

/// The width of a page where there is no terminal to ask.
const PAGE_COLUMNS: usize = 80;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    pub(crate) json: bool,
}

impl Out {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// JSON for a program, or what `human` prints.
    pub(crate) fn show<T: Serialize>(self, value: &T, human: impl FnOnce() -> String) -> Result<()> {
        if self.json {
            self.json(value)
        } else {
            self.text(&human())
        }
    }

    pub(crate) fn json<T: Serialize>(self, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
        self.text(&text)
    }

    /// One object on one line: for streams.
    pub(crate) fn json_line<T: Serialize>(self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).map_err(std::io::Error::other)?;
        self.text(&text)
    }

    /// A piece of text on lines of its own.
    pub(crate) fn text(self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.trim_end_matches('\n').as_bytes())?;
        stdout.write_all(b"\n")?;
        stdout.flush()?;
        Ok(())
    }

    /// Text without an end of line: for streams.
    pub(crate) fn piece(self, text: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        Ok(())
    }

    /// A remark about what was done; programs do not need it.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }
}

/// How wide a line may be.
pub(crate) fn columns() -> usize {
    let stdout = std::io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout).ok())
        .flatten();
    size.map(|size| usize::from(size.ws_col))
        .filter(|columns| *columns >= 40)
        .unwrap_or(PAGE_COLUMNS)
}

/// Asks on the terminal. Without one it is wrong use not to have said `--yes`.
pub(crate) fn confirm(what: &str) -> Result<bool> {
    use crate::failure::Failure;
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::wrong_use(format!(
            "this would {what}: confirm it with --yes"
        )));
    }
    eprint!("This will {what}. Go on? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
