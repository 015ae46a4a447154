//! Keys that sign access tokens, sealed. They are the platform's: every control signs with the same ones.

use jiff::Timestamp;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Error, Platform, rows::values, store::NOBODY};

/// A key to be kept.
#[derive(Clone)]
pub struct NewSigningKey {
    pub private: Zeroizing<String>,
    pub signs_from: Timestamp,
}

/// A key, opened.
#[derive(Clone)]
pub struct SigningKey {
    /// What tokens call it.
    pub id: String,
    pub private: Zeroizing<String>,
    pub signs_from: Timestamp,
}

pub(crate) fn place(id: &str) -> String {
    format!("signing_keys/{id}/private")
}

impl Platform {
    /// All of them, by when they begin to sign.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, Error> {
        let rows = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT id, sealed_private, key_version, signs_from FROM signing_keys ORDER BY signs_from, id";
                    tx.rows(sql, values![]).await
                })
            })
            .await?;
        let mut keys = Vec::new();
        for row in &rows {
            let id = row.text("id")?.to_owned();
            let (version, sealed) = (row.count("key_version")?, row.maybe_bytes("sealed_private")?);
            let (place, sealed) = (place(&id), sealed.unwrap_or_default());
            let private = self.open_sealed(NOBODY, &place, version, sealed);
            keys.push(SigningKey {
                private: private.await?,
                signs_from: row.time("signs_from")?,
                id,
            });
        }
        Ok(keys)
    }

    /// Keeps a key, unless another than `newest` is the newest by now; whether it was kept.
    pub async fn add_signing_key(&self, new: NewSigningKey, newest: Option<String>) -> Result<bool, Error> {
        let (id, now) = (self.store.mint::<Uuid>().simple().to_string(), self.store.now());
        let sealed = self.seal(NOBODY, &place(&id), &new.private)?;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id FROM signing_keys ORDER BY signs_from DESC, id DESC LIMIT 1";
                let there = tx.row(sql, values![]).await?;
                let there = there.map(|row| row.text("id").map(str::to_owned)).transpose()?;
                if there != newest {
                    return Ok(false);
                }
                let sql = "INSERT INTO signing_keys (id, sealed_private, key_version, signs_from, created_at)
                           VALUES ($1, $2, $3, $4, $5)";
                tx.run(
                    sql,
                    values![id, sealed.bytes, sealed.key_version, new.signs_from, now],
                )
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// Once no token that it signed is good any more.
    pub async fn remove_signing_key(&self, id: String) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                tx.run("DELETE FROM signing_keys WHERE id = $1", values![id])
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
