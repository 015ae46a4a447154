//! Certificates that control got, for the name that a client says in its first words. They are asked for when somebody first
//! comes, kept, and looked at again while they are shown; with control away those that are there go on.

use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use creel_domain::{AgentHost, DomainName};
use creel_protocol::edge::{CertificateAnswer, CertificateAsked};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{Acceptor, ClientHello},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{LazyConfigAcceptor, server::TlsStream};

use crate::{Edge, Names, lease::Leases};

/// For a client's first words, and again for the rest of the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// For control's answer: a name's first certificate takes a while.
pub(crate) const CERTIFICATE_WITHIN: Duration = Duration::from_secs(35);
/// What is shown is looked at again after so long, by whoever comes then, without their waiting.
const FRESH_FOR: Duration = Duration::from_secs(60);
/// What there is none for is asked about again after so long.
const NONE_FOR: Duration = Duration::from_secs(5);
/// Names that are remembered, with a certificate or without.
pub(crate) const REMEMBERED: usize = 10_000;
/// Names that are asked about at a time.
const AT_ONCE: usize = 64;
/// How an authority asks for its proof (RFC 8737).
const CHALLENGE: &[u8] = b"acme-tls/1";

#[derive(Debug, Clone)]
enum Heard {
    Shown { config: Arc<ServerConfig>, at: Instant },
    None { at: Instant },
}

pub(crate) struct Certificates {
    leases: Arc<Leases>,
    heard: Mutex<HashMap<String, Heard>>,
    /// One question about a name at a time; others wait for its answer.
    asking: [tokio::sync::Mutex<()>; AT_ONCE],
    hasher: std::hash::RandomState,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

/// Nobody is shown anything.
fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why)
}

impl Names {
    /// The name whose certificate a client wants, if it may be one of ours.
    fn wanted(&self, hello: &ClientHello<'_>) -> Option<String> {
        let name = match hello.server_name() {
            Some(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            None => self.own.clone(),
        };
        if name == self.own {
            return Some(name);
        }
        let label = self
            .agents
            .as_deref()
            .and_then(|domain| name.strip_suffix(domain)?.strip_suffix('.'));
        let possible = match label {
            Some(label) => AgentHost::read(label).is_some(),
            None => name.parse::<DomainName>().is_ok(),
        };
        possible.then_some(name)
    }
}

impl Certificates {
    pub(crate) fn new(leases: Arc<Leases>) -> Self {
        Self {
            leases,
            heard: Mutex::default(),
            asking: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            hasher: std::hash::RandomState::new(),
        }
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<String, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, name: &str, new: Heard) {
        let mut heard = self.heard();
        if heard.len() >= REMEMBERED && !heard.contains_key(name) {
            let now = Instant::now();
            heard.retain(|_, heard| match heard {
                Heard::Shown { at, .. } => now.duration_since(*at) < FRESH_FOR,
                Heard::None { .. } => false,
            });
            if heard.len() >= REMEMBERED {
                return;
            }
        }
        heard.insert(name.to_owned(), new);
    }

    async fn ask(&self, name: &str, challenge: bool) -> io::Result<Option<Arc<ServerConfig>>> {
        let question = CertificateAsked {
            name: name.to_owned(),
            challenge,
        };
        match self.leases.certificate(&question, CERTIFICATE_WITHIN).await? {
            CertificateAnswer::Ready { pem } => config(pem.0.as_bytes(), challenge).map(Some),
            CertificateAnswer::Later { why } => {
                tracing::debug!(name, why, "there is no certificate yet");
                Ok(None)
            }
            CertificateAnswer::Unknown => Ok(None),
        }
    }

