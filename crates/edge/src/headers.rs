//! Headers on their way in and out: what is about one connection ends here, what says whose a request is is ours to
//! say, and what an agent could use against its neighbours does not leave.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::asked::{CREEL_AUTHORIZATION, From, is_ours, others_cookies};

/// About one connection, whatever `Connection` says.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
/// What proxies say of whom a request is from. Ours alone counts behind us.
const FORWARDED: [&str; 9] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-real-ip",
];
/// Only Creel says such things.
const OURS: &str = "x-creel-";
pub(crate) const USER: HeaderName = HeaderName::from_static("x-creel-user");
const PROXY_CONNECTION: &str = "proxy-connection";

/// A protocol that both ends want to go on with on this connection.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = headers.get(header::UPGRADE)?;
    // Plain HTTP/2 over an upgrade would hide requests from us.
    let known = !protocol
        .to_str()
        .is_ok_and(|protocol| protocol.trim().to_ascii_lowercase().starts_with("h2"));
    (wanted && known).then(|| protocol.clone())
}

/// Removes what is about one connection, except for an upgrade that goes on.
fn hop_by_hop(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let trailers = headers
        .get_all(header::TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.to_ascii_lowercase().contains("trailers"));
    for name in named.iter().chain(&HOP_BY_HOP) {
        // What nobody may take away by naming it.
        if *name != header::HOST && *name != header::CONTENT_LENGTH && *name != header::COOKIE {
            headers.remove(name);
        }
    }
    headers.remove(PROXY_CONNECTION);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
}

/// What is said about a request to whoever is behind.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub(crate) from: From,
    /// As the client wrote it, with the port.
    pub(crate) host: &'a str,
    pub(crate) upgrade: Option<&'a HeaderValue>,
}

/// Of every request, wherever it goes.
pub(crate) fn inward(headers: &mut HeaderMap, about: &About<'_>) {
    hop_by_hop(headers, about.upgrade);
    for name in FORWARDED {
        headers.remove(name);
    }
    let named: Vec<HeaderName> = headers
        .keys()
        // Where underscores are taken for hyphens, they would be ours.
        .filter(|name| name.as_str().replace('_', "-").starts_with(OURS))
        .cloned()
        .collect();
    for name in named {
        headers.remove(name);
    }
    let proto = if about.from.https { "https" } else { "http" };
    let address = about.from.address;
    let bracketed = if address.is_ipv6() {
        format!("\"[{address}]\"")
    } else {
        address.to_string()
    };
    let forwarded = format!("for={bracketed};host=\"{}\";proto={proto}", about.host);
    let mut put = |name: &'static str, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("x-forwarded-for", &address.to_string());
    put("x-forwarded-host", about.host);
    put("x-forwarded-proto", proto);
    put("forwarded", &forwarded);
    put("host", about.host);
}

/// Where a runtime takes the address of its own host for no client's. A network for examples, which is nobody's.
const SOMEBODY: &str = "192.0.2.1";
/// What a runtime's page would believe of a proxy.
const BELIEVED: [&str; 2] = ["x-openclaw-", "tailscale-"];

/// Of a request to a runtime's own page: nothing that it would believe besides what is said here.
pub(crate) fn to_runtime(headers: &mut HeaderMap, from: From) {
    let named: Vec<HeaderName> = headers
        .keys()
        .filter(|name| BELIEVED.iter().any(|prefix| name.as_str().starts_with(prefix)))
        .cloned()
        .collect();
    for name in named {
        headers.remove(name);
    }
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    if from.address.is_loopback() || from.address.is_unspecified() {
        headers.insert("x-forwarded-for", HeaderValue::from_static(SOMEBODY));
        headers.remove("forwarded");
    }
}

