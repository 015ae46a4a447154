//! A request for an agent: who comes, is it awake, and on it goes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use creel_protocol::edge::{Enter, EnterWith, Face, Hidden, Shown};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header, uri::PathAndQuery};
use hyper::body::Incoming;

use crate::{
    Edge, asked,
    body::Reply,
    forward::forward,
    headers::{self, About, Showing},
    lease::{Outcome, secret},
    names::below,
    pages,
    pool::{Place, Pool},
    refusal::Refusal,
};

/// A person sees that something happens after so long.
const PAGE_AFTER: Duration = Duration::from_millis(400);
/// The waiting page asks again after so long.
const ALIVE_WITHIN: Duration = Duration::from_secs(20);
/// What the edge itself answers on every agent's address.
const OWN: &str = "/.creel/";

/// A request for an agent, and how it came.
pub(crate) struct Visit {
    pub(crate) face: Face,
    /// At Creel's own address.
    pub(crate) by_path: bool,
    pub(crate) from: asked::From,
    /// As the client wrote it.
    pub(crate) host: String,
}

impl Visit {
    fn scheme(&self) -> &'static str {
        if self.from.https { "https" } else { "http" }
    }

    fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.host)
    }

    /// What stands before the agent's own paths.
    fn base(&self) -> String {
        match (self.by_path, self.face.port) {
            (false, _) => String::new(),
            (true, None) => format!("/a/{}", self.face.label),
            (true, Some(port)) => format!("/a/{}--{port}", self.face.label),
        }
    }

    /// A browser takes it from this address alone and, over TLS, never from a neighbour.
    fn cookie_name(&self) -> &'static str {
        match (self.from.https, self.by_path) {
            (true, false) => "__Host-creel_access",
            (true, true) => "__Secure-creel_access",
            (false, _) => "creel_access",
        }
    }

    fn session_name(&self) -> &'static str {
        if self.from.https {
            "__Host-creel_session"
        } else {
            "creel_session"
        }
    }

    fn cookie(&self, access: &str, seconds: u32) -> String {
        let path = if self.by_path {
            self.base() + "/"
        } else {
            "/".to_owned()
        };
        let secure = if self.from.https { "; Secure" } else { "" };
        let name = self.cookie_name();
        format!("{name}={access}; Max-Age={seconds}; Path={path}; HttpOnly; SameSite=Lax{secure}")
    }
}

pub(crate) async fn serve(
    edge: &Edge,
    pool: &Arc<Pool>,
    visit: Visit,
    request: Request<Incoming>,
) -> Response<Reply> {
    let html = asked::wants_html(request.headers());
    let navigates = asked::is_navigation(request.method(), request.headers());
    let address = request.uri().clone();
    match served(edge, pool, &visit, request, navigates).await {
        Ok(response) => response,
        // A person is asked who they are, and comes back.
        Err(refusal) if navigates && refusal.status == StatusCode::UNAUTHORIZED => {
            sign_in(edge, &visit, address.path_and_query(), &refusal)
        }
        Err(refusal) => {
            // It leads nowhere any more, whatever was heard of it before.
            if refusal.status == StatusCode::MISDIRECTED_REQUEST {
                edge.domains.forget(&visit.face.label);
            }
            refusal.answer(html)
        }
    }
}

async fn served(
    edge: &Edge,
    pool: &Arc<Pool>,
    visit: &Visit,
    mut request: Request<Incoming>,
    navigates: bool,
) -> Result<Response<Reply>, Refusal> {
    if visit.by_path {
        // A worker of Creel's own address would see what is not its agent's.
        if request.headers().contains_key("service-worker") {
            return Err(Refusal::other_site());
        }
        let path = below(request.uri().path());
        if path.is_empty() {
            return Ok(redirect(&format!("{}/", visit.base())));
        }
        *request.uri_mut() = moved(request.uri(), path)?;
    }
    let own = request.uri().path().strip_prefix(OWN).map(str::to_owned);
    if own.as_deref() == Some("enter") {
        return enter(edge, visit, request.uri().query().unwrap_or_default()).await;
    }
    let (shown, spent) = shown(visit, request.headers());
    let by_cookie = matches!(shown, Shown::Access(_) | Shown::Session(_));
    if by_cookie && !asked::comes_from_itself(request.method(), request.headers(), &visit.origin()) {
        return Err(Refusal::other_site());
    }
    let held = edge.leases.hold(visit.face.clone(), shown, visit.from.address)?;
    if !held.may_go() {
        return Err(Refusal::too_fast());
    }
    let patience = match own.as_deref() {
        Some("waiting") => Some(ALIVE_WITHIN),
        Some(_) => return Err(Refusal::nobody()),
        None => navigates.then_some(PAGE_AFTER),
    };
    let outcome = held.ready(patience).await;
    if own.is_some() {
        return Ok(told(&outcome));
    }
    let place = match outcome {
        Outcome::Ready(place) => place,
        Outcome::Refused(refusal) => return Err(refusal),
        Outcome::StillWaking(waking) => {
            let alive = format!("{}{OWN}waiting", visit.base());
            return Ok(waiting(&waking.name, &waking.why, &alive));
        }
    };
    let upgrade = headers::upgrade(request.headers());
    headers::inward(
        request.headers_mut(),
        &About {
            from: visit.from,
            host: &visit.host,
            upgrade: upgrade.as_ref(),
        },
    );
    headers::to_agent(request.headers_mut(), spent, place.user.as_deref());
    if place.runtime {
        // A worker of its page would outlive the agent in the person's browser.
        if request.headers().contains_key("service-worker") {
            return Err(Refusal::other_site());
        }
        headers::to_runtime(request.headers_mut(), visit.from);
    }
    if visit.by_path
        && let Ok(base) = HeaderValue::from_str(&visit.base())
    {
        request
            .headers_mut()
            .insert(HeaderName::from_static("x-forwarded-prefix"), base);
    }
    // What is sent on is a path: whose it is stands in `Host`.
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map(Into::into).unwrap_or_default();
    let showing = Showing {
        by_path: visit.by_path,
        private: place.private,
        runtime: place.runtime,
    };
    let to = Place::Port(place.sandbox, place.port);
    let mut answer = forward(pool, to, request, upgrade.is_some(), Some(held)).await?;
    headers::from_agent(answer.headers_mut(), showing);
    if visit.by_path {
        within(answer.headers_mut(), &visit.base());
    }
    Ok(answer)
}

