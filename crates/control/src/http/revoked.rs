//! An open stream ends when whoever opened it may no longer: the token was revoked, the member removed, the role
//! lowered, the session ended.
//!
//! Every answer that is a stream passes through [`watch`], so a new one is held without anybody remembering to;
//! only a WebSocket, which is no answer any more, asks for [`Held::lost`] itself.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use creel_domain::{OrgId, Scope};
use futures_util::{StreamExt, stream};
use http_body::Body as _;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Control,
    operations::sign_in::{self, Credential},
};

/// How soon a stream ends at the latest, while the store answers.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a store that does not answer is taken for one that would say yes.
const TRUST: Duration = Duration::from_secs(60);

/// By what right something was opened.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) credential: Credential,
    pub(crate) org: OrgId,
    pub(crate) scope: Option<Scope>,
}

/// Where whoever finds out who is asking leaves word for [`watch`].
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Held>>);

impl Slot {
    pub(crate) fn put(&self, held: Held) {
        // A handler that asks twice gets the same answer.
        let _ = self.0.set(held);
    }
}

impl Held {
    /// Returns when the right is gone.
    pub(crate) async fn lost(&self, control: &Control) {
        let mut sure = Instant::now();
        loop {
            sleep(LOOK_EVERY).await;
            match sign_in::by_credential(control, &self.credential).await {
                Ok(Some(caller)) => {
                    let may = self.scope.is_none_or(|scope| caller.scopes.contains(&scope));
                    if caller.org != self.org || !may {
                        return;
                    }
                    sure = Instant::now();
                }
                Ok(None) => return,
                Err(_) if sure.elapsed() < TRUST => {}
                Err(_) => return,
            }
        }
    }
}

/// Breaks streamed answers off when their right is gone.
pub(crate) async fn watch(State(control): State<Arc<Control>>, mut request: Request, next: Next) -> Response {
    let slot = Slot::default();
    request.extensions_mut().insert(slot.clone());
    let response = next.run(request).await;
    let Some(held) = slot.0.get().cloned() else {
        return response;
    };
    // What is whole already is not a stream.
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| {
        // A task of its own: it looks while the reader takes its time, too.
        let lost = AbortOnDropHandle::new(tokio::spawn(async move { held.lost(&control).await }));
        let pieces = stream::unfold(Some((body.into_data_stream(), lost)), |state| async move {
            let (mut pieces, mut lost) = state?;
            tokio::select! {
                biased;
                // Broken off rather than ended: nobody takes half a file for a whole one.
                _ = &mut lost => {
                    let broken = axum::Error::new("who asked may no longer");
                    Some((Err(broken), None))
                }
                piece = pieces.next() => Some((piece?, Some((pieces, lost)))),
            }
        });
        Body::from_stream(pieces)
    })
}
