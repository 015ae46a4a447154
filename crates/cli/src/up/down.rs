//! `creel down`: ends the `creel up` of a data directory and waits until it is gone.

use std::time::{Duration, Instant};

use creel_protocol::Layout;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{args::DownArgs, data};
use crate::{
    failure::{Failure, Result},
    out::progress::Progress,
};

/// A little more than both children are given.
const TIMEOUT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &DownArgs) -> Result<()> {
    let layout = Layout::new(data::absolute(&args.data)?);
    let data = layout.data().display();
    let nobody = || {
        Failure::sentence(format!(
            "no Creel runs with {data}; name another directory with --data"
        ))
    };
    let (pid, _) = data::running(&layout).ok_or_else(nobody)?;
    let process = Pid::from_raw(pid)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .ok_or_else(nobody)?;
    // Its number could have gone to another process between the two looks.
    if data::running(&layout).is_none_or(|(again, _)| again != pid) {
        return Err(nobody());
    }
    let signal = if args.keep_sandboxes {
        Signal::USR1
    } else {
        Signal::TERM
    };
    pidfd_send_signal(&process, signal).map_err(|error| match error {
        rustix::io::Errno::PERM => Failure::sentence("only root may stop Creel: run `sudo creel down`"),
        other => Failure::sentence(format!("cannot reach process {pid}: {other}")),
    })?;
    let mut progress = Progress::new(false);
    let began = Instant::now();
    while data::held(&layout) {
        if began.elapsed() > TIMEOUT {
            return Err(Failure::sentence(format!(
                "process {pid} is still there after {} s: see {}",
                TIMEOUT.as_secs(),
                layout.logs().display()
            )));
        }
        if began.elapsed() > Duration::from_secs(1) {
            progress.say("Stopping Creel");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}
