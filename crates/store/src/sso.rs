//! Sign-in providers, whose word is taken for who somebody is, and sign-ins that are under way at one.
//!
//! Of a sign-in only hashes are kept: of its state, and of what its browser was given. The secrets behind them
//! (nonce, PKCE verifier) the browser's own secret makes again; none stands here.

use creel_domain::{Act, BrowserSessionId, Name, OrgId, SsoKind, SsoNewcomers, SsoProviderId, UserId};
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    access::Hash,
    audit::record,
    keys::Sealed,
    rows::{Row, values},
    store::NOBODY,
    tx::Tx,
};

/// Of the platform: each is a button on the sign-in page.
pub const MAX_SSO_PROVIDERS: u64 = 20;
/// Sign-ins that are under way at a time.
pub const MAX_SSO_ATTEMPTS: u64 = 10_000;
/// Of one network.
pub const MAX_SSO_ATTEMPTS_OF_ONE: u64 = 100;
/// Within so long somebody is back from the provider.
pub const SSO_ATTEMPT_FOR: SignedDuration = SignedDuration::from_mins(10);

const COLUMNS: &str =
    "id, name, label, kind, issuer, client_id, sealed_client_secret, key_version, newcomers, email_domains,
     created_at";

pub struct NewSsoProvider {
    pub name: Name,
    pub label: String,
    pub kind: SsoKind,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Zeroizing<String>>,
    pub newcomers: SsoNewcomers,
    /// In small letters; empty: all.
    pub email_domains: Vec<String>,
}

/// A provider, without its client secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSsoProvider {
    pub id: SsoProviderId,
    pub name: Name,
    pub label: String,
    pub kind: SsoKind,
    pub issuer: String,
    pub client_id: String,
    pub has_client_secret: bool,
    pub newcomers: SsoNewcomers,
    pub email_domains: Vec<String>,
    pub created_at: Timestamp,
}

/// Who wants an identity linked, and the session that asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SsoLink {
    pub user: UserId,
    pub session: BrowserSessionId,
}

/// A sign-in that begins.
#[derive(Debug, Clone)]
pub struct NewSsoAttempt {
    /// Of its state.
    pub hash: [u8; 32],
    pub provider: SsoProviderId,
    /// Of what the browser was given.
    pub browser: [u8; 32],
    /// None: not known.
    pub network: Option<String>,
    pub invitation: Option<[u8; 32]>,
    pub return_to: String,
    pub link: Option<SsoLink>,
}

/// A sign-in whose browser is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSsoAttempt {
    pub invitation: Option<[u8; 32]>,
    pub return_to: String,
    pub link: Option<SsoLink>,
}

impl TryFrom<&Row> for StoredSsoProvider {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.parsed("name")?,
            label: row.text("label")?.to_owned(),
            kind: row.parsed("kind")?,
            issuer: row.text("issuer")?.to_owned(),
            client_id: row.text("client_id")?.to_owned(),
            has_client_secret: row.maybe_bytes("sealed_client_secret")?.is_some(),
            newcomers: row.parsed("newcomers")?,
            email_domains: row.json("email_domains")?,
            created_at: row.time("created_at")?,
        })
    }
}

impl TryFrom<&Row> for StoredSsoAttempt {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        let user = row.maybe_id::<UserId>("user_id")?;
        let session = row.maybe_id::<BrowserSessionId>("session_id")?;
        Ok(Self {
            invitation: match row.maybe_bytes("invitation_hash")? {
                Some(_) => Some(row.hash("invitation_hash")?),
                None => None,
            },
            return_to: row.text("return_to")?.to_owned(),
            link: user.zip(session).map(|(user, session)| SsoLink { user, session }),
        })
    }
}

/// What a client secret is sealed to. The issuer is part of it: a row that was made to name another one does not
/// get the secret sent there.
pub(crate) fn place(id: SsoProviderId, issuer: &str) -> String {
    format!("sso_providers/{id}/client_secret/{issuer}")
}

async fn count(tx: &mut Tx, sql: &str, values: &[crate::rows::Value]) -> Result<u64, Error> {
    let row = tx.row(sql, values).await?;
    Ok(row.map(|row| row.count("n")).transpose()?.unwrap_or_default())
}

