//! The wall between tenants, in the database itself.
//!
//! Every table with a column `org_id` has a forced policy: a transaction sees and makes rows of the org that
//! was set for it, whatever its statements say or forget. Nobody puts the wall up by hand: it follows from the
//! catalogue, and is renewed with each migration.
//!
//! | role | what it may |
//! |---|---|
//! | the user of the address | owns the tables; sees no tenant's rows unless the transaction says it is maintenance |
//! | `creel_<database>_tenant` | rows of the org that is set, and what [`TENANT`] lists; every connection works as this |
//! | `creel_<database>_platform` | what [`PLATFORM`] lists, of all orgs; taken on for one transaction |
//!
//! Neither of the two can log in, owns anything, or may bypass a policy.

use tokio_postgres::{Client, error::SqlState};

use super::SCHEMA;
use crate::{Error, migrations::checksum};

/// What a transaction without an org may do, and to which tables.
const PLATFORM: &[(&str, &str)] = &[
    ("key_check", "SELECT, INSERT, UPDATE"),
    // Sign-in finds out whose org it is about.
    // Touched to wait for the org's own writes.
    ("orgs", "SELECT, INSERT, UPDATE (last_event)"),
    ("users", "SELECT, INSERT, UPDATE (operator)"),
    ("members", "SELECT, INSERT"),
    // A mailed code is made when it is mailed, and used by one who is nobody's yet.
    ("invitations", "SELECT, UPDATE (hash), DELETE"),
    ("tokens", "SELECT, UPDATE (last_used_at)"),
    ("sign_in_links", "SELECT, INSERT, DELETE"),
    ("browser_sessions", "SELECT, INSERT, UPDATE, DELETE"),
    // People are the platform's: a tenant sees them as members.
    ("emails", "SELECT, INSERT, UPDATE"),
    ("passwords", "SELECT, INSERT, UPDATE"),
    ("totps", "SELECT, INSERT, UPDATE, DELETE"),
    ("recovery_codes", "SELECT, INSERT, DELETE"),
    ("half_sessions", "SELECT, INSERT, UPDATE, DELETE"),
    ("attempts", "SELECT, INSERT, UPDATE, DELETE"),
    ("passkeys", "SELECT, INSERT, UPDATE, DELETE"),
    ("passkey_challenges", "SELECT, INSERT, DELETE"),
    ("mails", "SELECT, INSERT, UPDATE, DELETE"),
    ("mail_links", "SELECT, INSERT, DELETE"),
    // What is done to an org is told in its trail by the same transaction.
    ("audit", "SELECT, INSERT"),
    ("audit_heads", "SELECT, INSERT, UPDATE"),
    ("identities", "SELECT, INSERT, DELETE"),
    (
        "sso_providers",
        "SELECT, INSERT, UPDATE (sealed_client_secret, key_version), DELETE",
    ),
    ("sso_attempts", "SELECT, INSERT, DELETE"),
    (
        "signing_keys",
        "SELECT, INSERT, UPDATE (sealed_private, key_version), DELETE",
    ),
    // Keys are wrapped anew, and the platform's values sealed anew, whosever they are.
    ("platform_keys", "SELECT, INSERT, UPDATE, DELETE"),
    ("master_key", "SELECT, INSERT, UPDATE"),
    ("org_keys", "SELECT, UPDATE (wrapped, wrapped_by, round)"),
    (
        "own_keys",
        "SELECT (org_id, sealed_token, key_version), UPDATE (sealed_token, key_version)",
    ),
    // Whether anything is sealed as the first releases did.
    ("providers", "SELECT (org_id, sealed_key, key_version)"),
    ("platform_providers", "SELECT, INSERT, UPDATE, DELETE"),
    // A device asks before it belongs to anybody.
    ("device_requests", "SELECT, INSERT, UPDATE, DELETE"),
    ("device_guesses", "SELECT, INSERT, DELETE"),
    // The reconciler looks at everybody's agents; a control that starts, at what was under way.
    ("agents", "SELECT"),
    // Which agent a name belongs to says whose rows to look at.
    ("hosts", "SELECT"),
    // Whose domains are to be looked at again.
    ("domains", "SELECT"),
    ("certificates", "SELECT, INSERT, UPDATE, DELETE"),
    ("acme_accounts", "SELECT, INSERT, UPDATE (sealed, key_version)"),
    ("turns", "SELECT"),
    // The scheduler looks whose time has come.
    ("schedules", "SELECT"),
    ("calls", "SELECT, UPDATE"),
    ("spares", "SELECT, INSERT, UPDATE, DELETE"),
];

/// What the transaction of an org may do to tables that are nobody's.
const TENANT: &[(&str, &str)] = &[
    // Its new agent gets one.
    ("spares", "SELECT, DELETE"),
];

