//! Domains of agents' owners: whether they are theirs is looked up in DNS, when somebody asks and by the clock.
//!
//! ```text
//! sleeps until the earliest check ─▶ what is due ─▶ TXT records ─▶ proven? does another org have it? ─▶ one transaction
//!        ▲      ▲ nudge                                                    │ its own proof is gone: out of service first
//!        └──────┴──────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing is remembered here: what is to be checked stands in the rows. Two controls that check the same at once do
//! twice the work and one of the writes. One that dies between taking a name from one org and giving it to another leaves a
//! name that leads nowhere and a check that is due.

mod allowed;
mod lookup;
mod words;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use creel_api::ErrorCode;
use creel_domain::DomainName;
use creel_store::{DomainSighting, DueDomain, Org, StoredDomain};
use futures_util::{StreamExt as _, stream};
use tokio::sync::{Notify, Semaphore};

pub(crate) use allowed::refusal;
pub use lookup::{Dns, LOOKUP_WITHIN, LookupError, MAX_TXT_BYTES, MAX_TXT_RECORDS, TxtLookup, TxtRecords};
pub(crate) use words::place;

use crate::{
    Control,
    http::failure::{Answer, Failure},
};

/// Domains read at a time, and checked at a time by the clock.
const BATCH: u32 = 256;
const AT_ONCE: usize = 8;
/// Checked at a time because somebody asks.
const ASKED_AT_ONCE: usize = 8;
/// How often it is looked at for somebody who asks, where others change it meanwhile.
const TRIES: usize = 3;
/// How long somebody who asks waits for their turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest sleep, after which a clock that jumped and what other controls added is noticed.
const LONGEST: Duration = Duration::from_secs(10);
/// The shortest, and the one after something failed.
const SHORTEST: Duration = Duration::from_secs(1);

pub(crate) struct Domains {
    lookup: Arc<dyn TxtLookup>,
    asked: Semaphore,
    /// There is something new to look at.
    pub(crate) nudge: Notify,
}

impl Domains {
    pub(crate) fn new(lookup: Arc<dyn TxtLookup>) -> Self {
        Self {
            lookup,
            asked: Semaphore::new(ASKED_AT_ONCE),
            nudge: Notify::new(),
        }
    }
}

/// Runs until the end begins.
pub(crate) async fn run(control: Arc<Control>) {
    loop {
        let wait = round(&control).await.unwrap_or_else(|failure| {
            tracing::warn!(
                reason = failure.detail(),
                "domains could not be read; trying again"
            );
            SHORTEST
        });
        tokio::select! {
            () = control.domains.nudge.notified() => {}
            () = tokio::time::sleep(wait) => {}
            () = control.shutdown.begun() => return,
        }
    }
}

/// Checks all that is due; how long until something may be.
async fn round(control: &Control) -> Answer<Duration> {
    let platform = control.store.platform();
    let (now, failed) = (control.clock.now(), AtomicBool::new(false));
    let mut after = None;
    loop {
        let due = platform.due_domains(now, after, BATCH).await?;
        let full = due.len() == BATCH as usize;
        // One that fails again and again stays behind, and holds nobody up.
        after = due.last().cloned();
        stream::iter(due)
            .for_each_concurrent(AT_ONCE, async |due| by_the_clock(control, due, &failed).await)
            .await;
        if !full {
            break;
        }
    }
    if failed.load(Ordering::Relaxed) {
        return Ok(SHORTEST);
    }
    let next = platform.next_domain_check_at().await?;
    let wait = next.map(|at| Duration::try_from(at.duration_since(control.clock.now())).unwrap_or_default());
    Ok(wait.map_or(LONGEST, |wait| wait.clamp(SHORTEST, LONGEST)))
}

