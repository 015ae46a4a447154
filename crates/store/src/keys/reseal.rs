//! Sealing values anew with a newer key, a few in a transaction. What is done is in the rows themselves, so whoever is
//! killed in between, or is not alone, does no harm.

use creel_domain::{AgentId, OrgId, ProviderId, SsoProviderId, UserId};

use super::data_key::{DataKey, Sealed};
use crate::{
    Error, Org, Platform,
    rows::{Row, Value},
    store::NOBODY,
    tx::Tx,
};

/// Values sealed anew in one transaction.
const BATCH: u32 = 20;

/// Whose values.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    Org(OrgId),
    Platform,
}

/// Whose a value is, and what it is sealed to.
type Place = Result<(OrgId, String), Error>;

/// A column of sealed values.
struct Column {
    table: &'static str,
    key: &'static str,
    sealed: &'static str,
    /// What else the place is made of.
    more: &'static str,
    place: fn(OrgId, &Row) -> Place,
}

/// Sealed by each org's keys.
const OF_ORGS: &[Column] = &[
    Column {
        table: "providers",
        key: "id",
        sealed: "sealed_key",
        more: "",
        place: |org, row| Ok((org, crate::providers::place(row.id::<ProviderId>("id")?))),
    },
    Column {
        table: "secrets",
        key: "id",
        sealed: "sealed",
        more: ", agent_id, name",
        place: |org, row| {
            let agent = row.maybe_id::<AgentId>("agent_id")?;
            Ok((org, crate::secrets::place(agent, row.text("name")?)))
        },
    },
];

/// Sealed by the platform's keys.
const OF_PLATFORM: &[Column] = &[
    Column {
        table: "key_check",
        key: "key_version",
        sealed: "sealed",
        more: "",
        place: |_, _| Ok((NOBODY, super::begin::CHECK.to_owned())),
    },
    Column {
        table: "totps",
        key: "user_id",
        sealed: "sealed",
        more: "",
        place: |_, row| Ok((NOBODY, crate::second_factor::place(row.id::<UserId>("id")?))),
    },
    Column {
        table: "signing_keys",
        key: "id",
        sealed: "sealed_private",
        more: "",
        place: |_, row| Ok((NOBODY, crate::signing::place(row.text("id")?))),
    },
    Column {
        table: "audit_heads",
        key: "org_id",
        sealed: "sealed_key",
        more: "",
        place: |_, row| Ok((row.id("id")?, crate::audit::PLACE.to_owned())),
    },
    Column {
        table: "own_keys",
        key: "org_id",
        sealed: "sealed_token",
        more: "",
        place: |_, row| {
            let org = row.id("id")?;
            Ok((org, super::own::place(org)))
        },
    },
    Column {
        table: "sso_providers",
        key: "id",
        sealed: "sealed_client_secret",
        more: ", issuer",
        place: |_, row| {
            let id = row.id::<SsoProviderId>("id")?;
            Ok((NOBODY, crate::sso::place(id, row.text("issuer")?)))
        },
    },
    Column {
        table: "certificates",
        key: "host",
        sealed: "sealed",
        more: "",
        place: |_, row| Ok((NOBODY, crate::certificates::place(row.text("id")?))),
    },
    Column {
        table: "acme_accounts",
        key: "directory",
        sealed: "sealed",
        more: "",
        place: |_, row| Ok((NOBODY, crate::certificates::account_place(row.text("id")?))),
    },
    Column {
        table: "platform_providers",
        key: "id",
        sealed: "sealed_key",
        more: "",
        place: |_, row| Ok((NOBODY, crate::providers::place(row.id::<ProviderId>("id")?))),
    },
];

impl Scope {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Org(_) => OF_ORGS,
            Self::Platform => OF_PLATFORM,
        }
    }

    fn org(self) -> OrgId {
        match self {
            Self::Org(org) => org,
            Self::Platform => NOBODY,
        }
    }

    /// A condition about `$1`.
    fn mine(self) -> &'static str {
        match self {
            Self::Org(_) => "org_id = $1",
            Self::Platform => "CAST($1 AS TEXT) IS NOT NULL",
        }
    }

    fn who(self) -> Value {
        match self {
            Self::Org(org) => org.into(),
            Self::Platform => "platform".into(),
        }
    }
}

