//! `creel doctor`: the checks of `creel up` by themselves, before it runs or while it does.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    args::Global,
    failure::{Failure, Result},
    out::{Out, style},
    up::{self, Finding, Verdict},
};

/// Check whether this host can run Creel
///
/// Each line says what was found and what to do about it. Exit status 1 when something is in the way.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Where all state is or will be kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/creel",
        env = "CREEL_DATA"
    )]
    data: PathBuf,
    /// Where Creel listens or will listen
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7300")]
    listen: SocketAddr,
}

pub(crate) fn run(args: &DoctorArgs, global: &Global) -> Result<()> {
    let findings = up::findings(&args.data, args.listen)?;
    Out::new(global.json).show(&findings, || {
        findings.iter().map(human).collect::<Vec<_>>().join("\n")
    })?;
    if findings.iter().any(|finding| finding.verdict == Verdict::Fail) {
        return Err(Failure::Status(1));
    }
    Ok(())
}

fn human(finding: &Finding) -> String {
    let style = style::stdout();
    let verdict = match finding.verdict {
        Verdict::Ok => style.good("ok  "),
        Verdict::Warn => style.warning("warn"),
        Verdict::Fail => style.error("fail"),
    };
    let next = if finding.next.is_empty() {
        String::new()
    } else {
        format!("\n      {}", finding.next)
    };
    format!("{verdict}  {}: {}{next}", finding.name, finding.found)
}
