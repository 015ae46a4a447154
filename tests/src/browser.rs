//! A browser, as far as sign-in needs one: it follows redirects and keeps each site's cookies.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use reqwest::{
    Client, Method, RequestBuilder, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header, redirect,
};

/// No sign-in takes more.
const REDIRECTS: usize = 20;

pub struct Browser {
    http: Client,
    /// Addresses that begin so are shown, not opened.
    stops_at: Option<String>,
    jars: HashMap<String, BTreeMap<String, String>>,
}

/// What the browser shows in the end.
#[derive(Debug, Clone)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub text: String,
}

impl Page {
    /// The address in the first `attribute="…"` that begins a form or a link whose text has `part`.
    pub fn address(&self, attribute: &str, part: &str) -> Url {
        let found = self
            .text
            .split(&format!("{attribute}=\""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .find(|address| address.contains(part));
        let address = found.unwrap_or_else(|| panic!("no {attribute} with {part} in {}", self.text));
        self.url.join(address).expect("an address")
    }
}

fn site(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// As browsers do it: every name below `localhost` is this host.
struct Here;

impl Resolve for Here {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = match name.as_str() {
                name if name.ends_with(".localhost") => "127.0.0.1",
                name => name,
            };
            let found: Vec<_> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Default for Browser {
    fn default() -> Self {
        let mut headers = header::HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            header::HeaderValue::from_static("text/html,*/*;q=0.8"),
        );
        let http = Client::builder()
            .redirect(redirect::Policy::none())
            .default_headers(headers)
            .dns_resolver(Arc::new(Here))
            .build();
        Self {
            http: http.expect("a client"),
            stops_at: None,
            jars: HashMap::new(),
        }
    }
}

impl Browser {
    /// One that is sent to such an address and does not open it by itself.
    pub fn that_stops_at(prefix: &str) -> Self {
        Self {
            stops_at: Some(prefix.to_owned()),
            ..Self::default()
        }
    }

    pub async fn open(&mut self, url: &str) -> Page {
        let url = Url::parse(url).expect("an address");
        let request = self.http.get(url.clone());
        self.follow(url, request).await
    }

    /// Submits a form of a page.
    pub async fn submit(&mut self, url: Url, form: &str) -> Page {
        let request = self
            .http
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned());
        self.follow(url, request).await
    }

    /// What a page of Creel asks the API.
    pub async fn ask(
        &mut self,
        method: Method,
        url: &str,
        body: &serde_json::Value,
    ) -> (StatusCode, serde_json::Value) {
        let url = Url::parse(url).expect("an address");
        let request = self
            .http
            .request(method, url.clone())
            .header("sec-fetch-site", "same-origin")
            .json(body);
        let (status, _, text) = self.send(&url, request).await;
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn follow(&mut self, mut url: Url, mut request: RequestBuilder) -> Page {
        for _ in 0..REDIRECTS {
            let (status, location, text) = self.send(&url, request).await;
            match location {
                Some(location) => url = url.join(&location).expect("an address"),
                None => return Page { url, status, text },
            }
            let stops = self.stops_at.as_deref();
            if stops.is_some_and(|stops| url.as_str().starts_with(stops)) {
                return Page { url, status, text };
            }
            request = self.http.get(url.clone());
        }
        panic!("it goes round and round at {url}");
    }

    async fn send(&mut self, url: &Url, request: RequestBuilder) -> (StatusCode, Option<String>, String) {
        let jar = self.jars.entry(site(url)).or_default();
        let cookies: Vec<_> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = match cookies.is_empty() {
            true => request,
            false => request.header(header::COOKIE, cookies.join("; ")),
        };
        let answer = request.send().await.expect("an answer");
        for cookie in answer.headers().get_all(header::SET_COOKIE) {
            let text = cookie.to_str().expect("text");
            let (pair, attributes) = text.split_once(';').unwrap_or((text, ""));
            let (name, value) = pair.split_once('=').expect("a value");
            if value.is_empty() || attributes.to_ascii_lowercase().contains("max-age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get(header::LOCATION);
        let location = location.map(|value| value.to_str().expect("text").to_owned());
        let status = answer.status();
        let location = location.filter(|_| status.is_redirection());
        (status, location, answer.text().await.expect("text"))
    }
}
