//! Whose JWTs are accepted besides Creel's own, as `creel up` is told.

use std::{io::Read as _, path::PathBuf};

use creel_control::{IssuerKeys, JwtIssuer, SHARED_SECRET_BYTES};
use creel_domain::MemberRole;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// A longer file holds no shared secret.
const FILE_BYTES: u64 = 4096;

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "JWTs of another issuer")]
pub(crate) struct IssuerArgs {
    /// Accept JWTs that this issuer made; their `iss` must be exactly this
    #[arg(
        long,
        value_name = "ISSUER",
        env = "CREEL_JWT_ISSUER",
        requires = "jwt_audience"
    )]
    jwt_issuer: Option<String>,
    /// For whom they must be: their `aud`
    #[arg(
        long,
        value_name = "AUDIENCE",
        env = "CREEL_JWT_AUDIENCE",
        requires = "jwt_issuer"
    )]
    jwt_audience: Option<String>,
    /// Where its keys are published. Without it they are found through its OpenID description
    #[arg(long, value_name = "URL", env = "CREEL_JWT_KEYS", requires = "jwt_issuer")]
    jwt_keys: Option<String>,
    /// File with the secret that it signs with (HS256), instead of published keys
    #[arg(
        long,
        value_name = "FILE",
        env = "CREEL_JWT_SECRET_FILE",
        requires = "jwt_issuer",
        conflicts_with = "jwt_keys"
    )]
    jwt_secret_file: Option<PathBuf>,
    /// Let in whom nobody knows yet, with this role in the first org. Without it: only those whose verified address is a
    /// user's
    #[arg(
        long,
        value_name = "ROLE",
        env = "CREEL_JWT_NEWCOMERS",
        requires = "jwt_issuer"
    )]
    jwt_newcomers: Option<MemberRole>,
}

/// What control is told: over a socket, for it holds the secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Issuer {
    issuer: String,
    audience: String,
    keys: Keys,
    newcomers: Option<MemberRole>,
}

#[derive(Clone, Serialize, Deserialize)]
enum Keys {
    Discover,
    At(String),
    Secret(String),
}

impl IssuerArgs {
    /// What cannot be used is better refused before anything is made.
    pub(super) fn read(&self) -> Result<Option<Issuer>> {
        let (Some(issuer), Some(audience)) = (&self.jwt_issuer, &self.jwt_audience) else {
            return Ok(None);
        };
        let keys = match (&self.jwt_keys, &self.jwt_secret_file) {
            (_, Some(path)) => {
                let mut text = String::new();
                let read = std::fs::File::open(path)
                    .and_then(|file| file.take(FILE_BYTES + 1).read_to_string(&mut text));
                read.map_err(|error| {
                    Failure::sentence(format!("cannot read the secret in {}: {error}", path.display()))
                })?;
                let secret = text.trim_end_matches(['\r', '\n']);
                if !(SHARED_SECRET_BYTES as u64..=FILE_BYTES).contains(&(secret.len() as u64)) {
                    return Err(Failure::sentence(format!(
                        "the secret in {} must have {SHARED_SECRET_BYTES} to {FILE_BYTES} bytes",
                        path.display()
                    )));
                }
                Keys::Secret(secret.to_owned())
            }
            (Some(url), None) => Keys::At(url.clone()),
            (None, None) => Keys::Discover,
        };
        Ok(Some(Issuer {
            issuer: issuer.clone(),
            audience: audience.clone(),
            keys,
            newcomers: self.jwt_newcomers,
        }))
    }

    /// The same for another process.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let file = self.jwt_secret_file.as_deref().map(|path| {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            path.display().to_string()
        });
        [
            ("CREEL_JWT_ISSUER", self.jwt_issuer.clone()),
            ("CREEL_JWT_AUDIENCE", self.jwt_audience.clone()),
            ("CREEL_JWT_KEYS", self.jwt_keys.clone()),
            ("CREEL_JWT_SECRET_FILE", file),
            (
                "CREEL_JWT_NEWCOMERS",
                self.jwt_newcomers.map(|role| role.to_string()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
    }
}

impl From<Issuer> for JwtIssuer {
    fn from(told: Issuer) -> Self {
        Self {
            issuer: told.issuer,
            audience: told.audience,
            keys: match told.keys {
                Keys::Discover => IssuerKeys::Discover,
                Keys::At(url) => IssuerKeys::At(url),
                Keys::Secret(secret) => IssuerKeys::Secret(secret.into_bytes().into()),
            },
            newcomers: told.newcomers,
        }
    }
}
