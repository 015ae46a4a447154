//! An agent's files, through its bridge.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json as Answered,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use creel_api::{Entry, EntryKind, EntryList, ErrorCode, Problem};
use creel_domain::{Act, Agent};
use creel_protocol::{FileEntry, FileKind, limits};
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    agents::insert,
    auth::Caller,
    extract::{Path, Query},
    failure::{Answer, Failure},
};
use crate::Control;

/// The longest path, in bytes, as Linux has it.
const PATH_BYTES: usize = 4096;

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, remove))
        .routes(routes!(read, write))
        .routes(routes!(mkdir))
        .routes(routes!(rename))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct At {
    /// Relative to the workspace, or absolute below `/data`.
    path: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct List {
    /// The workspace when absent.
    path: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Remove {
    path: String,
    /// Whether a directory goes with all that is in it.
    #[serde(default)]
    recursive: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Move {
    from: String,
    to: String,
}

/// Where a path leads is the bridge's to say, which sees the links; this only refuses what no path is.
fn checked(path: String) -> Answer<String> {
    if path.is_empty() || path.len() > PATH_BYTES || path.contains('\0') {
        return Err(Failure::invalid(format!(
            "A path is 1 to {PATH_BYTES} bytes long and holds no NUL."
        )));
    }
    Ok(path)
}

/// What the audit trail says: whose file, and where; nothing of what is in it.
fn told(action: &str, agent: &Agent, path: &str) -> Act {
    Act::new(action)
        .on("agent", agent.id)
        .named(&agent.name)
        .with("path", path)
}

/// Lists a directory.
#[utoipa::path(get, path = "/v1/agents/{agent}/files", tag = "files", params(("agent" = String, Path), List),
    responses((status = 200, body = EntryList), (status = "default", body = Problem)))]
async fn list(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<List>,
) -> Answer<Answered<EntryList>> {
    let path = checked(at.path.unwrap_or_else(|| ".".to_owned()))?;
    let agent = control.agent(caller.org, &agent).await?;
    let mut entries = control.bridge(&agent).await?.list(path).await?;
    entries.truncate(limits::DIRECTORY_ENTRIES);
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let items = entries.into_iter().map(shown).collect();
    Ok(Answered(EntryList { items }))
}

fn shown(entry: FileEntry) -> Entry {
    Entry {
        name: entry.name,
        kind: match entry.kind {
            FileKind::File => EntryKind::File,
            FileKind::Directory => EntryKind::Directory,
            FileKind::Symlink => EntryKind::Symlink,
            FileKind::Other => EntryKind::Other,
        },
        bytes: entry.bytes,
        modified_at: entry.modified_at,
        mode: entry.mode,
    }
}

/// Deletes a file or directory.
#[utoipa::path(delete, path = "/v1/agents/{agent}/files", tag = "files", params(("agent" = String, Path), Remove),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<Remove>,
) -> Answer<StatusCode> {
    let path = checked(at.path)?;
    let agent = control.agent(caller.org, &agent).await?;
    let bridge = control.bridge(&agent).await?;
    let act = told("file.delete", &agent, &path).with("recursive", at.recursive);
    caller.org(&control).record(act).await?;
    bridge.remove(path, at.recursive).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads a file.
#[utoipa::path(get, path = "/v1/agents/{agent}/files/content", tag = "files", params(("agent" = String, Path), At),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = "default", body = Problem)))]
async fn read(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<At>,
) -> Answer<Response> {
    let path = checked(at.path)?;
    let agent = control.agent(caller.org, &agent).await?;
    let reached = control.bridge(&agent).await?;
    let file = reached.read(path).await?;
    let needed = reached.needed;
    let content = file.content.inspect(move |_| {
        // It does not fall asleep while its file is read.
        let _ = &needed;
    });
    let mut response = Body::from_stream(content).into_response();
    // What an agent wrote must never become a page of ours in somebody's browser.
    insert(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    insert(&mut response, header::CONTENT_DISPOSITION, "attachment");
    insert(&mut response, header::CONTENT_LENGTH, &file.bytes.to_string());
    Ok(response)
}

/// Writes a file whole: a body that breaks off leaves the old one.
#[utoipa::path(put, path = "/v1/agents/{agent}/files/content", tag = "files", params(("agent" = String, Path), At),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), (status = "default", body = Problem)))]
async fn write(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<At>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    let path = checked(at.path)?;
    let agent = control.agent(caller.org, &agent).await?;
    let most = agent.spec.limits.disk_bytes;
    let too_large = || {
        Failure::new(
            ErrorCode::TooLarge,
            format!("The file is larger than the whole volume, which has {most} bytes."),
        )
    };
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    let over = Arc::new(AtomicBool::new(false));
    let noticed = Arc::clone(&over);
    let mut taken = 0_u64;
    let content = body
        .into_data_stream()
        .map_err(std::io::Error::other)
        .map(move |piece| {
            let piece = piece?;
            taken = taken.saturating_add(piece.len() as u64);
            if taken > most {
                noticed.store(true, Ordering::Relaxed);
                return Err(std::io::Error::other("the file is larger than its volume"));
            }
            Ok(piece)
        });
    let bridge = control.bridge(&agent).await?;
    caller
        .org(&control)
        .record(told("file.write", &agent, &path))
        .await?;
    let written = bridge.write(path, content.boxed()).await;
    if over.load(Ordering::Relaxed) {
        return Err(too_large());
    }
    written?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a directory with its parents; one that is there is no error.
#[utoipa::path(post, path = "/v1/agents/{agent}/files/mkdir", tag = "files", params(("agent" = String, Path), At),
    responses((status = 204), (status = "default", body = Problem)))]
async fn mkdir(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<At>,
) -> Answer<StatusCode> {
    let path = checked(at.path)?;
    let agent = control.agent(caller.org, &agent).await?;
    let bridge = control.bridge(&agent).await?;
    caller
        .org(&control)
        .record(told("file.mkdir", &agent, &path))
        .await?;
    bridge.mkdir(path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves or renames a file or directory.
#[utoipa::path(post, path = "/v1/agents/{agent}/files/move", tag = "files", params(("agent" = String, Path), Move),
    responses((status = 204), (status = "default", body = Problem)))]
async fn rename(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(agent): Path<String>,
    Query(at): Query<Move>,
) -> Answer<StatusCode> {
    let (from, to) = (checked(at.from)?, checked(at.to)?);
    let agent = control.agent(caller.org, &agent).await?;
    let bridge = control.bridge(&agent).await?;
    let act = told("file.move", &agent, &from).with("to", &to);
    caller.org(&control).record(act).await?;
    bridge.rename(from, to).await?;
    Ok(StatusCode::NO_CONTENT)
}
