//! Somebody who has not said who they are, and what is known of them all the same.

use std::{convert::Infallible, net::IpAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use creel_daemon::Peer;
use creel_domain::{Actor, OrgId, UserId};
use creel_store::{Org, Platform};

use super::{
    auth::{check_origin, comes_from_a_page},
    failure::Failure,
    origin::Origin,
};
use crate::Control;

/// For routes that open a session. A page of another site cannot be one: it would sign people in as somebody else.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// What counts as one address for limits; none where many people would share it.
    pub(crate) network: Option<String>,
    /// What the browser says that it is.
    pub(crate) browser: String,
    /// Nobody, until the store finds out better.
    actor: Arc<Actor>,
}

impl Visitor {
    pub(crate) fn platform(&self, control: &Control) -> Platform {
        control.store.platform().acting(Arc::clone(&self.actor))
    }

    pub(crate) fn org(&self, control: &Control, org: OrgId) -> Org {
        control.store.org(org).acting(Arc::clone(&self.actor))
    }

    /// The same, once they have shown who they are by what `via` says.
    pub(crate) fn known(&self, user: UserId, name: &str, via: String) -> Self {
        let mut known = self.clone();
        let actor = Arc::make_mut(&mut known.actor);
        *actor = Actor {
            via,
            address: actor.address.clone(),
            request: actor.request.clone(),
            ..Actor::user(user, name)
        };
        known
    }
}

impl FromRequestParts<Arc<Control>> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Control>) -> Result<Self, Failure> {
        if comes_from_a_page(&parts.headers) {
            check_origin(&parts.headers)?;
        }
        Ok(Self::of(parts))
    }
}

/// A browser that another site has sent here, as it should: for routes where something else says that it was begun
/// here.
pub(crate) struct Returning(pub(crate) Visitor);

impl<S: Sync> FromRequestParts<S> for Returning {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Visitor::of(parts)))
    }
}

impl Visitor {
    fn of(parts: &Parts) -> Self {
        let browser = parts.headers.get(header::USER_AGENT);
        let browser = browser.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let address = match parts.extensions.get::<Peer>() {
            Some(Peer::Tcp(address)) => seen_from(address.ip().to_canonical(), &parts.headers),
            _ => None,
        };
        Self {
            network: address.map(network),
            browser: browser.to_owned(),
            actor: Arc::new(Origin::of(parts).actor(Actor::anonymous())),
        }
    }
}

/// A proxy on this host says for whom it asks, last in its list; one elsewhere is not believed. Without a word of
/// it, everybody behind the proxy would be one.
fn seen_from(peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
    if !peer.is_loopback() {
        return Some(peer);
    }
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .next_back()?
        .to_str()
        .ok()?;
    let address: IpAddr = forwarded.rsplit(',').next()?.trim().parse().ok()?;
    Some(address.to_canonical())
}

/// An address, or the network that a host of IPv6 has for itself.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_proxy_on_this_host_is_believed() {
        let mut headers = HeaderMap::new();
        let far: IpAddr = "192.0.2.7".parse().expect("an address");
        let here: IpAddr = "127.0.0.1".parse().expect("an address");
        assert_eq!(seen_from(far, &headers), Some(far));
        assert_eq!(seen_from(here, &headers), None);
        headers.insert(
            "x-forwarded-for",
            HeaderValue::from_static("10.0.0.1, 198.51.100.9"),
        );
        assert_eq!(seen_from(far, &headers), Some(far));
        assert_eq!(
            seen_from(here, &headers).map(network).as_deref(),
            Some("198.51.100.9")
        );
        headers.insert("x-forwarded-for", HeaderValue::from_static("nonsense"));
        assert_eq!(seen_from(here, &headers), None);
    }

    #[test]
    fn a_host_of_ipv6_is_one_whatever_address_it_takes() {
        let of = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2::9"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }
}
