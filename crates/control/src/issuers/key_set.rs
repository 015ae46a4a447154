//! The published keys of somebody else, kept for a while and looked up again when a token names a new one.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Header;
use reqwest::{Client, Url};
use tokio::{sync::Mutex, time::Instant};

use super::fetch;
use crate::jwt::{Key, keys};

/// Keys of one issuer; further ones are not read.
const KEYS: usize = 64;
/// What was fetched is good for so long.
const KEPT: Duration = Duration::from_secs(600);
/// However many tokens name unknown keys, the issuer is asked no more often than this.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// The same, where tokens come from the issuer itself.
const ASK_ISSUER_EVERY: Duration = Duration::from_secs(1);
/// Old keys serve so long while the issuer does not answer.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct KeySet {
    http: Client,
    ask_every: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Where the keys are, once that is known.
    url: Option<Url>,
    keys: Arc<[Key]>,
    fetched_at: Option<Instant>,
    asked_at: Option<Instant>,
}

/// Where to find out where the keys are.
pub(crate) enum Place<'a> {
    At(&'a str),
    /// In the issuer's own description.
    Discover(&'a str),
}

impl KeySet {
    pub(crate) fn new(http: Client) -> Self {
        Self {
            http,
            ask_every: ASK_EVERY,
            state: Mutex::default(),
        }
    }

    /// For tokens that the issuer itself hands over, not whoever likes: a new key is met at once.
    pub(crate) fn of_an_issuer_that_is_asked(http: Client) -> Self {
        Self {
            ask_every: ASK_ISSUER_EVERY,
            ..Self::new(http)
        }
    }

    /// The key that a token names; one that names none is read with the only key that there is.
    pub(crate) async fn find(&self, place: Place<'_>, header: &Header) -> Option<Key> {
        // One asks and the others wait, which takes no longer than a fetch may.
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let age = state.fetched_at.map(|at| now.duration_since(at));
        let found = find(&state.keys, header);
        if age.is_some_and(|age| age < KEPT) && found.is_some() {
            return found;
        }
        if state
            .asked_at
            .is_none_or(|at| now.duration_since(at) >= self.ask_every)
        {
            state.asked_at = Some(now);
            match self.fetch(&mut state, place).await {
                Ok(keys) => {
                    state.keys = keys.into();
                    state.fetched_at = Some(Instant::now());
                    return find(&state.keys, header);
                }
                Err(error) => tracing::warn!(%error, "the keys of an issuer cannot be fetched"),
            }
        }
        found.filter(|_| age.is_some_and(|age| age < STALE))
    }

    async fn fetch(&self, state: &mut State, place: Place<'_>) -> Result<Vec<Key>, fetch::Error> {
        let url = match (&state.url, place) {
            (Some(url), _) => url.clone(),
            (None, Place::At(text)) => fetch::address(text)?,
            (None, Place::Discover(issuer)) => {
                let description = description(&self.http, issuer).await?;
                let text = description["jwks_uri"].as_str().unwrap_or_default();
                fetch::address(text)?
            }
        };
        let set = fetch::get(&self.http, &url).await?;
        let host = || url.host_str().unwrap_or_default().to_owned();
        let keys = keys(&set, KEYS);
        if keys.is_empty() {
            return Err(fetch::Error::Content { host: host() });
        }
        state.url = Some(url);
        Ok(keys)
    }
}

/// What an issuer says of itself, which must be the issuer that was asked.
pub(crate) async fn description(http: &Client, issuer: &str) -> Result<serde_json::Value, fetch::Error> {
    let text = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let url = fetch::address(&text)?;
    let description = fetch::get(http, &url).await?;
    if description["issuer"].as_str() == Some(issuer) {
        Ok(description)
    } else {
        Err(fetch::Error::Content {
            host: url.host_str().unwrap_or_default().to_owned(),
        })
    }
}

fn find(keys: &[Key], header: &Header) -> Option<Key> {
    match &header.kid {
        Some(id) => keys.iter().find(|key| key.id.as_ref() == Some(id)).cloned(),
        None => match keys {
            [only] => Some(only.clone()),
            _ => None,
        },
    }
}
