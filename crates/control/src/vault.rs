//! HashiCorp Vault's Transit: three of its operations, with every bound that there is. It wraps the platform's keys, or
//! those of an org that has a Vault of its own.

use std::{
    io::Read as _,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use creel_api::ErrorCode;
use creel_domain::TransitKey;
use creel_store::{KeyEncryption, OwnKeys, WrapError, Wrapped, Wrapping};
use reqwest::{
    Client, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header,
};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::http::failure::{Answer, Failure};

/// From the first byte sent to the last one read.
const WITHIN: Duration = Duration::from_secs(5);
/// Of one answer.
const BYTES: usize = 64 * 1024;
/// The longest of what was wrapped, and of a token.
const TEXT_BYTES: usize = 8 * 1024;

/// Where a token is.
#[derive(Clone)]
pub enum VaultToken {
    Given(Zeroizing<String>),
    /// Read at each use: whoever renews it there need tell nobody.
    File(PathBuf),
}

impl VaultToken {
    fn read(&self) -> Result<Zeroizing<String>, WrapError> {
        match self {
            Self::Given(token) => Ok(token.clone()),
            Self::File(path) => read_token(path),
        }
    }
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, WrapError> {
    let failed = |why: String| WrapError::File {
        at: format!("needs its Vault token from {}, which", path.display()),
        why,
    };
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(TEXT_BYTES as u64).read_to_string(&mut text))
        .map_err(|error| failed(error.to_string()))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed("it holds no token".to_owned()));
    }
    Ok(Zeroizing::new(token.to_owned()))
}

/// One key of one Vault.
#[derive(Clone)]
pub struct Transit {
    http: Client,
    base: Url,
    key: TransitKey,
    token: VaultToken,
}

#[derive(Deserialize)]
struct Answered {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    ciphertext: Option<String>,
    plaintext: Option<String>,
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .timeout(WITHIN)
        .connect_timeout(WITHIN)
        .user_agent(concat!("creel/", env!("CARGO_PKG_VERSION")))
        // Somewhere else is not who was asked, and would get the token.
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// The address that stands where a host's name could stand; `127.1` and the like have become one by now.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// Encrypted, or on this host.
fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = url.host_str()? == "localhost" || literal(&url).is_some_and(|ip| ip.is_loopback());
    let good = url.scheme() == "https" || (url.scheme() == "http" && here);
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.path() == "/";
    (good && bare).then_some(url)
}

impl Transit {
    /// The key that wraps for the platform, wherever its operator says.
    pub fn new(key: TransitKey, token: VaultToken) -> Result<Self, String> {
        let base = address(&key.address).ok_or_else(|| {
            format!(
                "`{}` cannot be the address of a Vault: it begins with https://, or with http:// on this host, and ends \
                 with the port",
                key.address
            )
        })?;
        let http = builder().build().map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            base,
            key,
            token,
        })
    }

    fn at(&self) -> String {
        format!(
            "Vault at {} ({}/{})",
            self.key.address, self.key.mount, self.key.name
        )
    }

    async fn ask(&self, operation: &str, body: &Value) -> Result<Data, WrapError> {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().push("v1").extend(self.key.mount.split('/'));
            path.extend([operation, self.key.name.as_str()]);
        }
        let token = self.token.read()?;
        let mut secret =
            header::HeaderValue::from_str(&token).map_err(|_| WrapError::Denied { at: self.at() })?;
        secret.set_sensitive(true);
        let request = self
            .http
            .post(url)
            .header("X-Vault-Token", secret)
            .header("X-Vault-Request", "true")
            .json(body);
        let answer = request
            .send()
            .await
            .map_err(|_| WrapError::Unreachable { at: self.at() })?;
        let status = answer.status();
        let bytes = self.read(answer).await?;
        if status != StatusCode::OK {
            return Err(self.refusal(operation, status, &bytes));
        }
        let answered: Answered =
            serde_json::from_slice(&bytes).map_err(|_| WrapError::Garbage { at: self.at() })?;
        Ok(answered.data)
    }

    /// Reads an answer up to its bound.
    async fn read(&self, mut answer: Response) -> Result<Zeroizing<Vec<u8>>, WrapError> {
        let mut body = Zeroizing::new(Vec::with_capacity(1024));
        let unreachable = |_| WrapError::Unreachable { at: self.at() };
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + piece.len() > BYTES {
                return Err(WrapError::Garbage { at: self.at() });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// What a status means; Vault's own words only decide between two meanings of the same one, and are not passed on.
    fn refusal(&self, operation: &str, status: StatusCode, body: &[u8]) -> WrapError {
        let at = self.at();
        let says = |words: &str| body.windows(words.len()).any(|window| window == words.as_bytes());
        match status.as_u16() {
            401 | 403 => WrapError::Denied { at },
            404 => WrapError::NoKey { at },
            400 if operation == "encrypt" || says("key not found") || says("no existing key") => {
                WrapError::NoKey { at }
            }
            400 => WrapError::WrongKey { at },
            412 | 429 | 472 | 473 => WrapError::Busy { at },
            503 => WrapError::Sealed { at },
            500..=599 => WrapError::Unreachable { at },
            _ => WrapError::Garbage { at },
        }
    }

    /// What Vault calls `vault:v1:…`.
    fn wrapped(&self, ciphertext: Option<String>) -> Result<Wrapped, WrapError> {
        let text = ciphertext.unwrap_or_default();
        let good = text.len() <= TEXT_BYTES
            && text.starts_with("vault:v")
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !good {
            return Err(WrapError::Garbage { at: self.at() });
        }
        Ok(Wrapped {
            by: self.id(),
            bytes: text.into_bytes(),
        })
    }

    fn stored<'a>(&self, wrapped: &'a [u8]) -> Result<&'a str, WrapError> {
        std::str::from_utf8(wrapped).map_err(|_| WrapError::WrongKey { at: self.at() })
    }
}