/// Values that are sealed with an older key.
pub(super) async fn remaining(tx: &mut Tx, scope: Scope, newest: u64) -> Result<u64, Error> {
    let mut all = 0;
    for Column { table, sealed, .. } in scope.columns() {
        let mine = scope.mine();
        let sql = format!(
            "SELECT COUNT(*) AS n FROM {table} WHERE {mine} AND key_version < $2 AND {sealed} IS NOT NULL"
        );
        let row = tx.row(&sql, &[scope.who(), newest.into()]).await?;
        all += row.map_or(Ok(0), |row| row.count("n"))?;
    }
    Ok(all)
}

/// Whether there is one that is older; with no key at all, whether there is anything.
pub(super) async fn oldest(tx: &mut Tx, scope: Scope, newest: u64) -> Result<bool, Error> {
    Ok(remaining(tx, scope, newest.max(1)).await? > 0)
}

/// A value that was found.
struct Old {
    column: &'static Column,
    id: Value,
    whose: OrgId,
    place: String,
    sealed: Sealed,
}

/// A page of older values of one column, after `skip` of them.
async fn page(
    tx: &mut Tx,
    scope: Scope,
    column: &'static Column,
    newest: u64,
    skip: u64,
) -> Result<Vec<Old>, Error> {
    let Column {
        table,
        key,
        sealed,
        more,
        place,
    } = column;
    let mine = scope.mine();
    let sql = format!(
        "SELECT {key} AS id, {sealed} AS sealed, key_version{more} FROM {table}
         WHERE {mine} AND key_version < $2 AND {sealed} IS NOT NULL ORDER BY {key} LIMIT $3 OFFSET $4"
    );
    let values = [scope.who(), newest.into(), BATCH.into(), skip.into()];
    let mut found = Vec::new();
    for row in tx.rows(&sql, &values).await? {
        let (whose, place) = place(scope.org(), &row)?;
        let bytes = row.maybe_bytes("sealed")?.unwrap_or_default().to_vec();
        found.push(Old {
            column,
            id: row.raw("id")?,
            whose,
            place,
            sealed: Sealed {
                key_version: row.count("key_version")?,
                bytes,
            },
        });
    }
    Ok(found)
}

/// Puts the new one in the old one's place, if that is still there.
async fn replace(tx: &mut Tx, scope: Scope, old: &Old, new: &Sealed) -> Result<(), Error> {
    let Column {
        table, key, sealed, ..
    } = old.column;
    let mine = scope.mine();
    let sql = format!(
        "UPDATE {table} SET {sealed} = $2, key_version = $3
         WHERE {mine} AND {key} = $4 AND key_version = $5 AND {sealed} = $6"
    );
    let values = [
        scope.who(),
        new.bytes.clone().into(),
        new.key_version.into(),
        old.id.clone(),
        old.sealed.key_version.into(),
        old.sealed.bytes.clone().into(),
    ];
    tx.run(&sql, &values).await.map(drop)
}

impl Org {
    /// Seals some older values with `key`; false: there are none, or none that opens.
    pub(super) async fn reseal(&self, key: &DataKey) -> Result<bool, Error> {
        let (scope, newest, org) = (Scope::Org(self.id), key.version, self.id);
        for column in OF_ORGS {
            let mut skip = 0;
            loop {
                let old = self.read(move |tx| Box::pin(page(tx, scope, column, newest, skip)));
                let old = old.await?;
                let (read, mut new) = (old.len(), Vec::new());
                for old in old {
                    match self
                        .open_sealed(&old.place, old.sealed.key_version, &old.sealed.bytes)
                        .await
                    {
                        Ok(value) => {
                            let sealed = key.seal(old.whose, &old.place, &value)?;
                            new.push((std::sync::Arc::new(old), sealed));
                        }
                        Err(Error::WrongKey | Error::KeyGone) => unopened(&old),
                        Err(error) => return Err(error),
                    }
                }
                if !new.is_empty() {
                    let done = self.write(move |tx| {
                        Box::pin(async move {
                            super::ring::still_newest(tx, org, newest).await?;
                            for (old, new) in &new {
                                replace(tx, scope, old, new).await?;
                            }
                            Ok(())
                        })
                    });
                    return match done.await {
                        // There is a newer one: the next look takes it.
                        Ok(()) | Err(Error::KeyMoved) => Ok(true),
                        Err(error) => Err(error),
                    };
                }
                if read < BATCH as usize {
                    break;
                }
                skip += u64::from(BATCH);
            }
        }
        Ok(false)
    }
}

