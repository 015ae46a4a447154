//! Signing in at somebody else's: what a sign-in provider is asked, and what of its answer is believed.
//!
//! ```text
//! browser ── begin ──▶ us:   state, nonce and PKCE verifier come of a secret in the browser's cookie
//!    └─────────────▶ provider: who are you? do you agree?
//! browser ── callback ─▶ us: same browser, same state, once
//!                       us ──▶ provider: code and verifier for an ID token (or GitHub's API)
//! ```
//!
//! Nothing here decides who somebody is to us: that is `operations::people::sso`.

mod description;
mod github;
mod oidc;
mod secrets;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use creel_domain::{SsoKind, SsoProviderId};
use creel_store::{MAX_SSO_PROVIDERS, NewIdentity, StoredSsoProvider};
use jiff::Timestamp;
use reqwest::{Client, Url};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    issuers::{fetch, key_set::KeySet},
    jwt,
};
use description::Description;
pub(crate) use secrets::Secrets;

/// What a provider says of itself is good for so long.
const KEPT: Duration = Duration::from_secs(600);
/// And serves so long while it cannot be asked again.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// A provider that did not answer is not asked again for so long: whoever waits would wait in line.
const FAILED_FOR: Duration = Duration::from_secs(2);
/// The longest code that is passed on, in bytes.
pub(crate) const CODE_BYTES: usize = 4096;

