//! Sandboxes made ahead of need: started, frozen, and handed out to the next agent that fits.
//!
//! ```text
//! Preparing ──its runtime answers──▶ Ready ──claimed──▶ an agent's own
//!     │                                │
//!     └── took too long, failed ───────┴── too old, lost ──▶ Retired ──gone──▶ forgotten
//! ```

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};

use crate::{
    AgentFiles, AgentId, BridgeHealth, Depth, Generation, Limits, ModelName, Name, Observed, Runtime,
    RuntimeState, SandboxId, SandboxReport, SandboxSpec, SandboxState, Target,
};

/// Of one runtime; more are never kept.
pub const MAX_SPARES: u32 = 32;

const NONE: &str = "none";

/// One that does not answer by then is given up.
const PREPARED_WITHIN: SignedDuration = SignedDuration::from_mins(10);
/// Starts that fail in a row before it is given up.
const ATTEMPTS: u32 = 3;
/// How long one is kept: what runs in it ages.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(24);
/// After so long in memory it is paged out, where the host can.
const PAGED_OUT_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A sandbox that no agent has yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spare {
    pub sandbox: SandboxId,
    pub runtime: Runtime,
    pub limits: Limits,
    pub state: SpareState,
    pub depth: Depth,
    pub generation: Generation,
    /// The version of Creel that made it, and whose bridge runs in it.
    pub made_by: String,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpareState {
    /// It starts.
    Preparing,
    /// It can be handed out.
    Ready,
    /// Nobody gets it any more.
    Retired,
}

impl SpareState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Retired => "retired",
        }
    }
}

impl std::str::FromStr for SpareState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Preparing, Self::Ready, Self::Retired]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("there is no state of a spare `{text}`"))
    }
}

/// How many are kept ready, of each runtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SparePool {
    pub openclaw: u32,
    pub lite: u32,
}

impl SparePool {
    pub const fn of(self, runtime: Runtime) -> u32 {
        match runtime {
            Runtime::Openclaw => self.openclaw,
            Runtime::Lite => self.lite,
        }
    }
}

impl fmt::Display for SparePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = Runtime::ALL
            .into_iter()
            .filter(|runtime| self.of(*runtime) > 0)
            .map(|runtime| format!("{}={}", runtime.as_str(), self.of(runtime)))
            .collect();
        if parts.is_empty() {
            f.write_str(NONE)
        } else {
            f.write_str(&parts.join(","))
        }
    }
}

impl FromStr for SparePool {
    type Err = BadSparePool;

    fn from_str(text: &str) -> Result<Self, BadSparePool> {
        let mut pool = Self::default();
        if text == NONE {
            return Ok(pool);
        }
        let mut seen = BTreeSet::new();
        for part in text.split(',') {
            let (runtime, count) = part.split_once('=').ok_or(BadSparePool)?;
            let count = count.parse().ok().filter(|count| *count <= MAX_SPARES);
            let count: u32 = count.ok_or(BadSparePool)?;
            if !seen.insert(runtime) {
                return Err(BadSparePool);
            }
            match runtime.parse().map_err(|_| BadSparePool)? {
                Runtime::Openclaw => pool.openclaw = count,
                Runtime::Lite => pool.lite = count,
            }
        }
        Ok(pool)
    }
}

/// The text says no sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write how many of each runtime, as `openclaw=2,lite=4`, at most {MAX_SPARES} of each; or `none`")]
pub struct BadSparePool;

impl Spare {
    /// The first agent of its sandbox has this incarnation, as one that was made for it would.
    pub const INCARNATION: u64 = 1;

    pub fn target(&self) -> Target {
        match self.state {
            SpareState::Preparing => Target::Running {
                spec: Box::new(self.spec()),
            },
            SpareState::Ready => Target::Asleep {
                depth: self.depth,
                image: self.runtime.image(),
            },
            SpareState::Retired => Target::Gone,
        }
    }

    /// What it starts as: nobody's, with nothing of anybody's in it.
    fn spec(&self) -> SandboxSpec {
        SandboxSpec {
            agent: AgentId::from_uuid(self.sandbox.uuid()),
            name: Name::spare(),
            runtime: self.runtime,
            model: ModelName::demo(),
            files: AgentFiles::default(),
            limits: self.limits,
            incarnation: Self::INCARNATION,
        }
    }
}

