//! What has to be so before Creel can start here. `creel up` refuses at the first that is not; `creel
//! doctor` shows them all.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use creel_protocol::Layout;
use serde::Serialize;

use super::{account::Account, data};
use crate::{
    failure::{Failure, Result},
    out::units,
};

/// Less free space than this, in bytes, is refused.
const LEAST_FREE_BYTES: u64 = 1 << 30;
/// Less than this is remarked upon.
const FEW_FREE_BYTES: u64 = 5 << 30;

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// What was found, and what to do about it: sentences.
    pub(crate) found: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) next: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// Everything `creel up` asks of this host, without changing anything.
pub(crate) fn findings(data: &Path, listen: SocketAddr) -> Result<Vec<Finding>> {
    let layout = Layout::new(data::absolute(data)?);
    let mut findings = vec![
        finding("data directory", data::check_version(&layout), || {
            format!("{} can be used.", layout.data().display())
        }),
        finding(
            "account",
            data::check_reachable(layout.data(), Account::of_this_host()),
            || "The unprivileged account reaches the data directory.".to_owned(),
        ),
        free_space(layout.data()),
    ];
    findings.push(match data::running(&layout) {
        Some((pid, address)) => Finding {
            name: "address".to_owned(),
            verdict: Verdict::Ok,
            found: format!("Creel is running: process {pid}, at http://{address}."),
            next: String::new(),
        },
        None => finding("address", bind(listen).map(drop), || format!("{listen} is free.")),
    });
    Ok(findings)
}

fn finding(name: &str, check: Result<()>, good: impl FnOnce() -> String) -> Finding {
    let (verdict, found) = match check {
        Ok(()) => (Verdict::Ok, good()),
        Err(Failure::Sentence(text)) => (Verdict::Fail, text),
        Err(other) => (Verdict::Fail, format!("{other:?}")),
    };
    Finding {
        name: name.to_owned(),
        verdict,
        found,
        next: String::new(),
    }
}

pub(super) fn check_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::sentence(
        "`creel up` has to start as root, to give each sandbox users and limits of its own: run `sudo creel up`. \
         Everything but the supervisor gives up root at once",
    ))
}

pub(super) fn free_space(data: &Path) -> Finding {
    let there = data
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(there).map_or(0, |about| about.f_bavail.saturating_mul(about.f_frsize));
    judge_space(free, data)
}

fn judge_space(free: u64, data: &Path) -> Finding {
    let (free_text, data) = (units::bytes(free), data.display());
    let (verdict, next) = if free < LEAST_FREE_BYTES {
        let least = units::bytes(LEAST_FREE_BYTES);
        let next = format!("Creel needs at least {least}: make room, or choose another disk with --data");
        (Verdict::Fail, next)
    } else if free < FEW_FREE_BYTES {
        let few = units::bytes(FEW_FREE_BYTES);
        (
            Verdict::Warn,
            format!("Images and volumes want more than {few}: make room soon"),
        )
    } else {
        (Verdict::Ok, String::new())
    };
    Finding {
        name: "disk".to_owned(),
        verdict,
        found: format!("{free_text} are free for {data}."),
        next,
    }
}

/// The public listener, or why it cannot be had.
pub(super) fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen).map_err(|error| {
        Failure::sentence(match error.kind() {
            ErrorKind::AddrInUse => format!(
                "another program listens on {listen}: stop it (`ss -ltnp` names it), or choose another port with --listen"
            ),
            ErrorKind::AddrNotAvailable => {
                format!("this host has no address {}: choose another with --listen", listen.ip())
            }
            _ => format!("cannot listen on {listen}: {error}"),
        })
    })
}

impl Finding {
    /// As the reason not to start.
    pub(super) fn refusal(&self) -> Failure {
        Failure::sentence(format!("{} {}", self.found, self.next).trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_refused_below_one_and_remarked_below_five() {
        let verdict = |free| judge_space(free, Path::new("/data")).verdict;
        assert_eq!(verdict(LEAST_FREE_BYTES - 1), Verdict::Fail);
        assert_eq!(verdict(LEAST_FREE_BYTES), Verdict::Warn);
        assert_eq!(verdict(FEW_FREE_BYTES), Verdict::Ok);
        insta::assert_snapshot!(
            format!("{:?}", judge_space(1 << 29, Path::new("/data")).refusal()),
            @r#"Sentence("512 MiB are free for /data. Creel needs at least 1 GiB: make room, or choose another disk with --data")"#
        );
    }
}
