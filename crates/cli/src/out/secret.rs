//! Secrets that are typed: not shown on the terminal, or a line of standard input.

use std::io::{BufRead as _, IsTerminal as _};

use creel_api::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Failure, Result};

/// No line that is typed is longer.
const LINE_BYTES: u64 = 4096;

/// What is typed is not shown while this lives.
struct Silence {
    before: Termios,
}

impl Silence {
    fn begin() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Now, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn line() -> Result<String> {
    let mut line = String::new();
    std::io::Read::take(std::io::stdin().lock(), LINE_BYTES).read_line(&mut line)?;
    if line.is_empty() {
        return Err(Failure::sentence("nothing was typed"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn at_a_terminal(what: &str) -> Result<()> {
    if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        return Ok(());
    }
    Err(Failure::wrong_use(format!(
        "there is no terminal to ask for {what}: see the options with --help"
    )))
}

/// Asks on the terminal; what is typed is shown.
pub(crate) fn ask(what: &str) -> Result<String> {
    at_a_terminal(what)?;
    eprint!("{what}: ");
    line()
}

/// Asks on the terminal; what is typed is not shown.
pub(crate) fn ask_secret(what: &str) -> Result<Secret> {
    at_a_terminal(what)?;
    eprint!("{what}: ");
    let _silence = Silence::begin()?;
    line().map(Secret::new)
}

/// Asks for a new secret, twice.
pub(crate) fn ask_new_secret(what: &str) -> Result<Secret> {
    let first = ask_secret(what)?;
    if ask_secret("The same again")? == first {
        return Ok(first);
    }
    Err(Failure::sentence("the two are different: nothing was changed"))
}

/// One line of standard input, for programs.
pub(crate) fn secret_line() -> Result<Secret> {
    line().map(Secret::new)
}
