//! From an agent's computer to here.

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use creel_api::{Entry, EntryKind, ErrorCode};
use futures_util::StreamExt;

use super::{
    MAX_DEPTH,
    place::{base, is_name, join},
};
use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{progress::Progress, style, units},
};

/// Permission bits for files whose own are not known.
const FILE_MODE: u32 = 0o644;

pub(super) async fn to_stdout(context: &Context, agent: &str, path: &str) -> Result<()> {
    let (_, mut content) = context.client.read_file(agent, path).await?;
    let mut stdout = std::io::stdout().lock();
    while let Some(bytes) = content.next().await {
        stdout.write_all(&bytes?)?;
    }
    Ok(stdout.flush()?)
}

pub(super) async fn copy(
    context: &Context,
    agent: &str,
    path: &str,
    to: &Path,
    recursive: bool,
) -> Result<()> {
    let into = if to.is_dir() {
        base(path).map_or_else(|| to.to_path_buf(), |name| to.join(name))
    } else {
        to.to_path_buf()
    };
    let mut progress = Progress::new(context.out.json);
    match context.client.list_files(agent, path).await {
        Ok(_) if !recursive => Err(Failure::wrong_use(format!(
            "{path} is a directory: copy it with -r"
        ))),
        Ok(list) => directory(context, agent, path, &into, list.items, &mut progress).await,
        Err(error) if error.code() == Some(ErrorCode::NotADirectory) => {
            file(context, agent, path, &into, FILE_MODE, &mut progress).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Depth first, with a list of what is left instead of a call within a call.
async fn directory(
    context: &Context,
    agent: &str,
    from: &str,
    to: &Path,
    entries: Vec<Entry>,
    progress: &mut Progress,
) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut left: Vec<_> = entries
        .into_iter()
        .map(|entry| (from.to_owned(), to.to_path_buf(), entry, 1))
        .collect();
    while let Some((from, to, entry, depth)) = left.pop() {
        if !is_name(&entry.name) {
            return Err(Failure::sentence(format!(
                "{from} holds {:?}, which is no name of a file",
                entry.name
            )));
        }
        let (from, to) = (join(&from, &entry.name), to.join(&entry.name));
        match entry.kind {
            EntryKind::File => file(context, agent, &from, &to, entry.mode, progress).await?,
            EntryKind::Directory if depth >= MAX_DEPTH => {
                return Err(Failure::sentence(format!(
                    "{from} lies more than {MAX_DEPTH} directories deep"
                )));
            }
            EntryKind::Directory => {
                fs::create_dir_all(&to)?;
                let list = context.client.list_files(agent, &from).await?;
                left.extend(
                    list.items
                        .into_iter()
                        .map(|entry| (from.clone(), to.clone(), entry, depth + 1)),
                );
            }
            EntryKind::Symlink | EntryKind::Other => {
                context
                    .out
                    .note(&format!("left out, not a file: {}", style::plain(&from)));
            }
        }
    }
    Ok(())
}

/// Whole or not at all: written beside its place, then moved there.
async fn file(
    context: &Context,
    agent: &str,
    from: &str,
    to: &Path,
    mode: u32,
    progress: &mut Progress,
) -> Result<()> {
    let cannot = |error: std::io::Error| Failure::sentence(format!("cannot write {}: {error}", to.display()));
    let (total, mut content) = context.client.read_file(agent, from).await?;
    let mut fresh = to.as_os_str().to_owned();
    fresh.push(format!(".creel-{}", std::process::id()));
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(cannot)?;
    let copied = async {
        let mut done = 0u64;
        while let Some(bytes) = content.next().await {
            let bytes = bytes?;
            out.write_all(&bytes).map_err(cannot)?;
            done += bytes.len() as u64;
            say(progress, from, done, total);
        }
        // Never more than permission bits: set-user-id stays over there.
        out.set_permissions(fs::Permissions::from_mode(mode & 0o777))
            .map_err(cannot)?;
        fs::rename(&fresh, to).map_err(cannot)
    };
    let copied = copied.await;
    if copied.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    copied
}

pub(super) fn say(progress: &mut Progress, path: &str, done: u64, total: Option<u64>) {
    match total.filter(|total| *total > 0) {
        Some(total) => {
            let percent = u8::try_from(done.saturating_mul(100) / total)
                .unwrap_or(100)
                .min(100);
            progress.percent(percent, &style::plain(path));
        }
        None => progress.say(&format!("{} {}", style::plain(path), units::bytes(done))),
    }
}