async fn by_the_clock(control: &Control, due: DueDomain, failed: &AtomicBool) {
    let before = match control.store.org(due.org).domain(due.name.clone()).await {
        Ok(before) => before,
        // It was removed meanwhile.
        Err(creel_store::Error::NotFound(_)) => return,
        Err(error) => {
            failed.store(true, Ordering::Relaxed);
            tracing::warn!(domain = %due.name, %error, "a domain could not be read; trying again");
            return;
        }
    };
    match look(control, control.store.org(due.org), before, false).await {
        Ok(Looked::Written(after)) => {
            tracing::debug!(domain = %after.name, state = after.course.state.as_str(), "a domain was checked");
        }
        // Somebody else was faster.
        Ok(Looked::Late { .. }) => {}
        Err(creel_store::Error::NotFound(_)) => {}
        Err(error) => {
            failed.store(true, Ordering::Relaxed);
            tracing::warn!(domain = %due.name, %error, "a domain could not be checked; trying again");
        }
    }
}

/// Checks a domain now, in the name of whoever asks.
pub(crate) async fn check(control: &Control, org: Org, domain: StoredDomain) -> Answer<StoredDomain> {
    let busy = || {
        Failure::new(
            ErrorCode::Busy,
            "Many domains are being checked. Try again in a moment; this one is checked by itself as well.",
        )
    };
    let turn = tokio::time::timeout(PATIENCE, control.domains.asked.acquire()).await;
    let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
    let mut domain = domain;
    for _ in 0..TRIES {
        let name = domain.name.clone();
        let looked = look(control, org.clone(), domain, true).await?;
        if let Looked::Written(checked) = looked {
            // Its next time may be sooner than what is slept for.
            control.domains.nudge.notify_one();
            return Ok(*checked);
        }
        domain = org.domain(name).await?;
        // It was checked by the clock meanwhile, perhaps before its record was there.
        if !matches!(looked, Looked::Late { proven: true }) {
            break;
        }
    }
    Ok(domain)
}

/// What became of a look at a domain's proof.
enum Looked {
    Written(Box<StoredDomain>),
    /// The domain was changed meanwhile, and what was seen counts for nothing.
    Late {
        proven: bool,
    },
}

/// Looks a domain's proof up, and writes down what was seen.
async fn look(
    control: &Control,
    org: Org,
    before: StoredDomain,
    asked: bool,
) -> Result<Looked, creel_store::Error> {
    let name = before.name.clone();
    let place = place(&name);
    let found = control.domains.lookup.txt(&place).await;
    let proven = has(&found, &before);
    let seen = match proven {
        true => format!("The TXT record was found at {place}."),
        false => words::not_proven(&place, &found),
    };
    let mut sighting = DomainSighting { proven, seen, asked };
    if sighting.proven
        && let Some(holder) = holder(control, &org, &name).await?
    {
        if has(&found, &holder.1) {
            sighting.proven = false;
            sighting.seen = format!(
                "The TXT record was found at {place}, but another org has the name and its record is there as well: remove that one."
            );
        } else {
            let seen =
                "Another org has proven that the name is theirs, and the TXT record of this one is gone.";
            let lost = holder
                .0
                .lose_domain(name.clone(), holder.1.revision, seen.to_owned());
            if lost.await? {
                tracing::info!(domain = %name, from = %holder.0.id(), to = %org.id(), "a domain was taken over");
            }
        }
    }
    let proven = sighting.proven;
    let written = org.check_domain(name, before.revision, sighting).await?;
    Ok(written.map_or(Looked::Late { proven }, |after| Looked::Written(after.into())))
}

/// The other org that has the name, and what it says of it.
async fn holder(
    control: &Control,
    org: &Org,
    name: &DomainName,
) -> Result<Option<(Org, StoredDomain)>, creel_store::Error> {
    let host = control.store.platform().host(name.as_str()).await?;
    let Some(host) = host.filter(|host| host.org != org.id()) else {
        return Ok(None);
    };
    let holder = control.store.org(host.org);
    match holder.domain(name.clone()).await {
        Ok(domain) => Ok(Some((holder, domain))),
        Err(creel_store::Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the domain's proof is among what was found.
fn has(found: &Result<Vec<Vec<u8>>, LookupError>, domain: &StoredDomain) -> bool {
    let token = domain.token.as_bytes();
    found
        .as_ref()
        .is_ok_and(|found| found.iter().any(|text| text.trim_ascii() == token))
}
