//! OpenID Connect: the code for an ID token, and what of it is believed.

use creel_domain::Email;
use creel_store::{NewIdentity, SSO_ATTEMPT_FOR};
use jiff::Timestamp;
use reqwest::Client;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::{Error, Issuer, Provider, Returned, Secrets, came_from};
use crate::{
    issuers::{fetch, identity, key_set::Place},
    jwt::{self, Claims, Expected, LEEWAY_SECONDS},
};

pub(super) const SCOPE: &str = "openid email profile";
/// Google's own name as an issuer.
const GOOGLE: &str = "https://accounts.google.com";

pub(super) async fn finish(
    http: &Client,
    issuer: &Issuer,
    provider: &Provider,
    returned: &Returned<'_>,
    secrets: &Secrets,
    now: Timestamp,
) -> Result<NewIdentity, Error> {
    let (stored, described) = (&provider.stored, &issuer.description);
    came_from(&[&stored.issuer], described.promises_issuer, returned.issuer)?;
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", returned.code),
        ("redirect_uri", provider.callback.as_str()),
        ("code_verifier", secrets.verifier.as_str()),
    ];
    let id = stored.client_id.as_str();
    let secret = provider.client_secret.as_deref().map(String::as_str);
    let basic = secret.filter(|_| described.basic).map(|secret| (id, secret));
    if basic.is_none() {
        form.push(("client_id", id));
        form.extend(secret.map(|secret| ("client_secret", secret)));
    }
    let answer = fetch::post(http, &described.token, &form, basic).await?;
    let token = answer["id_token"]
        .as_str()
        .ok_or(Error::Untrue("there is no ID token in the answer"))?;
    let mut claims = believe(issuer, provider, token, &secrets.nonce, now).await?;
    if claims.text("email").is_none()
        && let (Some(url), Some(access)) = (&described.userinfo, answer["access_token"].as_str())
    {
        let told = fetch::get_with(http, url, access, "application/json").await?;
        add(&mut claims, &told)?;
    }
    let mut found = identity(&stored.issuer, &claims);
    found.email = found
        .email
        .filter(|email| is_its_to_say(&stored.issuer, &claims, email));
    Ok(found)
}

async fn believe(
    issuer: &Issuer,
    provider: &Provider,
    token: &str,
    nonce: &str,
    now: Timestamp,
) -> Result<Claims, Error> {
    let header = jwt::header(token)?;
    let place = Place::At(issuer.description.keys.as_str());
    let key = issuer.keys.find(place, &header).await;
    let key = key.ok_or(Error::Untrue("no key that is published signed the ID token"))?;
    let expected = Expected {
        issuer: &provider.stored.issuer,
        audience: &provider.stored.client_id,
        kind: None,
    };
    let claims = key.read(token, expected, now)?;
    is_for_us(&claims, &provider.stored.client_id, nonce, now)?;
    Ok(claims)
}

/// What an ID token has to say beyond any JWT.
fn is_for_us(claims: &Claims, client: &str, nonce: &str, now: Timestamp) -> Result<(), Error> {
    let said = claims.text("nonce").unwrap_or_default();
    if !bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) {
        return Err(Error::Untrue("the ID token is of another sign-in"));
    }
    let many = matches!(claims.all.get("aud"), Some(Value::Array(all)) if all.len() > 1);
    let authorized = match claims.all.get("azp") {
        None => !many,
        Some(party) => party.as_str() == Some(client),
    };
    if !authorized {
        return Err(Error::Untrue("the ID token was made for another client"));
    }
    let made = claims.all.get("iat").and_then(Value::as_f64);
    let made = made.ok_or(jwt::Refused::Missing)?;
    let oldest = now.as_second() - SSO_ATTEMPT_FOR.as_secs() - LEEWAY_SECONDS;
    #[expect(clippy::cast_precision_loss, reason = "seconds are far below where it begins")]
    if made < oldest as f64 {
        return Err(jwt::Refused::Expired.into());
    }
    Ok(())
}

