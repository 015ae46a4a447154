//! JWTs that others made and that are accepted by configuration: whom they speak for, and with which keys they are
//! read.

pub(crate) mod fetch;
pub(crate) mod key_set;

use creel_domain::{Email, MemberRole, OrgId};
use creel_store::{Met, NewIdentity, Newcomers};
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

    /// To which newcomers are let in.
    pub(crate) fn org(&self) -> OrgId {
        self.org
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
                let newcomers = match issuer.newcomers {
                    Some(role) => Newcomers::Join(self.org, role),
                    None => Newcomers::Nobody,
                };
                match platform.meet(new, newcomers).await? {
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
    let names = ["name", "preferred_username"].map(|name| claims.text(name));
    NewIdentity {
        issuer: issuer.to_owned(),
        subject: claims.subject.clone(),
        name: called(names, email.as_ref(), &claims.subject),
        email,
    }
}

/// What somebody is called here: the first name that can be read, or else what there is.
pub(crate) fn called(names: [Option<&str>; 2], email: Option<&Email>, subject: &str) -> String {
    let readable = |name: &str| {
        let letters = name.chars().filter(|letter| !letter.is_control());
        let name: String = letters.take(NAME_CHARS).collect();
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    };
    let all = names.into_iter().flatten();
    all.chain(email.map(Email::local))
        .chain([subject])
        .find_map(readable)
        .unwrap_or_else(|| "somebody".to_owned())
}
