//! For which names certificates are got: Creel's own, owners' that were proven, and agents' names that lead somewhere.

use std::time::Duration;

use creel_domain::{AgentHost, OrgId};
use creel_protocol::edge::{CertificateAnswer, CertificateAsked, Hidden};
use tokio::time::{Instant, timeout_at};

use super::{Acme, few};
use crate::{Control, edge::published, http::failure::Answer};

/// How long somebody at the door waits for the first certificate of a name.
const PATIENCE: Duration = Duration::from_secs(30);
/// Owners' names that are taken on in one round.
const BATCH: u32 = 50;

/// Whose a name is.
enum Whose {
    Creel,
    Agent(OrgId),
}

/// None: there is nothing under this name.
async fn whose(control: &Control, name: &str) -> Answer<Option<Whose>> {
    let names = control.agent_urls.names();
    if name == names.own {
        return Ok(Some(Whose::Creel));
    }
    let label = names
        .agents
        .as_deref()
        .and_then(|domain| name.strip_suffix(domain)?.strip_suffix('.'));
    let face = match label {
        Some(label) => match AgentHost::read(label) {
            Some(host) => host.into(),
            None => return Ok(None),
        },
        None => match name.parse::<creel_domain::DomainName>() {
            Ok(domain) => domain.into(),
            Err(_) => return Ok(None),
        },
    };
    Ok(published(control, &face).await?.map(Whose::Agent))
}

/// Notes what is wanted whether somebody comes or not.
pub(super) async fn standing(control: &Control) -> Answer<()> {
    let platform = control.store.platform();
    let own = control.agent_urls.names().own;
    if own.contains('.') && own.parse::<std::net::IpAddr>().is_err() {
        platform.want_certificate(own, None).await?;
    }
    for (host, org) in platform.domains_without_certificate(BATCH).await? {
        match platform.want_certificate(host, Some(org)).await {
            Ok(()) | Err(creel_store::Error::LimitReached { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a name's certificate is wanted still.
pub(super) async fn still(control: &Control, name: &str) -> Result<bool, creel_store::Error> {
    // What cannot be known now is looked at again before the next renewal.
    Ok(whose(control, name).await.map_or(true, |whose| whose.is_some()))
}

/// What the edge shows to whoever comes to a name. Waits for the first certificate, bounded.
pub(crate) async fn answer(control: &Control, asked: &CertificateAsked) -> Answer<CertificateAnswer> {
    let Some(acme) = &control.acme else {
        return Ok(CertificateAnswer::Unknown);
    };
    let platform = control.store.platform();
    if asked.challenge {
        let challenge = platform.challenge(&asked.name).await?;
        return Ok(challenge.map_or(CertificateAnswer::Unknown, |(_, proof)| {
            shown(&asked.name, &proof).unwrap_or(CertificateAnswer::Unknown)
        }));
    }
    let org = match whose(control, &asked.name).await? {
        Some(Whose::Creel) => None,
        Some(Whose::Agent(org)) => Some(org),
        None => return Ok(CertificateAnswer::Unknown),
    };
    waited(control, acme, &asked.name, org).await
}

async fn waited(control: &Control, acme: &Acme, name: &str, org: Option<OrgId>) -> Answer<CertificateAnswer> {
    let platform = control.store.platform();
    let (mut done, deadline) = (acme.done.subscribe(), Instant::now() + PATIENCE);
    if platform.certificate(name).await?.is_none() {
        if let Err(error) = platform.want_certificate(name.to_owned(), org).await {
            let failure = error.into();
            return Ok(CertificateAnswer::Later { why: few(&failure) });
        }
        acme.nudge.notify_one();
    }
    loop {
        done.borrow_and_update();
        let found = platform.certificate(name).await?;
        let now = control.clock.now();
        match found {
            Some(found) if found.not_after.is_some_and(|until| until > now) => {
                if let Some(pem) = found.pem {
                    return Ok(CertificateAnswer::Ready {
                        pem: Hidden(pem.to_string()),
                    });
                }
            }
            Some(found) if !found.problem.is_empty() => {
                return Ok(CertificateAnswer::Later { why: found.problem });
            }
            Some(_) | None => {}
        }
        // Another control may be the one that gets it.
        let again = deadline.min(Instant::now() + Duration::from_secs(1));
        let _ = timeout_at(again, done.changed()).await;
        if Instant::now() >= deadline {
            return Ok(CertificateAnswer::Later {
                why: "The certificate is being got.".to_owned(),
            });
        }
    }
}

/// What an authority looks for over plain HTTP.
pub(crate) async fn challenge(control: &Control, name: &str, token: &str) -> Answer<Option<String>> {
    let found = control.store.platform().challenge(name).await?;
    Ok(found.filter(|(kept, _)| kept == token).map(|(_, proof)| proof))
}

/// The certificate that an authority looks for over TLS (RFC 8737): by ourselves, with the proof's digest in it.
fn shown(name: &str, proof: &str) -> Option<CertificateAnswer> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, proof.as_bytes());
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).ok()?;
    let mark = rcgen::CustomExtension::new_acme_identifier(digest.as_ref());
    params.custom_extensions.push(mark);
    let key = rcgen::KeyPair::generate().ok()?;
    let certificate = params.self_signed(&key).ok()?;
    Some(CertificateAnswer::Ready {
        pem: Hidden(format!("{}\n{}", certificate.pem(), key.serialize_pem())),
    })
}
