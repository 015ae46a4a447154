//! What the API can do, without HTTP: each operation checks, changes the store, and nudges.

pub(crate) mod access_tokens;
pub(crate) mod agents;
pub(crate) mod devices;
pub(crate) mod domains;
pub(crate) mod events;
pub(crate) mod members;
mod once;
pub(crate) mod operators;
pub(crate) mod orgs;
pub(crate) mod people;
pub(crate) mod platform_keys;
pub(crate) mod ports;
pub(crate) mod providers;
pub(crate) mod schedules;
pub(crate) mod secrets;
pub(crate) mod sign_in;
pub(crate) mod sso;
pub(crate) mod tokens;
pub(crate) mod turns;
pub(crate) mod usage;

use creel_api::ErrorCode;

use crate::http::failure::{Failure, sentence};

impl From<creel_store::Error> for Failure {
    fn from(error: creel_store::Error) -> Self {
        use creel_store::Error;
        let code = match &error {
            Error::NotFound(_) => ErrorCode::NotFound,
            Error::NameTaken(_) => ErrorCode::NameTaken,
            Error::RevisionMismatch { .. } => ErrorCode::RevisionMismatch,
            Error::LimitReached { .. } => ErrorCode::LimitReached,
            Error::Deleting
            | Error::LastOwner
            | Error::LastOperator
            | Error::LastWayIn
            | Error::PasskeyTaken
            | Error::AlreadyMember
            | Error::DomainElsewhere { .. }
            | Error::IssuerTaken(_) => ErrorCode::Conflict,
            Error::NotYours => ErrorCode::Forbidden,
            Error::TooManyGuesses { .. } | Error::TooManyDevicesAsk | Error::TooManySignIns => {
                ErrorCode::TooManyAttempts
            }
            Error::NoSecret(_) => ErrorCode::SecretNotFound,
            Error::OwnKey(_) => ErrorCode::OwnKeyUnavailable,
            Error::MasterKey(reason) => {
                tracing::error!(%reason, "the master key cannot be used");
                return Self::new(
                    ErrorCode::MasterKeyUnavailable,
                    "What the platform's master key closes cannot be opened or closed now. Try again later; \
                     the server's log says why.",
                );
            }
            Error::KeyGone => ErrorCode::Conflict,
            Error::StaleKeys | Error::KeyMoved => ErrorCode::Busy,
            Error::KeyLost => ErrorCode::IdempotencyInProgress,
            // A server that restarts is back in a moment.
            Error::Busy | Error::Unreachable(_) => ErrorCode::Busy,
            Error::DiskFull => ErrorCode::StorageFull,
            _ => return Self::internal(error),
        };
        Self::new(code, sentence(&error.to_string()))
    }
}
