//! What can go wrong between a caller and Creel, each as a sentence with a next step.

use crate::{ErrorCode, Problem};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Creel answered with a problem of its own.
    #[error("{}", .0.detail)]
    Problem(Problem),
    #[error("`{0}` is not an address of Creel: write http://HOST:PORT or https://HOST")]
    BadUrl(String),
    /// Nobody listens there.
    #[error("Creel does not answer at {url}: start it with `creel up`, or set CREEL_URL")]
    Unreachable {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("Creel at {url} took too long to answer: see `creel doctor` and its logs")]
    TimedOut {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the connection to Creel at {url} was lost: try again")]
    Transport {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// A stream ended early and could not be taken up again.
    #[error("the stream from Creel at {url} ended before it was finished: try again")]
    StreamEnded { url: String },
    /// Something answered, but not in the way of this API.
    #[error(
        "what listens there answered with status {status}, which is not an answer of Creel: check CREEL_URL"
    )]
    NotCreel { status: u16, body: String },
    #[error(
        "Creel at {url} answered something that this client does not understand: use the same version of both"
    )]
    Unreadable {
        url: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("Creel at {url} answered more than {most} bytes: ask for less")]
    TooLong { url: String, most: usize },
}

impl Error {
    /// The problem's code, if Creel answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Problem(problem) => Some(problem.code),
            _ => None,
        }
    }

    /// Whether the same request may fare better in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status >= 500 || problem.code == ErrorCode::Busy,
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Transport { .. }
            | Self::StreamEnded { .. } => true,
            Self::NotCreel { status, .. } => *status >= 500,
            Self::BadUrl(_) | Self::Unreadable { .. } | Self::TooLong { .. } => false,
        }
    }

    pub(super) fn from_answer(status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Self::Problem(problem),
            Err(_) => Self::NotCreel {
                status,
                body: String::from_utf8_lossy(&body[..body.len().min(512)]).into_owned(),
            },
        }
    }

    pub(super) fn transport(url: &str, source: reqwest::Error) -> Self {
        let url = url.to_owned();
        if source.is_connect() {
            Self::Unreachable { url, source }
        } else if source.is_timeout() {
            Self::TimedOut { url, source }
        } else {
            Self::Transport { url, source }
        }
    }
}
