//! What was refused, in the audit trail, and never so much that it fills the disk.
//!
//! In each org and stretch of ten minutes the first of a kind is an entry at once; the same again is counted, and
//! told by one more entry when the stretch is over. Past ten kinds all others are one.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use creel_domain::{Act, Actor, OrgId};
use tokio::time::Instant;

use crate::Control;

const STRETCH: Duration = Duration::from_secs(600);
/// Kinds of refusals told one by one, of one org in one stretch.
const KINDS: usize = 10;
/// Orgs with refusals in one stretch; in further ones they are told in the log only.
const ORGS: usize = 10_000;

#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<OrgId, Stretch>>);

struct Stretch {
    until: Instant,
    kinds: HashMap<String, Kind>,
    others: u64,
}

struct Kind {
    actor: Actor,
    act: Act,
    /// How often after the first.
    again: u64,
}

impl Stretch {
    /// What is to be told at its end.
    fn rest(self) -> Vec<(Actor, Act)> {
        let again = self.kinds.into_values().filter(|kind| kind.again > 0);
        let mut rest: Vec<_> = again
            .map(
                |Kind {
                     actor,
                     mut act,
                     again,
                 }| {
                    act.repeats = again;
                    (actor, act)
                },
            )
            .collect();
        if self.others > 0 {
            let mut act = Act::new("request")
                .refused()
                .with("reason", "many different requests");
            act.repeats = self.others;
            rest.push((Actor::anonymous(), act));
        }
        rest
    }
}

impl Refusals {
    /// Counts a refusal; what is to be told now.
    fn count(&self, org: OrgId, actor: Actor, act: Act, now: Instant) -> Vec<(Actor, Act)> {
        let mut orgs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = orgs.get(&org).is_some_and(|stretch| stretch.until <= now);
        let mut told = if over {
            orgs.remove(&org).map(Stretch::rest).unwrap_or_default()
        } else {
            Vec::new()
        };
        if orgs.len() >= ORGS && !orgs.contains_key(&org) {
            return told;
        }
        let stretch = orgs.entry(org).or_insert_with(|| Stretch {
            until: now + STRETCH,
            kinds: HashMap::new(),
            others: 0,
        });
        let kind = [
            &actor.id,
            &actor.via,
            &actor.address,
            &actor.rule,
            &act.action,
            &act.target,
        ]
        .map(String::as_str);
        let kind = kind.join("\n");
        if let Some(known) = stretch.kinds.get_mut(&kind) {
            known.again += 1;
        } else if stretch.kinds.len() < KINDS {
            told.push((actor.clone(), act.clone()));
            stretch.kinds.insert(kind, Kind { actor, act, again: 0 });
        } else {
            stretch.others += 1;
        }
        told
    }

    /// Stretches that are over, or all of them.
    fn over(&self, now: Option<Instant>) -> Vec<(OrgId, Vec<(Actor, Act)>)> {
        let mut orgs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |stretch: &Stretch| now.is_none_or(|now| stretch.until <= now);
        let over: Vec<OrgId> = orgs
            .iter()
            .filter(|(_, stretch)| over(stretch))
            .map(|(org, _)| *org)
            .collect();
        over.into_iter()
            .filter_map(|org| Some((org, orgs.remove(&org)?.rest())))
            .collect()
    }
}

/// Tells that `actor` was refused `act`.
pub(crate) async fn tell(control: &Control, org: OrgId, actor: Actor, act: Act) {
    let told = control.refusals.count(org, actor, act.refused(), Instant::now());
    write(control, org, told).await;
}

/// Tells what has added up; everything with `all`.
pub(crate) async fn sweep(control: &Control, all: bool) {
    let now = (!all).then(Instant::now);
    for (org, told) in control.refusals.over(now) {
        write(control, org, told).await;
    }
}

/// What cannot be told does not change that it was refused.
async fn write(control: &Control, org: OrgId, told: Vec<(Actor, Act)>) {
    for (actor, act) in told {
        let store = control.store.org(org).acting(std::sync::Arc::new(actor));
        if let Err(error) = store.record(act).await {
            tracing::warn!(%org, %error, "a refusal could not be written to the audit trail");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_often_somebody_is_refused_few_entries_come_of_it() {
        let refusals = Refusals::default();
        let org = OrgId::from_uuid(uuid::Uuid::nil());
        let start = Instant::now();
        let mut told = 0;
        let mut counted = 0;
        for number in 0..10_000_u64 {
            let act = Act::new("request").on("route", number % 40).refused();
            for (_, act) in refusals.count(org, Actor::anonymous(), act, start) {
                told += 1;
                counted += act.repeats;
            }
        }
        assert_eq!(told, KINDS);
        for (_, rest) in refusals.over(Some(start + STRETCH)) {
            told += rest.len();
            counted += rest.iter().map(|(_, act)| act.repeats).sum::<u64>();
        }
        assert_eq!((told, counted), (2 * KINDS + 1, 10_000), "none is forgotten");
        assert!(refusals.over(None).is_empty());
    }
}
