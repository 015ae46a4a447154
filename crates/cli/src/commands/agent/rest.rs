//! When an agent is put to rest, as the command line says it.

use creel_api::RestPatch;
use creel_domain::{Autostop, Rest};

use crate::{commands::token, out::units};

/// When nobody needs it.
#[derive(Debug, clap::Args)]
pub(super) struct RestArgs {
    /// What happens when nobody needs it: off, suspend (held still in memory, wakes in milliseconds) or stop
    #[arg(long, value_name = "HOW")]
    autostop: Option<Autostop>,
    /// After how long, for example 90s, 5m or 2h
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    idle: Option<u32>,
    /// After how long the memory of a suspended one is pushed out to the host's swap, if it has any, for example 10m, or
    /// `never`
    #[arg(long, value_name = "TIME", value_parser = seconds_or_never)]
    page_after: Option<u32>,
    /// After how long a suspended one is stopped, for example 12h, or `never`
    #[arg(long, value_name = "TIME", value_parser = seconds_or_never)]
    stop_after: Option<u32>,
    /// Whether whoever needs it wakes it; `false`: only `creel agent start` does
    #[arg(long, value_name = "BOOL")]
    autostart: Option<bool>,
}

impl RestArgs {
    pub(super) fn patch(&self) -> RestPatch {
        RestPatch {
            autostop: self.autostop,
            idle_s: self.idle,
            page_after_s: self.page_after,
            stop_after_s: self.stop_after,
            autostart: self.autostart,
        }
    }
}

pub(in crate::commands) fn seconds(text: &str) -> Result<u32, String> {
    let seconds = token::seconds(text)?;
    u32::try_from(seconds).map_err(|_| format!("`{text}` is too long"))
}

fn seconds_or_never(text: &str) -> Result<u32, String> {
    if text == "never" { Ok(0) } else { seconds(text) }
}

/// In a few words.
pub(super) fn sentence(rest: &Rest) -> String {
    let span = |seconds: u32| units::seconds(seconds.into());
    let mut text = match rest.autostop {
        Autostop::Off => "never by itself".to_owned(),
        Autostop::Suspend => format!("suspended after {} idle", span(rest.idle_s)),
        Autostop::Stop => format!("stopped after {} idle", span(rest.idle_s)),
    };
    let deeper = [("paged out", rest.page_after_s), ("stopped", rest.stop_after_s)];
    for (what, after) in deeper {
        if let (Autostop::Suspend, Some(seconds)) = (rest.autostop, after) {
            text.push_str(&format!(", {what} after {} asleep", span(seconds)));
        }
    }
    if !rest.autostart {
        text.push_str("; woken by its owner only");
    }
    text
}
