//! Mail: what waits in the store is looked up, written and sent, and tried again where that fails.
//!
//! Sending happens beside every request, never within one. A mail may go out twice, after a crash between
//! sending and noting it; each has a code of its own then.

mod letter;
mod post;

use std::{sync::Arc, time::Duration};

use creel_store::{Mail, Prepared};
use jiff::SignedDuration;
use tokio::sync::Notify;

pub(crate) use letter::Letter;
pub use post::BadMail;
pub(crate) use post::{Post, Undelivered};

use crate::{
    Control,
    http::failure::Answer,
    operations::sign_in::{hash, secret},
};

/// So often the queue is looked at when nobody says that there is something in it.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Within it a mail is sent, or somebody else tries.
const LEASE: SignedDuration = SignedDuration::from_mins(3);
/// A whole conversation with the server.
const SEND_WITHIN: Duration = Duration::from_secs(60);
/// Between two tries, doubled each time up to the longest.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// At a time.
pub(crate) const SENDERS: usize = 2;

/// Where mail goes, and the bell that says that there is some.
pub(crate) struct Mailer {
    post: Post,
    bell: Notify,
}

impl Mailer {
    pub(crate) fn new(post: Post) -> Self {
        Self {
            post,
            bell: Notify::new(),
        }
    }

    /// Something was put into the queue.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Sends until the shutdown begins.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        while send_next(&control).await {}
        tokio::select! {
            () = control.shutdown.begun() => return,
            () = control.mailer.bell.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Whether there was one.
async fn send_next(control: &Control) -> bool {
    if control.shutdown.has_begun() {
        return false;
    }
    let platform = control.store.platform();
    let mail = match platform.lease_mail(LEASE).await {
        Ok(Some(mail)) => mail,
        Ok(None) => return false,
        Err(error) => {
            tracing::warn!(%error, "the queue of mails could not be read");
            return false;
        }
    };
    let done = match send(control, &mail).await {
        Ok(()) => platform.mail_done(mail.id).await.map(|()| false),
        Err(failed) => {
            let pause = (!failed.for_good).then(|| pause(mail.attempts));
            tracing::warn!(mail = %mail.id, reason = failed.reason, "a mail could not be sent");
            platform.mail_failed(&mail, failed.reason, pause).await
        }
    };
    match done {
        Ok(true) => tracing::error!(mail = %mail.id, "a mail was given up"),
        Ok(false) => {}
        // Its lease ends, and it is sent again.
        Err(error) => tracing::warn!(%error, mail = %mail.id, "what became of a mail could not be noted"),
    }
    true
}

fn pause(attempts: u32) -> SignedDuration {
    let factor = 1_i32 << attempts.saturating_sub(1).min(16);
    FIRST_PAUSE
        .checked_mul(factor)
        .unwrap_or(LONGEST_PAUSE)
        .min(LONGEST_PAUSE)
}

async fn send(control: &Control, mail: &Mail) -> Result<(), Undelivered> {
    let later = |error: &dyn std::fmt::Display| Undelivered::later(error.to_string());
    let (code, prepared) = prepare(control, mail)
        .await
        .map_err(|failure| later(&failure.detail()))?;
    let Some(letter) = Letter::write(&control.public_url, &mail.address, &prepared, &code) else {
        return Ok(());
    };
    let name = format!("{}-{}", mail.id, mail.attempts);
    let sent = control.mailer.post.send(&name, letter);
    tokio::time::timeout(SEND_WITHIN, sent)
        .await
        .unwrap_or_else(|_| Err(Undelivered::later("the mail server was too slow".to_owned())))
}

async fn prepare(control: &Control, mail: &Mail) -> Answer<(String, Prepared)> {
    let code = secret("")?;
    let platform = control.store.platform();
    let prepared = platform.prepare_mail(mail, hash(&code)).await?;
    Ok((code, prepared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = (1..=9).map(|attempts| pause(attempts).as_mins()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
