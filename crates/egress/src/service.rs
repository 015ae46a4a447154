//! Answers one proxy request: where to, may it, and the refusal in words.

use std::{convert::Infallible, sync::Arc, time::Instant};

use bytes::Bytes;
use creel_domain::{AgentId, OrgId, SandboxId};
use creel_policy::{Decision, Destination, EgressPolicy, Rule};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};

use crate::record::{Decisions, Recorder};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Who asks, known from the socket that the request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub org: OrgId,
    pub agent: AgentId,
    pub sandbox: SandboxId,
}

/// The proxy of all sandboxes. Clones share everything.
#[derive(Clone)]
pub struct Egress {
    decisions: Arc<dyn Decisions>,
    recorder: Arc<Recorder>,
}

/// Whether a request is for the proxy: `CONNECT`, or a target in absolute form.
pub fn is_proxy_request<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT || request.uri().scheme().is_some()
}

impl Egress {
    pub fn new(decisions: Arc<dyn Decisions>) -> Self {
        Self {
            decisions,
            recorder: Arc::default(),
        }
    }

    /// Decides about one request and answers it. The body is never read.
    pub fn serve<B>(&self, caller: Caller, request: &Request<B>) -> Response<Body> {
        let to = match destination(request) {
            Ok(to) => to,
            Err(sentence) => {
                return answer(StatusCode::BAD_REQUEST, "egress_bad_request", None, &sentence);
            }
        };
        let decision = EgressPolicy::DenyAll.decide(&to);
        if let Some(decided) = self.recorder.note(Instant::now(), caller, to.clone(), decision) {
            self.decisions.record(decided);
        }
        match decision {
            Decision::Denied { rule } => {
                let sentence =
                    format!("this sandbox may not reach {to}: rule {rule} refuses whatever no rule allows");
                answer(StatusCode::FORBIDDEN, "egress_denied", Some(rule), &sentence)
            }
        }
    }
}

fn destination<B>(request: &Request<B>) -> Result<Destination, String> {
    let uri = request.uri();
    let (Some(authority), default_port) = (uri.authority(), default_port(uri.scheme_str())) else {
        return Err("this is an HTTP proxy: send CONNECT HOST:PORT or an absolute URL".to_owned());
    };
    // What stands before an `@` would be the user's name at the destination, not a place.
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    Destination::parse(place, default_port).map_err(|error| error.to_string())
}

fn default_port(scheme: Option<&str>) -> Option<u16> {
    match scheme {
        Some("http" | "ws") => Some(80),
        Some("https" | "wss") => Some(443),
        _ => None,
    }
}

fn answer(status: StatusCode, code: &str, rule: Option<Rule>, sentence: &str) -> Response<Body> {
    let escaped: String = sentence
        .chars()
        .flat_map(|c| match c {
            '"' | '\\' => vec!['\\', c],
            c if c.is_control() => vec![' '],
            c => vec![c],
        })
        .collect();
    let rule_field = rule
        .map(|rule| format!(r#","rule":"{rule}""#))
        .unwrap_or_default();
    let body = format!("{{\"code\":\"{code}\"{rule_field},\"message\":\"{escaped}\"}}\n");
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The body of the request was not read: this connection cannot carry another one.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(rule) = rule
        && let Ok(value) = HeaderValue::try_from(format!("denied; rule={rule}"))
    {
        headers.insert("creel-egress", value);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::Decided;

    #[derive(Default)]
    struct Kept(Mutex<Vec<Decided>>);

    impl Decisions for Kept {
        fn record(&self, decided: Decided) {
            self.0.lock().expect("not poisoned").push(decided);
        }
    }

    fn caller() -> Caller {
        let id = Default::default();
        Caller {
            org: OrgId::from_uuid(id),
            agent: AgentId::from_uuid(id),
            sandbox: SandboxId::from_uuid(id),
        }
    }

    async fn ask(
        method: &str,
        target: &str,
    ) -> (StatusCode, Option<String>, serde_json::Value, Vec<Decided>) {
        let kept = Arc::new(Kept::default());
        let egress = Egress::new(kept.clone());
        let request = Request::builder()
            .method(method)
            .uri(target)
            .body(())
            .expect("a request");
        let response = egress.serve(caller(), &request);
        let status = response.status();
        let header = response
            .headers()
            .get("creel-egress")
            .map(|value| value.to_str().expect("text").to_owned());
        let body = response
            .into_body()
            .collect()
            .await
            .expect("infallible")
            .to_bytes();
        let body = serde_json::from_slice(&body).expect("JSON");
        let decided = kept.0.lock().expect("not poisoned").clone();
        (status, header, body, decided)
    }

    #[tokio::test]
    async fn a_refusal_names_its_rule_and_is_recorded() {
        for (method, target, place) in [
            ("CONNECT", "example.org:443", "example.org:443"),
            ("GET", "http://Example.org/path?q=1", "example.org:80"),
            ("POST", "https://user:pass@[::1]/", "[::1]:443"),
        ] {
            let (status, header, body, decided) = ask(method, target).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{target}");
            assert_eq!(header.as_deref(), Some("denied; rule=default-deny"));
            assert_eq!(body["code"], "egress_denied");
            assert_eq!(body["rule"], "default-deny");
            assert_eq!(
                body["message"],
                format!(
                    "this sandbox may not reach {place}: rule default-deny refuses whatever no rule allows"
                )
            );
            assert_eq!(decided.len(), 1);
            assert_eq!(decided[0].to.to_string(), place);
        }
    }

    #[tokio::test]
    async fn what_names_no_place_is_a_bad_request_and_not_recorded() {
        for (method, target) in [
            ("CONNECT", "example.org"),
            ("CONNECT", "127.1:80"),
            ("GET", "/path"),
        ] {
            let (status, header, body, decided) = ask(method, target).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{target}");
            assert_eq!(header, None);
            assert_eq!(body["code"], "egress_bad_request");
            assert!(decided.is_empty());
        }
    }

    #[test]
    fn model_calls_are_told_from_proxy_requests() {
        let request = |method: &str, target: &str| {
            Request::builder()
                .method(method)
                .uri(target)
                .body(())
                .expect("a request")
        };
        assert!(is_proxy_request(&request("CONNECT", "a.example:443")));
        assert!(is_proxy_request(&request("GET", "http://a.example/")));
        assert!(!is_proxy_request(&request("POST", "/v1/chat/completions")));
    }
}
