//! From here to an agent's computer.

use std::{fs, path::Path};

use bytes::Bytes;
use creel_api::ErrorCode;
use futures_util::{Stream, stream};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{
    MAX_DEPTH,
    place::{base, join},
};
use crate::{
    context::Context,
    failure::{Failure, Result},
    out::progress::Progress,
};

const PIECE_BYTES: usize = 64 * 1024;

pub(super) async fn from_stdin(context: &Context, agent: &str, path: &str) -> Result<()> {
    if base(path).is_none() || path.ends_with('/') {
        return Err(Failure::wrong_use(
            "standard input needs the name of a file: AGENT:PATH",
        ));
    }
    context
        .client
        .write_file(agent, path, pieces(tokio::io::stdin()))
        .await?;
    Ok(())
}

pub(super) async fn copy(
    context: &Context,
    from: &Path,
    agent: &str,
    path: &str,
    recursive: bool,
) -> Result<()> {
    let about = fs::metadata(from).map_err(|error| cannot_read(from, &error))?;
    if about.is_dir() && !recursive {
        return Err(Failure::wrong_use(format!(
            "{} is a directory: copy it with -r",
            from.display()
        )));
    }
    let name = fs::canonicalize(from)?;
    let name = name
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let to = if path.ends_with('/') || is_directory(context, agent, path).await? {
        join(path, name)
    } else {
        path.to_owned()
    };
    let mut progress = Progress::new(context.out.json);
    let mut left = vec![(from.to_path_buf(), to, 0)];
    while let Some((from, to, depth)) = left.pop() {
        let about = if depth == 0 {
            fs::metadata(&from)
        } else {
            fs::symlink_metadata(&from)
        };
        let about = about.map_err(|error| cannot_read(&from, &error))?;
        if about.is_file() {
            progress.say(&to);
            let file = tokio::fs::File::open(&from)
                .await
                .map_err(|error| cannot_read(&from, &error))?;
            context.client.write_file(agent, &to, pieces(file)).await?;
        } else if about.is_dir() && depth >= MAX_DEPTH {
            return Err(Failure::sentence(format!(
                "{} lies more than {MAX_DEPTH} directories deep",
                from.display()
            )));
        } else if about.is_dir() {
            context.client.make_directory(agent, &to).await?;
            for entry in fs::read_dir(&from)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().into_string() else {
                    return Err(Failure::sentence(format!(
                        "{} has a name that is not UTF-8",
                        entry.path().display()
                    )));
                };
                left.push((entry.path(), join(&to, &name), depth + 1));
            }
        } else {
            context
                .out
                .note(&format!("left out, not a file: {}", from.display()));
        }
    }
    Ok(())
}

async fn is_directory(context: &Context, agent: &str, path: &str) -> Result<bool> {
    match context.client.list_files(agent, path).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.code(), Some(ErrorCode::NotADirectory)) => Ok(false),
        // There is no such file yet, or no such agent: writing will tell.
        Err(error) if matches!(error.code(), Some(ErrorCode::NotFound)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What it reads, in pieces. Its failure cuts the body short, and a cut body changes nothing over there.
fn pieces<R>(reader: R) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static
where
    R: AsyncRead + Unpin + Send + 'static,
{
    stream::try_unfold(reader, |mut reader| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let length = reader.read(&mut piece).await?;
        piece.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(piece), reader)))
    })
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Failure {
    Failure::wrong_use(format!("cannot read {}: {error}", path.display()))
}
