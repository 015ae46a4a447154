//! How a command fails: what is printed, and with which exit status.

use std::{error::Error as _, process::ExitCode};

use creel_api::client::Error as ApiError;

use crate::out::style;

const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense: exit status 2.
    Use(String),
    /// A sentence: exit status 1.
    Sentence(String),
    Api(Box<ApiError>),
    /// Everything was said already: only the exit status is left.
    Status(u8),
}

impl Failure {
    pub(crate) fn sentence(text: impl Into<String>) -> Self {
        Self::Sentence(text.into())
    }

    pub(crate) fn wrong_use(text: impl Into<String>) -> Self {
        Self::Use(text.into())
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Whoever reads our output has gone: nothing is wrong, and nobody is left to tell.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::Status(0);
        }
        Self::Sentence(error.to_string())
    }
}

/// Tells the person what went wrong and gives the exit status.
pub(crate) fn exit_code(result: Result<()>) -> ExitCode {
    let (text, status) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Status(status)) => return ExitCode::from(status),
        Err(Failure::Use(text)) => (text, WRONG_USE),
        Err(Failure::Sentence(text)) => (text, FAILED),
        Err(Failure::Api(error)) => (explain(&error), FAILED),
    };
    eprintln!("{} {text}", style::stderr().error("error:"));
    ExitCode::from(status)
}

/// A problem's sentence, its code and page; for the rest the sentence and its cause.
pub(crate) fn explain(error: &ApiError) -> String {
    match error {
        ApiError::Problem(problem) => {
            let request = problem.request_id.as_deref();
            let request = request.map(|id| format!(", request {id}")).unwrap_or_default();
            format!("{} ({}{request})", problem.detail, problem.code.as_str())
        }
        ApiError::Unreachable { .. } => error.to_string(),
        _ => match innermost(error) {
            Some(cause) => format!("{error} ({cause})"),
            None => error.to_string(),
        },
    }
}

fn innermost(error: &ApiError) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string())
}
