//! A request as it came in, looked at before anything is done: what it is for, who shows what, where it comes from.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Method, Request, header, uri::Authority};

use crate::refusal::Refusal;

/// Beginning of an API token's secret: any other bearer's is the application's own.
const TOKEN_PREFIX: &str = "creel_";
/// For callers whose `Authorization` is for the application behind.
pub(crate) const CREEL_AUTHORIZATION: HeaderName = HeaderName::from_static("creel-authorization");
/// No secret of ours is longer; a JWT is.
const SECRET_BYTES: usize = 8 * 1024;
/// Cookies whose names begin so, after what browsers themselves know, are ours.
const COOKIE_PREFIX: &str = "creel_";

/// Which host a request names; the request is refused that names none, several, or two that differ.
pub(crate) fn authority<B>(request: &Request<B>) -> Result<Authority, Refusal> {
    let bad = || Refusal::bad_request("The request does not say clearly which host it is for.");
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(bad());
    }
    let named = host
        .map(|host| host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()))
        .map(|host| host.ok_or_else(bad))
        .transpose()?;
    let target = request.uri().authority().cloned();
    let authority = match (target, named) {
        (Some(target), Some(named)) if !target.as_str().eq_ignore_ascii_case(named.as_str()) => {
            return Err(bad());
        }
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => return Err(bad()),
    };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return Err(bad());
    }
    Ok(authority)
}

/// Methods that mean something to a proxy and nothing behind it.
pub(crate) fn method<B>(request: &Request<B>) -> Result<(), Refusal> {
    match *request.method() {
        Method::CONNECT | Method::TRACE => Err(Refusal::method()),
        _ if request.uri().path().starts_with('/') || request.uri().path() == "*" => Ok(()),
        _ => Err(Refusal::bad_request("The request's target is not a path.")),
    }
}

/// The token that a request shows for us, and the header that it stands in.
pub(crate) fn token(headers: &HeaderMap) -> Option<(HeaderName, &str)> {
    let bearer = |name: &HeaderName| {
        let (scheme, token) = headers.get(name)?.to_str().ok()?.split_once(' ')?;
        let token = token.trim();
        let fits = scheme.eq_ignore_ascii_case("bearer") && (1..=SECRET_BYTES).contains(&token.len());
        fits.then_some(token)
    };
    if let Some(token) = bearer(&CREEL_AUTHORIZATION) {
        return Some((CREEL_AUTHORIZATION, token));
    }
    let token = bearer(&header::AUTHORIZATION)?;
    token
        .starts_with(TOKEN_PREFIX)
        .then_some((header::AUTHORIZATION, token))
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    cookies(headers)
        .filter_map(|pair| pair.split_once('='))
        .find(|(found, value)| *found == name && (1..=256).contains(&value.len()))
        .map(|(_, value)| value)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
}

/// Whether a cookie of this name is Creel's, which no agent may see or set.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.trim();
    let bare = ["__Host-", "__Secure-"]
        .iter()
        .find_map(|prefix| {
            let (start, rest) = name.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(prefix).then_some(rest)
        })
        .unwrap_or(name);
    bare.split_at_checked(COOKIE_PREFIX.len())
        .is_some_and(|(start, _)| start.eq_ignore_ascii_case(COOKIE_PREFIX))
}

/// The cookies that are the application's own, in one line; none: there are none.
pub(crate) fn others_cookies(headers: &HeaderMap) -> Option<String> {
    let kept: Vec<&str> = cookies(headers)
        .filter(|pair| !is_ours(pair.split('=').next().unwrap_or_default()))
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a person's browser opens a page with it.
pub(crate) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if *method != Method::GET {
        return false;
    }
    match text(headers, "sec-fetch-mode") {
        Some(mode) => mode == "navigate",
        None => wants_html(headers) && !headers.contains_key("x-requested-with"),
    }
}

pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    text(headers, "accept").is_some_and(|accept| accept.contains("text/html"))
}

/// A cookie speaks for a person only where their browser says that the page that asks is of the same address, or
/// that it opens one.
pub(crate) fn comes_from_itself(method: &Method, headers: &HeaderMap, origin: &str) -> bool {
    let upgrades = headers.contains_key(header::UPGRADE);
    if is_navigation(method, headers) && !upgrades {
        return true;
    }
    if let Some(site) = text(headers, "sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    match text(headers, "origin") {
        Some(said) => said == origin,
        None => matches!(*method, Method::GET | Method::HEAD) && !upgrades,
    }
}

/// Proxies before us, whose word counts on whom they speak for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(pub Vec<(IpAddr, u8)>);

impl TrustedProxies {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
            IpAddr::V6(address) => (address.to_bits(), false),
        };
        let (of, is_v4) = bits(address);
        self.0.iter().any(|(network, length)| {
            let (network, net_is_v4) = bits(*network);
            let mask = u128::MAX.checked_shl(128 - u32::from(*length)).unwrap_or(0);
            is_v4 == net_is_v4 && (of ^ network) & mask == 0
        })
    }
}

impl std::str::FromStr for TrustedProxies {
    type Err = String;