impl Platform {
    /// In the name of an operator, who is a member of `org`.
    pub async fn add_sso_provider(
        &self,
        org: OrgId,
        new: NewSsoProvider,
    ) -> Result<StoredSsoProvider, Error> {
        let (id, now) = (self.store.mint::<SsoProviderId>(), self.store.now());
        let seal = |secret: &Zeroizing<String>| self.seal(NOBODY, &place(id, &new.issuer), secret);
        let sealed = new.client_secret.as_ref().map(seal).transpose()?;
        let provider = StoredSsoProvider {
            id,
            name: new.name,
            label: new.label,
            kind: new.kind,
            issuer: new.issuer,
            client_id: new.client_id,
            has_client_secret: sealed.is_some(),
            newcomers: new.newcomers,
            email_domains: new.email_domains,
            created_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                insert(tx, &provider, sealed).await?;
                let act = Act::new("sso.add")
                    .on("sso_provider", id)
                    .named(&provider.name)
                    .with("issuer", &provider.issuer)
                    .with("newcomers", provider.newcomers)
                    .with("email_domains", provider.email_domains.join(" "));
                record(tx, org, act).await?;
                Ok(provider)
            })
        })
        .await
    }

    /// By name.
    pub async fn sso_providers(&self) -> Result<Vec<StoredSsoProvider>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM sso_providers ORDER BY name");
                let rows = tx.rows(&sql, values![]).await?;
                rows.iter().map(StoredSsoProvider::try_from).collect()
            })
        })
        .await
    }

    /// A provider and its opened client secret.
    pub async fn sso_provider(
        &self,
        name: Name,
    ) -> Result<Option<(StoredSsoProvider, Option<Zeroizing<String>>)>, Error> {
        let found = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = format!("SELECT {COLUMNS} FROM sso_providers WHERE name = $1");
                    tx.row(&sql, values![&name]).await
                })
            })
            .await?;
        let Some(row) = found else { return Ok(None) };
        let provider = StoredSsoProvider::try_from(&row)?;
        let secret = match row.maybe_bytes("sealed_client_secret")? {
            Some(sealed) => {
                let place = place(provider.id, &provider.issuer);
                let version = row.count("key_version")?;
                Some(self.open_sealed(NOBODY, &place, version, sealed).await?)
            }
            None => None,
        };
        Ok(Some((provider, secret)))
    }

    /// At once, with the sign-ins that are under way there. Identities stay: they count again when their issuer is
    /// added again.
    pub async fn remove_sso_provider(&self, org: OrgId, name: Name) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM sso_providers WHERE name = $1 RETURNING id, issuer";
                let row = tx.row(sql, values![&name]).await?;
                let row = row.ok_or(Error::NotFound("sign-in provider"))?;
                let act = Act::new("sso.remove").on("sso_provider", row.id::<SsoProviderId>("id")?);
                record(tx, org, act.named(&name).with("issuer", row.text("issuer")?)).await
            })
        })
        .await
    }

    /// Lets a sign-in wait for its browser to come back.
    pub async fn begin_sso(&self, new: NewSsoAttempt) -> Result<(), Error> {
        let now = self.store.now();
        let expires_at = now.saturating_add(SSO_ATTEMPT_FOR).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let old = "DELETE FROM sso_attempts WHERE expires_at <= $1";
                tx.run(old, values![now]).await?;
                let of_all = "SELECT COUNT(*) AS n FROM sso_attempts";
                if count(tx, of_all, values![]).await? >= MAX_SSO_ATTEMPTS {
                    return Err(Error::TooManySignIns);
                }
                if let Some(network) = new.network.as_deref() {
                    let of_one = "SELECT COUNT(*) AS n FROM sso_attempts WHERE network = $1";
                    if count(tx, of_one, values![network]).await? >= MAX_SSO_ATTEMPTS_OF_ONE {
                        return Err(Error::TooManySignIns);
                    }
                }
                let sql = "INSERT INTO sso_attempts (hash, provider_id, browser_hash, network, invitation_hash, return_to,
                                                     user_id, session_id, expires_at)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
                let values = values![
                    new.hash,
                    new.provider,
                    new.browser,
                    new.network.unwrap_or_default(),
                    new.invitation,
                    new.return_to,
                    new.link.map(|link| link.user),
                    new.link.map(|link| link.session),
                    expires_at,
                ];
                // The provider may have been removed meanwhile.
                let done = tx.run(sql, values).await;
                done.map(drop).map_err(|error| match error {
                    error if error.is_dangling() => Error::NotFound("sign-in provider"),
                    error => error,
                })
            })
        })
        .await
    }

    /// The browser is back: of however many with the same state one gets the sign-in, once. None: it was used, is
    /// too old, or was begun in another browser or at another provider.
    pub async fn finish_sso(
        &self,
        hash: Hash,
        browser: Hash,
        provider: SsoProviderId,
    ) -> Result<Option<StoredSsoAttempt>, Error> {
        let now = self.store.now();
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM sso_attempts
                           WHERE hash = $1 AND browser_hash = $2 AND provider_id = $3 AND expires_at > $4
                           RETURNING invitation_hash, return_to, user_id, session_id";
                let row = tx.row(sql, values![hash, browser, provider, now]).await?;
                row.as_ref().map(StoredSsoAttempt::try_from).transpose()
            })
        })
        .await
    }
}

async fn insert(tx: &mut Tx, new: &StoredSsoProvider, sealed: Option<Sealed>) -> Result<(), Error> {
    let there = "SELECT COUNT(*) AS n FROM sso_providers";
    if count(tx, there, values![]).await? >= MAX_SSO_PROVIDERS {
        return Err(Error::LimitReached {
            what: "sign-in providers",
            most: MAX_SSO_PROVIDERS,
        });
    }
    let same = "SELECT name, issuer FROM sso_providers WHERE name = $1 OR issuer = $2 ORDER BY name";
    if let Some(row) = tx.row(same, values![&new.name, new.issuer.as_str()]).await? {
        return Err(match row.text("issuer")? == new.issuer {
            true => Error::IssuerTaken(row.parsed("name")?),
            false => Error::NameTaken(new.name.clone()),
        });
    }
    let sql = format!(
        "INSERT INTO sso_providers ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    );
    let (sealed, key_version) = sealed.map_or((None, 0), |sealed| (Some(sealed.bytes), sealed.key_version));
    let values = values![
        new.id,
        &new.name,
        new.label.as_str(),
        new.kind.as_str(),
        new.issuer.as_str(),
        new.client_id.as_str(),
        sealed,
        key_version,
        new.newcomers.as_str(),
        serde_json::to_string(&new.email_domains)?,
        new.created_at,
    ];
    tx.run(&sql, values).await.map(drop)
}
