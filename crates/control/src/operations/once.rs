//! Work under an idempotency key: done once, answered as often as it is asked for.

use creel_api::ErrorCode;
use creel_domain::OrgId;
use creel_store::Claim;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Control,
    http::{
        failure::{Answer, Failure},
        idempotency::Key,
    },
};

/// Does `work`, unless the key says that it was done: then its answer comes again. Work that failed has
/// changed nothing and may be tried again under the same key.
pub(super) async fn once<T: Serialize + DeserializeOwned>(
    control: &Control,
    org: OrgId,
    key: Option<Key>,
    work: impl Future<Output = Answer<T>>,
) -> Answer<T> {
    let Some(Key { key, fingerprint }) = key else {
        return work.await;
    };
    let org = control.store.org(org);
    match org.claim_key(key.clone(), fingerprint).await? {
        Claim::Mine => {}
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
    }
    match work.await {
        Ok(done) => {
            let body = serde_json::to_string(&done).map_err(Failure::internal)?;
            org.answer_key(key, 201, body).await?;
            Ok(done)
        }
        Err(failure) => {
            org.release_key(key).await?;
            Err(failure)
        }
    }
}
