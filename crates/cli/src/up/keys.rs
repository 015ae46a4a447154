//! What wraps all keys, as `creel up` is told: a file, or HashiCorp Vault's Transit.

use std::path::{Path, PathBuf};

use creel_control::{OrgVaults, Transit, VaultToken};
use creel_domain::TransitKey;
use creel_protocol::Layout;
use creel_store::{KeyEncryption, MasterKey, MasterKeys};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::sentence;
use crate::failure::{Failure, Result};

/// Environment variables with a Vault's token: no command line shows it.
pub(super) const TOKEN: &str = "CREEL_VAULT_TOKEN";
pub(super) const PREVIOUS_TOKEN: &str = "CREEL_PREVIOUS_VAULT_TOKEN";

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeysArgs {
    /// What closes all secrets: file:PATH, or vault:URL/MOUNT/KEY such as vault:https://vault.example.com:8200/transit/creel
    /// with its token in CREEL_VAULT_TOKEN or a file. Without it: a file in the data directory
    #[arg(long, value_name = "KEY", env = "CREEL_MASTER_KEY")]
    master_key: Option<String>,
    /// File with the Vault's token, readable for the account that control runs as; it is read at each use
    #[arg(long, value_name = "FILE", env = "CREEL_VAULT_TOKEN_FILE")]
    vault_token_file: Option<PathBuf>,
    /// What closed them before, in the same form, until everything is closed by the new one; `data` is the file in the
    /// data directory
    #[arg(long, value_name = "KEY", env = "CREEL_PREVIOUS_MASTER_KEY")]
    previous_master_key: Option<String>,
    /// The same for the Vault before; its token may be in CREEL_PREVIOUS_VAULT_TOKEN
    #[arg(long, value_name = "FILE", env = "CREEL_PREVIOUS_VAULT_TOKEN_FILE")]
    previous_vault_token_file: Option<PathBuf>,
    /// Let orgs name Vaults in private networks, and on this host
    #[arg(long, env = "CREEL_PRIVATE_VAULTS")]
    private_vaults: bool,
}

/// What control is told: over a socket, for it may hold a token.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Keys {
    master: Place,
    previous: Option<Place>,
    private_vaults: bool,
}

#[derive(Clone, Default, Serialize, Deserialize)]
enum Place {
    /// The file in the data directory.
    #[default]
    Data,
    File(PathBuf),
    Vault {
        key: TransitKey,
        token: Token,
    },
}

#[derive(Clone, Serialize, Deserialize)]
enum Token {
    Given(String),
    File(PathBuf),
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn place(text: &str, option: &str, token_file: Option<&Path>, variable: &str) -> Result<Place> {
    let wrong = || {
        Failure::wrong_use(format!(
            "{option} is file:PATH, or vault:URL/MOUNT/KEY such as vault:https://vault.example.com:8200/transit/creel"
        ))
    };
    if text == "data" {
        return Ok(Place::Data);
    }
    if let Some(path) = text.strip_prefix("file:") {
        if path.is_empty() {
            return Err(wrong());
        }
        return Ok(Place::File(absolute(Path::new(path))));
    }
    let url = text.strip_prefix("vault:").ok_or_else(wrong)?;
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (host, path) = rest.split_once('/').ok_or_else(wrong)?;
    let (mount, name) = path.rsplit_once('/').ok_or_else(wrong)?;
    let key = TransitKey::new(&format!("{scheme}://{host}"), mount, name).map_err(sentence)?;
    let token = match (token_file, std::env::var(variable)) {
        (Some(path), _) => Token::File(absolute(path)),
        (None, Ok(token)) if !token.is_empty() => Token::Given(token),
        _ => {
            return Err(Failure::sentence(format!(
                "{option} names a Vault, and there is no token for it: set {variable}, or name a file that holds it \
                 (see `creel up --help`)"
            )));
        }
    };
    // What cannot be used is better refused before anything is made.
    vault(&key, &token)?;
    Ok(Place::Vault { key, token })
}

fn vault(key: &TransitKey, token: &Token) -> Result<Transit> {
    let token = match token {
        Token::Given(token) => VaultToken::Given(token.clone().into()),
        Token::File(path) => VaultToken::File(path.clone()),
    };
    Transit::new(key.clone(), token).map_err(Failure::sentence)
}

impl KeysArgs {
    pub(super) fn read(&self) -> Result<Keys> {
        let read = |text: &Option<String>, option, file: &Option<PathBuf>, variable| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            text.map(|text| place(text, option, file.as_deref(), variable))
                .transpose()
        };
        let master = read(&self.master_key, "--master-key", &self.vault_token_file, TOKEN)?;
        let previous = read(
            &self.previous_master_key,
            "--previous-master-key",
            &self.previous_vault_token_file,
            PREVIOUS_TOKEN,
        )?;
        Ok(Keys {
            master: master.unwrap_or_default(),
            previous,
            private_vaults: self.private_vaults,
        })
    }

