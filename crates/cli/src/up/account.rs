//! The account that everything but the supervisor runs as, and becoming it for good.

use std::{fs, path::PathBuf};

use rustix::{
    process::{DumpableBehavior, Gid, Pid, Signal, Uid},
    thread,
};

use crate::failure::{Failure, Result};

/// Used where /etc/passwd has no `creel`: needs no entry, and lies above what distributions hand out.
const FALLBACK_ID: u32 = 64_730;
const NAME: &str = "creel";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    pub(super) fn of_this_host() -> Self {
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let found = entry(&passwd, |fields| fields[0] == NAME);
        found.map_or(
            Self {
                uid: FALLBACK_ID,
                gid: FALLBACK_ID,
            },
            |(account, _)| account,
        )
    }

    /// Becomes this account: no group besides its own, no capability, no way back by set-user-id programs,
    /// and nobody but root may look into the process.
    ///
    /// Only the calling thread changes; call it before there are others, which then inherit it.
    pub(super) fn become_for_good(self) -> Result<()> {
        let failed = |error: rustix::io::Errno| Failure::sentence(format!("cannot give up root: {error}"));
        if self.uid == 0 || self.gid == 0 {
            return Err(Failure::sentence("control must not run as root"));
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        thread::set_no_new_privs(true).map_err(failed)?;
        thread::set_thread_groups(&[]).map_err(failed)?;
        thread::set_thread_res_gid(gid, gid, gid).map_err(failed)?;
        // From root to anybody else: the kernel empties all sets of capabilities with it.
        thread::set_thread_res_uid(uid, uid, uid).map_err(failed)?;
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed)?;
        if thread::set_thread_uid(Uid::ROOT).is_ok()
            || !rustix::process::getgroups().is_ok_and(|g| g.is_empty())
        {
            return Err(Failure::sentence(
                "root was given up but could be had back: this kernel is not fit",
            ));
        }
        Ok(())
    }
}

/// Dies with `parent`. To be called after any change of account, which makes the kernel forget it.
pub(super) fn die_with(parent: i32) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(std::io::Error::from)?;
    // It may have died before the kernel was told.
    if rustix::process::getppid() == Pid::from_raw(parent) {
        Ok(())
    } else {
        Err(Failure::sentence(
            "this command is started by `creel up`, not by hand",
        ))
    }
}

/// For `ps` and `top`: every process of ours runs the same file. At most 15 bytes.
pub(super) fn name_process(name: &str) {
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}

/// The person behind `sudo creel up`: whose settings get the address and the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) account: Account,
    pub(super) home: Option<PathBuf>,
}

impl Person {
    pub(super) fn who_asked() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let root = Self {
            account: Account { uid: 0, gid: 0 },
            home: std::env::var_os("HOME").map(PathBuf::from),
        };
        let Some(uid) = number("SUDO_UID").filter(|uid: &u32| *uid != 0) else {
            return root;
        };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        entry(&passwd, |fields| fields[2].parse() == Ok(uid)).map_or(root, |(account, home)| Self {
            account,
            home: Some(home),
        })
    }
}

/// The first line of a passwd file that fits.
fn entry(passwd: &str, fits: impl Fn(&[&str]) -> bool) -> Option<(Account, PathBuf)> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        let home = PathBuf::from(fields.get(5)?);
        fits(&fields).then_some((Account { uid, gid }, home))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_among_broken_lines() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nbroken\n+::::::\ncreel:x:901:902::/nowhere:/bin/false\n";
        let found = entry(passwd, |fields| fields[0] == NAME);
        assert_eq!(
            found,
            Some((Account { uid: 901, gid: 902 }, PathBuf::from("/nowhere")))
        );
        assert_eq!(entry(passwd, |fields| fields[0] == "nobody"), None);
    }
}
