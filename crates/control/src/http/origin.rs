//! Where a request comes from, and what it is called: for the audit trail and for limits by address.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use creel_daemon::Peer;
use creel_domain::Actor;

/// Names a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// The other end of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// None: it did not come over a network.
    pub(crate) address: Option<IpAddr>,
    pub(crate) request: String,
}

impl Origin {
    pub(crate) fn of(parts: &Parts) -> Self {
        let address = match parts.extensions.get::<Peer>() {
            // An IPv4 address that came over an IPv6 socket is the same address.
            Some(Peer::Tcp(address)) => Some(address.ip().to_canonical()),
            Some(Peer::Unix { .. }) | None => None,
        };
        let request = parts.extensions.get::<RequestId>();
        Self {
            address,
            request: request.map(|id| id.0.clone()).unwrap_or_default(),
        }
    }

    /// `actor`, from here.
    pub(crate) fn actor(&self, actor: Actor) -> Actor {
        Actor {
            address: self
                .address
                .map(|address| address.to_string())
                .unwrap_or_default(),
            request: self.request.clone(),
            ..actor
        }
    }
}

/// Somebody who has not shown yet who they are. Whatever a route of this kind does is done in this name, until
/// the store finds out better.
pub(crate) struct Guest(pub(crate) Arc<Actor>);

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Arc::new(Origin::of(parts).actor(Actor::anonymous()))))
    }
}
