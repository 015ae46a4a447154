//! `creel doctor`: the checks of `creel up` by themselves, before it runs or while it does.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    args::Global,
    failure::{Failure, Result},
    out::{Out, columns, style, table::wrap},
    up::{self, Finding, Verdict},
};

/// Width of a verdict and the gap after it.
const INDENT: &str = "      ";

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
    let mut findings = up::findings(&args.data, args.listen)?;
    findings.extend(up::host_findings(&args.data)?);
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
    let text = wrap(&format!("{}: {}", finding.name, finding.found), columns(), INDENT);
    let next = match finding.next.as_str() {
        "" => String::new(),
        next => format!("\n{}", wrap(next, columns(), INDENT)),
    };
    format!("{verdict}  {}{next}", text.trim_start())
}
