//! Around every request: how much of their limit its caller has used, and a word in the audit trail when it was
//! refused. What the door finds out about the caller is left in [`Watched`].

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use creel_api::ErrorCode;
use creel_domain::{Act, Actor, Allowance, OrgId, RateClass};

use super::{
    auth,
    failure::{Answer, Failure},
    needs::{self, Need},
    origin::Origin,
};
use crate::{Control, refusals};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What was found out about a request, in its extensions.
#[derive(Default)]
pub(crate) struct Watched {
    caller: OnceLock<(OrgId, Arc<Actor>)>,
    used: Mutex<Option<(RateClass, Allowance)>>,
}

impl Watched {
    pub(super) fn is(&self, org: OrgId, actor: Arc<Actor>) {
        // Who it is does not change within a request.
        let _ = self.caller.set((org, actor));
    }

    /// Refuses a request that came too soon.
    pub(super) fn used(&self, class: RateClass, allowance: Option<Allowance>) -> Answer<()> {
        let Some(allowance) = allowance else { return Ok(()) };
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some((class, allowance));
        match allowance.wait_seconds {
            None => Ok(()),
            Some(wait) => Err(Failure::new(
                ErrorCode::RateLimited,
                format!(
                    "Too many requests: {} {} a minute are taken. Try again in {wait} seconds.",
                    allowance.rate.requests(),
                    class.as_str()
                ),
            )),
        }
    }

    fn head(&self, response: &mut Response) {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((class, allowance)) = used else { return };
        let (name, rate) = (class.as_str(), allowance.rate.requests());
        let mut put = |header: HeaderName, text: String| {
            if let Ok(value) = HeaderValue::from_str(&text) {
                response.headers_mut().insert(header, value);
            }
        };
        put(RATE_LIMIT_POLICY, format!("\"{name}\";q={rate};w=60"));
        put(
            RATE_LIMIT,
            format!("\"{name}\";r={};t={}", allowance.left, allowance.full_in_seconds),
        );
        if let Some(wait) = allowance.wait_seconds {
            put(header::RETRY_AFTER, wait.to_string());
        }
    }
}

/// What a request of somebody who is known counts as.
pub(super) fn class(method: &Method, path: Option<&str>) -> RateClass {
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => RateClass::Reads,
        _ if path == Some("/v1/agents/{agent}/chat") => RateClass::Chat,
        _ => RateClass::Writes,
    }
}

pub(super) async fn watch(State(control): State<Arc<Control>>, mut request: Request, next: Next) -> Response {
    let watched = Arc::new(Watched::default());
    request.extensions_mut().insert(Arc::clone(&watched));
    let (parts, body) = request.into_parts();
    let path = parts
        .extensions
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let method = parts.method.clone();
    let need = path
        .as_deref()
        .and_then(|path| needs::need(method.as_str(), path));
    let opens = |below: &str| path.as_deref().is_some_and(|path| path.starts_with(below));
    let open = need == Some(Need::Nothing) || opens("/sign-in");
    if open {
        // A browser that comes back from a provider may have the cookie of a session that is over.
        let caller = match opens("/sign-in/") {
            true => None,
            false => auth::if_known(&parts, &control).await,
        };
        let now = control.clock.now();
        let (class, allowance) = match caller {
            Some(caller) => {
                let class = class(&method, path.as_deref());
                let via = &caller.actor.via;
                (
                    class,
                    control.limits.caller(caller.org, caller.user, via, class, now),
                )
            }
            None => {
                let class = match path.as_deref() {
                    Some("/v1/version") => RateClass::Reads,
                    _ => RateClass::SignIn,
                };
                let address = Origin::of(&parts).address;
                (class, control.limits.address(address, class, now))
            }
        };
        if let Err(failure) = watched.used(class, allowance) {
            let mut response = failure.into_response();
            watched.head(&mut response);
            return response;
        }
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    watched.head(&mut response);
    if response.status() == StatusCode::FORBIDDEN
        && let Some((org, actor)) = watched.caller.get()
        && let Some(path) = path
    {
        let actor = Actor {
            rule: need.map(|need| need.to_string()).unwrap_or_default(),
            ..(**actor).clone()
        };
        let mut act = Act::new("request").on("route", format!("{method} {path}"));
        if let Some(failure) = response.extensions().get::<Failure>() {
            act = act.with("reason", failure.detail());
        }
        refusals::tell(&control, *org, actor, act).await;
    }
    response
}
