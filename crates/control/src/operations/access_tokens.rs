//! Access tokens: JWTs of ten minutes, made from an API token or a session, and read back.
//!
//! A signature says what was granted; whether it still holds is looked up at each use, as with every credential: the
//! membership, the role's scopes, and the API token that it was made from. Only a session that has ended since is
//! not noticed before the ten minutes are over.

use std::collections::BTreeSet;

use creel_api::{AccessToken, ErrorCode, TokenType};
use creel_domain::{OrgId, Scope, TokenId, UserId};
use jiff::Timestamp;
use serde::Serialize;

use super::{devices::spaced, sign_in::Credential, tokens::given_scopes};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    jwt::{Claims, Expected, claimed_issuer, header},
    signing,
};

const SECONDS: i64 = 600;
/// Who made them, whatever our address is by now; no other issuer is called so, for theirs are addresses.
const ISSUER: &str = "creel";
/// For whom they are: this API.
const AUDIENCE: &str = "creel";

/// What a JWT grants, believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
    /// None: all that the user may do.
    pub(crate) scopes: Option<BTreeSet<Scope>>,
    /// It ends with this one.
    pub(crate) token: Option<TokenId>,
    pub(crate) expires_at: Timestamp,
}

#[derive(Serialize)]
struct Ours<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: String,
    org: String,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    scopes: Option<BTreeSet<Scope>>,
) -> Answer<AccessToken> {
    let token = match &caller.credential {
        Credential::Token { id, .. } => Some(id.to_string()),
        Credential::Session(_) => None,
        Credential::Jwt(_) => {
            return Err(Failure::new(
                ErrorCode::Forbidden,
                "A JWT cannot be exchanged for another: use an API token or a session.",
            ));
        }
    };
    let scopes = match given_scopes(caller, scopes)? {
        Some(scopes) => scopes,
        None => {
            let mut all = caller.scopes.clone();
            all.remove(&Scope::TokensWrite);
            all
        }
    };
    let scope = spaced(&scopes);
    let now = control.clock.now().as_second();
    let claims = Ours {
        iss: ISSUER,
        aud: AUDIENCE,
        sub: caller.user.to_string(),
        org: caller.org.to_string(),
        scope: &scope,
        token,
        iat: now,
        nbf: now,
        exp: now + SECONDS,
        jti: creel_daemon::mint::<uuid::Uuid>(&*control.clock)
            .simple()
            .to_string(),
    };
    Ok(AccessToken {
        access_token: control.signing.sign(control, &claims).await?,
        token_type: TokenType::Bearer,
        expires_in: SECONDS.unsigned_abs(),
        scope,
    })
}

/// Whether a bearer's secret has the form of a JWT.
pub(crate) fn is_jwt(secret: &str) -> bool {
    secret.starts_with("eyJ") && secret.bytes().filter(|byte| *byte == b'.').count() == 2
}

/// What a JWT grants, ours or that of an issuer that is accepted; none when it is not believed.
pub(crate) async fn read(control: &Control, token: &str) -> Answer<Option<Granted>> {
    let Ok(header) = header(token) else {
        return Ok(None);
    };
    match claimed_issuer(token).as_deref() {
        Some(ISSUER) => {}
        Some(issuer) => return control.issuers.read(control, token, &header, issuer).await,
        None => return Ok(None),
    }
    let Some(id) = header.kid.as_deref() else {
        return Ok(None);
    };
    let Some(key) = control.signing.key(control, id).await? else {
        return Ok(None);
    };
    let expected = Expected {
        issuer: ISSUER,
        audience: AUDIENCE,
        kind: Some(signing::KIND),
    };
    match key.read(token, expected, control.clock.now()) {
        Ok(claims) => Ok(granted(&claims)),
        Err(refused) => {
            tracing::debug!(%refused, "an access token was not believed");
            Ok(None)
        }
    }
}

fn granted(claims: &Claims) -> Option<Granted> {
    // A scope of another version is not one that we could grant.
    let scopes = claims
        .text("scope")?
        .split(' ')
        .filter_map(|scope| scope.parse().ok());
    Some(Granted {
        org: claims.text("org")?.parse().ok()?,
        user: claims.subject.parse().ok()?,
        scopes: Some(scopes.collect()),
        token: match claims.text("token") {
            Some(token) => Some(token.parse().ok()?),
            None => None,
        },
        expires_at: claims.expires_at,
    })
}
