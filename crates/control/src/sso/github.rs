//! GitHub: OAuth without an ID token; its API says who somebody is. The number of an account is the identity, for
//! names change hands.

use creel_domain::Email;
use creel_store::NewIdentity;
use reqwest::{Client, Url};
use serde_json::Value;

use super::{Error, Provider, Returned, Secrets, came_from, description::Unfit, host};
use crate::issuers::{called, fetch};

pub(super) const SCOPE: &str = "read:user user:email";
const GITHUB: &str = "https://github.com";
const ACCEPT: &str = "application/vnd.github+json";

/// Where a GitHub is asked what.
pub(super) struct Places {
    pub(super) authorization: Url,
    token: Url,
    user: Url,
    emails: Url,
    root: Url,
}

impl Places {
    pub(super) fn of(base: &str) -> Result<Self, Error> {
        let base = base.trim_end_matches('/');
        let unfit = || Unfit::Issuer(base.chars().filter(|c| !c.is_control()).take(200).collect());
        let bare = fetch::address(base).map_err(|_| unfit())?;
        if bare.query().is_some() || bare.fragment().is_some() {
            return Err(unfit().into());
        }
        let api = match base {
            GITHUB => "https://api.github.com".to_owned(),
            own => format!("{own}/api/v3"),
        };
        Ok(Self {
            authorization: fetch::address(&format!("{base}/login/oauth/authorize"))?,
            token: fetch::address(&format!("{base}/login/oauth/access_token"))?,
            user: fetch::address(&format!("{api}/user"))?,
            emails: fetch::address(&format!("{api}/user/emails?per_page=100"))?,
            root: fetch::address(&format!("{api}/"))?,
        })
    }
}

/// Whether it answers at all.
pub(super) async fn reach(http: &Client, base: &str) -> Result<String, Error> {
    let places = Places::of(base)?;
    match fetch::get(http, &places.root).await {
        // A server that says nothing to strangers is there all the same.
        Ok(_)
        | Err(fetch::Error::Status {
            status: 401 | 403, ..
        }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(format!(
        "It answers; people are sent to {}.",
        host(&places.authorization)
    ))
}

pub(super) async fn finish(
    http: &Client,
    provider: &Provider,
    returned: &Returned<'_>,
    secrets: &Secrets,
) -> Result<NewIdentity, Error> {
    let base = provider.stored.issuer.as_str();
    let places = Places::of(base)?;
    let own = format!("{base}/login/oauth");
    came_from(&[base, &own], false, returned.issuer)?;
    let mut form = vec![
        ("client_id", provider.stored.client_id.as_str()),
        ("code", returned.code),
        ("redirect_uri", provider.callback.as_str()),
        ("code_verifier", secrets.verifier.as_str()),
    ];
    let secret = provider.client_secret.as_deref().map(String::as_str);
    form.extend(secret.map(|secret| ("client_secret", secret)));
    let answer = fetch::post(http, &places.token, &form, None).await?;
    // It says no with status 200.
    if let Some(error) = answer["error"].as_str() {
        let (host, error) = (host(&places.token).to_owned(), fetch::word(error));
        return Err(fetch::Error::Refused { host, error }.into());
    }
    let token = answer["access_token"]
        .as_str()
        .ok_or(Error::Untrue("there is no access token in the answer"))?;
    let user = fetch::get_with(http, &places.user, token, ACCEPT).await?;
    let emails = match fetch::get_with(http, &places.emails, token, ACCEPT).await {
        Ok(emails) => emails,
        // Whoever did not grant it has no address, and may still be known.
        Err(fetch::Error::Status {
            status: 403 | 404, ..
        }) => Value::Null,
        Err(error) => return Err(error.into()),
    };
    read(base, &user, &emails)
}

fn read(issuer: &str, user: &Value, emails: &Value) -> Result<NewIdentity, Error> {
    let number = user["id"].as_u64().filter(|number| *number > 0);
    let subject = number
        .ok_or(Error::Untrue("it does not say who it is"))?
        .to_string();
    let email: Option<Email> = emails
        .as_array()
        .into_iter()
        .flatten()
        .find(|email| email["primary"] == Value::Bool(true) && email["verified"] == Value::Bool(true))
        .and_then(|email| email["email"].as_str()?.parse().ok());
    let names = [user["name"].as_str(), user["login"].as_str()];
    Ok(NewIdentity {
        issuer: issuer.to_owned(),
        name: called(names, email.as_ref(), &subject),
        subject,
        email,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn enterprise_has_its_api_below_its_own_address() {
        let places = Places::of("https://git.example.com/").expect("good");
        assert_eq!(places.user.as_str(), "https://git.example.com/api/v3/user");
        let places = Places::of(GITHUB).expect("good");
        assert_eq!(places.user.as_str(), "https://api.github.com/user");
        assert_eq!(
            places.authorization.as_str(),
            "https://github.com/login/oauth/authorize"
        );
        for bad in ["http://git.example.com", "https://a?b", "https://a#b", ""] {
            assert!(Places::of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_number_is_who_it_is_and_only_the_verified_primary_address_counts() {
        let user = json!({"id": 7, "login": "ada", "name": null, "email": "public@example.com"});
        let address = |email: &str, primary: bool, verified: bool| json!({"email": email, "primary": primary, "verified": verified, "visibility": null});
        let emails = json!([
            address("old@example.com", false, true),
            address("ada@example.com", true, true)
        ]);
        let found = read("https://github.com", &user, &emails).expect("read");
        assert_eq!((found.subject.as_str(), found.name.as_str()), ("7", "ada"));
        assert_eq!(found.email.expect("one").as_str(), "ada@example.com");
        for emails in [
            json!([address("ada@example.com", true, false)]),
            json!([address("ada@example.com", false, true)]),
            json!({"message": "no"}),
            Value::Null,
        ] {
            assert_eq!(
                read("https://github.com", &user, &emails).expect("read").email,
                None
            );
        }
        for user in [
            json!({"login": "ada"}),
            json!({"id": "7"}),
            json!({"id": -7}),
            json!([]),
        ] {
            assert!(read("https://github.com", &user, &emails).is_err(), "{user}");
        }
    }
}
