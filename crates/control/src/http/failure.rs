//! Every error that leaves the API: a problem with a code, whoever found it.

use std::sync::Arc;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use creel_api::{ErrorCode, Problem};
use creel_protocol::{BridgeError, SupervisorError};

use super::{origin::RequestId, sign_in_page};

/// Names a request in the log and in its answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A problem on its way out; [`finish`] writes it.
#[derive(Debug, Clone)]
pub(crate) struct Failure(Arc<Problem>);

pub(crate) type Answer<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(Arc::new(Problem::new(code, detail)))
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidRequest, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, detail)
    }

    /// Ours to mend: logged whole, told in general words.
    pub(crate) fn internal(error: impl std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            chain = format!("{chain}: {cause}");
            source = cause.source();
        }
        tracing::error!(error = chain, "a request failed inside");
        Self::new(
            ErrorCode::Internal,
            "Something went wrong inside Creel. Try again; the server's log says more under this request's id.",
        )
    }

    pub(crate) fn code(&self) -> ErrorCode {
        self.0.code
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<SupervisorError> for Failure {
    fn from(error: SupervisorError) -> Self {
        let code = match &error {
            SupervisorError::ImageInUse { .. } => ErrorCode::ImageInUse,
            SupervisorError::Unreachable { .. } => ErrorCode::SupervisorUnreachable,
            SupervisorError::Full { .. } => ErrorCode::LimitReached,
            SupervisorError::Invalid { .. } => ErrorCode::InvalidRequest,
            SupervisorError::Stale { .. } | SupervisorError::Gone { .. } => ErrorCode::Conflict,
            SupervisorError::Failed { .. } => return Self::internal(error),
        };
        Self::new(code, sentence(&error.to_string()))
    }
}

impl From<BridgeError> for Failure {
    fn from(error: BridgeError) -> Self {
        match error {
            BridgeError::Unreachable(_) => Self::new(
                ErrorCode::AgentUnreachable,
                format!(
                    "{}. If it goes on, see the agent's status.",
                    capital(&error.to_string())
                ),
            ),
            BridgeError::Garbage(_) => Self::new(ErrorCode::AgentFailed, sentence(&error.to_string())),
            BridgeError::Refused { code, message } => Self::new(refusal(&code), sentence(&message)),
        }
    }
}

/// The bridge's word for a refusal in the API's. What it may not say is a failure of the agent.
fn refusal(code: &str) -> ErrorCode {
    match code {
        "not_found" => ErrorCode::NotFound,
        "exists" => ErrorCode::Exists,
        "not_a_directory" => ErrorCode::NotADirectory,
        "is_a_directory" => ErrorCode::IsADirectory,
        "not_empty" => ErrorCode::NotEmpty,
        "path_outside" => ErrorCode::PathOutside,
        "disk_full" => ErrorCode::DiskFull,
        "too_large" => ErrorCode::TooLarge,
        "busy" => ErrorCode::Busy,
        "not_ready" => ErrorCode::AgentNotReady,
        "invalid" => ErrorCode::InvalidRequest,
        _ => ErrorCode::AgentFailed,
    }
}

/// A sentence of somebody else: bounded, with a capital and a full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(1000)
        .collect();
    let text = capital(&text);
    if text.ends_with(['.', '!', '?']) {
        text
    } else {
        format!("{text}.")
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Outermost: gives each request an id, writes problems, and makes one of every bare error that the
/// framework answers by itself.
pub(crate) async fn finish(mut request: Request, next: Next) -> Response {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let status = response.status();
    let failure = response.extensions_mut().remove::<Failure>();
    if let Some(failure) = failure.or_else(|| bare(&response, &method, &path)) {
        let mut problem = (*failure.0).clone();
        problem.request_id = Some(id.clone());
        let for_people = sign_in_page::is_for_people(&path);
        let mut rendered = if for_people {
            sign_in_page::page(&problem)
        } else {
            serde_json::to_vec(&problem).unwrap_or_default().into_response()
        };
        *rendered.status_mut() = status;
        // What says more about the error, such as `Allow`, stays.
        for (name, value) in response.headers() {
            if name != header::CONTENT_LENGTH && name != header::CONTENT_TYPE {
                rendered.headers_mut().append(name, value.clone());
            }
        }
        if !for_people {
            rendered.headers_mut().insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/problem+json"),
            );
        }
        response = rendered;
    }
    if status.is_server_error() {
        tracing::warn!(request = id, %method, path, status = status.as_u16(), "a request failed");
    } else {
        tracing::debug!(request = id, %method, path, status = status.as_u16(), "answered");
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn bare(response: &Response, method: &axum::http::Method, path: &str) -> Option<Failure> {
    let status = response.status();
    let typed = response.headers().contains_key(header::CONTENT_TYPE);
    match status {
        StatusCode::METHOD_NOT_ALLOWED => Some(Failure::new(
            ErrorCode::MethodNotAllowed,
            format!("`{path}` does not take {method}."),
        )),
        StatusCode::NOT_FOUND if !typed => Some(Failure::not_found("There is nothing at this address.")),
        // What a WebSocket upgrade is refused with by the framework.
        StatusCode::BAD_REQUEST | StatusCode::UPGRADE_REQUIRED => Some(Failure::invalid(
            "This address is a WebSocket: ask for an upgrade, with version 13 and a key.",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_cannot_choose_our_codes() {
        let refused = |code: &str| {
            Failure::from(BridgeError::Refused {
                code: code.to_owned(),
                message: "no\u{7}pe".to_owned(),
            })
        };
        assert_eq!(refused("disk_full").code(), ErrorCode::DiskFull);
        assert_eq!(refused("unauthenticated").code(), ErrorCode::AgentFailed);
        assert_eq!(refused("").0.detail, "Nope.");
    }
}
