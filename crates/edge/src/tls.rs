//! TLS with a certificate from files, which may be exchanged while everything goes on.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio_rustls::TlsAcceptor;

/// How soon a new certificate is used.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The largest file that is read.
const FILE_BYTES: u64 = 1 << 20;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} holds no certificate in PEM: the certificate comes first, then those that vouch for it")]
    NoCertificate(PathBuf),
    #[error("{0} holds no private key in PEM")]
    NoKey(PathBuf),
    #[error("the certificate {certificate} and the key {key} cannot be used together: {source}")]
    Apart {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
}

/// What connections are accepted with.
pub(crate) struct Tls {
    files: TlsFiles,
    now: RwLock<TlsAcceptor>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl TlsFiles {
    /// Whether they can be used.
    pub fn check(&self) -> Result<(), BadTls> {
        self.read().map(drop)
    }

    fn read(&self) -> Result<ServerConfig, BadTls> {
        let pem = |path: &Path| {
            let read = || {
                if fs::metadata(path)?.len() > FILE_BYTES {
                    return Err(io::Error::other("it is too large"));
                }
                fs::read(path)
            };
            read().map_err(|source| BadTls::Read {
                path: path.to_owned(),
                source,
            })
        };
        let chain = pem(&self.certificate)?;
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).flatten().collect();
        if chain.is_empty() {
            return Err(BadTls::NoCertificate(self.certificate.clone()));
        }
        let key =
            PrivateKeyDer::from_pem_slice(&pem(&self.key)?).map_err(|_| BadTls::NoKey(self.key.clone()))?;
        let apart = |source| BadTls::Apart {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            source,
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(apart)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(apart)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn changed_at(&self) -> Option<(SystemTime, SystemTime)> {
        let at = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
        Some((at(&self.certificate)?, at(&self.key)?))
    }
}

impl Tls {
    pub(crate) fn new(files: TlsFiles) -> Result<Self, BadTls> {
        let config = files.read()?;
        Ok(Self {
            files,
            now: RwLock::new(TlsAcceptor::from(Arc::new(config))),
        })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a new certificate up when its files have changed. One that cannot be used leaves the old one in its place.
    pub(crate) async fn keep_fresh(&self) {
        let mut seen = self.files.changed_at();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let changed = self.files.changed_at();
            if changed == seen {
                continue;
            }
            match self.files.read() {
                Ok(config) => {
                    let acceptor = TlsAcceptor::from(Arc::new(config));
                    *self.now.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                    seen = changed;
                    tracing::info!("a new certificate is used from now on");
                }
                // Perhaps only one of the two is written yet.
                Err(error) => {
                    tracing::warn!(%error, "a new certificate cannot be used; the old one is used on");
                }
            }
        }
    }
}