    async fn asked(&self, name: &str) -> io::Result<Option<Arc<ServerConfig>>> {
        use std::hash::BuildHasher as _;
        let lane = usize::try_from(self.hasher.hash_one(name) % AT_ONCE as u64).unwrap_or(0);
        let lane = self.asking.get(lane).ok_or_else(|| refused("no such lane"))?;
        let _turn = lane.lock().await;
        match self.remembered(name) {
            Some(Heard::Shown { config, at }) if at.elapsed() < FRESH_FOR => return Ok(Some(config)),
            Some(Heard::None { at }) if at.elapsed() < NONE_FOR => return Ok(None),
            _ => {}
        }
        let answer = self.ask(name, false).await?;
        let at = Instant::now();
        match &answer {
            Some(config) => self.keep(
                name,
                Heard::Shown {
                    config: Arc::clone(config),
                    at,
                },
            ),
            None => self.keep(name, Heard::None { at }),
        }
        Ok(answer)
    }

    fn remembered(&self, name: &str) -> Option<Heard> {
        self.heard().get(name).cloned()
    }
}

/// What a name's clients are spoken to with.
async fn for_name(edge: &Arc<Edge>, name: &str, address: IpAddr) -> io::Result<Arc<ServerConfig>> {
    let Some(certificates) = &edge.certificates else {
        return Err(refused("certificates come from files"));
    };
    let none = || refused("there is no certificate for this name");
    match certificates.remembered(name) {
        Some(Heard::Shown { config, at }) => {
            if at.elapsed() >= FRESH_FOR {
                let (edge, name) = (Arc::clone(edge), name.to_owned());
                certificates.keep(
                    &name,
                    Heard::Shown {
                        config: Arc::clone(&config),
                        at: Instant::now(),
                    },
                );
                // Nobody waits for it; if control is away, what is there goes on.
                tokio::spawn(async move {
                    let certificates = edge.certificates.as_ref()?;
                    let newer = certificates.ask(&name, false).await.ok()?;
                    let at = Instant::now();
                    certificates.keep(
                        &name,
                        newer.map_or(Heard::None { at }, |config| Heard::Shown { config, at }),
                    );
                    Some(())
                });
            }
            return Ok(config);
        }
        Some(Heard::None { at }) if at.elapsed() < NONE_FOR => return Err(none()),
        Some(Heard::None { .. }) | None => {}
    }
    edge.domains
        .may_ask(address, Instant::now())
        .map_err(|_| refused("too many names are asked for"))?;
    certificates.asked(name).await?.ok_or_else(none)
}

/// A handshake with the certificate of the name that the client wants; none: it was an authority that has seen its proof.
pub(crate) async fn accept(edge: &Arc<Edge>, stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
    let address = stream.peer_addr()?.ip();
    let begun = timeout(
        HANDSHAKE_WITHIN,
        LazyConfigAcceptor::new(Acceptor::default(), stream),
    )
    .await??;
    let hello = begun.client_hello();
    let name = edge
        .names
        .wanted(&hello)
        .ok_or_else(|| refused("nothing is served under this name"))?;
    let challenge = hello
        .alpn()
        .is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE));
    let config = if challenge {
        edge.domains
            .may_ask(address, Instant::now())
            .map_err(|_| refused("too many names are asked for"))?;
        let certificates = edge
            .certificates
            .as_ref()
            .ok_or_else(|| refused("certificates come from files"))?;
        certificates
            .ask(&name, true)
            .await?
            .ok_or_else(|| refused("nobody is to be proven this"))?
    } else {
        for_name(edge, &name, address).await?
    };
    let stream = timeout(HANDSHAKE_WITHIN, begun.into_stream(config)).await??;
    Ok((!challenge).then_some(stream))
}

/// From a chain and its key in PEM.
fn config(pem: &[u8], challenge: bool) -> io::Result<Arc<ServerConfig>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).flatten().collect();
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(io::Error::other)?;
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(io::Error::other)?;
    // Not compared with its key: a proof has an extension that rustls does not know and may not pass over.
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    config.alpn_protocols = match challenge {
        true => vec![CHALLENGE.to_vec()],
        false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_names_are_remembered_and_no_more() {
        let certificates = Certificates::new(Leases::new("/nowhere".into()));
        for number in 0..REMEMBERED * 2 + 1 {
            let at = Instant::now();
            certificates.keep(&number.to_string(), Heard::None { at });
        }
        let there = certificates.heard().len();
        assert!((1..=REMEMBERED).contains(&there), "{there}");
    }
}
