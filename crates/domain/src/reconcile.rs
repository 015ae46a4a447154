//! What to do next for one agent, decided from what is wanted and what was last seen.
//!
//! Pure: the reconciler in `control` looks, calls [`next_steps`], acts, and looks again. There is no
//! other path: start, stop, delete, retry and recovery from a crash are all rows of these tables.

use jiff::{SignedDuration, Timestamp};

use crate::{
    AgentState, BridgeHealth, Depth, Generation, Intent, Observed, RuntimeState, SandboxReport, SandboxState,
    Waiting,
};

/// How long is too long. Data, so that a test or an operator can choose others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// A sandbox that starts, or runs without its runtime answering, for so long is made anew.
    pub stuck_after: SignedDuration,
    /// After so long without an answer the agent is called faulted and left for inspection.
    pub fault_after: SignedDuration,
    /// So many health checks failing in a row make the sandbox anew.
    pub failed_checks: u32,
    /// A health older than this is looked at again.
    pub health_every: SignedDuration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            stuck_after: SignedDuration::from_mins(8),
            fault_after: SignedDuration::from_mins(25),
            failed_checks: 5,
            health_every: SignedDuration::from_secs(5),
        }
    }
}

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    pub intent: Intent,
    pub generation: Generation,
    /// When the owner last changed something.
    pub changed_at: Timestamp,
    pub sandbox: &'a Observed<SandboxReport>,
    pub health: &'a Observed<BridgeHealth>,
    /// Health checks that failed since the last one that succeeded.
    pub failed_checks: u32,
    /// When the sandbox was last ordered to be made anew.
    pub rebuilt_at: Option<Timestamp>,
}

/// One act that brings wanted and seen together. Each may be done twice without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the supervisor what it sees.
    Look,
    /// Tell the supervisor the present target.
    PutTarget,
    /// Ask the bridge how the runtime is.
    CheckHealth,
    /// Raise the incarnation: the sandbox is made anew.
    Rebuild { reason: String },
    /// The sandbox is gone: remove the agent's rows.
    Forget,
}

/// The next acts, in order; none when there is nothing to do but wait for news.
pub fn next_steps(it: &Situation<'_>, deadlines: &Deadlines, now: Timestamp) -> Vec<Step> {
    let report = match it.sandbox {
        Observed::Unknown => return vec![Step::Look],
        Observed::Absent if it.intent == Intent::Delete => return vec![Step::Forget],
        Observed::Absent => return vec![Step::PutTarget],
        Observed::Seen { value, .. } => value,
    };
    if report.generation < it.generation {
        return vec![Step::PutTarget];
    }
    if it.intent != Intent::Run {
        return Vec::new();
    }
    let SandboxState::Running { since } = report.state else {
        return match stuck_start(report, it, deadlines, now) {
            Some(reason) => vec![Step::Rebuild { reason }],
            None => Vec::new(),
        };
    };
    if !report.converged {
        return Vec::new();
    }
    if it.failed_checks >= deadlines.failed_checks && may_rebuild(it, since, deadlines.health_every, now) {
        let reason = format!("its bridge did not answer {} times in a row", it.failed_checks);
        return vec![Step::Rebuild { reason }];
    }
    match it.health {
        Observed::Seen { value, at } if value.runtime.state == RuntimeState::Ready => {
            if now.duration_since(*at) >= deadlines.health_every {
                vec![Step::CheckHealth]
            } else {
                Vec::new()
            }
        }
        _ if may_rebuild(it, since, deadlines.stuck_after, now) => {
            let reason = format!(
                "its runtime did not answer for {}",
                minutes(deadlines.stuck_after)
            );
            vec![Step::Rebuild { reason }]
        }
        _ => vec![Step::CheckHealth],
    }
}

fn stuck_start(
    report: &SandboxReport,
    it: &Situation<'_>,
    deadlines: &Deadlines,
    now: Timestamp,
) -> Option<String> {
    match report.state {
        SandboxState::Starting { since, .. } if may_rebuild(it, since, deadlines.stuck_after, now) => {
            Some(format!("it was starting for {}", minutes(deadlines.stuck_after)))
        }
        _ => None,
    }
}

/// Patience counts from the last change of state or the last rebuild, whichever is later, and ends with
/// the deadline at which the agent is left for inspection.
fn may_rebuild(it: &Situation<'_>, since: Timestamp, patience: SignedDuration, now: Timestamp) -> bool {
    let from = it.rebuilt_at.map_or(since, |rebuilt_at| rebuilt_at.max(since));
    now.duration_since(from) >= patience
}

fn minutes(duration: SignedDuration) -> String {
    match duration.as_mins() {
        0 => format!("{} seconds", duration.as_secs()),
        1 => "a minute".to_owned(),
        many => format!("{many} minutes"),
    }
}

