//! What to do next for one sandbox. Pure: the owner looks, calls [`decide`], acts, and looks again.

use creel_domain::{Depth, ImageName, Target, Waiting};
use creel_protocol::ImageState;
use creel_sandbox::Presence;
use jiff::{SignedDuration, Timestamp};

/// A sandbox that lived so long did not fail at starting: it begins with a short wait again.
const STEADY_AFTER: SignedDuration = SignedDuration::from_secs(60);
const MAX_WAIT_S: i64 = 60;

/// Everything the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) wanted: &'a Target,
    pub(crate) presence: Presence,
    /// What runs, against the specification that is wanted.
    pub(crate) runs: Runs,
    /// The image of the wanted specification.
    pub(crate) image: &'a ImageState,
    pub(crate) trouble: &'a Trouble,
    /// When it was asked to end, if it was.
    pub(crate) stopping_since: Option<Timestamp>,
    pub(crate) stop_grace: SignedDuration,
    /// Somebody woke it, and has until then to say what is wanted.
    pub(crate) awake_until: Option<Timestamp>,
    pub(crate) paging: Paging,
}

/// How what runs compares with the specification that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runs {
    /// It is that.
    AsWanted,
    /// It becomes that when it is told.
    CanBeTold,
    /// It has to be made anew.
    Otherwise,
}

/// What came of paging it out since it is held still. One that an earlier supervisor paged out is told to once more,
/// which finds nothing left to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Paging {
    #[default]
    Untried,
    Out,
    /// The host could not; it may later.
    Refused {
        retry_at: Timestamp,
    },
}

/// One act. Each may be repeated, and each may find that another way led there first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// It runs as wanted: wait for its end or another target.
    Keep {
        since: Timestamp,
    },
    /// It rests as wanted, or as deeply as the host can: wait for its end, another target, somebody who wakes it, or
    /// the time to try once more.
    KeepFrozen {
        depth: Depth,
        until: Option<Timestamp>,
    },
    Freeze,
    /// Push its memory out, unless somebody wakes it meanwhile.
    PageOut,
    Thaw,
    /// Give it the specification that is wanted, while it runs or is held still.
    Tell,
    /// Somebody woke it: wait until then.
    AwaitWord {
        since: Timestamp,
        until: Timestamp,
    },
    Start,
    /// Wait for the image, and have it built if nobody does.
    AwaitImage {
        image: ImageName,
        waiting: Waiting,
    },
    /// It failed: wait until then.
    Rest {
        until: Timestamp,
    },
    /// Ask it to end.
    Terminate,
    /// It was asked to end: wait until then.
    AwaitEnd {
        until: Timestamp,
    },
    Kill,
    /// Remove all but the volume.
    Release,
    /// Nothing runs and nothing should.
    Settled,
    /// Remove everything, and remember only that it is gone.
    Erase,
}

pub(crate) fn decide(it: &Situation<'_>, now: Timestamp) -> Act {
    if let Presence::Running { since, frozen, .. } = it.presence {
        return match it.wanted {
            Target::Gone => Act::Kill,
            Target::Running { .. } if it.runs != Runs::Otherwise && it.stopping_since.is_none() => {
                match (it.runs, frozen) {
                    // Before it goes on: what it does next, it does as what it is wanted to be.
                    (Runs::CanBeTold, _) => Act::Tell,
                    (_, true) => Act::Thaw,
                    (_, false) => Act::Keep { since },
                }
            }
            Target::Asleep {
                depth: depth @ (Depth::Frozen | Depth::PagedOut),
                ..
            } if it.stopping_since.is_none() => match it.awake_until {
                Some(until) if until > now && !frozen => Act::AwaitWord { since, until },
                _ if frozen => held_still(*depth, it.paging, now),
                _ => Act::Freeze,
            },
            Target::Running { .. } | Target::Asleep { .. } | Target::Stopped => match it.stopping_since {
                None => Act::Terminate,
                Some(asked) => {
                    let until = asked.saturating_add(it.stop_grace).unwrap_or(asked);
                    if now < until {
                        Act::AwaitEnd { until }
                    } else {
                        Act::Kill
                    }
                }
            },
        };
    }
    if let Some(until) = it.trouble.retry_at
        && now < until
    {
        return Act::Rest { until };
    }
    match (it.wanted, it.presence) {
        (Target::Gone, _) => Act::Erase,
        (Target::Stopped | Target::Asleep { .. }, Presence::Absent) => Act::Settled,
        (Target::Stopped | Target::Asleep { .. }, _) => Act::Release,
        (Target::Running { spec }, _) => match waiting(spec.image(), it.image) {
            Some(waiting) => Act::AwaitImage {
                image: spec.image(),
                waiting,
            },
            None => Act::Start,
        },
    }
}

