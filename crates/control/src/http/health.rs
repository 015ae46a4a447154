//! For whoever watches the process: does it live, can it do its work.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::get};
use creel_api::ErrorCode;

use super::failure::{Answer, Failure};
use crate::Control;

const ANSWER_WITHIN: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Arc<Control>> {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
}

async fn ready(State(control): State<Arc<Control>>) -> Answer<&'static str> {
    let checks = async {
        control.store.platform().by_token([0; 32]).await?;
        control.supervisor.host().await?;
        Ok("ready\n")
    };
    tokio::time::timeout(ANSWER_WITHIN, checks)
        .await
        .unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorCode::SupervisorUnreachable,
                "The supervisor or the database did not answer within two seconds.",
            ))
        })
}