    /// The same for another process, but for tokens, which are in its environment as they are in ours.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| path.as_deref().map(|path| absolute(path).display().to_string());
        let relative = |key: &Option<String>| {
            key.as_deref().map(|key| match key.strip_prefix("file:") {
                Some(path) => format!("file:{}", absolute(Path::new(path)).display()),
                None => key.to_owned(),
            })
        };
        [
            ("CREEL_MASTER_KEY", relative(&self.master_key)),
            ("CREEL_VAULT_TOKEN_FILE", path(&self.vault_token_file)),
            ("CREEL_PREVIOUS_MASTER_KEY", relative(&self.previous_master_key)),
            (
                "CREEL_PREVIOUS_VAULT_TOKEN_FILE",
                path(&self.previous_vault_token_file),
            ),
            (
                "CREEL_PRIVATE_VAULTS",
                self.private_vaults.then(|| "true".to_owned()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)))
        .collect()
    }
}

impl Keys {
    pub(super) fn vaults(&self) -> Result<OrgVaults> {
        OrgVaults::new(self.private_vaults).map_err(sentence)
    }

    /// The one in the data directory is made when it is not there; one that was named has to be there.
    pub(super) fn master_keys(&self, layout: &Layout) -> Result<MasterKeys> {
        let file = |path: &Path| MasterKey::load(path).map_err(sentence);
        let keys = match &self.master {
            Place::Data => {
                MasterKeys::from(MasterKey::load_or_create(&layout.master_key()).map_err(sentence)?)
            }
            Place::File(path) => MasterKeys::from(file(path)?),
            Place::Vault { key, token } => MasterKeys::by(Arc::new(vault(key, token)?)),
        };
        Ok(match &self.previous {
            None => keys,
            Some(Place::Data) => keys.before_file(file(&layout.master_key())?),
            Some(Place::File(path)) => keys.before_file(file(path)?),
            Some(Place::Vault { key, token }) => {
                keys.before(Arc::new(vault(key, token)?) as Arc<dyn KeyEncryption>)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vault_is_named_with_its_mount_and_key() {
        let file = Path::new("/run/token");
        let read = |text| place(text, "--master-key", Some(file), TOKEN);
        let Ok(Place::Vault { key, .. }) = read("vault:https://v.example:8200/team/transit/creel") else {
            panic!("a vault");
        };
        assert_eq!(
            (key.address.as_str(), key.mount.as_str(), key.name.as_str()),
            ("https://v.example:8200", "team/transit", "creel")
        );
        assert!(matches!(read("file:/etc/creel.key"), Ok(Place::File(_))));
        assert!(matches!(read("data"), Ok(Place::Data)));
        for bad in [
            "",
            "file:",
            "vault:",
            "vault:https://v.example",
            "vault:https://v.example/creel",
            "vault:http://v.example/transit/creel",
            "vault:https://v.example/transit/",
            "vault:https://v.example/../creel",
            "/etc/creel.key",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(
            place(
                "vault:https://v.example/transit/k",
                "--master-key",
                None,
                "CREEL_NO_SUCH"
            )
            .is_err()
        );
    }
}