fn held_still(wanted: Depth, paging: Paging, now: Timestamp) -> Act {
    let keep = |depth, until| Act::KeepFrozen { depth, until };
    match (wanted, paging) {
        (Depth::PagedOut, Paging::Untried) => Act::PageOut,
        (Depth::PagedOut, Paging::Refused { retry_at }) if retry_at <= now => Act::PageOut,
        (Depth::PagedOut, Paging::Refused { retry_at }) => keep(Depth::Frozen, Some(retry_at)),
        (_, Paging::Out) => keep(Depth::PagedOut, None),
        _ => keep(Depth::Frozen, None),
    }
}

fn waiting(image: ImageName, state: &ImageState) -> Option<Waiting> {
    match state {
        ImageState::Ready { .. } => None,
        ImageState::Absent => Some(Waiting::Image { image, percent: 0 }),
        ImageState::Building { percent, .. } => Some(Waiting::Image {
            image,
            percent: *percent,
        }),
        ImageState::Failed { reason } => Some(Waiting::NoImage {
            image,
            reason: reason.clone(),
        }),
    }
}

/// What went wrong lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// In a row.
    pub(crate) failures: u32,
    pub(crate) reason: String,
    pub(crate) since: Option<Timestamp>,
    pub(crate) retry_at: Option<Timestamp>,
}

impl Trouble {
    /// Something failed: each time in a row the wait doubles, up to a minute.
    pub(crate) fn failed(&mut self, reason: String, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let wait_s = 1i64
            .checked_shl(self.failures - 1)
            .filter(|wait| *wait > 0)
            .unwrap_or(MAX_WAIT_S);
        let wait = SignedDuration::from_secs(wait_s.min(MAX_WAIT_S));
        self.reason = reason;
        self.since = Some(now);
        self.retry_at = Some(now.saturating_add(wait).unwrap_or(now));
    }

    /// It ran, and ended by itself.
    pub(crate) fn died(&mut self, reason: String, started: Timestamp, now: Timestamp) {
        if now.duration_since(started) >= STEADY_AFTER {
            self.failures = 0;
        }
        self.failed(reason, now);
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{AgentFiles, AgentId, Limits, Runtime, SandboxSpec};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
    }

    fn running() -> Target {
        let spec = SandboxSpec {
            agent: "agt_00000000000000000000000001"
                .parse::<AgentId>()
                .expect("an id"),
            name: "scout".parse().expect("a name"),
            runtime: Runtime::Lite,
            model: "demo/echo".parse().expect("a model"),
            files: AgentFiles::default(),
            limits: Limits::default_for(Runtime::Lite),
            incarnation: 1,
        };
        Target::Running { spec: Box::new(spec) }
    }

