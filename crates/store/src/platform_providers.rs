//! Providers of the platform: every org may use them and none sees their keys. An org's own of the same name comes first.

use creel_domain::{Act, Name, OrgId, ProviderId};
use zeroize::Zeroizing;

use crate::{
    Error, FoundProvider, KeySource, NewProvider, Platform, StoredProvider, audit::record, providers::place,
    rows::values, store::NOBODY,
};

/// Providers of the platform.
pub const MAX_PLATFORM_PROVIDERS: u64 = 100;

const COLUMNS: &str = "id, name, kind, base_url, sealed_key, key_version, NULL AS key_secret, created_at";

impl Platform {
    /// Told in the trail of `teller`, the org of the operator who does it.
    pub async fn add_platform_provider(
        &self,
        teller: OrgId,
        new: NewProvider,
    ) -> Result<StoredProvider, Error> {
        let (id, now) = (self.store.mint::<ProviderId>(), self.store.now());
        let seal = |key: &Zeroizing<String>| self.seal(NOBODY, &place(id), key);
        let sealed = new.key.as_ref().map(seal).transpose()?;
        let provider = StoredProvider {
            id,
            name: new.name,
            kind: new.kind,
            base_url: new.base_url,
            has_key: sealed.is_some(),
            key_secret: None,
            created_at: now,
        };
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS there FROM platform_providers";
                let there = tx.row(sql, values![]).await?;
                if there.map_or(Ok(0), |row| row.count("there"))? >= MAX_PLATFORM_PROVIDERS {
                    return Err(Error::LimitReached {
                        what: "platform providers",
                        most: MAX_PLATFORM_PROVIDERS,
                    });
                }
                let (sealed, key_version) =
                    sealed.map_or((None, 0), |sealed| (Some(sealed.bytes), sealed.key_version));
                let sql = "INSERT INTO platform_providers (id, name, kind, base_url, sealed_key, key_version, created_at)
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
                let (name, kind) = (&provider.name, provider.kind);
                let values = values![id, name, kind, provider.base_url.as_deref(), sealed, key_version, now];
                tx.run(sql, values).await.map_err(|error| {
                    if error.is_duplicate() {
                        Error::NameTaken(provider.name.clone())
                    } else {
                        error
                    }
                })?;
                let act = Act::new("platform_provider.add").on("provider", id).named(name);
                record(tx, teller, act.with("kind", kind)).await?;
                Ok(provider)
            })
        })
        .await
    }

    /// By name.
    pub async fn platform_providers(&self) -> Result<Vec<StoredProvider>, Error> {
        self.read(|tx| {
            Box::pin(async move {
                let sql = format!("SELECT {COLUMNS} FROM platform_providers ORDER BY name");
                let rows = tx.rows(&sql, values![]).await?;
                rows.iter().map(StoredProvider::try_from).collect()
            })
        })
        .await
    }

    /// The provider and its opened key.
    pub async fn platform_provider(&self, name: Name) -> Result<Option<FoundProvider>, Error> {
        let found = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = format!("SELECT {COLUMNS} FROM platform_providers WHERE name = $1");
                    tx.row(&sql, values![&name]).await
                })
            })
            .await?;
        let Some(row) = found else { return Ok(None) };
        let provider = StoredProvider::try_from(&row)?;
        let key = match row.maybe_bytes("sealed_key")? {
            None => None,
            Some(sealed) => {
                let version = row.count("key_version")?;
                Some(
                    self.open_sealed(NOBODY, &place(provider.id), version, sealed)
                        .await?,
                )
            }
        };
        Ok(Some(FoundProvider {
            provider,
            key_of: key.as_ref().map(|_| KeySource::Platform),
            key,
        }))
    }

    pub async fn remove_platform_provider(&self, teller: OrgId, name: Name) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM platform_providers WHERE name = $1 RETURNING id";
                let row = tx.row(sql, values![&name]).await?;
                let removed: ProviderId = row.ok_or(Error::NotFound("provider"))?.id("id")?;
                let act = Act::new("platform_provider.remove")
                    .on("provider", removed)
                    .named(&name);
                record(tx, teller, act).await
            })
        })
        .await
    }
}