impl KeyEncryption for Transit {
    /// Without the address: a Vault that moves is still the same.
    fn id(&self) -> String {
        format!("vault:{}/{}", self.key.mount, self.key.name)
    }

    fn wrap<'a>(&'a self, plain: &'a [u8]) -> Wrapping<'a, Wrapped> {
        Box::pin(async move {
            let body = json!({ "plaintext": STANDARD.encode(plain) });
            self.wrapped(self.ask("encrypt", &body).await?.ciphertext)
        })
    }

    fn unwrap<'a>(&'a self, _by: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Zeroizing<Vec<u8>>> {
        Box::pin(async move {
            let body = json!({ "ciphertext": self.stored(wrapped)? });
            let text = Zeroizing::new(self.ask("decrypt", &body).await?.plaintext.unwrap_or_default());
            let plain = STANDARD.decode(text.as_bytes());
            plain
                .map(Zeroizing::new)
                .map_err(|_| WrapError::Garbage { at: self.at() })
        })
    }

    /// Vault does it without showing what is wrapped.
    fn rewrap<'a>(&'a self, _by: &'a str, wrapped: &'a [u8]) -> Wrapping<'a, Wrapped> {
        Box::pin(async move {
            let body = json!({ "ciphertext": self.stored(wrapped)? });
            self.wrapped(self.ask("rewrap", &body).await?.ciphertext)
        })
    }
}

/// Speaks to the Vaults of orgs: to public addresses alone, unless whoever runs the platform says otherwise. Nobody
/// reaches the platform's own network by calling something in it a Vault.
pub struct OrgVaults {
    http: Client,
    private: bool,
}

impl OrgVaults {
    /// `private`: also in private networks, and in the clear on this host.
    pub fn new(private: bool) -> Result<Self, reqwest::Error> {
        let builder = builder().dns_resolver(Arc::new(Names { private }));
        Ok(Self {
            http: builder.build()?,
            private,
        })
    }

    fn address(&self, text: &str) -> Option<Url> {
        let url = address(text)?;
        let encrypted = url.scheme() == "https" && literal(&url).is_none_or(is_public);
        (self.private || encrypted).then_some(url)
    }

    /// Whether an org may name this address. A name is looked up when it is asked, each time.
    pub(crate) fn check(&self, text: &str) -> Answer<()> {
        if self.address(text).is_some() {
            return Ok(());
        }
        let shown: String = text.chars().take(200).collect();
        Err(Failure::new(
            ErrorCode::InvalidRequest,
            format!(
                "`{shown}` cannot be the address of your Vault: it begins with https://, ends with the host or its port, \
                 and is reachable from everywhere."
            ),
        ))
    }
}

impl OwnKeys for OrgVaults {
    fn at(&self, key: &TransitKey, token: Zeroizing<String>) -> Result<Arc<dyn KeyEncryption>, WrapError> {
        let unreachable = || WrapError::Unreachable {
            at: format!("Vault at {}", key.address),
        };
        Ok(Arc::new(Transit {
            http: self.http.clone(),
            base: self.address(&key.address).ok_or_else(unreachable)?,
            key: key.clone(),
            token: VaultToken::Given(token),
        }))
    }
}

/// Looks names up and leaves out where nobody may go: what is looked up is what is connected to.
struct Names {
    private: bool,
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|address| private || is_public(address.ip()))
                .collect();
            if found.is_empty() {
                return Err("no address that may be asked".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is everybody's: of no host, no private network, no group.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let special = ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_documentation()
                || a == 0
                || a >= 240
                // Shared by carriers, between networks of one provider, and for measuring.
                || (a == 100 && (64..128).contains(&b))
                || (a, b, c) == (192, 0, 0)
                || (a == 198 && (b == 18 || b == 19));
            !special
        }
        IpAddr::V6(ip) => {
            let [first, second, ..] = ip.segments();
            let global = (0x2000..0x4000).contains(&first);
            // Ways into IPv4 by another name, and documentation.
            let special = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
            global && !special
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_org_reaches_nothing_but_what_is_everybodys() {
        let public = OrgVaults::new(false).expect("a client");
        for good in [
            "https://vault.example.com:8200",
            "https://vault.example.com",
            "https://8.8.8.8",
            "https://[2606:4700::1111]:8200",
        ] {
            assert!(public.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://vault.example.com",
            "http://127.0.0.1:8200",
            "https://127.0.0.1:8200",
            "https://127.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://10.0.0.1",
            "https://169.254.169.254",
            "https://100.64.0.1",
            "https://192.168.1.1",
            "https://172.16.0.1",
            "https://0.0.0.0",
            "https://224.0.0.1",
            "https://255.255.255.255",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:10.0.0.1]",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[64:ff9b::7f00:1]",
            "https://[2002:7f00:1::]",
            "https://user:pass@vault.example.com",
            "https://vault.example.com/path",
            "https://vault.example.com?x=1",
            "https://vault.example.com#x",
            "ftp://vault.example.com",
            "file:///etc/passwd",
            "",
        ] {
            assert!(public.check(bad).is_err(), "{bad}");
        }
        let private = OrgVaults::new(true).expect("a client");
        assert!(private.check("http://127.0.0.1:8200").is_ok());
        assert!(private.check("https://10.0.0.1").is_ok());
        assert!(
            private.check("http://10.0.0.1").is_err(),
            "a token never travels in the clear"
        );
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_followed() {
        let names = Names { private: false };
        let found = names.resolve("localhost".parse().expect("a name")).await;
        assert!(found.is_err());
        let names = Names { private: true };
        assert!(names.resolve("localhost".parse().expect("a name")).await.is_ok());
    }
}
