//! What the parent and a control tell each other over a pair of sockets: one line of JSON each way.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{acme::AcmeTold, issuer::Issuer, keys::Keys, people::PeopleArgs};

/// The longest line, in bytes.
const LINE_BYTES: u64 = 16 * 1024;

/// From the parent, first.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    /// The token in the owner's settings, if there is one: control says whether it is still good.
    pub(super) token: Option<String>,
    /// The database's address, which may hold a password: no command line and no environment shows it.
    pub(super) database: Option<String>,
    pub(super) people: PeopleArgs,
    pub(super) acme: Option<AcmeTold>,
    /// Whose JWTs are accepted.
    pub(super) issuer: Option<Issuer>,
    /// What wraps all keys; may hold a Vault's token.
    pub(super) keys: Keys,
}

/// From control, once it answers requests.
#[derive(Serialize, Deserialize)]
pub(super) struct Ready {
    /// A new token for the owner, if the one in the settings is none or no good.
    pub(super) token: Option<String>,
    /// Path of a sign-in link, with its secret.
    pub(super) sign_in: String,
}

pub(super) fn send<T: Serialize>(mut stream: &UnixStream, message: &T) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(message).map_err(std::io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}

pub(super) fn receive<T: DeserializeOwned>(stream: &UnixStream) -> std::io::Result<T> {
    let mut line = Vec::new();
    BufReader::new(stream.take(LINE_BYTES)).read_until(b'\n', &mut line)?;
    serde_json::from_slice(&line).map_err(std::io::Error::other)
}