    /// `10.0.0.0/8,192.168.1.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = |part: &str| {
            let (address, length) = part.split_once('/').unwrap_or((part, ""));
            let address: IpAddr = address.trim().parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = match length.trim() {
                "" => most,
                length => length.parse().ok().filter(|length| *length <= most)?,
            };
            Some((address, length))
        };
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                read(part).ok_or_else(|| {
                    let part: String = part.chars().take(60).collect();
                    format!("`{part}` is no network: write it as 10.0.0.0/8 or 192.168.1.1")
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// Whose request it is, and whether it came over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) https: bool,
}

impl From {
    /// What a trusted proxy says counts; from anybody else it is not read.
    pub(crate) fn of(
        peer: std::net::SocketAddr,
        tls: bool,
        headers: &HeaderMap,
        trusted: &TrustedProxies,
    ) -> Self {
        let mut from = Self {
            address: peer.ip().to_canonical(),
            port: peer.port(),
            https: tls,
        };
        if !trusted.contains(from.address) {
            return from;
        }
        // From the right: each proxy adds whom it has seen.
        let seen: Vec<IpAddr> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|address| address.trim().parse().ok())
            .collect();
        let client = seen.iter().rev().find(|address| !trusted.contains(**address));
        if let Some(client) = client.or(seen.first()) {
            from.address = client.to_canonical();
            from.port = 0;
        }
        if let Some(proto) = text(headers, "x-forwarded-proto") {
            from.https = proto.trim().eq_ignore_ascii_case("https");
        }
        from
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        };
        let mut map = HeaderMap::new();
        for (name, value) in pairs.iter().map(pair) {
            map.append(name, value);
        }
        map
    }

    #[test]
    fn a_request_names_one_host() {
        let ask = |uri: &str, hosts: &[&'static str]| {
            let mut request = Request::get(uri);
            for host in hosts {
                request = request.header("host", *host);
            }
            authority(&request.body(()).expect("a request"))
                .map(|one| one.to_string())
                .ok()
        };
        assert_eq!(ask("/", &["a.example"]).as_deref(), Some("a.example"));
        assert_eq!(
            ask("http://a.example/", &["a.example"]).as_deref(),
            Some("a.example")
        );
        assert_eq!(ask("http://a.example/", &["b.example"]), None);
        assert_eq!(ask("/", &["a.example", "a.example"]), None);
        assert_eq!(ask("/", &["a.example, b.example"]), None);
        assert_eq!(ask("/", &["u@a.example"]), None);
        assert_eq!(ask("/", &[""]), None);
        assert_eq!(ask("/", &[]), None);
    }

    #[test]
    fn agents_see_no_cookie_of_ours() {
        let sent = headers(&[
            ("cookie", "a=1; creel_session=s; __Host-creel_access=t"),
            ("cookie", "b=2;__secure-CREEL_x=3; creel=4"),
        ]);
        assert_eq!(others_cookies(&sent).as_deref(), Some("a=1; b=2; creel=4"));
        assert_eq!(cookie(&sent, "__Host-creel_access"), Some("t"));
        assert_eq!(others_cookies(&headers(&[("cookie", "creel_session=s")])), None);
    }

    #[test]
    fn tokens_of_applications_are_theirs() {
        let shown = |pairs: &[(&'static str, &'static str)]| {
            token(&headers(pairs)).map(|(name, token)| (name, token.to_owned()))
        };
        let ours = Some((header::AUTHORIZATION, "creel_1".to_owned()));
        assert_eq!(shown(&[("authorization", "Bearer creel_1")]), ours);
        assert_eq!(shown(&[("authorization", "Bearer sk-1")]), None);
        assert_eq!(shown(&[("authorization", "Basic creel_1")]), None);
        let both = [
            ("authorization", "Bearer sk-1"),
            ("creel-authorization", "Bearer eyJ"),
        ];
        assert_eq!(shown(&both), Some((CREEL_AUTHORIZATION, "eyJ".to_owned())));
    }

    #[test]
    fn a_cookie_counts_for_the_same_address_alone() {
        let own = "https://scout.agents.example";
        for (good, method, pairs) in [
            (
                true,
                Method::GET,
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")][..],
            ),
            (true, Method::GET, &[("accept", "text/html")]),
            (true, Method::POST, &[("sec-fetch-site", "same-origin")]),
            (
                false,
                Method::POST,
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-site")],
            ),
            (
                false,
                Method::GET,
                &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-site")],
            ),
            (true, Method::POST, &[("origin", "https://scout.agents.example")]),
            (false, Method::POST, &[("origin", "https://other.agents.example")]),
            (false, Method::POST, &[]),
            (false, Method::GET, &[("upgrade", "websocket")]),
            (
                false,
                Method::GET,
                &[("upgrade", "websocket"), ("origin", "https://evil.example")],
            ),
            (
                true,
                Method::GET,
                &[
                    ("upgrade", "websocket"),
                    ("origin", "https://scout.agents.example"),
                ],
            ),
        ] {
            assert_eq!(
                comes_from_itself(&method, &headers(pairs), own),
                good,
                "{method} {pairs:?}"
            );
        }
    }

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let trusted: TrustedProxies = "10.0.0.0/8, fd00::/8".parse().expect("networks");
        let said = headers(&[
            ("x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.1.1.1"),
            ("x-forwarded-proto", "https"),
        ]);
        let from = |peer: &str| From::of(peer.parse().expect("an address"), false, &said, &trusted);
        let seen = from("10.2.3.4:99");
        assert_eq!(
            (seen.address, seen.https),
            ("203.0.113.9".parse().expect("an address"), true)
        );
        let seen = from("203.0.113.1:99");
        assert_eq!(
            (seen.address, seen.https),
            ("203.0.113.1".parse().expect("an address"), false)
        );
        assert!(trusted.contains("::ffff:10.0.0.1".parse().expect("an address")));
        assert!(!trusted.contains("11.0.0.1".parse().expect("an address")));
        assert!("10.0.0.0/33".parse::<TrustedProxies>().is_err());
    }
}