    #[test]
    fn the_table_of_acts() {
        use Presence::{Absent, Remains};
        let up = Presence::Running {
            pid: 7,
            since: at(0),
            frozen: false,
        };
        let still = Presence::Running {
            pid: 7,
            since: at(0),
            frozen: true,
        };
        let ready = ImageState::Ready {
            built_at: at(0),
            bytes: 1,
        };
        let building = ImageState::Building {
            percent: 43,
            step: String::new(),
        };
        let failed = ImageState::Failed {
            reason: "no disk".to_owned(),
        };
        let fine = Trouble::default();
        let mut hurt = Trouble::default();
        hurt.failed("it broke".to_owned(), at(0));
        let lite = ImageName::Lite;
        let await_image = |waiting| Act::AwaitImage { image: lite, waiting };
        let (run, stop, gone) = (running(), Target::Stopped, Target::Gone);
        let rest = Target::Asleep {
            depth: Depth::Frozen,
            image: ImageName::Lite,
        };
        let paged = Target::Asleep {
            depth: Depth::PagedOut,
            image: ImageName::Lite,
        };
        let deep = Target::Asleep {
            depth: Depth::OnDisk,
            image: ImageName::Lite,
        };
        let (same, told, other) = (Runs::AsWanted, Runs::CanBeTold, Runs::Otherwise);
        #[rustfmt::skip]
        let table = [
            ("nothing there: start", &run, Absent, other, &ready, &fine, None, 0, Act::Start),
            ("a crash left something: start over", &run, Remains, other, &ready, &fine, None, 0, Act::Start),
            ("runs as wanted", &run, up, same, &ready, &fine, None, 0, Act::Keep { since: at(0) }),
            ("runs otherwise", &run, up, other, &ready, &fine, None, 0, Act::Terminate),
            ("runs, and can be told", &run, up, told, &ready, &fine, None, 0, Act::Tell),
            ("asked to end, and could have been told", &run, up, told, &ready, &fine, Some(at(0)), 9, Act::AwaitEnd { until: at(10) }),
            ("held still, and can be told: first that", &run, still, told, &ready, &fine, None, 0, Act::Tell),
            ("to sleep, whatever it could be told", &rest, up, told, &ready, &fine, None, 0, Act::Freeze),
            ("asked to end, may take its time", &run, up, same, &ready, &fine, Some(at(0)), 9, Act::AwaitEnd { until: at(10) }),
            ("asked to end, deaf", &run, up, other, &ready, &fine, Some(at(0)), 10, Act::Kill),
            ("stop", &stop, up, same, &ready, &fine, None, 0, Act::Terminate),
            ("stopped, not tidied", &stop, Remains, other, &ready, &fine, None, 0, Act::Release),
            ("stopped", &stop, Absent, other, &ready, &fine, None, 0, Act::Settled),
            ("delete what runs: no grace", &gone, up, same, &ready, &fine, None, 0, Act::Kill),
            ("delete the rest", &gone, Remains, other, &ready, &fine, None, 0, Act::Erase),
            ("delete what never was", &gone, Absent, other, &ready, &fine, None, 0, Act::Erase),
            ("failed just now", &run, Absent, other, &ready, &hurt, None, 0, Act::Rest { until: at(1) }),
            ("failed a while ago", &run, Absent, other, &ready, &hurt, None, 1, Act::Start),
            ("no image yet", &run, Absent, other, &ImageState::Absent, &fine, None, 0, await_image(Waiting::Image { image: lite, percent: 0 })),
            ("image on its way", &run, Absent, other, &building, &fine, None, 0, await_image(Waiting::Image { image: lite, percent: 43 })),
            ("no image to be had", &run, Absent, other, &failed, &fine, None, 0, await_image(Waiting::NoImage { image: lite, reason: "no disk".to_owned() })),
            ("to sleep", &rest, up, other, &ready, &fine, None, 0, Act::Freeze),
            ("sleeps", &rest, still, other, &ready, &fine, None, 0, Act::KeepFrozen { depth: Depth::Frozen, until: None }),
            ("wake", &run, still, same, &ready, &fine, None, 0, Act::Thaw),
            ("wake as something else", &run, still, other, &ready, &fine, None, 0, Act::Terminate),
            ("stop what sleeps", &stop, still, other, &ready, &fine, None, 0, Act::Terminate),
            ("delete what sleeps", &gone, still, other, &ready, &fine, None, 0, Act::Kill),
            ("to sleep, without processes", &rest, Absent, other, &ready, &fine, None, 0, Act::Settled),
            ("to sleep, died meanwhile", &rest, Remains, other, &ready, &fine, None, 0, Act::Release),
            ("to sleep and be paged out: first still", &paged, up, other, &ready, &fine, None, 0, Act::Freeze),
            ("then paged out", &paged, still, other, &ready, &fine, None, 0, Act::PageOut),
            ("to be paged out, without processes", &paged, Absent, other, &ready, &fine, None, 0, Act::Settled),
            ("deeper", &deep, still, other, &ready, &fine, None, 0, Act::Terminate),
            ("runs, whatever the image does", &run, up, same, &ImageState::Absent, &fine, None, 0, Act::Keep { since: at(0) }),
        ];
        for (what, wanted, presence, runs, image, trouble, stopping_since, now, act) in table {
            let it = Situation {
                wanted,
                presence,
                runs,
                image,
                trouble,
                stopping_since,
                stop_grace: SignedDuration::from_secs(10),
                awake_until: None,
                paging: Paging::Untried,
            };
            assert_eq!(decide(&it, at(now)), act, "{what}");
        }
    }

