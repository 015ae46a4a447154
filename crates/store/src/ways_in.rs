//! The rule that nobody locks themselves out: whoever gives a way to sign in up keeps another.

use creel_domain::UserId;

use crate::{Error, rows::values, tx::Tx};

/// Fails where the user could not sign in by themselves any more. To be asked in the transaction that took a way
/// away, which it then undoes. A password counts with the address that one signs in with.
pub(crate) async fn one_is_left(tx: &mut Tx, user: UserId) -> Result<(), Error> {
    let sql = "SELECT (SELECT COUNT(*) FROM identities WHERE user_id = $1)
                    + (SELECT COUNT(*) FROM passkeys WHERE user_id = $1)
                    + (SELECT COUNT(*) FROM passwords p JOIN emails e ON e.user_id = p.user_id
                       WHERE p.user_id = $1) AS n";
    let left = tx.row(sql, values![user]).await?;
    match left.map(|row| row.count("n")).transpose()? {
        None | Some(0) => Err(Error::LastWayIn),
        Some(_) => Ok(()),
    }
}
