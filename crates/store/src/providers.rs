//! Configured model providers. Their keys go in sealed and come out only to make a call: a key of the provider's own, or
//! an org's secret that is looked up at each call. Where the org has none of a name, the platform's counts.

use creel_domain::{Act, AgentId, Name, ProviderId, ProviderKind, SecretName};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Error, Org,
    audit::record,
    events::append,
    idempotency::made,
    keys::Sealed,
    rows::{Row, values},
    tx::Tx,
};

/// Providers in one org.
pub const MAX_PROVIDERS: u64 = 100;

const COLUMNS: &str = "id, name, kind, base_url, sealed_key, key_version, key_secret, created_at";

pub struct NewProvider {
    pub name: Name,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    pub key: Option<Zeroizing<String>>,
    /// The org's secret that is its key, instead of `key`.
    pub key_secret: Option<SecretName>,
}

/// Whose key a call is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    Org,
    /// A secret of the agent's own.
    Agent,
    Platform,
}

impl KeySource {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Org => "org",
            Self::Agent => "agent",
            Self::Platform => "platform",
        }
    }
}

/// A provider as it is called.
pub struct FoundProvider {
    pub provider: StoredProvider,
    pub key: Option<Zeroizing<String>>,
    /// None: it is called without a key.
    pub key_of: Option<KeySource>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProvider {
    pub id: ProviderId,
    pub name: Name,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    pub has_key: bool,
    pub key_secret: Option<SecretName>,
    pub created_at: Timestamp,
}

impl TryFrom<&Row> for StoredProvider {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.id("id")?,
            name: row.parsed("name")?,
            kind: row.parsed("kind")?,
            base_url: row.maybe_text("base_url")?.map(str::to_owned),
            has_key: row.maybe_bytes("sealed_key")?.is_some() || row.maybe_text("key_secret")?.is_some(),
            key_secret: row
                .maybe_text("key_secret")?
                .map(|_| row.parsed("key_secret"))
                .transpose()?,
            created_at: row.time("created_at")?,
        })
    }
}

/// What a key is sealed to: moved to another row it does not open.
pub(crate) fn place(id: ProviderId) -> String {
    format!("providers/{id}/key")
}

async fn insert(
    tx: &mut Tx,
    org: creel_domain::OrgId,
    new: &StoredProvider,
    sealed: Option<Sealed>,
) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) AS there FROM providers WHERE org_id = $1";
    let there = tx.row(sql, values![org]).await?;
    if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_PROVIDERS {
        return Err(Error::LimitReached {
            what: "providers",
            most: MAX_PROVIDERS,
        });
    }
    let (sealed, key_version) = sealed.map_or((None, 0), |sealed| (Some(sealed.bytes), sealed.key_version));
    let sql = "INSERT INTO providers (id, org_id, name, kind, base_url, sealed_key, key_version, key_secret, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = values![
        new.id,
        org,
        &new.name,
        new.kind,
        new.base_url.as_deref(),
        sealed,
        key_version,
        new.key_secret.as_ref(),
        new.created_at,
    ];
    tx.run(sql, values).await.map_err(|error| {
        if error.is_duplicate() {
            Error::NameTaken(new.name.clone())
        } else if error.is_dangling() {
            Error::NotFound("org")
        } else {
            error
        }
    })?;
    Ok(())
}

impl Org {
    pub async fn add_provider(&self, new: NewProvider) -> Result<StoredProvider, Error> {
        let (org, key, now) = (self.id, self.key.clone(), self.store.now());
        let id = self.store.mint::<ProviderId>();
        let provider = StoredProvider {
            id,
            name: new.name,
            kind: new.kind,
            base_url: new.base_url,
            has_key: new.key.is_some() || new.key_secret.is_some(),
            key_secret: new.key_secret,
            created_at: now,
        };
        let keep = async move |tx: &mut Tx, sealed: Option<Sealed>| {
            insert(tx, org, &provider, sealed).await?;
            let subject = id.to_string();
            made(tx, org, key.as_deref(), &subject).await?;
            let data = json!({ "name": provider.name, "kind": provider.kind });
            append(tx, org, "provider.added", &subject, &data, now).await?;
            let act = Act::new("provider.add").on("provider", id).named(&provider.name);
            record(tx, org, act.with("kind", provider.kind)).await?;
            Ok(provider)
        };
        match new.key {
            None => {
                self.write(move |tx| Box::pin(async move { keep(tx, None).await }))
                    .await
            }
            Some(value) => {
                let place = place(id);
                self.write_sealed(&place, &value, move |tx, sealed| {
                    Box::pin(async move { keep(tx, Some(sealed)).await })
                })
                .await
            }
        }
    }

    /// By name.
    pub async fn providers(&self) -> Result<Vec<StoredProvider>, Error> {
        let org = self.id;
        self.read(move |tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM providers WHERE org_id = $1 ORDER BY name");
                let rows = tx.rows(&sql, values![org]).await?;
                rows.iter().map(StoredProvider::try_from).collect()
            })
        })
        .await
    }

    /// The provider and its opened key.
    pub async fn provider(
        &self,
        name: Name,
    ) -> Result<Option<(StoredProvider, Option<Zeroizing<String>>)>, Error> {
        let found = self.provider_for(None, name).await?;
        Ok(found.map(|found| (found.provider, found.key)))
    }

    /// The provider as an agent calls it: the org's own of this name, or else the platform's. A secret of the agent's
    /// own counts before the org's.
    pub async fn provider_for(
        &self,
        agent: Option<AgentId>,
        name: Name,
    ) -> Result<Option<FoundProvider>, Error> {
        match self
            .read_sealed(|| self.own_provider(agent, name.clone()))
            .await?
        {
            Some(found) => Ok(Some(found)),
            None => self.store.platform().platform_provider(name).await,
        }
    }

    async fn own_provider(&self, agent: Option<AgentId>, name: Name) -> Result<Option<FoundProvider>, Error> {
        let org = self.id;
        let found = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = format!("SELECT {COLUMNS} FROM providers WHERE org_id = $1 AND name = $2");
                    tx.row(&sql, values![org, &name]).await
                })
            })
            .await?;
        let Some(row) = found else { return Ok(None) };
        let provider = StoredProvider::try_from(&row)?;
        let (key, key_of) = match (row.maybe_bytes("sealed_key")?, &provider.key_secret) {
            (_, Some(secret)) => {
                let value = self.secret_for(agent, secret.clone()).await?;
                let (whose, value) = value.ok_or_else(|| Error::NoSecret(secret.clone()))?;
                let key_of = whose.map_or(KeySource::Org, |_| KeySource::Agent);
                (Some(value), Some(key_of))
            }
            (Some(sealed), None) => {
                let version = row.count("key_version")?;
                let key = self.open_sealed(&place(provider.id), version, sealed).await?;
                (Some(key), Some(KeySource::Org))
            }
            (None, None) => (None, None),
        };
        Ok(Some(FoundProvider {
            provider,
            key,
            key_of,
        }))
    }

    pub async fn remove_provider(&self, name: Name) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.now());
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM providers WHERE org_id = $1 AND name = $2 RETURNING id";
                let row = tx.row(sql, values![org, &name]).await?;
                let removed: ProviderId = row.ok_or(Error::NotFound("provider"))?.id("id")?;
                let data = json!({ "name": name });
                append(tx, org, "provider.removed", &removed.to_string(), &data, now).await?;
                let act = Act::new("provider.remove").on("provider", removed).named(&name);
                record(tx, org, act).await
            })
        })
        .await
    }
}
