//! `creel up --detach`: starts the process that stays, waits until it is ready, says what it said.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use creel_protocol::Layout;

use super::args::UpArgs;
use crate::failure::{Failure, Result};

/// What the process that stays says before it is ready: a few lines.
const ANNOUNCEMENT_BYTES: u64 = 64 * 1024;

pub(super) fn run(args: &UpArgs, layout: &Layout) -> Result<()> {
    let log = layout.logs().join("up.log");
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&log)?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("creel")
        .args(["up", "--detach", "--background"])
        .arg("--data")
        .arg(layout.data())
        .arg("--listen")
        .arg(args.listen.to_string())
        .arg("--images")
        .arg(layout.images());
    if let Some(database) = &args.database {
        command.env("CREEL_DATABASE", database);
    }
    command.envs(args.people.environment());
    command.envs(args.dns.environment());
    command.envs(args.acme.environment());
    command.envs(args.edge.environment());
    command.envs(args.issuer.environment());
    // A Vault's token is in the environment already, if it is not in a file.
    command.envs(args.keys.environment());
    if args.no_image_build {
        command.arg("--no-image-build");
    }
    command.args(args.bounds.flags());
    if args.keep_sandboxes {
        command.arg("--keep-sandboxes");
    }
    if args.json {
        command.arg("--json");
    }
    // A group of its own: Ctrl-C on this terminal is not for it.
    command
        .process_group(0)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(stdout) = child.stdout.take() {
        read_block(stdout, &mut said)?;
    }
    if said.is_empty() {
        let status = child.wait()?;
        let text = fs::read_to_string(&log).unwrap_or_default();
        let text = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        return Err(Failure::sentence(if text.is_empty() {
            format!("it ended: {status}")
        } else {
            text.to_owned()
        }));
    }
    std::io::stdout().write_all(said.as_bytes())?;
    Ok(())
}

/// The announcement is written in one piece: a line of JSON, or lines of which the last is about logs.
fn read_block(stdout: impl Read, said: &mut String) -> Result<()> {
    let mut stdout = std::io::BufReader::new(stdout.take(ANNOUNCEMENT_BYTES));
    while std::io::BufRead::read_line(&mut stdout, said)? > 0 {
        let is_last = |line: &str| line.starts_with("Logs: ") || line.starts_with('{');
        if said.lines().last().is_some_and(is_last) {
            break;
        }
    }
    Ok(())
}