/// Further, of a request to an agent: no secret of anybody's for us, and who it is from.
pub(crate) fn to_agent(headers: &mut HeaderMap, spent: Option<HeaderName>, user: Option<&str>) {
    headers.remove(CREEL_AUTHORIZATION);
    if let Some(spent) = spent {
        headers.remove(spent);
    }
    if headers.contains_key(header::COOKIE) {
        let kept = others_cookies(headers).and_then(|kept| HeaderValue::from_str(&kept).ok());
        headers.remove(header::COOKIE);
        if let Some(kept) = kept {
            headers.insert(header::COOKIE, kept);
        }
    }
    if let Some(user) = user.and_then(|user| HeaderValue::from_str(user).ok()) {
        headers.insert(USER, user);
    }
}

/// How an agent's answer reaches a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Showing {
    /// At Creel's own address, where the agent's pages must be nobody's.
    pub(crate) by_path: bool,
    /// Only some may see it: no other page may show it within itself.
    pub(crate) private: bool,
    /// The runtime's own page: its inside is assumed to be turned against whoever looks at it.
    pub(crate) runtime: bool,
}

/// A page that may run, and of which browsers know that it belongs to nobody.
const NOBODYS: &str = "sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads";
const NOT_FRAMED: &str = "frame-ancestors 'self'";
/// Concern more than the agent's own address.
const WIDER: [&str; 4] = [
    "alt-svc",
    "clear-site-data",
    "public-key-pins",
    "strict-transport-security",
];

/// Concern the address as a whole: at Creel's own it is not the agent's to say, and at a runtime's own page neither.
const WHOLE_ADDRESS: [&str; 25] = [
    "accept-ch",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "activate-storage-access",
    "cdn-cache-control",
    "content-security-policy-report-only",
    "critical-ch",
    "document-isolation-policy",
    "link",
    "nel",
    "origin-trial",
    "refresh",
    "report-to",
    "reporting-endpoints",
    "sec-session-registration",
    "service-worker-allowed",
    "set-login",
    "speculation-rules",
    "sourcemap",
    "surrogate-control",
    "timing-allow-origin",
    "www-authenticate",
];
/// A runtime's page speaks to its own address and to nobody else, so that what is inside cannot use a person's browser as a
/// way out.
const RUNTIMES: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'self' data: blob: 'unsafe-inline' 'wasm-unsafe-eval'; connect-src 'self' data:; \
         img-src 'self' data: blob:; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'",
    ),
    (
        "permissions-policy",
        "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), payment=(), serial=(), usb=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
];

/// Of every answer.
pub(crate) fn outward(headers: &mut HeaderMap, upgrade: Option<&HeaderValue>) {
    hop_by_hop(headers, upgrade);
    headers.remove(header::TE);
}

/// Further, of an answer of an agent's.
pub(crate) fn from_agent(headers: &mut HeaderMap, showing: Showing) {
    for name in WIDER {
        headers.remove(name);
    }
    let cookies: Vec<HeaderValue> = headers.get_all(header::SET_COOKIE).iter().cloned().collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies.iter().filter(|_| !showing.by_path) {
        if let Some(cookie) = own_cookie(cookie) {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    let mut policy = |text: &'static str| {
        headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(text));
    };
    if showing.by_path {
        policy(NOBODYS);
    }
    if showing.private {
        policy(NOT_FRAMED);
    }
    if showing.by_path || showing.runtime {
        for name in WHOLE_ADDRESS {
            headers.remove(name);
        }
    }
    if showing.runtime {
        for (name, text) in RUNTIMES {
            let (name, text) = (HeaderName::from_static(name), HeaderValue::from_static(text));
            if name == header::CONTENT_SECURITY_POLICY {
                // Each of several policies must allow a thing.
                headers.append(name, text);
            } else {
                headers.insert(name, text);
            }
        }
    }
}

