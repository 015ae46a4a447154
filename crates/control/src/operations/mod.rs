//! What the API can do, without HTTP: each operation checks, changes the store, and nudges.

pub(crate) mod agents;
pub(crate) mod events;
mod once;
pub(crate) mod providers;
pub(crate) mod sign_in;
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
            Error::Deleting => ErrorCode::Conflict,
            Error::KeyLost => ErrorCode::IdempotencyInProgress,
            Error::Busy => ErrorCode::Busy,
            Error::DiskFull => ErrorCode::StorageFull,
            _ => return Self::internal(error),
        };
        Self::new(code, sentence(&error.to_string()))
    }
}
