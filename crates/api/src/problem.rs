//! Errors for people and programs: RFC 9457 problems with a stable code.

use serde::{Deserialize, Serialize};

/// `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in words, the same for every occurrence.
    pub title: String,
    pub status: u16,
    pub code: ErrorCode,
    /// What is wrong this time, and what to do next.
    pub detail: String,
    /// The code once more, where OAuth has that name for it: clients of OAuth look for it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub error: Option<ErrorCode>,
    /// Names this request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

macro_rules! codes {
    ($($variant:ident = $code:tt, $status:literal, $title:literal;)*) => {
        /// Every code that the API answers; each has a page in docs/errors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum ErrorCode {
            $(#[doc = $title] #[serde(rename = $code)] $variant,)*
            /// A code that this version does not know.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ErrorCode {
            /// All codes, for documentation and its test.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* Self::Unknown => "unknown" }
            }

            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* Self::Unknown => 500 }
            }

            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* Self::Unknown => "Unknown error" }
            }

            /// The page of docs/errors about it, in Markdown. A code without a page does not compile.
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("../../../docs/errors/", $code, ".md")),)*
                    Self::Unknown => "# Unknown error\n\nThis version does not know the code.\n",
                }
            }
        }
    };
}

codes! {
    InvalidRequest = "invalid_request", 400, "The request is not valid";
    InvalidJson = "invalid_json", 400, "The body is not the JSON that was expected";
    Unauthenticated = "unauthenticated", 401, "Who is asking is not known";
    Forbidden = "forbidden", 403, "This may not be done";
    OrgSuspended = "org_suspended", 403, "The org is suspended";
    NotFound = "not_found", 404, "There is no such thing";
    MethodNotAllowed = "method_not_allowed", 405, "The address does not take this method";
    NameTaken = "name_taken", 409, "The name is taken";
    Conflict = "conflict", 409, "It clashes with what is there";
    AuthorizationPending = "authorization_pending", 400, "Nobody has decided yet";
    SlowDown = "slow_down", 400, "It is asked too often";
    AccessDenied = "access_denied", 400, "It was denied";
    ExpiredToken = "expired_token", 400, "The code is good no more";
    SsoOver = "sso_over", 400, "The sign-in is over";
    SsoDenied = "sso_denied", 403, "The sign-in was declined at the provider";
    SsoNotAllowed = "sso_not_allowed", 403, "This sign-in lets nobody in";
    SsoNotBelieved = "sso_not_believed", 502, "The sign-in provider's answer is not believed";
    SsoUnreachable = "sso_unreachable", 503, "The sign-in provider cannot be asked";
    TooManyAttempts = "too_many_attempts", 429, "Too many attempts";
    AgentNotRunning = "agent_not_running", 409, "The agent does not run";
    IdempotencyMismatch = "idempotency_mismatch", 409, "The key was used for another request";
    IdempotencyInProgress = "idempotency_in_progress", 409, "The first request with this key is under way";
    RevisionMismatch = "revision_mismatch", 412, "It was changed in the meantime";
    RevisionRequired = "revision_required", 428, "If-Match is required";
    TooLarge = "too_large", 413, "It is too large";
    UnsupportedMediaType = "unsupported_media_type", 415, "The content type is not taken";
    PathOutside = "path_outside", 400, "The path leads out of the volume";
    NotADirectory = "not_a_directory", 409, "It is not a directory";
    IsADirectory = "is_a_directory", 409, "It is a directory";
    NotEmpty = "not_empty", 409, "The directory is not empty";
    Exists = "exists", 409, "It exists already";
    DiskFull = "disk_full", 507, "The volume is full";
    LimitReached = "limit_reached", 409, "A limit of the platform is reached";
    Busy = "busy", 429, "Too much is under way";
    RateLimited = "rate_limited", 429, "Too many requests";
    UnknownHost = "unknown_host", 421, "Nothing is served under this name";
    PortClosed = "port_closed", 502, "Nothing listens on the port";
    Starting = "starting", 503, "Creel is starting";
    AgentUnreachable = "agent_unreachable", 502, "The agent does not answer";
    AgentFailed = "agent_failed", 502, "The agent failed";
    AgentNotReady = "agent_not_ready", 503, "The agent was not ready in time";
    ProviderNotFound = "provider_not_found", 400, "The model's provider is not configured";
    SecretNotFound = "secret_not_found", 400, "The secret is not set";
    OwnKeyUnavailable = "own_key_unavailable", 409, "The org's own key cannot be used";
    MasterKeyUnavailable = "master_key_unavailable", 503, "The master key cannot be used";
    SupervisorUnreachable = "supervisor_unreachable", 503, "The supervisor does not answer";
    ImageInUse = "image_in_use", 409, "The image is in use";
    StorageFull = "storage_full", 507, "The host's disk is full";
    Internal = "internal", 500, "Something went wrong inside";
}

impl ErrorCode {
    /// Whether RFC 6749 or RFC 8628 has the same code.
    fn is_of_oauth(self) -> bool {
        use ErrorCode::*;
        matches!(
            self,
            AuthorizationPending | SlowDown | AccessDenied | ExpiredToken | InvalidRequest
        )
    }
}

impl Problem {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("/docs/errors/{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: detail.into(),
            error: code.is_of_oauth().then_some(code),
            request_id: None,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code.as_str())
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_the_json_of_the_standard() {
        let problem = Problem::new(
            ErrorCode::NameTaken,
            "An agent `scout` exists; choose another name.",
        );
        insta::assert_json_snapshot!(problem, @r#"
        {
          "type": "/docs/errors/name_taken",
          "title": "The name is taken",
          "status": 409,
          "code": "name_taken",
          "detail": "An agent `scout` exists; choose another name."
        }
        "#);
    }

    #[test]
    fn each_page_is_about_its_code() {
        for code in ErrorCode::ALL {
            let heading = format!(
                "# {}\n\nCode `{}`, HTTP status {}.\n",
                code.title(),
                code.as_str(),
                code.status()
            );
            assert!(
                code.page().starts_with(&heading),
                "docs/errors/{}.md should begin with {heading}",
                code.as_str()
            );
        }
    }

    #[test]
    fn a_code_of_the_future_is_read() {
        let code: ErrorCode = serde_json::from_str("\"quota_gone\"").expect("an unknown code is no error");
        assert_eq!(code, ErrorCode::Unknown);
    }
}
