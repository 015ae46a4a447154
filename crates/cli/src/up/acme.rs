//! Whether and where Creel gets its certificates, as `creel up` is told.

use std::path::PathBuf;

use creel_control::AcmeSettings;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// The largest file that is read.
const FILE_BYTES: u64 = 8 << 10;

#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Certificates")]
pub(crate) struct AcmeArgs {
    /// Get certificates by ACME, and have the authority write to this address. Whoever sets it agrees to the authority's
    /// terms
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["tls_cert", "tls_key"], env = "CREEL_ACME_EMAIL")]
    pub(crate) acme_email: Option<String>,
    /// The authority; Let's Encrypt without it
    #[arg(
        long,
        value_name = "URL",
        requires = "acme_email",
        env = "CREEL_ACME_DIRECTORY"
    )]
    pub(crate) acme_directory: Option<String>,
    /// Who vouches for the authority, in PEM, where the system does not know
    #[arg(long, value_name = "FILE", requires = "acme_email", env = "CREEL_ACME_ROOT")]
    pub(crate) acme_root: Option<PathBuf>,
}

/// As the parent hands it to control, which may not read every file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AcmeTold {
    email: String,
    directory: String,
    root: Option<String>,
    plain: bool,
}

impl AcmeArgs {
    pub(super) fn is_set(&self) -> bool {
        self.acme_email.is_some()
    }

    /// `plain`: whether plain HTTP is listened to.
    pub(super) fn read(&self, plain: bool) -> Result<Option<AcmeTold>> {
        let Some(email) = self.acme_email.clone() else {
            return Ok(None);
        };
        if email.parse::<creel_domain::Email>().is_err() {
            return Err(Failure::sentence(format!(
                "`{email}` is no address: --acme-email is where the authority writes to"
            )));
        }
        let root = self.acme_root.as_ref().map(|path| {
            let read = || {
                if std::fs::metadata(path)?.len() > FILE_BYTES {
                    return Err(std::io::Error::other("it is too large"));
                }
                std::fs::read_to_string(path)
            };
            read().map_err(|error| Failure::sentence(format!("{} cannot be read: {error}", path.display())))
        });
        Ok(Some(AcmeTold {
            email,
            directory: self
                .acme_directory
                .clone()
                .unwrap_or_else(|| AcmeSettings::DIRECTORY.to_owned()),
            root: root.transpose()?,
            plain,
        }))
    }

    /// The same again for `creel up --background`.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let root = self
            .acme_root
            .as_ref()
            .and_then(|path| std::path::absolute(path).ok());
        [
            ("CREEL_ACME_EMAIL", self.acme_email.clone()),
            ("CREEL_ACME_DIRECTORY", self.acme_directory.clone()),
            (
                "CREEL_ACME_ROOT",
                root.map(|path| path.to_string_lossy().into_owned()),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl From<AcmeTold> for AcmeSettings {
    fn from(told: AcmeTold) -> Self {
        Self {
            email: told.email,
            directory: told.directory,
            root: told.root,
            plain: told.plain,
        }
    }
}
