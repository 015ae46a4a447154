//! Work under an idempotency key: done once, answered as often as it is asked for.

use creel_api::ErrorCode;
use creel_store::{Claim, Org};
use serde::{Serialize, de::DeserializeOwned};

use crate::http::{
    failure::{Answer, Failure},
    idempotency::Key,
};

/// Does `work`, unless the key says that it was done: then its answer comes again. Work that failed has
/// changed nothing and may be tried again under the same key. Where the first one died between its work
/// and its answer, `again` finds by its id what it had made.
pub(super) async fn once<T, W, A>(
    org: Org,
    key: Option<Key>,
    work: impl FnOnce(Org) -> W,
    again: impl FnOnce(Org, String) -> A,
) -> Answer<T>
where
    T: Serialize + DeserializeOwned,
    W: Future<Output = Answer<T>>,
    A: Future<Output = Answer<T>>,
{
    let Some(Key { key, fingerprint }) = key else {
        return work(org).await;
    };
    let done = match org.claim_key(key.clone(), fingerprint).await? {
        Claim::Mine => work(org.under_key(key.clone())).await,
        Claim::Made { subject } => again(org.clone(), subject).await,
        Claim::Answered { body, .. } => return serde_json::from_str(&body).map_err(Failure::internal),
        Claim::Mismatch => {
            return Err(Failure::new(
                ErrorCode::IdempotencyMismatch,
                "This `Idempotency-Key` was used for another request. Take a new key for a new request.",
            ));
        }
        Claim::InProgress => {
            return Err(Failure::new(
                ErrorCode::IdempotencyInProgress,
                "The first request with this `Idempotency-Key` is still under way. Try again in a moment.",
            ));
        }
    };
    match done {
        Ok(done) => {
            let body = serde_json::to_string(&done).map_err(Failure::internal)?;
            org.answer_key(key, 201, body).await?;
            Ok(done)
        }
        Err(failure) => {
            // Has no effect on a claim under which something was made.
            org.release_key(key).await?;
            Err(failure)
        }
    }
}