impl Platform {
    /// As [`Org::reseal`], with the platform's newest key.
    pub(super) async fn reseal(&self) -> Result<bool, Error> {
        let scope = Scope::Platform;
        let newest = self.store.ring.platform().newest();
        for column in OF_PLATFORM {
            let mut skip = 0;
            loop {
                let old = self.read(move |tx| Box::pin(page(tx, scope, column, newest, skip)));
                let old = old.await?;
                let (read, mut new) = (old.len(), Vec::new());
                for old in old {
                    let Sealed { key_version, bytes } = &old.sealed;
                    match self.open_sealed(old.whose, &old.place, *key_version, bytes).await {
                        Ok(value) => {
                            let sealed = self.seal(old.whose, &old.place, &value)?;
                            new.push((std::sync::Arc::new(old), sealed));
                        }
                        Err(Error::WrongKey | Error::KeyGone) => unopened(&old),
                        Err(error) => return Err(error),
                    }
                }
                if !new.is_empty() {
                    let done = self.write(move |tx| {
                        Box::pin(async move {
                            for (old, new) in &new {
                                replace(tx, scope, old, new).await?;
                            }
                            Ok(())
                        })
                    });
                    return done.await.map(|()| true);
                }
                if read < BATCH as usize {
                    break;
                }
                skip += u64::from(BATCH);
            }
        }
        Ok(false)
    }
}

/// It stays as it is, and keeps its key from being destroyed: who tampered with it may bring it back.
fn unopened(old: &Old) {
    tracing::error!(
        table = old.column.table,
        place = old.place,
        "a sealed value does not open: it was changed behind Creel's back"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use creel_daemon::SystemClock;
    use creel_domain::Act;

    use crate::{MasterKey, Store, Tended, rows::values};

    #[test]
    fn every_sealed_column_is_sealed_anew() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("creel.db");
        crate::sqlite::migrate(&path).expect("migrated");
        let file = rusqlite::Connection::open(&path).expect("opens");
        let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                   WHERE t.type = 'table' AND c.name LIKE 'sealed%' ORDER BY 1";
        let mut found = file.prepare(sql).expect("prepared");
        let found = found.query_map([], |row| row.get::<_, String>(0)).expect("asked");
        let found: Vec<_> = found.map(|column| column.expect("a name")).collect();
        let all = super::OF_ORGS.iter().chain(super::OF_PLATFORM);
        let mut listed: Vec<_> = all
            .map(|column| format!("{}.{}", column.table, column.sealed))
            .collect();
        listed.sort();
        assert_eq!(found, listed);
    }

    #[tokio::test]
    async fn a_trail_whose_key_the_first_releases_sealed_goes_on() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("creel.db");
        let key = || MasterKey::from_bytes([7; 32]);
        let open = || Store::open(&path, key(), Arc::new(SystemClock));
        let store = open().await.expect("opens");
        let platform = store.platform();
        let org = store.org(platform.first_owner().await.expect("made").org);
        let id = org.id();
        // Sealed again as they did it.
        let heads = platform.read(|tx| {
            Box::pin(async move { tx.row("SELECT sealed_key FROM audit_heads", values![]).await })
        });
        let row = heads.await.expect("read").expect("a row");
        let sealed = row.maybe_bytes("sealed_key").expect("bytes").expect("there");
        let place = crate::audit::PLACE;
        let secret = platform.open_sealed(id, place, 1, sealed).await.expect("opens");
        let old = key().seal_derived(id, place, &secret);
        let put = platform.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE audit_heads SET sealed_key = $1, key_version = 0";
                tx.run(sql, values![old]).await
            })
        });
        put.await.expect("written");
        store.close().await;
        let store = open().await.expect("opens");
        let (platform, org) = (store.platform(), store.org(id));
        org.record(Act::new("test.act")).await.expect("recorded");
        assert_eq!(org.verify_audit().await.expect("a verdict").fault, None);
        while platform.tend_master_key().await.expect("tended") == Tended::More {}
        org.record(Act::new("test.act")).await.expect("recorded");
        let verdict = org.verify_audit().await.expect("a verdict");
        assert_eq!((verdict.fault, verdict.good), (None, 3));
        assert_eq!(platform.master_key().await.expect("looked").remaining, 0);
        store.close().await;
    }
}
