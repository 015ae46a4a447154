//! The bridge's binary: part of this program in a release, a file beside it in a checkout.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::failure::{Failure, Result};

include!(concat!(env!("OUT_DIR"), "/bridge.rs"));

/// Where the supervisor finds it: `CREEL_BRIDGE`, then what is built in, then beside this executable.
pub(super) fn place(supervisor: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CREEL_BRIDGE") {
        let path = std::path::absolute(path)?;
        return if path.is_file() {
            Ok(path)
        } else {
            Err(Failure::sentence(format!(
                "CREEL_BRIDGE names {}, which is no file",
                path.display()
            )))
        };
    }
    if let Some(bytes) = BRIDGE {
        return unpack(bytes, supervisor);
    }
    let beside = std::env::current_exe()?.with_file_name("creel-bridge");
    if beside.is_file() {
        return Ok(beside);
    }
    Err(Failure::sentence(format!(
        "this build of creel has no bridge in it and none beside it at {}: build with script/up, or set CREEL_BRIDGE",
        beside.display()
    )))
}

/// Written whole under a name of its content: sandboxes that still run keep the one they started with.
fn unpack(bytes: &[u8], supervisor: &Path) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let path = supervisor.join(format!("bridge-{:016x}", hasher.finish()));
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        return Ok(path);
    }
    let fresh = path.with_extension("new");
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(path)
}
