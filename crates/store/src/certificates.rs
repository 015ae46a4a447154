//! Certificates that Creel gets for its names, and who it is at the authority that gives them. They are the platform's: every
//! control shows the same ones.

use creel_domain::OrgId;
use jiff::{SignedDuration, Timestamp};
use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    rows::{Row, values},
    store::NOBODY,
};

/// For names of one org's agents.
pub const MAX_CERTIFICATES_OF_ORG: u64 = 50;
/// Of all.
pub const MAX_CERTIFICATES: u64 = 10_000;

/// A certificate with its key, or the wish for one.
#[derive(Clone)]
pub struct StoredCertificate {
    /// The chain, its own first, then the key: PEM. None: it was not got yet.
    pub pem: Option<Zeroizing<String>>,
    pub not_after: Option<Timestamp>,
    /// When it is to be got, or got anew.
    pub next_at: Timestamp,
    /// Attempts in a row that came to nothing.
    pub failures: u32,
    /// In words, why the last one did. Empty: it did not.
    pub problem: String,
}

/// How a name's certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    /// None: it was not got yet.
    pub not_after: Option<Timestamp>,
    pub problem: String,
}

/// One that was just got.
#[derive(Clone)]
pub struct NewCertificate {
    pub pem: Zeroizing<String>,
    pub issued_at: Timestamp,
    pub not_after: Timestamp,
    pub renew_at: Timestamp,
}

pub(crate) fn place(host: &str) -> String {
    format!("certificates/{host}")
}

pub(crate) fn account_place(directory: &str) -> String {
    format!("acme_accounts/{directory}")
}

fn failures(row: &Row) -> Result<u32, Error> {
    Ok(u32::try_from(row.count("failures")?).unwrap_or(u32::MAX))
}