/// One act that brings a spare further. Each may be done twice without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpareStep {
    Wait,
    /// Ask the supervisor what it sees.
    Look,
    PutTarget,
    /// Ask the bridge how the runtime is.
    CheckHealth,
    /// It answers: freeze it, and let it be handed out.
    Offer,
    PageOut,
    /// Nobody shall get it, for this reason.
    Retire {
        reason: &'static str,
    },
    /// It is gone: remove its row.
    Forget,
}

/// What to do next for one spare.
pub fn next_spare_step(
    spare: &Spare,
    sandbox: &Observed<SandboxReport>,
    health: &Observed<BridgeHealth>,
    version: &str,
    now: Timestamp,
) -> SpareStep {
    let retire = |reason| SpareStep::Retire { reason };
    let age = now.duration_since(spare.created_at);
    let report = match sandbox {
        Observed::Unknown => return SpareStep::Look,
        Observed::Absent => None,
        Observed::Seen { value, .. } => Some(value),
    };
    match spare.state {
        SpareState::Retired if report.is_none() => return SpareStep::Forget,
        SpareState::Retired => {}
        _ if spare.made_by != version => return retire("another version of Creel made it"),
        SpareState::Preparing if age >= PREPARED_WITHIN => {
            return retire("its runtime did not answer in time");
        }
        SpareState::Ready if age >= KEPT_FOR => return retire("it is a day old"),
        // What is asleep does not begin to run again by itself: it was lost with the host's memory.
        SpareState::Ready if report.is_none() => return retire("its sandbox is gone"),
        SpareState::Preparing | SpareState::Ready => {}
    }
    let Some(report) = report.filter(|report| report.generation >= spare.generation) else {
        return SpareStep::PutTarget;
    };
    match (spare.state, &report.state) {
        (SpareState::Preparing, SandboxState::Faulted { attempts, .. }) if *attempts >= ATTEMPTS => {
            retire("its sandbox does not start")
        }
        (SpareState::Preparing, SandboxState::Running { .. }) if report.converged => {
            match health.seen().map(|health| health.runtime.state) {
                Some(RuntimeState::Ready) => SpareStep::Offer,
                _ => SpareStep::CheckHealth,
            }
        }
        (
            SpareState::Ready,
            SandboxState::Asleep {
                depth: Depth::OnDisk, ..
            },
        ) => retire("its processes ended"),
        (SpareState::Ready, SandboxState::Asleep { .. })
            if spare.depth == Depth::Frozen && now.duration_since(spare.changed_at) >= PAGED_OUT_AFTER =>
        {
            SpareStep::PageOut
        }
        _ => SpareStep::Wait,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::RuntimeHealth;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time in range")
    }

    fn spare(state: SpareState) -> Spare {
        Spare {
            sandbox: SandboxId::from_uuid(Uuid::from_u128(1)),
            runtime: Runtime::Lite,
            limits: Limits::default_for(Runtime::Lite),
            state,
            depth: Depth::Frozen,
            generation: Generation(2),
            made_by: "1".to_owned(),
            created_at: at(0),
            changed_at: at(0),
        }
    }

    fn seen(generation: u64, state: SandboxState) -> Observed<SandboxReport> {
        let value = SandboxReport {
            sandbox: SandboxId::from_uuid(Uuid::from_u128(1)),
            generation: Generation(generation),
            converged: true,
            state,
            uid_base: None,
        };
        Observed::Seen { value, at: at(0) }
    }

    fn health(state: RuntimeState) -> Observed<BridgeHealth> {
        let runtime = RuntimeHealth {
            state,
            detail: String::new(),
            restarts: 0,
            own_jobs: None,
        };
        let value = BridgeHealth {
            version: "1".to_owned(),
            uptime_ms: 1,
            runtime,
            turns: 0,
        };
        Observed::Seen { value, at: at(0) }
    }

    #[test]
    fn the_table_of_steps() {
        use SpareState::{Preparing, Ready, Retired};
        let running = || SandboxState::Running { since: at(0) };
        let asleep = |depth| SandboxState::Asleep { depth, since: at(0) };
        let faulted = |attempts| SandboxState::Faulted {
            reason: String::new(),
            attempts,
            since: at(0),
            retry_at: at(1),
        };
        let (absent, unknown) = (Observed::Absent, Observed::Unknown);
        let (starts, answers) = (health(RuntimeState::Starting), health(RuntimeState::Ready));
        let none = Observed::Unknown;
        let retire = |reason| SpareStep::Retire { reason };
        #[rustfmt::skip]
        let table = [
            ("nothing known", Preparing, &unknown, &none, 0, SpareStep::Look),
            ("to be made", Preparing, &absent, &none, 0, SpareStep::PutTarget),
            ("runs, never asked", Preparing, &seen(2, running()), &none, 5, SpareStep::CheckHealth),
            ("runs, starts", Preparing, &seen(2, running()), &starts, 599, SpareStep::CheckHealth),
            ("answers", Preparing, &seen(2, running()), &answers, 5, SpareStep::Offer),
            ("too slow", Preparing, &seen(2, running()), &starts, 600, retire("its runtime did not answer in time")),
            ("failed twice", Preparing, &seen(2, faulted(2)), &none, 5, SpareStep::Wait),
            ("failed for good", Preparing, &seen(2, faulted(3)), &none, 5, retire("its sandbox does not start")),
            ("offered, still told to run", Ready, &seen(1, running()), &answers, 5, SpareStep::PutTarget),
            ("ready", Ready, &seen(2, asleep(Depth::Frozen)), &none, 599, SpareStep::Wait),
            ("ready for a while", Ready, &seen(2, asleep(Depth::Frozen)), &none, 600, SpareStep::PageOut),
            ("died in its sleep", Ready, &seen(2, asleep(Depth::OnDisk)), &none, 5, retire("its processes ended")),
            ("lost", Ready, &absent, &none, 5, retire("its sandbox is gone")),
            ("a day old", Ready, &seen(2, asleep(Depth::Frozen)), &none, 86_400, retire("it is a day old")),
            ("to be removed", Retired, &seen(1, asleep(Depth::Frozen)), &none, 5, SpareStep::PutTarget),
            ("on its way out", Retired, &seen(2, running()), &none, 5, SpareStep::Wait),
            ("removed", Retired, &absent, &none, 5, SpareStep::Forget),
        ];
        for (what, state, sandbox, health, now, step) in table {
            assert_eq!(
                next_spare_step(&spare(state), sandbox, health, "1", at(now)),
                step,
                "{what}"
            );
        }
        let step = next_spare_step(&spare(Ready), &seen(2, running()), &none, "2", at(5));
        assert_eq!(step, retire("another version of Creel made it"));
        let step = next_spare_step(&spare(Retired), &absent, &none, "2", at(5));
        assert_eq!(step, SpareStep::Forget);
    }

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, openclaw, lite) in [
            ("none", 0, 0),
            ("openclaw=1", 1, 0),
            ("openclaw=2,lite=32", 2, 32),
        ] {
            let pool = SparePool { openclaw, lite };
            assert_eq!(text.parse(), Ok(pool));
            assert_eq!(pool.to_string(), text);
        }
        assert_eq!("lite=0".parse(), Ok(SparePool::default()));
        for text in [
            "",
            "openclaw",
            "openclaw=33",
            "openclaw=-1",
            "other=1",
            "lite=1,lite=2",
            "lite=1,",
        ] {
            assert_eq!(text.parse::<SparePool>(), Err(BadSparePool), "{text}");
        }
    }

    #[test]
    fn whoever_gets_a_spare_can_be_told_to_it() {
        let Target::Running { spec } = spare(SpareState::Preparing).target() else {
            panic!("it is to run");
        };
        let agent = SandboxSpec {
            agent: AgentId::from_uuid(Uuid::from_u128(9)),
            name: "scout".parse().expect("a name"),
            model: "openai/gpt".parse().expect("a model"),
            files: AgentFiles {
                soul: "kind".to_owned(),
                ..AgentFiles::default()
            },
            ..(*spec).clone()
        };
        assert!(spec.can_be_told_to(&agent));
        for other in [
            SandboxSpec {
                incarnation: 2,
                ..agent.clone()
            },
            SandboxSpec {
                runtime: Runtime::Openclaw,
                ..agent.clone()
            },
            SandboxSpec {
                limits: Limits {
                    pids: 99,
                    ..agent.limits
                },
                ..agent.clone()
            },
        ] {
            assert!(!spec.can_be_told_to(&other), "{other:?}");
        }
    }
}
