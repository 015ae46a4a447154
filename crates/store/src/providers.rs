//! Configured model providers. Their keys go in sealed and come out only to make a call.

use creel_daemon::mint;
use creel_domain::{Name, OrgId, ProviderId, ProviderKind};
use jiff::Timestamp;
use rusqlite::{Row, params};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Error, Org,
    error::is_duplicate,
    events::append,
    rows::{all, first, id, micros, parsed, time},
};

const MAX_PROVIDERS: u64 = 100;
const COLUMNS: &str = "id, name, kind, base_url, sealed_key IS NOT NULL AS has_key, created_at";

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

fn provider(row: &Row<'_>) -> Result<StoredProvider, Error> {
    Ok(StoredProvider {
        id: id(row, "id")?,
        name: parsed(row, "name")?,
        kind: parsed(row, "kind")?,
        base_url: row.get("base_url")?,
        has_key: row.get::<_, i64>("has_key")? != 0,
        created_at: time(row, "created_at")?,
    })
}

fn identity(id: ProviderId) -> String {
    format!("providers/{id}/key")
}

impl Org {
    pub async fn add_provider(&self, new: NewProvider) -> Result<StoredProvider, Error> {
        let clock = &self.store.clock;
        let (org, now, id) = (self.id, clock.now(), mint::<ProviderId>(&**clock));
        let sealed = match &new.key {
            Some(key) => Some(self.store.key.seal(org, &identity(id), key)?),
            None => None,
        };
        let row = StoredProvider {
            id,
            name: new.name,
            kind: new.kind,
            base_url: new.base_url,
            has_key: sealed.is_some(),
            created_at: now,
        };
        let row = self
            .store
            .database
            .write(move |tx| {
                let org_bytes = org.uuid().into_bytes();
                let sql = "SELECT COUNT(*) FROM providers WHERE org_id = $1";
                let there: i64 = tx.query_row(sql, params![org_bytes], |row| row.get(0))?;
                if there.unsigned_abs() >= MAX_PROVIDERS {
                    return Err(Error::LimitReached {
                        what: "providers",
                        most: MAX_PROVIDERS,
                    });
                }
                let inserted = tx.execute(
                    "INSERT INTO providers (id, org_id, name, kind, base_url, sealed_key, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    params![
                        row.id.uuid().into_bytes(),
                        org_bytes,
                        row.name.as_str(),
                        row.kind.as_str(),
                        row.base_url,
                        sealed,
                        micros(now)
                    ],
                );
                match inserted {
                    Err(error) if is_duplicate(&error) => return Err(Error::NameTaken(row.name)),
                    other => other?,
                };
                let data = json!({ "name": row.name, "kind": row.kind });
                append(tx, org, "provider.added", &row.id.to_string(), &data, now)?;
                Ok(row)
            })
            .await?;
        self.store.tell();
        Ok(row)
    }

    pub async fn providers(&self) -> Result<Vec<StoredProvider>, Error> {
        let org = self.id.uuid().into_bytes();
        self.store
            .database
            .read(move |db| {
                let sql = format!("SELECT {COLUMNS} FROM providers WHERE org_id = $1 ORDER BY name");
                all(db, &sql, params![org], provider)
            })
            .await
    }

    /// The provider and its opened key.
    pub async fn provider(
        &self,
        name: Name,
    ) -> Result<Option<(StoredProvider, Option<Zeroizing<String>>)>, Error> {
        let org: OrgId = self.id;
        let found = self
            .store
            .database
            .read(move |db| {
                let sql =
                    format!("SELECT {COLUMNS}, sealed_key FROM providers WHERE org_id = $1 AND name = $2");
                first(db, &sql, params![org.uuid().into_bytes(), name.as_str()], |row| {
                    Ok((provider(row)?, row.get::<_, Option<Vec<u8>>>("sealed_key")?))
                })
            })
            .await?;
        let Some((row, sealed)) = found else {
            return Ok(None);
        };
        let key = match sealed {
            Some(sealed) => Some(self.store.key.open(org, &identity(row.id), &sealed)?),
            None => None,
        };
        Ok(Some((row, key)))
    }

    pub async fn remove_provider(&self, name: Name) -> Result<(), Error> {
        let (org, now) = (self.id, self.store.clock.now());
        self.store
            .database
            .write(move |tx| {
                let removed = first(
                    tx,
                    "DELETE FROM providers WHERE org_id = $1 AND name = $2 RETURNING id",
                    params![org.uuid().into_bytes(), name.as_str()],
                    |row| id::<ProviderId>(row, "id"),
                )?;
                let removed = removed.ok_or(Error::NotFound("provider"))?;
                append(
                    tx,
                    org,
                    "provider.removed",
                    &removed.to_string(),
                    &json!({ "name": name }),
                    now,
                )
            })
            .await?;
        self.store.tell();
        Ok(())
    }
}
