//! Who is asking: an API token in a header, or a session of the web page in a cookie.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath},
    http::{HeaderMap, HeaderValue, Method, header, request::Parts},
};
use creel_api::ErrorCode;
use creel_domain::{Actor, BrowserSessionId, MemberRole, OrgId, RateClass, Scope, UserId};
use creel_store::{Org, Platform};
use jiff::Timestamp;

use super::{
    cookie::{self, SessionCookie},
    failure::{Answer, Failure},
    needs::{self, Need},
    origin::Origin,
    revoked::{Held, Slot},
    watch::{self, Watched},
};
use crate::{
    Control,
    jwt::JWT_BYTES,
    operations::{
        access_tokens::is_jwt,
        sign_in::{self, Credential},
    },
};

/// No secret of ours is longer.
const SECRET_BYTES: usize = 256;

/// The user behind a request. A handler that takes one cannot be reached without.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) org: OrgId,
    pub(crate) org_name: String,
    pub(crate) user: UserId,
    pub(crate) user_name: String,
    pub(crate) role: MemberRole,
    /// What both the role and, where one speaks for the user, the token allow.
    pub(crate) scopes: BTreeSet<Scope>,
    /// Whether the platform is theirs to run.
    pub(crate) operator: bool,
    /// Whether the org is stopped by whoever runs the platform.
    pub(crate) suspended: bool,
    /// Whether less is allowed than the user may do.
    pub(crate) restricted: bool,
    /// The same, as the audit trail tells it.
    pub(crate) actor: Arc<Actor>,
    /// How they said who they are.
    pub(crate) credential: Credential,
    /// The browser's session, where they come with one and not with a token.
    pub(crate) session: Option<CallerSession>,
}

/// The session of a browser behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallerSession {
    pub(crate) id: BrowserSessionId,
    /// When a password or another proof was shown; none: it came by a link.
    pub(crate) proven_at: Option<Timestamp>,
}

impl FromRequestParts<Arc<Control>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Arc<Control>) -> Result<Self, Failure> {
        let mut caller = met(parts, control).await?;
        let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let need = path.and_then(|path| needs::need(parts.method.as_str(), path));
        caller.stopped(need)?;
        caller.may(need)?;
        Arc::make_mut(&mut caller.actor).rule = need.map(|need| need.to_string()).unwrap_or_default();
        if let Some(slot) = parts.extensions.get::<Slot>() {
            slot.put(caller.held(need));
        }
        Ok(caller)
    }
}

/// For routes that anybody may use, as somebody or as nobody. Who claims to be somebody must be.
pub(crate) struct MaybeCaller(pub(crate) Option<Caller>);

impl FromRequestParts<Arc<Control>> for MaybeCaller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, control: &Arc<Control>) -> Result<Self, Failure> {
        let caller = if claims(parts, control) {
            Some(met(parts, control).await?)
        } else {
            None
        };
        Ok(Self(caller))
    }
}

impl Caller {
    /// What concerns the caller in all of their orgs, for changes in their name.
    pub(crate) fn platform(&self, control: &Control) -> Platform {
        control.store.platform().acting(Arc::clone(&self.actor))
    }

    /// The org, for changes in the caller's name.
    pub(crate) fn org(&self, control: &Control) -> Org {
        control.store.org(self.org).acting(Arc::clone(&self.actor))
    }

    fn from(mut self, parts: &Parts) -> Self {
        let actor = Arc::make_mut(&mut self.actor);
        *actor = Origin::of(parts).actor(actor.clone());
        if let Some(watched) = parts.extensions.get::<Arc<Watched>>() {
            watched.is(self.org, Arc::clone(&self.actor));
        }
        self
    }

    fn held(&self, need: Option<Need>) -> Held {
        Held {
            credential: self.credential.clone(),
            org: self.org,
            scope: match need {
                Some(Need::Scope(scope)) => Some(scope),
                _ => None,
            },
        }
    }

    /// For what goes on after the answer.
    pub(crate) fn held_for(&self, scope: Scope) -> Held {
        self.held(Some(Need::Scope(scope)))
    }

    /// Refuses nearly everything while the org is suspended. Operators go on: they are who resumes it.
    fn stopped(&self, need: Option<Need>) -> Answer<()> {
        if !self.suspended || self.operator || need == Some(Need::Known) {
            return Ok(());
        }
        Err(Failure::new(
            ErrorCode::OrgSuspended,
            format!(
                "The org `{}` is suspended by whoever runs this Creel: ask them.",
                self.org_name
            ),
        ))
    }

    /// Refuses what the caller may not do, and says who could help.
    pub(crate) fn may(&self, need: Option<Need>) -> Answer<()> {
        let sentence = match need {
            Some(Need::Nothing | Need::Known) => return Ok(()),
            Some(Need::Scope(scope)) if self.scopes.contains(&scope) => return Ok(()),
            Some(Need::Everything) if !self.restricted => return Ok(()),
            Some(Need::Everything) => {
                "A token with scopes may not do this: use one without, or sign in.".to_owned()
            }
            Some(Need::Scope(Scope::PlatformWrite)) if !self.operator => {
                "This is for operators of the platform: ask one of them.".to_owned()
            }
            Some(Need::Scope(scope)) if self.role.scopes().contains(&scope) => {
                format!(
                    "The token lacks the scope `{scope}`: make one that has it with `creel token create`."
                )
            }
            Some(Need::Scope(scope)) => format!(
                "This needs `{scope}`, which the role {} does not have: ask an admin of the org.",
                self.role
            ),
            None => "Nobody may do this: the route is not in the table of what is needed.".to_owned(),
        };
        Err(Failure::new(ErrorCode::Forbidden, sentence))
    }
}

