//! `/v1/files`: the agent's files. Disk work is done on blocking threads.

use std::io::Write as _;

use axum::{
    Json,
    body::Body,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use creel_protocol::FileEntry;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::Server;
use crate::refusal::Refusal;

#[derive(Deserialize)]
pub(super) struct PathQuery {
    #[serde(default)]
    path: String,
    #[serde(default)]
    recursive: bool,
}

#[derive(Deserialize)]
pub(super) struct MoveQuery {
    from: String,
    to: String,
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(|_| Refusal::failed("the file task ended early"))?
}

pub(super) async fn list(
    State(server): State<Server>,
    Query(query): Query<PathQuery>,
) -> Result<Json<Vec<FileEntry>>, Refusal> {
    blocking(move || server.volume.list(&query.path)).await.map(Json)
}

pub(super) async fn read(
    State(server): State<Server>,
    Query(query): Query<PathQuery>,
) -> Result<Response, Refusal> {
    use tokio::io::AsyncReadExt as _;
    let (file, bytes) = blocking(move || server.volume.read(&query.path)).await?;
    // A file that grows meanwhile is sent as long as it was.
    let content = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(bytes), 64 * 1024);
    let mut response = Response::new(Body::from_stream(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

pub(super) async fn write(
    State(server): State<Server>,
    Query(query): Query<PathQuery>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let mut new = blocking(move || server.volume.begin_write(&query.path)).await?;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|_| Refusal::invalid("the file was not sent to its end; the old one is kept"))?;
        new = blocking(move || match new.file.write_all(&piece) {
            Ok(()) => Ok(new),
            Err(error) => Err(new.refuse(&error)),
        })
        .await?;
    }
    blocking(move || new.keep()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn mkdir(
    State(server): State<Server>,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Refusal> {
    blocking(move || server.volume.mkdir(&query.path)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rename(
    State(server): State<Server>,
    Query(query): Query<MoveQuery>,
) -> Result<StatusCode, Refusal> {
    blocking(move || server.volume.rename(&query.from, &query.to)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn remove(
    State(server): State<Server>,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Refusal> {
    blocking(move || server.volume.remove(&query.path, query.recursive)).await?;
    Ok(StatusCode::NO_CONTENT)
}
