//! Serves what comes in by one sandbox's socket. The other end is in enemy hands.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use creel_daemon::{Peer, ServeOptions, Shutdown};
use creel_domain::{Agent, SandboxId};
use creel_egress::Egress;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use tokio::net::UnixListener;

use crate::Control;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Host uids that belong to one sandbox.
const UIDS: u32 = 65_536;
/// Of one sandbox: more connections wait, a head must be whole in time, and what is under way when the
/// sandbox goes is cut off soon.
const BOUNDS: ServeOptions = ServeOptions {
    connections: 64,
    head: Duration::from_secs(30),
    drain: Duration::from_secs(1),
};

#[derive(Clone)]
pub(super) struct Uplink {
    pub(super) control: Arc<Control>,
    pub(super) egress: Egress,
    pub(super) sandbox: SandboxId,
    pub(super) uid_base: u32,
}

impl Uplink {
    pub(super) async fn listen(self, socket: UnixListener, closing: Shutdown) {
        let service = tower::service_fn(move |request| {
            let this = self.clone();
            async move { Ok::<_, Infallible>(this.answer(request).await) }
        });
        creel_daemon::serve(socket, service, BOUNDS, closing).await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let peer = request.extensions().get::<Peer>();
        if !peer.is_some_and(|peer| is_of(peer, self.uid_base)) {
            tracing::warn!(sandbox = %self.sandbox, "somebody else spoke on the sandbox's way out; refused");
            return refused("this socket belongs to a sandbox, and you are not it");
        }
        let agent = match self.agent().await {
            Ok(Some(agent)) => agent,
            Ok(None) => return refused("no agent runs here any more"),
            // Logged where it happened.
            Err(_) => return refused("the platform could not look up who calls; try again"),
        };
        if creel_egress::is_proxy_request(&request) {
            let caller = creel_egress::Caller {
                org: agent.org,
                agent: agent.id,
                sandbox: self.sandbox,
            };
            return self.egress.serve(caller, &request);
        }
        let caller = creel_models::Caller {
            org: agent.org,
            agent: agent.id,
            sandbox: self.sandbox,
            model: agent.spec.model,
        };
        self.control.models.serve(caller, request).await
    }

    async fn agent(&self) -> crate::http::failure::Answer<Option<Agent>> {
        match self.control.owner(self.sandbox) {
            Some(who) => crate::operations::agents::fresh(&self.control, who).await,
            None => Ok(None),
        }
    }
}

/// 400: the one status that runtimes neither retry nor remember.
fn refused(sentence: &str) -> Response<Body> {
    let error = serde_json::json!({"message": sentence, "type": "invalid_request_error", "code": "refused"});
    let body = serde_json::json!({ "error": error }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONNECTION, "close"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

fn is_of(peer: &Peer, uid_base: u32) -> bool {
    match peer {
        Peer::Unix { uid, .. } => uid.checked_sub(uid_base).is_some_and(|offset| offset < UIDS),
        Peer::Tcp(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sandboxs_own_uids_may_speak() {
        let is = |uid| {
            is_of(
                &Peer::Unix {
                    uid,
                    gid: 0,
                    pid: None,
                },
                1_000_000,
            )
        };
        assert_eq!(
            [999_999, 1_000_000, 1_065_535, 1_065_536, 0].map(is),
            [false, true, true, false, false]
        );
    }
}
