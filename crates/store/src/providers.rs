//! Configured model providers. Their keys go in sealed and come out only to make a call.

use creel_domain::{Act, Name, ProviderId, ProviderKind};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Error, Org,
    audit::record,
    events::append,
    idempotency::made,
    rows::{Row, values},
    tx::Tx,
};

/// Providers in one org.
pub const MAX_PROVIDERS: u64 = 100;

const COLUMNS: &str = "id, name, kind, base_url, sealed_key, created_at";

pub struct NewProvider {
    pub name: Name,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    pub key: Option<Zeroizing<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProvider {
    pub id: ProviderId,
    pub name: Name,
    pub kind: ProviderKind,
    pub base_url: Option<String>,
    pub has_key: bool,
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
            has_key: row.maybe_bytes("sealed_key")?.is_some(),
            created_at: row.time("created_at")?,
        })
    }
}

/// What a key is sealed to: moved to another row it does not open.
fn place(id: ProviderId) -> String {
    format!("providers/{id}/key")
}

async fn insert(
    tx: &mut Tx,
    org: creel_domain::OrgId,
    new: &StoredProvider,
    sealed: Option<Vec<u8>>,
) -> Result<(), Error> {
    let sql = "SELECT COUNT(*) AS there FROM providers WHERE org_id = $1";
    let there = tx.row(sql, values![org]).await?;
    if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_PROVIDERS {
        return Err(Error::LimitReached {
            what: "providers",
            most: MAX_PROVIDERS,
        });
    }
    let sql = "INSERT INTO providers (id, org_id, name, kind, base_url, sealed_key, created_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![
        new.id,
        org,
        &new.name,
        new.kind,
        new.base_url.as_deref(),
        sealed,
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
        let sealed = match &new.key {
            Some(key) => Some(self.store.key.seal(org, &place(id), key)?),
            None => None,
        };
        let provider = StoredProvider {
            id,
            name: new.name,
            kind: new.kind,
            base_url: new.base_url,
            has_key: sealed.is_some(),
            created_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                insert(tx, org, &provider, sealed).await?;
                let subject = id.to_string();
                made(tx, org, key.as_deref(), &subject).await?;
                let data = json!({ "name": provider.name, "kind": provider.kind });
                append(tx, org, "provider.added", &subject, &data, now).await?;
                let act = Act::new("provider.add").on("provider", id).named(&provider.name);
                record(tx, org, act.with("kind", provider.kind)).await?;
                Ok(provider)
            })
        })
        .await
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
        let key = match row.maybe_bytes("sealed_key")? {
            Some(sealed) => Some(self.store.key.open(org, &place(provider.id), sealed)?),
            None => None,
        };
        Ok(Some((provider, key)))
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
