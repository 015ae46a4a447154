//! The certificate and its key, put where the edge can read them, and put there again when they have changed.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, fchown},
    path::Path,
    time::{Duration, SystemTime},
};

use creel_edge::TlsFiles;

use super::account::Account;

const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Whole under the old name, or not at all.
fn copy(from: &Path, to: &Path, account: Account) -> std::io::Result<()> {
    let bytes = fs::read(from)?;
    let fresh = to.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o400).open(&fresh)?;
    file.write_all(&bytes)?;
    fchown(&file, Some(account.uid), Some(account.gid))?;
    fs::rename(&fresh, to)
}

pub(super) fn place(from: &TlsFiles, to: &TlsFiles, account: Account) -> std::io::Result<()> {
    copy(&from.certificate, &to.certificate, account)?;
    copy(&from.key, &to.key, account)
}

/// Runs for as long as it is let.
pub(super) async fn keep(from: TlsFiles, to: TlsFiles, account: Account) {
    let at = |path: &Path| -> Option<SystemTime> { fs::metadata(path).ok()?.modified().ok() };
    let both = || Some((at(&from.certificate)?, at(&from.key)?));
    let mut seen = both();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = both();
        if now == seen || now.is_none() {
            continue;
        }
        // Perhaps only one of the two is written yet: the next look sees both.
        let placed = from
            .check()
            .map_err(|error| error.to_string())
            .and_then(|()| place(&from, &to, account).map_err(|error| error.to_string()));
        match placed {
            Ok(()) => seen = now,
            Err(error) => super::parent::remark(&format!("the new certificate is not used: {error}")),
        }
    }
}