/// What is said beside the token counts where it is about the same person, and adds what the token leaves out.
fn add(claims: &mut Claims, told: &Value) -> Result<(), Error> {
    if told["sub"].as_str() != Some(&claims.subject) {
        return Err(Error::Untrue(
            "what is said beside the ID token is about somebody else",
        ));
    }
    for name in ["email", "email_verified", "name", "preferred_username"] {
        // Whether an address is verified is said where the address is.
        let replaces = name == "email_verified";
        if let Some(value) = told.get(name)
            && (replaces || !claims.all.contains_key(name))
        {
            claims.all.insert(name.to_owned(), value.clone());
        }
    }
    Ok(())
}

/// Google verifies an address of another domain once and for ever, unless it is that domain's mail itself.
fn is_its_to_say(issuer: &str, claims: &Claims, email: &Email) -> bool {
    issuer != GOOGLE
        || matches!(email.domain(), "gmail.com" | "googlemail.com")
        || claims.text("hd").is_some_and(|domain| !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).expect("in range")
    }

    fn claims(all: Value) -> Claims {
        Claims {
            subject: "ada".to_owned(),
            expires_at: now(),
            all: all.as_object().expect("an object").clone(),
        }
    }

    #[test]
    fn an_id_token_is_for_one_client_and_one_sign_in() {
        let check = |all: Value| is_for_us(&claims(all), "us", "n", now()).is_ok();
        for (good, all) in [
            (true, json!({"aud": "us", "nonce": "n", "iat": 1_800_000_000})),
            (
                true,
                json!({"aud": ["us"], "nonce": "n", "iat": 1_799_999_400, "azp": "us"}),
            ),
            (
                true,
                json!({"aud": ["us", "them"], "nonce": "n", "iat": 1_800_000_000, "azp": "us"}),
            ),
            (
                false,
                json!({"aud": ["us", "them"], "nonce": "n", "iat": 1_800_000_000}),
            ),
            (
                false,
                json!({"aud": ["us", "them"], "nonce": "n", "iat": 1_800_000_000, "azp": "them"}),
            ),
            (
                false,
                json!({"aud": "us", "nonce": "n", "iat": 1_800_000_000, "azp": "them"}),
            ),
            (
                false,
                json!({"aud": "us", "nonce": "n", "iat": 1_800_000_000, "azp": 7}),
            ),
            (false, json!({"aud": "us", "nonce": "m", "iat": 1_800_000_000})),
            (false, json!({"aud": "us", "nonce": "", "iat": 1_800_000_000})),
            (false, json!({"aud": "us", "iat": 1_800_000_000})),
            (false, json!({"aud": "us", "nonce": "n"})),
            (false, json!({"aud": "us", "nonce": "n", "iat": 1_799_999_369})),
        ] {
            assert_eq!(check(all.clone()), good, "{all}");
        }
    }

    #[test]
    fn an_address_is_believed_of_whoever_gives_it_out() {
        let say = |issuer: &str, hd: Option<&str>, email: &str| {
            let email = email.parse().expect("an address");
            is_its_to_say(issuer, &claims(json!({ "hd": hd })), &email)
        };
        assert!(say("https://issuer.test", None, "ada@example.com"));
        assert!(say(GOOGLE, None, "ada@gmail.com"));
        assert!(say(GOOGLE, Some("example.com"), "ada@example.com"));
        assert!(!say(GOOGLE, None, "ada@example.com"));
    }

    #[test]
    fn what_is_said_beside_the_token_is_about_the_same_person() {
        let told = json!({"sub": "ada", "email": "ada@example.com", "email_verified": true, "iss": "other"});
        let mut known = claims(json!({"email_verified": false, "name": "Ada"}));
        add(&mut known, &told).expect("the same");
        assert_eq!(known.text("email"), Some("ada@example.com"));
        assert!(known.truth("email_verified") && known.text("iss").is_none());
        add(&mut known, &json!({"sub": "bob"})).expect_err("another");
        add(&mut known, &json!({})).expect_err("nobody");
    }
}