/// PostgreSQL cuts longer names off.
const NAME_BYTES: usize = 63;

/// Names, quoted for use in statements.
#[derive(Debug, Clone)]
pub(crate) struct Roles {
    pub(super) tenant: String,
    pub(super) platform: String,
}

impl Roles {
    pub(super) fn of(database: &str) -> Result<Self, Error> {
        let name = |what: &str| {
            let name = format!("creel_{database}_{what}");
            (name.len() <= NAME_BYTES).then(|| quoted(&name))
        };
        let (Some(tenant), Some(platform)) = (name("tenant"), name("platform")) else {
            return Err(Error::NoRights {
                what: "have so long a name for its database: choose one of at most 40 bytes".to_owned(),
            });
        };
        Ok(Self { tenant, platform })
    }

    /// Makes the roles that are not there yet, and takes those that bypass policies for what they are.
    pub(super) async fn ensure(&self, client: &Client) -> Result<(), Error> {
        for role in [&self.tenant, &self.platform] {
            let bare = role.trim_matches('"');
            let found = client
                .query_opt(
                    "SELECT rolsuper OR rolbypassrls AS above, pg_has_role(current_user, oid, 'MEMBER') AS member
                     FROM pg_roles WHERE rolname = $1",
                    &[&bare],
                )
                .await?;
            let (above, member) = match &found {
                Some(row) => (row.try_get("above")?, row.try_get("member")?),
                None => (false, false),
            };
            if above {
                return Err(Error::NoRights {
                    what: format!(
                        "use the role {role}, which may bypass policies: drop it or take that right away"
                    ),
                });
            }
            let mut missing = Vec::new();
            if found.is_none() {
                missing.push(format!("CREATE ROLE {role} NOLOGIN NOBYPASSRLS"));
            }
            if !member {
                missing.push(format!("GRANT {role} TO CURRENT_USER"));
            }
            for sql in missing {
                client.batch_execute(&sql).await.map_err(|error| {
                    if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
                        let what =
                            format!("do `{sql}`: give it CREATEROLE, or do that for it as an administrator");
                        Error::NoRights { what }
                    } else {
                        error.into()
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Puts the wall up, in the transaction that is open, if it is not the one that stands.
    pub(super) async fn wall(&self, client: &Client) -> Result<(), Error> {
        let sql = self.sql(&walled(client).await?);
        let (sum, all) = (checksum(&sql), "SELECT checksum FROM wall");
        let stands = client.query_opt(all, &[]).await?;
        if stands.is_some_and(|row| row.get::<_, Vec<u8>>(0) == sum) {
            return Ok(());
        }
        client.batch_execute(&sql).await?;
        client.execute("DELETE FROM wall", &[]).await?;
        client.execute("INSERT INTO wall VALUES ($1)", &[&sum]).await?;
        Ok(())
    }

    fn sql(&self, walled: &[String]) -> String {
        let Self { tenant, platform } = self;
        let mut sql = format!(
            "GRANT USAGE ON SCHEMA {SCHEMA} TO {tenant}, {platform};
             REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC, {tenant}, {platform};"
        );
        let orgs = ("orgs".to_owned(), "id", "SELECT, UPDATE");
        let others = walled
            .iter()
            .map(|table| (quoted(table), "org_id", "SELECT, INSERT, UPDATE, DELETE"));
        for (table, org, rights) in std::iter::once(orgs).chain(others) {
            sql.push_str(&format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                 ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                 DROP POLICY IF EXISTS tenant ON {table};
                 DROP POLICY IF EXISTS platform ON {table};
                 DROP POLICY IF EXISTS maintenance ON {table};
                 CREATE POLICY tenant ON {table} TO {tenant}
                   USING ({org} = (SELECT NULLIF(current_setting('creel.org', true), '')::uuid));
                 CREATE POLICY platform ON {table} TO {platform} USING (true);
                 CREATE POLICY maintenance ON {table} TO CURRENT_USER
                   USING (current_setting('creel.maintenance', true) = 'on');
                 GRANT {rights} ON {table} TO {tenant};"
            ));
        }
        for (table, rights) in PLATFORM {
            sql.push_str(&format!("GRANT {rights} ON {table} TO {platform};"));
        }
        for (table, rights) in TENANT {
            sql.push_str(&format!("GRANT {rights} ON {table} TO {tenant};"));
        }
        sql
    }
}

/// Tables with an org, in their order.
async fn walled(client: &Client) -> Result<Vec<String>, Error> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' AND NOT a.attisdropped
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY c.relname";
    let rows = client.query(sql, &[&SCHEMA]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
