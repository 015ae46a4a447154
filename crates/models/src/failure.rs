//! A failure in words, in the shape of whichever API the sandbox speaks.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::{Api, Body, Refusal, body};

/// Why a sandbox gets no answer, or not all of it: a code and a sentence with the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    /// Always 400: see the crate's page for what other statuses do to a runtime.
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("invalid_request", message)
    }

    /// Something that the provider would do, and a sandbox may not ask for.
    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new("not_allowed", message)
    }

    pub(crate) fn model(message: impl Into<String>) -> Self {
        Self::new("model_failed", message)
    }

    /// The error as the API's clients expect it.
    pub(crate) fn json(&self, api: Api) -> Value {
        match api {
            Api::ChatCompletions | Api::Responses => json!({"error": {
                "message": self.message,
                "type": "invalid_request_error",
                "param": null,
                "code": self.code,
            }}),
            Api::Messages => json!({"type": "error", "error": {
                "type": "invalid_request_error",
                "message": self.message,
                "code": self.code,
            }}),
        }
    }

    /// The event that ends a stream.
    pub(crate) fn event(&self, api: Api) -> Bytes {
        let text = match api {
            Api::ChatCompletions => format!("data: {}\n\n", self.json(api)),
            Api::Responses => {
                let event = json!({
                    "type": "error",
                    "code": self.code,
                    "message": self.message,
                    "param": null,
                    // Past every number that was sent before: clients order by it.
                    "sequence_number": u32::MAX,
                });
                format!("event: error\ndata: {event}\n\n")
            }
            Api::Messages => format!("event: error\ndata: {}\n\n", self.json(api)),
        };
        Bytes::from(text)
    }

    pub(crate) fn response(&self, api: Api) -> Response<Body> {
        json_response(self.status, &self.json(api))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.message)
    }
}

pub(crate) fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(body::whole(value.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