/// What a request shows for us, and the header in which it stands.
fn shown(visit: &Visit, headers: &http::HeaderMap) -> (Shown, Option<HeaderName>) {
    if let Some((name, token)) = asked::token(headers) {
        return (Shown::Token(Hidden(token.to_owned())), Some(name));
    }
    if let Some(access) = asked::cookie(headers, visit.cookie_name()) {
        return (Shown::Access(Hidden(access.to_owned())), None);
    }
    match asked::cookie(headers, visit.session_name()).filter(|_| visit.by_path) {
        Some(session) => (Shown::Session(Hidden(session.to_owned())), None),
        None => (Shown::Nothing, None),
    }
}

/// An agent that sends somebody to a path of its own means one below its address.
fn within(headers: &mut http::HeaderMap, base: &str) {
    let there = headers
        .get(header::LOCATION)
        .and_then(|there| there.to_str().ok())
        .filter(|there| there.starts_with('/') && !there.starts_with("//"))
        .and_then(|there| HeaderValue::from_str(&format!("{base}{there}")).ok());
    if let Some(there) = there {
        headers.insert(header::LOCATION, there);
    }
}

fn moved(uri: &http::Uri, path: &str) -> Result<http::Uri, Refusal> {
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let bad = |_| Refusal::bad_request("The request's target is not a path.");
    let moved: PathAndQuery = format!("{path}{query}").parse().map_err(bad)?;
    Ok(moved.into())
}

/// `/.creel/enter?ticket=…|link=…&to=…`: what is shown once becomes a cookie, and leaves the address bar.
async fn enter(edge: &Edge, visit: &Visit, query: &str) -> Result<Response<Reply>, Refusal> {
    let value = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    let with = match (value("ticket"), value("link")) {
        (Some(ticket), None) => EnterWith::Ticket(Hidden(ticket.to_owned())),
        (None, Some(link)) => EnterWith::Link(Hidden(link.to_owned())),
        _ => return Err(Refusal::bad_request("This address needs a ticket or a link.")),
    };
    let entered = edge
        .leases
        .enter(&Enter {
            face: visit.face.clone(),
            with,
            address: visit.from.address,
        })
        .await?;
    let to = value("to").and_then(decoded);
    let to = to.filter(|to| is_path(to)).unwrap_or_else(|| "/".to_owned());
    let mut response = redirect(&format!("{}{to}", visit.base()));
    let cookie = visit.cookie(secret(&entered.access), entered.seconds);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A path of this address and no other's.
fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && !text.starts_with("/\\")
        && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
}

fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'%' {
            let digits = text.get(at + 1..at + 3)?;
            out.push(u8::from_str_radix(digits, 16).ok()?);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8(out).ok()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Not from a cache, and without telling anybody where it came from.
fn redirect(to: &str) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(to) = HeaderValue::from_str(to) {
        headers.insert(header::LOCATION, to);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// To Creel's own page, which sends whoever is signed in back here.
fn sign_in(edge: &Edge, visit: &Visit, path: Option<&PathAndQuery>, refusal: &Refusal) -> Response<Reply> {
    let path = path.map_or("/", PathAndQuery::as_str);
    if path.starts_with(OWN) || visit.by_path {
        return refusal.answer(true);
    }
    let to = encoded(&format!("{}{path}", visit.origin()));
    redirect(&format!("{}/sign-in/page?to={to}", edge.names.own_url))
}

fn waiting(name: &str, why: &str, alive: &str) -> Response<Reply> {
    let page = pages::waiting(name, why, alive);
    let mut response = Response::new(Reply::whole(Bytes::from(page)));
    // Whoever is no person knows by it that this is not the page.
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(pages::HTML));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(pages::WAITING_POLICY),
    );
    response
}

/// For the waiting page.
fn told(outcome: &Outcome) -> Response<Reply> {
    let told = match outcome {
        Outcome::Ready(_) => serde_json::json!({ "state": "ready" }),
        Outcome::Refused(refusal) => serde_json::json!({ "state": "refused", "why": refusal.detail }),
        Outcome::StillWaking(waking) => serde_json::json!({ "state": "waking", "why": waking.why }),
    };
    let mut response = Response::new(Reply::whole(Bytes::from(told.to_string())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (good, to) in [
            (true, "/"),
            (true, "/a?b=c#d"),
            (false, "//evil.example"),
            (false, "/\\evil.example"),
            (false, "https://evil.example"),
            (false, ""),
            (false, "/a\r\nset-cookie: x=1"),
            (false, "/ "),
        ] {
            assert_eq!(is_path(to), good, "{to:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_again(text in ".{0,60}") {
            prop_assert_eq!(decoded(&encoded(&text)), Some(text));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = decoded(&text);
        }
    }
}