impl Platform {
    /// Notes that a certificate is wanted for a name; `owner` is the org whose agent it is for.
    pub async fn want_certificate(&self, host: String, owner: Option<OrgId>) -> Result<(), Error> {
        let now = self.store.now();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT 1 AS there FROM certificates WHERE host = $1";
                if tx.row(sql, values![host.as_str()]).await?.is_some() {
                    return Ok(());
                }
                let count = async |tx: &mut crate::tx::Tx, sql: &str, values: &[crate::rows::Value]| {
                    let row = tx.row(sql, values).await?;
                    row.map_or(Ok(0), |row| row.count("there"))
                };
                let all = count(tx, "SELECT COUNT(*) AS there FROM certificates", values![]).await?;
                if all >= MAX_CERTIFICATES {
                    return Err(Error::LimitReached {
                        what: "certificates",
                        most: MAX_CERTIFICATES,
                    });
                }
                if let Some(owner) = owner {
                    let sql = "SELECT COUNT(*) AS there FROM certificates WHERE owner = $1";
                    if count(tx, sql, values![owner]).await? >= MAX_CERTIFICATES_OF_ORG {
                        return Err(Error::LimitReached {
                            what: "certificates for this org's names",
                            most: MAX_CERTIFICATES_OF_ORG,
                        });
                    }
                }
                let sql =
                    "INSERT INTO certificates (host, owner, key_version, next_at, failures, problem, created_at)
                           VALUES ($1, $2, 0, $3, 0, '', $3) ON CONFLICT (host) DO NOTHING";
                tx.run(sql, values![host, owner, now]).await?;
                Ok(())
            })
        })
        .await
    }

    pub async fn certificate(&self, host: &str) -> Result<Option<StoredCertificate>, Error> {
        let name = host.to_owned();
        let row = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql =
                        "SELECT sealed, key_version, not_after, next_at, failures, problem FROM certificates
                               WHERE host = $1";
                    tx.row(sql, values![name]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let pem = match row.maybe_bytes("sealed")? {
            Some(sealed) => {
                let version = row.count("key_version")?;
                Some(self.open_sealed(NOBODY, &place(host), version, sealed).await?)
            }
            None => None,
        };
        Ok(Some(StoredCertificate {
            pem,
            not_after: row.maybe_time("not_after")?,
            next_at: row.time("next_at")?,
            failures: failures(&row)?,
            problem: row.text("problem")?.to_owned(),
        }))
    }

    /// How a name's certificate stands; none: nobody wants one.
    pub async fn certificate_state(&self, host: &str) -> Result<Option<CertificateState>, Error> {
        let host = host.to_owned();
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT not_after, problem FROM certificates WHERE host = $1";
                let row = tx.row(sql, values![host]).await?;
                row.map(|row| {
                    Ok(CertificateState {
                        not_after: row.maybe_time("not_after")?,
                        problem: row.text("problem")?.to_owned(),
                    })
                })
                .transpose()
            })
        })
        .await
    }

    /// Names whose certificate is to be got now, the one that waits longest first.
    pub async fn due_certificates(&self, limit: u32) -> Result<Vec<String>, Error> {
        let now = self.store.now();
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT host FROM certificates
                           WHERE next_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
                           ORDER BY next_at, host LIMIT $2";
                let rows = tx.rows(sql, values![now, limit]).await?;
                rows.iter().map(|row| Ok(row.text("host")?.to_owned())).collect()
            })
        })
        .await
    }

    /// Owners' names and nobody else's that have no certificate yet.
    pub async fn domains_without_certificate(&self, limit: u32) -> Result<Vec<(String, OrgId)>, Error> {
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT h.host, h.org_id FROM hosts h LEFT JOIN certificates c ON c.host = h.host
                           WHERE h.host LIKE '%.%' AND c.host IS NULL ORDER BY h.host LIMIT $1";
                let rows = tx.rows(sql, values![limit]).await?;
                rows.iter()
                    .map(|row| Ok((row.text("host")?.to_owned(), row.id("org_id")?)))
                    .collect()
            })
        })
        .await
    }

    /// Takes a name's certificate on until `for_so_long` has passed, if nobody else is at it and fewer than `most` orders were made
    /// within the last hour.
    pub async fn lease_certificate(
        &self,
        host: String,
        for_so_long: SignedDuration,
        most: u64,
    ) -> Result<bool, Error> {
        let now = self.store.now();
        let until = now.saturating_add(for_so_long).unwrap_or(now);
        let hour_ago = now.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(now);
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT COUNT(*) AS there FROM certificates WHERE ordered_at > $1";
                let row = tx.row(sql, values![hour_ago]).await?;
                if row.map_or(Ok(0), |row| row.count("there"))? >= most {
                    return Ok(false);
                }
                let sql = "UPDATE certificates SET leased_until = $2, ordered_at = $3
                           WHERE host = $1 AND (leased_until IS NULL OR leased_until <= $3)";
                Ok(tx.run(sql, values![host, until, now]).await? == 1)
            })
        })
        .await
    }

    /// Keeps a certificate in the place of the one before.
    pub async fn keep_certificate(&self, host: String, new: NewCertificate) -> Result<(), Error> {
        let sealed = self.seal(NOBODY, &place(&host), &new.pem)?;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE certificates SET sealed = $2, key_version = $3, issued_at = $4, not_after = $5, next_at = $6,
                               leased_until = NULL, failures = 0, problem = '', challenge_token = NULL,
                               challenge_authorization = NULL
                           WHERE host = $1";
                let values = values![
                    host,
                    sealed.bytes,
                    sealed.key_version,
                    new.issued_at,
                    new.not_after,
                    new.renew_at,
                ];
                tx.run(sql, values).await?;
                Ok(())
            })
        })
        .await
    }

    /// Nothing came of it, and it is tried again at `next_at`.
    pub async fn fail_certificate(
        &self,
        host: String,
        problem: String,
        next_at: Timestamp,
    ) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE certificates SET problem = $2, next_at = $3, failures = failures + 1, leased_until = NULL,
                               challenge_token = NULL, challenge_authorization = NULL
                           WHERE host = $1";
                tx.run(sql, values![host, problem, next_at]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Once the name leads nowhere any more.
    pub async fn forget_certificate(&self, host: String) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                tx.run("DELETE FROM certificates WHERE host = $1", values![host])
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// What the authority is to find under a name.
    pub async fn set_challenge(
        &self,
        host: String,
        token: String,
        authorization: String,
    ) -> Result<(), Error> {
        self.write_one(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE certificates SET challenge_token = $2, challenge_authorization = $3 WHERE host = $1";
                tx.run(sql, values![host, token, authorization]).await?;
                Ok(())
            })
        })
        .await
    }

    /// A token and its authorization, while an authority may look for them.
    pub async fn challenge(&self, host: &str) -> Result<Option<(String, String)>, Error> {
        let host = host.to_owned();
        self.read(move |tx| {
            Box::pin(async move {
                let sql = "SELECT challenge_token, challenge_authorization FROM certificates
                           WHERE host = $1 AND challenge_token IS NOT NULL AND challenge_authorization IS NOT NULL";
                let row = tx.row(sql, values![host]).await?;
                row.map(|row| {
                    let text = |column: &str| Ok::<_, Error>(row.text(column)?.to_owned());
                    Ok((text("challenge_token")?, text("challenge_authorization")?))
                })
                .transpose()
            })
        })
        .await
    }

    /// Who we are at an authority, as it was kept.
    pub async fn acme_account(&self, directory: &str) -> Result<Option<Zeroizing<String>>, Error> {
        let at = directory.to_owned();
        let row = self
            .read(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT sealed, key_version FROM acme_accounts WHERE directory = $1";
                    tx.row(sql, values![at]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (version, sealed) = (row.count("key_version")?, row.maybe_bytes("sealed")?);
        let place = account_place(directory);
        let opened = self.open_sealed(NOBODY, &place, version, sealed.unwrap_or_default());
        Ok(Some(opened.await?))
    }

    /// Keeps who we are, unless another control was faster; what is kept from now on.
    pub async fn add_acme_account(
        &self,
        directory: &str,
        credentials: &str,
    ) -> Result<Zeroizing<String>, Error> {
        let (at, now) = (directory.to_owned(), self.store.now());
        let sealed = self.seal(NOBODY, &account_place(directory), credentials)?;
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO acme_accounts (directory, sealed, key_version, created_at)
                           VALUES ($1, $2, $3, $4) ON CONFLICT (directory) DO NOTHING";
                tx.run(sql, values![at, sealed.bytes, sealed.key_version, now])
                    .await?;
                Ok(())
            })
        })
        .await?;
        let kept = self.acme_account(directory).await?;
        kept.ok_or(Error::NotFound("account at the authority"))
    }
}
