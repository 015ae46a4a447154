//! JWTs that others made and that are accepted by configuration: whom they speak for, and with which keys they are
//! read.

pub(crate) mod fetch;
pub(crate) mod key_set;

use creel_domain::{Email, MemberRole, OrgId};
use creel_store::{Met, NewIdentity};
use jsonwebtoken::Header;
use zeroize::Zeroizing;

use crate::{
    Control,
    http::failure::{Answer, Failure},
    jwt::{Claims, Expected, Key},
    operations::{access_tokens::Granted, tokens::NAME_CHARS},
};
use key_set::{KeySet, Place};

/// An issuer whose JWTs are accepted.
#[derive(Clone)]
pub struct JwtIssuer {
    pub issuer: String,
    pub audience: String,
    pub keys: IssuerKeys,
    /// What somebody becomes in the first org who is not known yet; none: nobody new is let in.
    pub newcomers: Option<MemberRole>,
}

/// How an issuer's tokens are signed. Never both: a public key must not pass for a shared secret.
#[derive(Clone)]
pub enum IssuerKeys {
    /// With keys that the issuer's own description leads to.
    Discover,
    /// With keys published at this address.
    At(String),
    /// With a shared secret, HS256.
    Secret(Zeroizing<Vec<u8>>),
}

/// The shortest shared secret, in bytes: as many as the hash has.
pub const SHARED_SECRET_BYTES: usize = 32;

/// All that are accepted.
pub(crate) struct Issuers {
    all: Vec<Accepted>,
    /// To which newcomers are let in.
    org: OrgId,
}

struct Accepted {
    issuer: JwtIssuer,
    published: KeySet,
}

impl Issuers {
    pub(crate) fn new(issuers: Vec<JwtIssuer>, org: OrgId, http: &reqwest::Client) -> Self {
        let accepted = |issuer| Accepted {
            issuer,
            published: KeySet::new(http.clone()),
        };
        Self {
            all: issuers.into_iter().map(accepted).collect(),
            org,
        }
    }

    /// What a token of one of them grants; none when it is not theirs, or not believed.
    pub(crate) async fn read(
        &self,
        control: &Control,
        token: &str,
        header: &Header,
        claimed: &str,
    ) -> Answer<Option<Granted>> {
        let theirs = self
            .all
            .iter()
            .filter(|accepted| accepted.issuer.issuer == claimed);
        for Accepted { issuer, published } in theirs {
            let key = match &issuer.keys {
                IssuerKeys::Secret(secret) => Some(Key::secret(secret)),
                IssuerKeys::At(url) => published.find(Place::At(url), header).await,
                IssuerKeys::Discover => published.find(Place::Discover(&issuer.issuer), header).await,
            };
            let expected = Expected {
                issuer: &issuer.issuer,
                audience: &issuer.audience,
                kind: None,
            };
            let Some(key) = key else { continue };
            match key.read(token, expected, control.clock.now()) {
                Ok(claims) => return self.who(control, issuer, claims).await,
                Err(refused) => tracing::debug!(issuer = issuer.issuer, %refused, "a token was not believed"),
            }
        }
        Ok(None)
    }

    async fn who(&self, control: &Control, issuer: &JwtIssuer, claims: Claims) -> Answer<Option<Granted>> {
        let platform = control.store.platform();
        let known = platform
            .by_identity(issuer.issuer.clone(), claims.subject.clone())
            .await?;
        let user = match known {
            Some(user) => user,
            None => {
                let new = identity(&issuer.issuer, &claims);
                match platform
                    .meet(new, issuer.newcomers.map(|role| (self.org, role)))
                    .await?
                {
                    Met::Known(user) | Met::New(user) => user,
                    Met::Stranger => {
                        return Err(Failure::new(
                            creel_api::ErrorCode::Unauthenticated,
                            "The token is good, but nobody here is known by it: ask an operator to let you in.",
                        ));
                    }
                }
            }
        };
        Ok(Some(Granted {
            org: self.org,
            user,
            scopes: None,
            token: None,
            expires_at: claims.expires_at,
        }))
    }
}

/// Who claims say that somebody is. An address that nobody verified is none.
pub(crate) fn identity(issuer: &str, claims: &Claims) -> NewIdentity {
    let email: Option<Email> = claims
        .text("email")
        .filter(|_| claims.truth("email_verified"))
        .and_then(|email| email.parse().ok());
    let name = ["name", "preferred_username"]
        .into_iter()
        .find_map(|name| claims.text(name));
    let name = name
        .or_else(|| email.as_ref().map(Email::local))
        .unwrap_or(&claims.subject);
    let name: String = name
        .chars()
        .filter(|letter| !letter.is_control())
        .take(NAME_CHARS)
        .collect();
    NewIdentity {
        issuer: issuer.to_owned(),
        subject: claims.subject.clone(),
        name: if name.trim().is_empty() {
            "somebody".to_owned()
        } else {
            name
        },
        email,
    }
}