/// Why somebody is not believed to be who they say. For the log; the page has words of its own.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Fetch(Arc<fetch::Error>),
    #[error("{0}")]
    Unfit(#[from] description::Unfit),
    #[error("the ID token is not believed: {0}")]
    Token(#[from] jwt::Refused),
    #[error("{0}")]
    Untrue(&'static str),
}

impl From<fetch::Error> for Error {
    fn from(error: fetch::Error) -> Self {
        Self::Fetch(Arc::new(error))
    }
}

impl Error {
    /// Whether it might go well in a moment, or when an operator looks after it.
    pub(crate) fn is_out_of_reach(&self) -> bool {
        match self {
            Self::Fetch(error) => !matches!(**error, fetch::Error::Refused { .. }),
            Self::Unfit(_) => true,
            Self::Token(_) | Self::Untrue(_) => false,
        }
    }
}

/// A provider with what is needed to speak to it.
pub(crate) struct Provider {
    pub(crate) stored: StoredSsoProvider,
    pub(crate) client_secret: Option<Zeroizing<String>>,
    /// Where it sends people back to.
    pub(crate) callback: String,
}

/// With what the browser came back.
pub(crate) struct Returned<'a> {
    pub(crate) code: &'a str,
    /// Who says that it sent them.
    pub(crate) issuer: Option<&'a str>,
}

/// What is known of the providers, and the way to ask them.
pub(crate) struct Sso {
    http: Client,
    known: Mutex<HashMap<SsoProviderId, Arc<Slot>>>,
}

/// One asks and the others wait for its answer.
#[derive(Default)]
struct Slot(tokio::sync::Mutex<Known>);

#[derive(Default)]
struct Known {
    issuer: Option<(Arc<Issuer>, Instant)>,
    failed: Option<(Error, Instant)>,
}

/// An issuer of OpenID Connect.
struct Issuer {
    description: Description,
    keys: Arc<KeySet>,
}

impl Sso {
    pub(crate) fn new(http: &Client) -> Self {
        Self {
            http: http.clone(),
            known: Mutex::default(),
        }
    }

    /// Asks an issuer for its description: what is found, in words.
    pub(crate) async fn look(&self, kind: SsoKind, issuer: &str, secret: bool) -> Result<String, Error> {
        match kind {
            SsoKind::Github => {
                let places = github::Places::of(issuer)?;
                Ok(format!("People are sent to {}.", host(&places.authorization)))
            }
            SsoKind::Oidc => {
                let description = Description::fetch(&self.http, issuer, secret).await?;
                Ok(description.told())
            }
        }
    }

    /// Asks a provider as a sign-in would, without anybody signing in.
    pub(crate) async fn test(&self, provider: &StoredSsoProvider) -> Result<String, Error> {
        match provider.kind {
            SsoKind::Github => github::reach(&self.http, &provider.issuer).await,
            SsoKind::Oidc => {
                let secret = provider.has_client_secret;
                let description = Description::fetch(&self.http, &provider.issuer, secret).await?;
                fetch::get(&self.http, &description.keys).await?;
                Ok(description.told())
            }
        }
    }

    /// The address at which somebody shows who they are.
    pub(crate) async fn begin(
        &self,
        provider: &Provider,
        state: &str,
        secrets: &Secrets,
    ) -> Result<Url, Error> {
        let stored = &provider.stored;
        let (mut url, scope) = match stored.kind {
            SsoKind::Github => (github::Places::of(&stored.issuer)?.authorization, github::SCOPE),
            SsoKind::Oidc => {
                let issuer = self.issuer(stored).await?;
                (issuer.description.authorization.clone(), oidc::SCOPE)
            }
        };
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &stored.client_id)
            .append_pair("redirect_uri", &provider.callback)
            .append_pair("scope", scope)
            .append_pair("state", state)
            .append_pair("code_challenge", &secrets.challenge())
            .append_pair("code_challenge_method", "S256");
        if stored.kind == SsoKind::Oidc {
            url.query_pairs_mut().append_pair("nonce", &secrets.nonce);
        }
        Ok(url)
    }

    /// Who it is that came back, by the provider's word.
    pub(crate) async fn finish(
        &self,
        provider: &Provider,
        returned: &Returned<'_>,
        secrets: &Secrets,
        now: Timestamp,
    ) -> Result<NewIdentity, Error> {
        match provider.stored.kind {
            SsoKind::Github => github::finish(&self.http, provider, returned, secrets).await,
            SsoKind::Oidc => {
                let issuer = self.issuer(&provider.stored).await?;
                oidc::finish(&self.http, &issuer, provider, returned, secrets, now).await
            }
        }
    }

    fn slot(&self, id: SsoProviderId) -> Arc<Slot> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Providers that were removed are forgotten with all others, now and then.
        let most = usize::try_from(2 * MAX_SSO_PROVIDERS).unwrap_or(usize::MAX);
        if known.len() >= most && !known.contains_key(&id) {
            known.clear();
        }
        Arc::clone(known.entry(id).or_default())
    }

    async fn issuer(&self, provider: &StoredSsoProvider) -> Result<Arc<Issuer>, Error> {
        let slot = self.slot(provider.id);
        let mut known = slot.0.lock().await;
        let now = Instant::now();
        let age = |at: &Instant| now.duration_since(*at);
        if let Some((issuer, at)) = &known.issuer
            && age(at) < KEPT
        {
            return Ok(Arc::clone(issuer));
        }
        let old = known.issuer.clone().filter(|(_, at)| age(at) < STALE);
        if let Some((error, at)) = &known.failed
            && age(at) < FAILED_FOR
        {
            return old.map(|(issuer, _)| issuer).ok_or_else(|| error.clone());
        }
        let secret = provider.has_client_secret;
        match Description::fetch(&self.http, &provider.issuer, secret).await {
            Ok(description) => {
                let same = known
                    .issuer
                    .as_ref()
                    .filter(|(issuer, _)| issuer.description.keys == description.keys);
                let keys = match same {
                    Some((issuer, _)) => Arc::clone(&issuer.keys),
                    None => Arc::new(KeySet::of_an_issuer_that_is_asked(self.http.clone())),
                };
                let issuer = Arc::new(Issuer { description, keys });
                *known = Known {
                    issuer: Some((Arc::clone(&issuer), Instant::now())),
                    failed: None,
                };
                Ok(issuer)
            }
            Err(error) => {
                tracing::warn!(%error, provider = %provider.name, "a sign-in provider cannot be asked");
                known.failed = Some((error.clone(), Instant::now()));
                old.map(|(issuer, _)| issuer).ok_or(error)
            }
        }
    }
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

/// An answer of one provider must not be taken to another (RFC 9207).
fn came_from(expected: &[&str], promised: bool, returned: Option<&str>) -> Result<(), Error> {
    match returned {
        Some(issuer) if expected.contains(&issuer) => Ok(()),
        Some(_) => Err(Error::Untrue("another issuer sent the browser back")),
        None if promised => Err(Error::Untrue(
            "the issuer promised to say that it is the one, and did not",
        )),
        None => Ok(()),
    }
}
