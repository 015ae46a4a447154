//! What an issuer says of itself, and whether that is enough and safe.

use reqwest::{Client, Url};
use serde_json::Value;

use super::{Error, host};
use crate::issuers::fetch;

/// What is needed of it.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) keys: Url,
    /// Whether the client secret goes into a header; otherwise into the form.
    pub(super) basic: bool,
    /// Whether it says with each answer that it is the one (RFC 9207).
    pub(super) promises_issuer: bool,
    /// Whether it says that it checks PKCE.
    says_pkce: bool,
}

/// Why nobody can sign in there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("`{0}` is no issuer: write it exactly as the provider does, beginning with https://")]
    Issuer(String),
    #[error("the issuer calls itself `{0}`: add it by exactly that name")]
    CallsItself(String),
    #[error("its description names no usable `{0}`: it must be an https:// address")]
    Address(&'static str),
    #[error("it does not support the response type `code`")]
    Code,
    #[error("it does not support PKCE with S256")]
    Pkce,
    #[error("it takes a client secret neither by `client_secret_basic` nor by `client_secret_post`")]
    ClientSecret,
}

impl Description {
    pub(super) async fn fetch(http: &Client, issuer: &str, secret: bool) -> Result<Self, Error> {
        let url = fetch::address(issuer).map_err(|_| Unfit::Issuer(short(issuer)))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Unfit::Issuer(short(issuer)).into());
        }
        let place = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let said = fetch::get(http, &fetch::address(&place)?).await?;
        Ok(Self::read(issuer, &said, secret)?)
    }

    fn read(issuer: &str, said: &Value, secret: bool) -> Result<Self, Unfit> {
        let calls_itself = said["issuer"].as_str().unwrap_or_default();
        if calls_itself != issuer {
            return Err(Unfit::CallsItself(short(calls_itself)));
        }
        let listed = |name: &str| -> Option<Vec<&str>> {
            let list = said.get(name)?.as_array()?;
            Some(list.iter().filter_map(Value::as_str).collect())
        };
        if !listed("response_types_supported").is_some_and(|types| types.contains(&"code")) {
            return Err(Unfit::Code);
        }
        // Some check PKCE and do not say so. It is sent to all, and the nonce binds the answer as well.
        let pkce = listed("code_challenge_methods_supported");
        if pkce.as_ref().is_some_and(|methods| !methods.contains(&"S256")) {
            return Err(Unfit::Pkce);
        }
        let methods = listed("token_endpoint_auth_methods_supported");
        let methods = methods.unwrap_or_else(|| vec!["client_secret_basic"]);
        let basic = methods.contains(&"client_secret_basic");
        if secret && !basic && !methods.contains(&"client_secret_post") {
            return Err(Unfit::ClientSecret);
        }
        // Whoever is reached by https:// sends nobody, and no secret, anywhere else.
        let encrypted = issuer.starts_with("https://");
        let address = |name: &'static str| {
            let url = fetch::address(said[name].as_str().unwrap_or_default());
            let url = url.ok().filter(|url| !encrypted || url.scheme() == "https");
            url.ok_or(Unfit::Address(name))
        };
        Ok(Self {
            authorization: address("authorization_endpoint")?,
            token: address("token_endpoint")?,
            userinfo: match said.get("userinfo_endpoint") {
                None | Some(Value::Null) => None,
                Some(_) => Some(address("userinfo_endpoint")?),
            },
            keys: address("jwks_uri")?,
            basic,
            promises_issuer: said["authorization_response_iss_parameter_supported"] == Value::Bool(true),
            says_pkce: pkce.is_some(),
        })
    }

    /// In words, for an operator.
    pub(super) fn told(&self) -> String {
        let pkce = match self.says_pkce {
            true => "",
            false => " It does not say whether it checks PKCE, which is sent all the same.",
        };
        format!(
            "It answers; people are sent to {}.{pkce}",
            host(&self.authorization)
        )
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.test";

    fn good() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://issuer.test/authorize",
            "token_endpoint": "https://issuer.test/token",
            "userinfo_endpoint": "https://issuer.test/me",
            "jwks_uri": "https://issuer.test/keys",
            "response_types_supported": ["code", "code id_token"],
            "code_challenge_methods_supported": ["plain", "S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        })
    }

    #[test]
    fn what_is_missing_or_unsafe_is_refused_with_its_name() {
        let read = Description::read(ISSUER, &good(), true).expect("good");
        assert!(!read.basic && !read.promises_issuer);
        for (name, value, unfit) in [
            (
                "issuer",
                json!("https://issuer.test/"),
                Unfit::CallsItself("https://issuer.test/".into()),
            ),
            ("issuer", Value::Null, Unfit::CallsItself(String::new())),
            (
                "authorization_endpoint",
                json!("javascript:alert(1)"),
                Unfit::Address("authorization_endpoint"),
            ),
            (
                "token_endpoint",
                json!("http://issuer.test/token"),
                Unfit::Address("token_endpoint"),
            ),
            // An issuer elsewhere leads to nothing on this host.
            (
                "token_endpoint",
                json!("http://127.0.0.1:7301/"),
                Unfit::Address("token_endpoint"),
            ),
            ("userinfo_endpoint", json!(7), Unfit::Address("userinfo_endpoint")),
            ("jwks_uri", Value::Null, Unfit::Address("jwks_uri")),
            ("response_types_supported", json!(["id_token"]), Unfit::Code),
            ("response_types_supported", Value::Null, Unfit::Code),
            ("code_challenge_methods_supported", json!(["plain"]), Unfit::Pkce),
            (
                "token_endpoint_auth_methods_supported",
                json!(["private_key_jwt"]),
                Unfit::ClientSecret,
            ),
        ] {
            let mut said = good();
            said[name] = value;
            assert_eq!(
                Description::read(ISSUER, &said, true).err(),
                Some(unfit),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_said_has_the_meaning_of_the_standard() {
        let mut said = good();
        let fields = said.as_object_mut().expect("an object");
        for name in [
            "userinfo_endpoint",
            "code_challenge_methods_supported",
            "token_endpoint_auth_methods_supported",
        ] {
            fields.remove(name);
        }
        let read = Description::read(ISSUER, &said, true).expect("good");
        assert!(read.basic && read.userinfo.is_none());
        assert!(read.told().contains("PKCE"), "{}", read.told());
        let public = json!(["none"]);
        said["token_endpoint_auth_methods_supported"] = public;
        Description::read(ISSUER, &said, false).expect("a public client needs no secret");
    }
}
