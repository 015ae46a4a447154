//! What the bridge says when it does not do what it was asked: a status, a code, a sentence.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid", message)
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new("failed", message)
    }

    fn status(&self) -> StatusCode {
        match self.code {
            "not_found" => StatusCode::NOT_FOUND,
            "exists" | "not_empty" | "not_a_directory" | "is_a_directory" | "conflict" => {
                StatusCode::CONFLICT
            }
            "path_outside" => StatusCode::FORBIDDEN,
            "disk_full" => StatusCode::INSUFFICIENT_STORAGE,
            "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            "busy" => StatusCode::TOO_MANY_REQUESTS,
            "not_ready" => StatusCode::SERVICE_UNAVAILABLE,
            "invalid" => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "code": self.code, "message": self.message });
        (self.status(), Json(body)).into_response()
    }
}