/// Where the agent stands, in the words people are told.
pub fn agent_state(it: &Situation<'_>, deadlines: &Deadlines, now: Timestamp) -> AgentState {
    let since = it.changed_at;
    let report = it
        .sandbox
        .seen()
        .filter(|report| report.generation >= it.generation);
    match it.intent {
        Intent::Delete => AgentState::Deleting { since },
        Intent::Stop => match (it.sandbox, report.map(|report| &report.state)) {
            (Observed::Absent, _) => AgentState::Stopped { since },
            (_, Some(SandboxState::Stopped { since })) => AgentState::Stopped { since: *since },
            _ => AgentState::Stopping { since },
        },
        Intent::Sleep => match (it.sandbox, report.map(|report| &report.state)) {
            (Observed::Absent, _) => AgentState::Asleep {
                depth: Depth::OnDisk,
                since,
            },
            (_, Some(SandboxState::Asleep { depth, since })) => AgentState::Asleep {
                depth: *depth,
                since: *since,
            },
            _ => AgentState::Stopping { since },
        },
        Intent::Run => running_state(it, report, deadlines, now),
    }
}

fn running_state(
    it: &Situation<'_>,
    report: Option<&SandboxReport>,
    deadlines: &Deadlines,
    now: Timestamp,
) -> AgentState {
    let starting = |waiting: String, since| AgentState::Starting { waiting, since };
    let Some(report) = report else {
        return starting("for the supervisor".to_owned(), it.changed_at);
    };
    match &report.state {
        SandboxState::Requested { waiting, since } => starting(waiting.to_string(), *since),
        SandboxState::Starting { attempt: 1, since } => starting("starting the sandbox".to_owned(), *since),
        SandboxState::Starting { attempt, since } => {
            starting(format!("starting the sandbox, attempt {attempt}"), *since)
        }
        SandboxState::Asleep { since, .. } => starting("waking".to_owned(), *since),
        SandboxState::Stopping { since } | SandboxState::Stopped { since } => {
            starting("stopping the sandbox first".to_owned(), *since)
        }
        SandboxState::Faulted {
            reason,
            attempts,
            since,
            retry_at,
        } => AgentState::Faulted {
            reason: reason.clone(),
            attempts: *attempts,
            since: *since,
            retry_at: Some(*retry_at),
        },
        SandboxState::Running { since } if !report.converged => {
            starting("stopping the sandbox first".to_owned(), *since)
        }
        SandboxState::Running { since } => {
            let runtime = it.health.seen().map(|health| &health.runtime);
            match runtime.map(|runtime| runtime.state) {
                Some(RuntimeState::Ready) if it.failed_checks == 0 => AgentState::Running { since: *since },
                _ if now.duration_since(it.changed_at.max(*since)) >= deadlines.fault_after => {
                    AgentState::Faulted {
                        reason: format!(
                            "the runtime did not answer for {}",
                            minutes(deadlines.fault_after)
                        ),
                        attempts: it.failed_checks,
                        since: *since,
                        retry_at: None,
                    }
                }
                Some(RuntimeState::Backoff) => {
                    let detail = runtime.map(|runtime| runtime.detail.as_str()).unwrap_or_default();
                    starting(
                        format!("the runtime crashed and is started again: {detail}"),
                        *since,
                    )
                }
                _ => starting("its runtime starts".to_owned(), *since),
            }
        }
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Turn => f.write_str("its turn to start"),
            Self::Image { image, percent } => write!(f, "preparing image {image} {percent} %"),
            Self::NoImage { image, reason } => write!(f, "no image {image}: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{ImageName, RuntimeHealth, SandboxId};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time in range")
    }

    fn report(generation: u64, converged: bool, state: SandboxState) -> Observed<SandboxReport> {
        Observed::Seen {
            value: SandboxReport {
                sandbox: SandboxId::from_uuid(Uuid::from_u128(1)),
                generation: Generation(generation),
                converged,
                state,
                uid_base: None,
            },
            at: at(0),
        }
    }

    fn health(state: RuntimeState, seen_at: i64) -> Observed<BridgeHealth> {
        let runtime = RuntimeHealth {
            state,
            detail: String::new(),
            restarts: 0,
            own_jobs: None,
        };
        let value = BridgeHealth {
            version: "0".to_owned(),
            uptime_ms: 1,
            runtime,
            turns: 0,
        };
        Observed::Seen {
            value,
            at: at(seen_at),
        }
    }

    fn situation<'a>(
        intent: Intent,
        sandbox: &'a Observed<SandboxReport>,
        health: &'a Observed<BridgeHealth>,
    ) -> Situation<'a> {
        Situation {
            intent,
            generation: Generation(3),
            changed_at: at(0),
            sandbox,
            health,
            failed_checks: 0,
            rebuilt_at: None,
        }
    }

    #[test]
    fn the_table_of_steps() {
        use Intent::{Delete, Run, Sleep, Stop};
        let running = || SandboxState::Running { since: at(0) };
        let starting = || SandboxState::Starting {
            attempt: 1,
            since: at(0),
        };
        let unknown = Observed::Unknown;
        let rebuild = |reason: &str| {
            vec![Step::Rebuild {
                reason: reason.to_owned(),
            }]
        };
        let ready = health(RuntimeState::Ready, 10);
        let crashed = health(RuntimeState::Backoff, 10);
        #[rustfmt::skip]
        let table = [
            ("to sleep, an older generation runs", Sleep, report(2, true, running()), &ready, 10, vec![Step::PutTarget]),
            ("asleep is not asked how it is", Sleep, report(3, true, SandboxState::Asleep { depth: Depth::Frozen, since: at(0) }), &unknown, 9999, vec![]),
            ("to wake, an older generation sleeps", Run, report(2, true, SandboxState::Asleep { depth: Depth::Frozen, since: at(0) }), &unknown, 10, vec![Step::PutTarget]),
            ("asleep, lost by a reboot", Sleep, Observed::Absent, &unknown, 0, vec![Step::PutTarget]),
            ("nothing known: look first", Run, Observed::Unknown, &unknown, 0, vec![Step::Look]),
            ("deleting, nothing known: look first", Delete, Observed::Unknown, &unknown, 0, vec![Step::Look]),
            ("wanted and absent", Run, Observed::Absent, &unknown, 0, vec![Step::PutTarget]),
            ("stopped from the start", Stop, Observed::Absent, &unknown, 0, vec![Step::PutTarget]),
            ("gone at last", Delete, Observed::Absent, &unknown, 0, vec![Step::Forget]),
            ("an older generation runs", Run, report(2, true, running()), &ready, 10, vec![Step::PutTarget]),
            ("delete an older one", Delete, report(2, true, running()), &ready, 10, vec![Step::PutTarget]),
            ("deleting is under way", Delete, report(3, false, running()), &ready, 10, vec![]),
            ("starting, in time", Run, report(3, false, starting()), &unknown, 479, vec![]),
            ("starting, stuck", Run, report(3, false, starting()), &unknown, 480, rebuild("it was starting for 8 minutes")),
            ("up, never asked", Run, report(3, true, running()), &unknown, 1, vec![Step::CheckHealth]),
            ("healthy, lately", Run, report(3, true, running()), &ready, 14, vec![]),
            ("healthy, a while ago", Run, report(3, true, running()), &ready, 15, vec![Step::CheckHealth]),
            ("runtime crashes", Run, report(3, true, running()), &crashed, 12, vec![Step::CheckHealth]),
            ("runtime crashed for long", Run, report(3, true, running()), &crashed, 480, rebuild("its runtime did not answer for 8 minutes")),
        ];
        for (what, intent, sandbox, health, now, expected) in table {
            let it = situation(intent, &sandbox, health);
            assert_eq!(
                next_steps(&it, &Deadlines::default(), at(now)),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn five_failed_checks_make_it_anew_once() {
        let sandbox = report(3, true, SandboxState::Running { since: at(0) });
        let unknown = Observed::Unknown;
        let mut it = Situation {
            failed_checks: 5,
            ..situation(Intent::Run, &sandbox, &unknown)
        };
        let steps = next_steps(&it, &Deadlines::default(), at(60));
        assert!(matches!(steps[..], [Step::Rebuild { .. }]), "{steps:?}");
        it.rebuilt_at = Some(at(60));
        assert_eq!(
            next_steps(&it, &Deadlines::default(), at(61)),
            [Step::CheckHealth]
        );
    }

    #[test]
    fn people_are_told_what_is_waited_for() {
        let unknown = Observed::Unknown;
        let waiting = Waiting::Image {
            image: ImageName::Openclaw,
            percent: 43,
        };
        let sandbox = report(
            3,
            false,
            SandboxState::Requested {
                waiting,
                since: at(5),
            },
        );
        let it = situation(Intent::Run, &sandbox, &unknown);
        assert_eq!(
            agent_state(&it, &Deadlines::default(), at(9)),
            AgentState::Starting {
                waiting: "preparing image openclaw 43 %".to_owned(),
                since: at(5)
            }
        );
    }

    #[test]
    fn running_means_that_the_runtime_answers() {
        let sandbox = report(3, true, SandboxState::Running { since: at(5) });
        let (ready, starting) = (health(RuntimeState::Ready, 6), health(RuntimeState::Starting, 6));
        let state = |health| {
            agent_state(
                &situation(Intent::Run, &sandbox, health),
                &Deadlines::default(),
                at(9),
            )
        };
        assert_eq!(state(&ready).as_str(), "running");
        assert_eq!(state(&starting).as_str(), "starting");
        let late = agent_state(
            &situation(Intent::Run, &sandbox, &starting),
            &Deadlines::default(),
            at(2000),
        );
        assert_eq!(late.as_str(), "faulted");
    }
}