    #[test]
    fn whoever_wakes_it_has_a_while_to_say_what_is_wanted() {
        let (ready, fine) = (
            ImageState::Ready {
                built_at: at(0),
                bytes: 1,
            },
            Trouble::default(),
        );
        let rest = Target::Asleep {
            depth: Depth::Frozen,
            image: ImageName::Lite,
        };
        let act = |frozen, now| {
            let presence = Presence::Running {
                pid: 7,
                since: at(0),
                frozen,
            };
            let it = Situation {
                wanted: &rest,
                presence,
                runs: Runs::Otherwise,
                image: &ready,
                trouble: &fine,
                stopping_since: None,
                stop_grace: SignedDuration::from_secs(10),
                awake_until: Some(at(5)),
                paging: Paging::Untried,
            };
            decide(&it, at(now))
        };
        let (since, until) = (at(0), at(5));
        assert_eq!(act(false, 4), Act::AwaitWord { since, until });
        assert_eq!(act(false, 5), Act::Freeze, "nobody said anything");
        let (depth, until) = (Depth::Frozen, None);
        assert_eq!(act(true, 4), Act::KeepFrozen { depth, until });
    }

    #[test]
    fn what_the_host_cannot_page_out_stays_frozen_and_is_tried_again() {
        let keep = |depth, until| Act::KeepFrozen { depth, until };
        let refused = Paging::Refused { retry_at: at(60) };
        let (frozen, paged) = (Depth::Frozen, Depth::PagedOut);
        #[rustfmt::skip]
        let table = [
            (paged, Paging::Untried, 0, Act::PageOut),
            (paged, refused, 59, keep(frozen, Some(at(60)))),
            (paged, refused, 60, Act::PageOut),
            (paged, Paging::Out, 0, keep(paged, None)),
            (frozen, Paging::Untried, 0, keep(frozen, None)),
            (frozen, refused, 60, keep(frozen, None)),
            (frozen, Paging::Out, 0, keep(paged, None)),
        ];
        for (wanted, paging, now, act) in table {
            assert_eq!(
                held_still(wanted, paging, at(now)),
                act,
                "{wanted} {paging:?} {now}"
            );
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_after_a_steady_life() {
        let mut trouble = Trouble::default();
        let mut waits = Vec::new();
        for _ in 0..80 {
            trouble.failed("x".to_owned(), at(0));
            waits.push(trouble.retry_at.expect("a time").duration_since(at(0)).as_secs());
        }
        assert_eq!(waits[..8], [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(waits[8..].iter().all(|wait| *wait == 60));
        trouble.died("x".to_owned(), at(0), at(59));
        assert_eq!(trouble.retry_at, Some(at(119)), "a short life");
        trouble.died("x".to_owned(), at(0), at(60));
        assert_eq!(trouble.retry_at, Some(at(61)), "a steady life");
    }
}
