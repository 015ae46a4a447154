//! Certificates from an authority that speaks ACME (RFC 8555), for Creel's own name, owners' domains, and agents' names when
//! somebody first comes there.
//!
//! ```text
//! wanted: a row ─▶ lease (one control, so many an hour) ─▶ order ─▶ challenge in the row ─▶ the edge shows it ─▶ sealed
//!     ▲                                                     │ nothing came of it: later, ever later
//!     └── a third of its life left ◀────────────────────────┘
//! ```

mod http;
mod order;
mod validity;
mod wanted;

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

use crate::{
    Control,
    http::failure::{Answer, Failure, sentence},
};

pub(crate) use wanted::{answer, challenge};

/// Orders of all controls within an hour.
pub const ORDERS_PER_HOUR: u64 = 50;
/// How long one control is left alone with an order; whoever died in the middle of one is followed then.
const LEASE: SignedDuration = SignedDuration::from_secs(150);
const ORDER_WITHIN: Duration = Duration::from_secs(120);
/// Orders of one control at a time.
const AT_ONCE: u32 = 4;
/// After the first failure; doubled each time, up to the longest, and up to a quarter longer so that not all come back at once.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(6);
const EVERY: Duration = Duration::from_secs(5);
const PROBLEM_CHARS: usize = 400;

/// How an authority is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Who is told of what concerns the certificates.
    pub email: String,
    pub directory: String,
    /// In PEM: who vouches for the authority besides those that the system trusts.
    pub root: Option<String>,
    /// Whether plain HTTP is listened to, so that the authority can look there.
    pub plain: bool,
}

impl AcmeSettings {
    /// Let's Encrypt's own.
    pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";
}

pub(crate) struct Acme {
    settings: AcmeSettings,
    authority: http::Authority,
    nudge: Notify,
    /// Something came of an order.
    done: watch::Sender<u64>,
}

/// Why nothing came of an order.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("the certificate authority refuses: {0}")]
    Said(String),
    #[error("the certificate authority cannot be used: {0}")]
    Acme(#[from] instant_acme::Error),
    #[error("the database failed: {0}")]
    Store(#[from] creel_store::Error),
    #[error("the certificate authority took too long")]
    Late,
}

impl Acme {
    pub(crate) fn new(settings: AcmeSettings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            authority: http::Authority::new(settings.root.as_deref())?,
            settings,
            nudge: Notify::new(),
            done: watch::Sender::new(0),
        })
    }
}

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    let Some(acme) = &control.acme else {
        return control.shutdown.begun().await;
    };
    loop {
        if let Err(failure) = round(&control, acme).await {
            tracing::warn!(
                reason = failure.detail(),
                "certificates could not be looked at; trying again"
            );
        }
        tokio::select! {
            () = acme.nudge.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
            () = control.shutdown.begun() => return,
        }
    }
}

async fn round(control: &Arc<Control>, acme: &Acme) -> Answer<()> {
    wanted::standing(control).await?;
    let due = control.store.platform().due_certificates(AT_ONCE).await?;
    let orders = due.into_iter().map(|host| one(control, acme, host));
    futures_util::future::join_all(orders).await;
    Ok(())
}

async fn one(control: &Control, acme: &Acme, host: String) {
    if let Err(error) = tried(control, acme, &host).await {
        tracing::warn!(host, %error, "a certificate could not be looked after; trying again");
    }
    acme.done.send_modify(|count| *count += 1);
}

async fn tried(control: &Control, acme: &Acme, host: &str) -> Result<(), creel_store::Error> {
    let platform = control.store.platform();
    if !wanted::still(control, host).await? {
        return platform.forget_certificate(host.to_owned()).await;
    }
    if !platform
        .lease_certificate(host.to_owned(), LEASE, ORDERS_PER_HOUR)
        .await?
    {
        return Ok(());
    }
    let authority = acme.authority.for_one();
    let obtained = tokio::time::timeout(ORDER_WITHIN, order::obtain(control, acme, &authority, host)).await;
    let problem = match obtained {
        Ok(Ok(new)) => {
            tracing::info!(host, until = %new.not_after, "a certificate was got");
            return platform.keep_certificate(host.to_owned(), new).await;
        }
        Ok(Err(problem)) => problem,
        Err(_) => Problem::Late,
    };
    let before = platform.certificate(host).await?;
    let wish = authority
        .take_wait()
        .and_then(|wait| SignedDuration::try_from(wait).ok());
    let pause = pause(before.map_or(0, |before| before.failures), jitter()).max(wish.unwrap_or_default());
    let next_at = control
        .clock
        .now()
        .saturating_add(pause)
        .unwrap_or(jiff::Timestamp::MAX);
    let text: String = sentence(&problem.to_string())
        .chars()
        .take(PROBLEM_CHARS)
        .collect();
    tracing::warn!(host, problem = text, next = %next_at, "a certificate could not be got");
    platform.fail_certificate(host.to_owned(), text, next_at).await
}

/// After so many failures; `jitter` out of 256 of a quarter are added.
fn pause(failures: u32, jitter: u8) -> SignedDuration {
    let pause = FIRST_PAUSE
        .saturating_mul(1 << failures.min(12))
        .min(LONGEST_PAUSE);
    pause + pause / 4 * i32::from(jitter) / 256
}

fn jitter() -> u8 {
    let mut byte = [0];
    // Without it all come back at once, which is no worse than without this.
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

/// A failure in few words for whoever waits at the door.
fn few(failure: &Failure) -> String {
    failure.detail().chars().take(PROBLEM_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_and_end_growing() {
        assert_eq!(pause(0, 0), FIRST_PAUSE);
        assert_eq!(pause(3, 0), FIRST_PAUSE * 8);
        assert_eq!(pause(4000, 0), LONGEST_PAUSE);
        assert!(pause(0, 255) > FIRST_PAUSE && pause(0, 255) < FIRST_PAUSE * 2);
    }
}