/// Whether a request says that it comes from somebody, true or not.
fn claims(parts: &Parts, control: &Control) -> bool {
    parts.headers.contains_key(header::AUTHORIZATION)
        || cookie::secret(&control.public_url, &parts.headers).is_some()
}

/// Whose request it is, where it needs to be nobody's: to count it. Nothing is exchanged, and whatever is claimed but not
/// true is nobody.
pub(super) async fn if_known(parts: &Parts, control: &Control) -> Option<Caller> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        return sign_in::by_token(control, bearer(value)?).await.ok()?;
    }
    let secret = cookie::secret(&control.public_url, &parts.headers)?;
    let found = sign_in::by_session(control, secret, false).await.ok()?;
    found.map(|(caller, _)| caller)
}

/// Whoever it is, if they do not come too often.
async fn met(parts: &Parts, control: &Control) -> Answer<Caller> {
    let caller = known(parts, control).await;
    let Some(watched) = parts.extensions.get::<Arc<Watched>>() else {
        return caller;
    };
    let now = control.clock.now();
    match &caller {
        Ok(caller) => {
            let path = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
            let class = watch::class(&parts.method, path);
            let (org, user, via) = (caller.org, caller.user, &caller.actor.via);
            watched.used(class, control.limits.caller(org, user, via, class, now))?;
        }
        Err(failure) if failure.code() == ErrorCode::Unauthenticated => {
            let address = Origin::of(parts).address;
            let class = RateClass::SignIn;
            watched.used(class, control.limits.address(address, class, now))?;
        }
        Err(_) => {}
    }
    caller
}

/// Whoever it is, whatever they may do.
async fn known(parts: &Parts, control: &Control) -> Answer<Caller> {
    if let Some(value) = parts.headers.get(header::AUTHORIZATION) {
        let token =
            bearer(value).ok_or_else(|| unknown("The header `Authorization` must be `Bearer TOKEN`."))?;
        return sign_in::by_token(control, token)
            .await?
            .map(|caller| caller.from(parts))
            .ok_or_else(|| unknown("The token is not valid: it was mistyped or revoked."));
    }
    let Some(secret) = cookie::secret(&control.public_url, &parts.headers) else {
        return Err(unknown(
            "Send an API token as `Authorization: Bearer TOKEN`, or sign in.",
        ));
    };
    let upgrades = parts.headers.contains_key(header::UPGRADE);
    if (changes(&parts.method) || upgrades) && !same_origin(&parts.headers) {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            "Another site's page may not use your session: open Creel's own page, or send an API token.",
        ));
    }
    // The answer to an upgrade is read by no browser's cookie jar in all cases.
    let (caller, fresh) = sign_in::by_session(control, secret, !upgrades)
        .await?
        .ok_or_else(|| unknown("The session has ended: sign in again."))?;
    if let (Some(fresh), Some(cookie)) = (fresh, parts.extensions.get::<SessionCookie>()) {
        cookie.set(fresh);
    }
    Ok(caller.from(parts))
}

fn unknown(detail: &str) -> Failure {
    Failure::new(ErrorCode::Unauthenticated, detail)
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let most = if is_jwt(token) { JWT_BYTES } else { SECRET_BYTES };
    let good = scheme.eq_ignore_ascii_case("bearer") && (1..=most).contains(&token.len());
    good.then_some(token)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Browsers say where a request comes from; one that says nothing is refused.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = text("origin").and_then(|origin| origin.split_once("://"));
    match (origin, text("host")) {
        (Some((_, origin)), Some(host)) => origin == host,
        _ => false,
    }
}

/// Whether a browser sent it on behalf of a page: programs say nothing of where they come from.
pub(crate) fn comes_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN)
}

/// Refuses a change from another site, for handlers that need no user.
pub(crate) fn check_origin(headers: &HeaderMap) -> Answer<()> {
    if same_origin(headers) {
        Ok(())
    } else {
        Err(Failure::new(
            ErrorCode::Forbidden,
            "Another site's page may not do this.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    header::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn only_our_own_page_may_change_things_with_a_cookie() {
        for (good, pairs) in [
            (true, &[("sec-fetch-site", "same-origin")][..]),
            (false, &[("sec-fetch-site", "same-site")]),
            (
                false,
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://a"),
                    ("host", "a"),
                ],
            ),
            (
                true,
                &[("origin", "http://127.0.0.1:7300"), ("host", "127.0.0.1:7300")],
            ),
            (
                false,
                &[("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:7300")],
            ),
            (false, &[("origin", "null"), ("host", "127.0.0.1:7300")]),
            (false, &[("host", "127.0.0.1:7300")]),
        ] {
            assert_eq!(same_origin(&headers(pairs)), good, "{pairs:?}");
        }
    }
}
