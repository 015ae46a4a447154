//! Owners' own names: which of them lead to an agent. Control knows, and is asked once in a while for each; what it said is
//! remembered, within bounds, so that names that nobody has cost it next to nothing.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use creel_domain::DomainName;
use tokio::time::{Instant, timeout};

use crate::{
    lease::{Allowance, Leases},
    refusal::Refusal,
    serve::network,
};

/// What leads to an agent is asked about again after so long, and taken to lead there still while control is away.
const KNOWN_FOR: Duration = Duration::from_secs(30);
/// What leads nowhere is asked about again after so long.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// Names of each kind that are remembered; past it, those of its kind are forgotten.
pub(crate) const REMEMBERED: usize = 10_000;
/// Names that are asked about at a time.
const AT_ONCE: usize = 64;
/// How long a request waits until control has said something about its name.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions a second about names that are not known to lead anywhere: of one network, and how many at once.
const RATE_OF_ONE: u32 = 10;
const BURST_OF_ONE: u32 = 50;
/// The same, of all networks together.
const RATE: u32 = 200;
const BURST: u32 = 400;

#[derive(Debug, Default)]
struct Memory {
    /// When control last said that they lead to an agent.
    known: HashMap<DomainName, Instant>,
    /// When it last said that they do not.
    unknown: HashMap<DomainName, Instant>,
}

/// What was last heard of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Serves,
    ServesNot,
    /// It led to an agent a while ago.
    Stale,
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Domains {
    leases: Arc<Leases>,
    memory: Mutex<Memory>,
    /// One question about a name at a time; others wait for its answer.
    asking: [tokio::sync::Mutex<()>; AT_ONCE],
    hasher: RandomState,
    of_one: Mutex<HashMap<IpAddr, Allowance>>,
    of_all: Mutex<Allowance>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    fn heard(&self, name: &DomainName, now: Instant) -> Heard {
        if let Some(at) = self.known.get(name) {
            return match now.duration_since(*at) < KNOWN_FOR {
                true => Heard::Serves,
                false => Heard::Stale,
            };
        }
        match self.unknown.get(name) {
            Some(at) if now.duration_since(*at) < UNKNOWN_FOR => Heard::ServesNot,
            Some(_) | None => Heard::Nothing,
        }
    }

    fn hear(&mut self, name: DomainName, serves: bool, now: Instant) {
        let (to, from) = match serves {
            true => (&mut self.known, &mut self.unknown),
            false => (&mut self.unknown, &mut self.known),
        };
        from.remove(&name);
        if to.len() >= REMEMBERED && !to.contains_key(&name) {
            to.clear();
        }
        to.insert(name, now);
    }
}

impl Domains {
    pub(crate) fn new(leases: Arc<Leases>) -> Self {
        Self {
            leases,
            memory: Mutex::default(),
            asking: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            hasher: RandomState::new(),
            of_one: Mutex::default(),
            of_all: Mutex::new(Allowance::of(RATE, BURST)),
        }
    }

    /// Whether a name leads to an agent, for whoever asks from `address`.
    pub(crate) async fn serves(&self, name: &DomainName, address: IpAddr) -> Result<bool, Refusal> {
        match self.heard(name) {
            Heard::Serves => return Ok(true),
            Heard::ServesNot => return Ok(false),
            Heard::Stale => {}
            Heard::Nothing => self.may_ask(address, Instant::now())?,
        }
        let asked = timeout(PATIENCE, self.ask(name)).await;
        match (asked, self.heard(name)) {
            (Ok(Some(serves)), _) => Ok(serves),
            // What it led to when control was last heard it leads to still.
            (Ok(None) | Err(_), Heard::Serves | Heard::Stale) => Ok(true),
            (Ok(None) | Err(_), Heard::ServesNot | Heard::Nothing) => Err(Refusal::control_away()),
        }
    }

    /// Control said otherwise since.
    pub(crate) fn forget(&self, name: &str) {
        if let Ok(name) = name.parse::<DomainName>() {
            lock(&self.memory).known.remove(&name);
        }
    }

    fn heard(&self, name: &DomainName) -> Heard {
        lock(&self.memory).heard(name, Instant::now())
    }

    /// None: control does not answer.
    async fn ask(&self, name: &DomainName) -> Option<bool> {
        let lane = usize::try_from(self.hasher.hash_one(name) % AT_ONCE as u64).unwrap_or(0);
        let _turn = self.asking.get(lane)?.lock().await;
        // Perhaps somebody else has asked meanwhile.
        match self.heard(name) {
            Heard::Serves => return Some(true),
            Heard::ServesNot => return Some(false),
            Heard::Stale | Heard::Nothing => {}
        }
        let serves = self.leases.serves(name).await.ok()?;
        lock(&self.memory).hear(name.clone(), serves, Instant::now());
        Some(serves)
    }

    /// Whether a question about a name that is not known may be asked for whoever comes from there.
    pub(crate) fn may_ask(&self, address: IpAddr, now: Instant) -> Result<(), Refusal> {
        let network = network(address.to_canonical());
        let mut of_one = lock(&self.of_one);
        if of_one.len() >= REMEMBERED && !of_one.contains_key(&network) {
            of_one.retain(|_, allowance| !allowance.is_full(now));
        }
        let may = if of_one.len() >= REMEMBERED && !of_one.contains_key(&network) {
            // So many networks at once are bounded by what all may.
            true
        } else {
            let new = || Allowance::of(RATE_OF_ONE, BURST_OF_ONE);
            of_one.entry(network).or_insert_with(new).take(now)
        };
        drop(of_one);
        if !may {
            return Err(Refusal::too_fast());
        }
        match lock(&self.of_all).take(now) {
            true => Ok(()),
            false => Err(Refusal::too_many_names()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> DomainName {
        format!("n{number}.example.com").parse().expect("a domain")
    }

    #[test]
    fn what_was_heard_is_remembered_for_a_while_and_within_bounds() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.hear(name(0), true, now);
        for number in 1..=REMEMBERED {
            memory.hear(name(number), false, now);
        }
        assert_eq!(memory.heard(&name(1), now), Heard::ServesNot);
        memory.hear(name(REMEMBERED + 1), false, now);
        assert_eq!(memory.unknown.len(), 1);
        assert_eq!(memory.heard(&name(1), now), Heard::Nothing);
        assert_eq!(memory.heard(&name(0), now), Heard::Serves, "no flood forgets it");
        assert_eq!(memory.heard(&name(0), now + KNOWN_FOR), Heard::Stale);
        memory.hear(name(0), false, now);
        assert_eq!(memory.heard(&name(0), now + UNKNOWN_FOR), Heard::Nothing);
    }

    #[test]
    fn a_flood_of_names_is_bounded_for_each_network_and_for_all() {
        let domains = Domains::new(Leases::new("/nowhere".into()));
        let now = Instant::now();
        let from = |number: u32| IpAddr::from(number.to_be_bytes());
        let asked = (0..1000)
            .filter(|_| domains.may_ask(from(1), now).is_ok())
            .count();
        assert_eq!(asked, BURST_OF_ONE as usize);
        let of_all: usize = (2..20_000)
            .filter(|number| domains.may_ask(from(*number), now).is_ok())
            .count();
        assert_eq!(of_all + asked, BURST as usize);
        assert!(lock(&domains.of_one).len() <= REMEMBERED);
        assert!(domains.may_ask(from(1), now + Duration::from_secs(1)).is_ok());
    }
}
