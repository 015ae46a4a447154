//! The host and its images, who is asking, and which version answers.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{Host, HostPaging, HostSpares, Identity, Image, ImageList, ImageProgress, Problem, Version};
use creel_domain::{Act, ImageName};
use creel_protocol::{ImageState, ImageStatus};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::Path,
    failure::{Answer, Failure, sentence},
};
use crate::{Control, spares};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(version))
        .routes(routes!(whoami))
        .routes(routes!(host))
        .routes(routes!(images))
        .routes(routes!(build))
        .routes(routes!(remove))
}

/// Which version answers. Needs no token.
#[utoipa::path(get, path = "/v1/version", tag = "platform", security(()), responses((status = 200, body = Version)))]
async fn version() -> Answered<Version> {
    Answered(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Who is asking.
#[utoipa::path(get, path = "/v1/whoami", tag = "platform",
    responses((status = 200, body = Identity), (status = "default", body = Problem)))]
async fn whoami(caller: Caller) -> Answered<Identity> {
    Answered(Identity {
        org: caller.org,
        org_name: caller.org_name,
        user: caller.user,
        user_name: caller.user_name,
        role: caller.role,
        scopes: caller.scopes,
    })
}

/// What the supervisor found out about its host by trying.
#[utoipa::path(get, path = "/v1/host", tag = "platform",
    responses((status = 200, body = Host), (status = "default", body = Problem)))]
async fn host(_caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<Host>> {
    let report = control.supervisor.host().await?;
    let spares = spares::standing(&control).await?;
    Ok(Answered(Host {
        backend: report.backend,
        tried: report.tried,
        sandboxes: report.sandboxes,
        paging: HostPaging {
            works: report.paging.works,
            found: report.paging.found,
            next: report.paging.next,
        },
        spares: spares.into_iter().map(shown_spares).collect(),
    }))
}

fn shown_spares(standing: spares::Standing) -> HostSpares {
    let spares::Standing {
        runtime,
        wanted,
        ready,
        preparing,
        waiting,
    } = standing;
    HostSpares {
        runtime,
        wanted,
        ready,
        preparing,
        waiting,
    }
}

/// The read-only roots that sandboxes run from.
#[utoipa::path(get, path = "/v1/images", tag = "images",
    responses((status = 200, body = ImageList), (status = "default", body = Problem)))]
async fn images(_caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<ImageList>> {
    let items = control
        .supervisor
        .images()
        .await?
        .into_iter()
        .map(shown)
        .collect();
    Ok(Answered(ImageList { items }))
}

fn shown(image: ImageStatus) -> Image {
    Image {
        name: image.name,
        version: image.version,
        state: match image.state {
            ImageState::Absent => ImageProgress::Absent,
            ImageState::Building { percent, step } => ImageProgress::Building { percent, step },
            ImageState::Ready { built_at, bytes } => ImageProgress::Ready { built_at, bytes },
            ImageState::Failed { reason } => ImageProgress::Failed { reason },
        },
    }
}

fn named(name: &str) -> Answer<ImageName> {
    name.parse()
        .map_err(|error: String| Failure::not_found(sentence(&error)))
}

/// Builds an image in the background, unless it is there or under way.
#[utoipa::path(post, path = "/v1/images/{image}/build", tag = "images", params(("image" = ImageName, Path)),
    responses((status = 202), (status = "default", body = Problem)))]
async fn build(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(image): Path<String>,
) -> Answer<StatusCode> {
    let name = named(&image)?;
    let act = Act::new("image.build").on("image", name);
    caller.org(&control).record(act).await?;
    control.supervisor.build_image(name).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Removes an image that no sandbox uses.
#[utoipa::path(delete, path = "/v1/images/{image}", tag = "images", params(("image" = ImageName, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(image): Path<String>,
) -> Answer<StatusCode> {
    let name = named(&image)?;
    let act = Act::new("image.remove").on("image", name);
    caller.org(&control).record(act).await?;
    control.supervisor.remove_image(name).await?;
    Ok(StatusCode::NO_CONTENT)
}
