//! The supervisor's socket: its contract as HTTP. Only root and the account of control may speak.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, State, rejection::JsonRejection},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use bytes::Bytes;
use creel_daemon::{Peer, ServeOptions};
use creel_domain::{ImageName, SandboxId, SandboxReport};
use creel_protocol::{
    HostReport, ImageStatus, PutTarget, SandboxMemory, Supervisor, SupervisorError,
    supervisor_http::{BEAT, MAX_REQUEST_BYTES},
};
use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode, header};

/// Connections to the supervisor's socket; control needs a handful.
pub const SERVE_OPTIONS: ServeOptions = ServeOptions {
    connections: 256,
    head: Duration::from_secs(5),
    drain: Duration::from_secs(2),
};

type Contract = Arc<dyn Supervisor>;

/// The routes, for peers whose uid is 0 or `control_uid`.
pub fn router(supervisor: Contract, control_uid: u32) -> Router {
    Router::new()
        .route("/v1/sandboxes", get(list))
        .route("/v1/sandboxes/{sandbox}/target", put(put_target))
        .route("/v1/sandboxes/{sandbox}/wake", post(wake))
        .route("/v1/sandboxes/{sandbox}/memory", get(memory))
        .route("/v1/watch", get(watch))
        .route("/v1/images", get(images))
        .route("/v1/images/{image}", post(build_image).delete(remove_image))
        .route("/v1/host", get(host))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .layer(from_fn(move |request: Request<Body>, next: Next| async move {
            match request.extensions().get::<Peer>() {
                Some(Peer::Unix { uid, .. }) if *uid == 0 || *uid == control_uid => next.run(request).await,
                _ => (
                    StatusCode::FORBIDDEN,
                    "only root and the control account may speak here\n",
                )
                    .into_response(),
            }
        }))
        .with_state(supervisor)
}

struct Refusal(SupervisorError);

impl From<SupervisorError> for Refusal {
    fn from(error: SupervisorError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            SupervisorError::Stale { .. } | SupervisorError::ImageInUse { .. } => StatusCode::CONFLICT,
            SupervisorError::Gone { .. } => StatusCode::GONE,
            SupervisorError::Invalid { .. } => StatusCode::BAD_REQUEST,
            SupervisorError::Full { .. } => StatusCode::INSUFFICIENT_STORAGE,
            SupervisorError::Unreachable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            SupervisorError::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self.0)).into_response()
    }
}

fn invalid(reason: impl ToString) -> Refusal {
    Refusal(SupervisorError::Invalid {
        reason: reason.to_string(),
    })
}

fn sandbox_id(text: &str) -> Result<SandboxId, Refusal> {
    text.parse().map_err(invalid)
}

fn image_name(text: &str) -> Result<ImageName, Refusal> {
    text.parse().map_err(invalid)
}

async fn put_target(
    State(supervisor): State<Contract>,
    Path(sandbox): Path<String>,
    body: Result<Json<PutTarget>, JsonRejection>,
) -> Result<StatusCode, Refusal> {
    let Json(PutTarget { generation, target }) = body.map_err(|error| invalid(error.body_text()))?;
    supervisor
        .put_target(sandbox_id(&sandbox)?, generation, target)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn memory(
    State(supervisor): State<Contract>,
    Path(sandbox): Path<String>,
) -> Result<Json<SandboxMemory>, Refusal> {
    Ok(Json(supervisor.memory(sandbox_id(&sandbox)?).await?))
}

async fn wake(
    State(supervisor): State<Contract>,
    Path(sandbox): Path<String>,
) -> Result<Json<bool>, Refusal> {
    Ok(Json(supervisor.wake(sandbox_id(&sandbox)?).await?))
}

async fn list(State(supervisor): State<Contract>) -> Result<Json<Vec<SandboxReport>>, Refusal> {
    Ok(Json(supervisor.list().await?))
}

/// One report a line; an empty line as a sign of life when there is nothing to say.
async fn watch(State(supervisor): State<Contract>) -> Result<Response, Refusal> {
    let reports = supervisor.watch().await?;
    let lines = stream::unfold(reports, |mut reports| async move {
        let line = match tokio::time::timeout(BEAT, reports.next()).await {
            Ok(Some(report)) => {
                let mut line = serde_json::to_vec(&report).ok()?;
                line.push(b'\n');
                Bytes::from(line)
            }
            Ok(None) => return None,
            Err(_) => Bytes::from_static(b"\n"),
        };
        Some((Ok::<_, Infallible>(line), reports))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

async fn images(State(supervisor): State<Contract>) -> Result<Json<Vec<ImageStatus>>, Refusal> {
    Ok(Json(supervisor.images().await?))
}

async fn build_image(
    State(supervisor): State<Contract>,
    Path(image): Path<String>,
) -> Result<StatusCode, Refusal> {
    supervisor.build_image(image_name(&image)?).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn remove_image(
    State(supervisor): State<Contract>,
    Path(image): Path<String>,
) -> Result<StatusCode, Refusal> {
    supervisor.remove_image(image_name(&image)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn host(State(supervisor): State<Contract>) -> Result<Json<HostReport>, Refusal> {
    Ok(Json(supervisor.host().await?))
}
