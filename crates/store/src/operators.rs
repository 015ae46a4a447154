//! Operators of the platform: users whose it is to run, whatever they are in an org.

use creel_domain::{Act, Email, UserId};

use crate::{
    Error, Platform,
    audit::record_for,
    people::{PERSON, Person, by_email},
    rows::values,
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

impl From<Person> for StoredOperator {
    fn from(person: Person) -> Self {
        Self {
            second_factor: person.needs_two_factors(),
            user: person.user,
            name: person.name,
            email: person.email,
        }
    }
}

async fn all(tx: &mut Tx) -> Result<Vec<StoredOperator>, Error> {
    let sql = format!("{PERSON} WHERE u.operator = 1 ORDER BY u.id");
    let rows = tx.rows(&sql, values![]).await?;
    rows.iter()
        .map(|row| Person::try_from(row).map(StoredOperator::from))
        .collect()
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
                let person = by_email(tx, &email).await?;
                let person = person.filter(|person| person.verified_at.is_some());
                let user = person.ok_or(Error::NotFound("user"))?.user;
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