/// A cookie for the agent's own address alone; none: it has a name of ours.
fn own_cookie(cookie: &HeaderValue) -> Option<HeaderValue> {
    let text = std::str::from_utf8(cookie.as_bytes()).ok()?;
    let mut parts = text.split(';');
    let pair = parts.next()?;
    if is_ours(pair.split('=').next().unwrap_or_default()) {
        return None;
    }
    let mut kept = pair.to_owned();
    for part in parts {
        let name = part.split('=').next().unwrap_or_default().trim();
        // Without it a cookie goes to the address that set it and to no neighbour.
        if !name.eq_ignore_ascii_case("domain") {
            kept.push(';');
            kept.push_str(part);
        }
    }
    HeaderValue::from_bytes(kept.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn about(host: &str) -> About<'_> {
        About {
            from: From {
                address: "2001:db8::7".parse().expect("an address"),
                port: 9,
                https: true,
            },
            host,
            upgrade: None,
        }
    }

    #[test]
    fn nobody_but_the_edge_says_whose_a_request_is() {
        let mut said = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-creel-user", "usr_root"),
            ("x_creel_user", "usr_root"),
            ("connection", "close, x-secret, host, cookie"),
            ("x-secret", "1"),
            ("cookie", "a=1"),
            ("te", "gzip, trailers"),
        ]);
        inward(&mut said, &about("scout.example:8443"));
        let get = |name: &str| said.get(name).map(|value| value.to_str().expect("text"));
        assert_eq!(get("x-forwarded-for"), Some("2001:db8::7"));
        assert_eq!(
            get("forwarded"),
            Some("for=\"[2001:db8::7]\";host=\"scout.example:8443\";proto=https")
        );
        assert_eq!(get("host"), Some("scout.example:8443"));
        assert_eq!((get("cookie"), get("te")), (Some("a=1"), Some("trailers")));
        for gone in [
            "x-real-ip",
            "x-creel-user",
            "x_creel_user",
            "x-secret",
            "connection",
        ] {
            assert_eq!(get(gone), None, "{gone}");
        }
    }

    #[test]
    fn an_upgrade_goes_on_unless_it_would_hide_requests() {
        let websocket = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
        assert_eq!(upgrade(&websocket), Some(HeaderValue::from_static("websocket")));
        assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), None);
        assert_eq!(
            upgrade(&headers(&[
                ("connection", "upgrade, http2-settings"),
                ("upgrade", "h2c")
            ])),
            None
        );
    }

    #[test]
    fn an_agents_answer_reaches_no_neighbour() {
        let answer = [
            ("set-cookie", "a=1; Domain=agents.example; Path=/; Secure"),
            ("set-cookie", "__Host-creel_access=stolen; Path=/"),
            ("set-cookie", "CREEL_session=x"),
            ("clear-site-data", "\"cookies\""),
            ("strict-transport-security", "max-age=1"),
        ];
        let mut own = headers(&answer);
        let showing = Showing {
            by_path: false,
            private: true,
            runtime: false,
        };
        from_agent(&mut own, showing);
        let cookies: Vec<_> = own.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; Path=/; Secure"]);
        assert_eq!(own.get("content-security-policy").expect("set"), NOT_FRAMED);
        assert!(!own.contains_key("clear-site-data") && !own.contains_key("strict-transport-security"));
        let mut by_path = headers(&answer);
        from_agent(
            &mut by_path,
            Showing {
                by_path: true,
                private: false,
                runtime: false,
            },
        );
        assert!(!by_path.contains_key("set-cookie"));
        assert_eq!(by_path.get("content-security-policy").expect("set"), NOBODYS);
    }

    #[test]
    fn an_agent_sees_no_secret_for_us() {
        let mut said = headers(&[
            ("authorization", "Bearer creel_1"),
            ("creel-authorization", "Bearer creel_1"),
            ("cookie", "creel_access=1; theme=dark"),
        ]);
        to_agent(&mut said, Some(header::AUTHORIZATION), Some("usr_1"));
        assert!(!said.contains_key("authorization") && !said.contains_key("creel-authorization"));
        assert_eq!(said.get("cookie").expect("kept"), "theme=dark");
        assert_eq!(said.get(USER).expect("set"), "usr_1");
    }
}
