//! Operators of the platform: users whose it is to run, whatever they are in an org.

use creel_domain::{Act, Email, UserId};

use crate::{
    Error, Platform,
    audit::record_for,
    people::owner_of,
    rows::{Row, values},
    tx::Tx,
};

/// As many as there can be.
pub const MAX_OPERATORS: u64 = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredOperator {
    pub user: UserId,
    /// What they were called first.
    pub name: String,
    pub email: Option<Email>,
    /// Without one they may not enter an org that is not theirs.
    pub second_factor: bool,
}

impl TryFrom<&Row> for StoredOperator {
    type Error = Error;

    fn try_from(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            user: row.id("id")?,
            name: row.text("name")?.to_owned(),
            email: match row.maybe_text("address")? {
                Some(_) => Some(row.parsed("address")?),
                None => None,
            },
            second_factor: row.int("second_factor")? != 0,
        })
    }
}

async fn all(tx: &mut Tx) -> Result<Vec<StoredOperator>, Error> {
    // Passkeys are two factors where nothing that is one lets anybody in beside them.
    let sql = "SELECT u.id, u.name, e.address,
                      CASE WHEN t.confirmed_at IS NOT NULL THEN 1
                           WHEN p.user_id IS NULL AND EXISTS (SELECT 1 FROM passkeys k WHERE k.user_id = u.id)
                                AND NOT EXISTS (SELECT 1 FROM identities i WHERE i.user_id = u.id) THEN 1
                           ELSE 0 END AS second_factor
               FROM users u LEFT JOIN emails e ON e.user_id = u.id LEFT JOIN totps t ON t.user_id = u.id
               LEFT JOIN passwords p ON p.user_id = u.id
               WHERE u.operator = 1 ORDER BY u.id";
    let rows = tx.rows(sql, values![]).await?;
    rows.iter().map(StoredOperator::try_from).collect()
}

impl Platform {
    /// The first one first.
    pub async fn operators(&self) -> Result<Vec<StoredOperator>, Error> {
        self.read(move |tx| Box::pin(all(tx))).await
    }

    /// Makes the user with this verified address an operator; one who is stays one.
    pub async fn add_operator(&self, email: Email) -> Result<StoredOperator, Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let user = owner_of(tx, &email).await?.ok_or(Error::NotFound("user"))?;
                let sql = "SELECT 1 AS verified FROM emails WHERE user_id = $1 AND verified_at IS NOT NULL";
                if tx.row(sql, values![user]).await?.is_none() {
                    return Err(Error::NotFound("user"));
                }
                if all(tx).await?.len() as u64 >= MAX_OPERATORS {
                    return Err(Error::LimitReached {
                        what: "operators",
                        most: MAX_OPERATORS,
                    });
                }
                let sql = "UPDATE users SET operator = 1 WHERE id = $1 AND operator = 0";
                if tx.run(sql, values![user]).await? == 1 {
                    record_for(tx, user, Act::new("operator.add")).await?;
                }
                let found = all(tx).await?.into_iter().find(|operator| operator.user == user);
                found.ok_or(Error::NotFound("user"))
            })
        })
        .await
    }

    /// From now on somebody is no operator any more. There is always one left.
    pub async fn remove_operator(&self, user: UserId) -> Result<(), Error> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE users SET operator = 0 WHERE id = $1 AND operator = 1";
                if tx.run(sql, values![user]).await? == 0 {
                    return Err(Error::NotFound("operator"));
                }
                if all(tx).await?.is_empty() {
                    return Err(Error::LastOperator);
                }
                record_for(tx, user, Act::new("operator.remove")).await
            })
        })
        .await
    }
}
