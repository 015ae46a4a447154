//! Why a request comes to nothing: for programs a problem in JSON, for people a page.

use std::borrow::Cow;

use bytes::Bytes;
use creel_protocol::edge::Refused;
use http::{HeaderValue, Response, StatusCode, header};

use crate::{body::Reply, pages};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// A code of docs/errors.
    pub(crate) code: Cow<'static, str>,
    pub(crate) title: Cow<'static, str>,
    pub(crate) detail: Cow<'static, str>,
    /// Worth another try after so many seconds.
    pub(crate) retry_after: Option<u32>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            title: title.into(),
            detail: detail.into(),
            retry_after: None,
        }
    }

    pub(crate) fn after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub(crate) fn bad_request(detail: &'static str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "The request is not valid",
            detail,
        )
    }

    pub(crate) fn method() -> Self {
        let detail = "CONNECT and TRACE are not served here.";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The method is not allowed",
            detail,
        )
    }

    pub(crate) fn unknown_host(own_url: &str) -> Self {
        let detail = format!(
            "Nothing is served under this name. Creel is at {own_url}; whoever runs it names other addresses with --public-url and --agent-domain."
        );
        let status = StatusCode::MISDIRECTED_REQUEST;
        Self::new(
            status,
            "unknown_host",
            "Nothing is served under this name",
            detail,
        )
    }

    pub(crate) fn nobody() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "There is nothing here",
            "There is no agent at this address. Check it; `creel port ls AGENT` shows those of an agent.",
        )
    }

    pub(crate) fn other_site() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            "It is not allowed",
            "Another site's page may not use your way in: open this address itself, or send an API token.",
        )
    }

    pub(crate) fn too_many_wait() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too much is under way",
            "Too many requests wait for this agent to wake up. Try again in a moment.",
        )
        .after(2)
    }

    pub(crate) fn too_many_names() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Too much is under way",
            "Too many names are asked for that nobody knows. Try again in a moment.",
        )
        .after(1)
    }

    pub(crate) fn too_fast() -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests",
            "Too many requests in too short a time. Try again in a second.",
        )
        .after(1)
    }

    pub(crate) fn not_ready() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "agent_not_ready",
            "The agent was not ready in time",
            "The agent did not become ready in time. Try again in a moment.",
        )
        .after(5)
    }

    pub(crate) fn port_closed(port: u16) -> Self {
        let detail = format!(
            "Nothing listens on port {port} in the agent's sandbox. Start the program that should, on 127.0.0.1, and try again."
        );
        Self::new(
            StatusCode::BAD_GATEWAY,
            "port_closed",
            "Nothing listens on the port",
            detail,
        )
    }

    pub(crate) fn unreachable() -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "agent_unreachable",
            "The agent does not answer",
            "What listens on the agent's port did not answer as it should. Try again; its logs may say more.",
        )
    }

    pub(crate) fn control_away() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "starting",
            "Creel is starting",
            "Creel itself is starting again. Try again in a moment.",
        )
        .after(1)
    }

    /// As a page where a person's browser asks, else as a problem.
    pub(crate) fn answer(&self, html: bool) -> Response<Reply> {
        let (kind, body) = if html {
            (pages::HTML, pages::refusal(self))
        } else {
            ("application/problem+json", self.problem())
        };
        let mut response = Response::new(Reply::whole(Bytes::from(body)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
        if html {
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static(pages::POLICY),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn problem(&self) -> String {
        serde_json::json!({
            "type": format!("/docs/errors/{}", self.code),
            "title": self.title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        })
        .to_string()
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self {
            status: StatusCode::from_u16(refused.status).unwrap_or(StatusCode::BAD_GATEWAY),
            code: refused.code.into(),
            title: refused.title.into(),
            detail: refused.detail.into(),
            retry_after: refused.retry_after,
        }
    }
}
