//! OpenClaw's own jobs, which it plans with its cron: when the next one is due, and a turn in which those that are due are
//! done.
//!
//! OpenClaw starts them itself when it is awake at their time. The turn is there so that it is: it keeps the sandbox
//! awake until they are through, models answer meanwhile, and what came of them is its answer. One that OpenClaw does not
//! start by itself, as its timers may be late after a long freeze, is started for it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use creel_domain::TurnEvent;
use creel_protocol::limits;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Shared, link::Link, run};
use crate::runtime::{Assignment, failure};

/// Jobs looked at, those that are due first.
const LISTED: usize = 200;
/// What is known of them is asked for again after so long, whatever was or was not heard.
const KNOWN_FOR: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks at jobs under way.
const PAUSE: Duration = Duration::from_millis(500);
/// A turn takes the jobs that are due within so long of its beginning.
const HORIZON: SignedDuration = SignedDuration::from_secs(35);
/// So long after its time a job that does not run is started for OpenClaw; and given up so long after that.
const LATE: SignedDuration = SignedDuration::from_secs(3);
const NEVER: SignedDuration = SignedDuration::from_secs(30);
const TURN_TIMEOUT: Duration = Duration::from_secs(20 * 60);
/// The gateway's deaths after which the turn fails.
const LIVES: u32 = 3;
/// Of one job's outcome, in the answer.
const OUTCOME_CHARS: usize = 4000;
const NAME_CHARS: usize = 80;

/// What is known of the jobs of one gateway.
#[derive(Default)]
pub(super) struct Known {
    /// Grows whenever OpenClaw says that something about its jobs changed.
    changes: AtomicU64,
    /// What it said when it was last asked.
    next: Mutex<Option<Answered>>,
}

/// After how many changes, when, and when the next job was due.
type Answered = (u64, Instant, Option<Timestamp>);

impl Known {
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    fn next(&self) -> MutexGuard<'_, Option<Answered>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns under way in which jobs may run.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowed(Arc<AtomicUsize>);

impl Allowed {
    pub(super) fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }

    fn begin(&self) -> Allowing {
        self.0.fetch_add(1, Ordering::Relaxed);
        Allowing(self.clone())
    }
}

struct Allowing(Allowed);

impl Drop for Allowing {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    id: String,
    name: String,
    due_at: Option<Timestamp>,
    running: bool,
}

fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::from_millisecond(value.as_i64()?).ok()
}

fn jobs(list: &Value) -> Vec<Job> {
    let all = list["jobs"].as_array().into_iter().flatten();
    all.filter(|job| job["enabled"] != false)
        .filter_map(|job| {
            Some(Job {
                id: job["id"].as_str()?.to_owned(),
                name: shortened(job["name"].as_str().unwrap_or("a job without a name"), NAME_CHARS),
                due_at: time(&job["nextRunAtMs"]),
                running: job["runningAtMs"].is_number(),
            })
        })
        .take(LISTED)
        .collect()
}

fn shortened(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

fn listing() -> Value {
    json!({"limit": LISTED, "compact": true, "enabled": "enabled", "sortBy": "nextRunAtMs", "sortDir": "asc"})
}

/// When the next job is due: within the option, none is. None at all: nobody knows.
///
/// Whoever wakes an agent waits for this, so OpenClaw is asked only where it said that something changed; what has been
/// known for long is asked for again behind it.
pub(super) async fn next_at(link: &Arc<Link>) -> Option<Option<Timestamp>> {
    let changes = link.jobs().changes.load(Ordering::Relaxed);
    let known = {
        let mut known = link.jobs().next();
        match &mut *known {
            Some((then, at, next)) if *then == changes => {
                let old = at.elapsed() >= KNOWN_FOR;
                if old {
                    *at = Instant::now();
                }
                Some((*next, old))
            }
            _ => None,
        }
    };
    match known {
        Some((next, old)) => {
            if old {
                let link = Arc::clone(link);
                tokio::spawn(async move { ask(&link, changes).await });
            }
            Some(next)
        }
        None => ask(link, changes).await,
    }
}

async fn ask(link: &Link, changes: u64) -> Option<Option<Timestamp>> {
    let asked = tokio::time::timeout(ANSWER_WITHIN, link.request("cron.list", listing())).await;
    let next = jobs(&asked.ok()?.ok()?).iter().filter_map(|job| job.due_at).min();
    *link.jobs().next() = Some((changes, Instant::now(), next));
    Some(next)
}

/// What is to be awaited of the jobs, and what has come of them.
#[derive(Default)]
struct Watch {
    /// Due or under way, by id, with their names.
    open: BTreeMap<String, String>,
    over: BTreeMap<String, String>,
    /// Started by us, and those that nothing came of.
    started: HashSet<String>,
    given_up: HashSet<String>,
}

impl Watch {
    /// Takes a look at the jobs; those that are to be started now.
    fn look(&mut self, jobs: &[Job], horizon: Timestamp, now: Timestamp) -> Vec<String> {
        let (mut still, mut start) = (HashSet::new(), Vec::new());
        for job in jobs {
            let due = job.due_at.is_some_and(|at| at <= horizon);
            if !(due || job.running) || self.given_up.contains(&job.id) {
                continue;
            }
            let late = job
                .due_at
                .map_or(SignedDuration::ZERO, |at| now.duration_since(at));
            if !job.running && late > LATE && self.started.insert(job.id.clone()) {
                start.push(job.id.clone());
            } else if !job.running && late > NEVER {
                self.given_up.insert(job.id.clone());
                continue;
            }
            still.insert(job.id.clone());
            self.open.insert(job.id.clone(), job.name.clone());
        }
        let over: Vec<_> = self
            .open
            .keys()
            .filter(|id| !still.contains(*id))
            .cloned()
            .collect();
        for id in over {
            if let Some(name) = self.open.remove(&id) {
                self.over.insert(id, name);
            }
        }
        start
    }
}

/// Lets OpenClaw do the jobs that are due, to their end.
pub(super) async fn run(shared: &Shared, turn: &Assignment) -> TurnEvent {
    let _allowing = shared.allowed.begin();
    let horizon = run::made_at(turn.id)
        .saturating_add(HORIZON)
        .unwrap_or(Timestamp::MAX);
    turn.tell(TurnEvent::Started).await;
    let mut watch = Watch::default();
    let work = async {
        for _ in 0..LIVES {
            let Some(link) = shared.ready().await else {
                return failure::not_ready(
                    "OpenClaw did not become ready within two minutes. Try again later.",
                );
            };
            if watched(&link, &mut watch, horizon).await {
                return TurnEvent::Done {
                    text: told(&link, &watch).await,
                };
            }
        }
        failure::crashed(
            "OpenClaw ended again and again in the middle of its own jobs. Look at the agent's logs.",
        )
    };
    tokio::select! {
        last = work => last,
        () = turn.cancel.cancelled() => TurnEvent::Cancelled,
        () = tokio::time::sleep(TURN_TIMEOUT) => {
            failure::too_long("OpenClaw's own jobs were not through after 20 minutes.")
        }
    }
}

/// Until nothing is due or under way any more; false: the gateway ended first.
async fn watched(link: &Link, watch: &mut Watch, horizon: Timestamp) -> bool {
    loop {
        match link.request("cron.list", listing()).await {
            Ok(list) => {
                for job in watch.look(&jobs(&list), horizon, Timestamp::now()) {
                    let _ = link.request("cron.run", json!({"id": job, "mode": "due"})).await;
                }
                if watch.open.is_empty() {
                    return true;
                }
            }
            Err(_) if link.is_closed() => return false,
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = link.closed() => return false,
        }
    }
}

/// What came of each, a line or more for each.
async fn told(link: &Link, watch: &Watch) -> String {
    if watch.over.is_empty() {
        return "Nothing was due.".to_owned();
    }
    let mut text = String::new();
    for (id, name) in &watch.over {
        let asked = link.request("cron.runs", json!({"id": id, "limit": 1})).await;
        let page = asked.unwrap_or_default();
        let line = format!("{name}: {}\n", outcome(&page["entries"][0]));
        if text.len() + line.len() > limits::ANSWER_BYTES / 2 {
            break;
        }
        text.push_str(&line);
    }
    text.trim_end().to_owned()
}

fn outcome(entry: &Value) -> String {
    let part = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    let status = part("status").unwrap_or("it ran");
    let text = match (status, part("error"), part("summary")) {
        ("ok", _, Some(summary)) => summary.to_owned(),
        (status, Some(error), _) => format!("{status}: {error}"),
        (status, None, _) => status.to_owned(),
    };
    shortened(&text, OUTCOME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("in range")
    }

    fn job(id: &str, due: Option<i64>, running: bool) -> Job {
        Job {
            id: id.to_owned(),
            name: format!("name of {id}"),
            due_at: due.map(at),
            running,
        }
    }

    #[test]
    fn a_turn_waits_for_what_is_due_and_runs_and_for_nothing_else() {
        let mut watch = Watch::default();
        let horizon = at(35);
        let look = |watch: &mut Watch, jobs: &[Job], now| watch.look(jobs, horizon, at(now));
        let first = [
            job("a", Some(2), false),
            job("b", Some(900), false),
            job("c", None, true),
        ];
        assert_eq!(look(&mut watch, &first, 0), Vec::<String>::new());
        assert_eq!(watch.open.len(), 2);
        // It does not start by itself: it is started, once.
        assert_eq!(look(&mut watch, &first, 6), ["a"]);
        assert_eq!(look(&mut watch, &first, 7), Vec::<String>::new());
        // It runs, is through, and has another time; one that was for once is not listed any more.
        look(
            &mut watch,
            &[job("a", Some(2), true), job("b", Some(900), false)],
            8,
        );
        assert_eq!(watch.over.keys().collect::<Vec<_>>(), ["c"]);
        look(&mut watch, &[job("a", Some(3600), false)], 9);
        assert!(watch.open.is_empty());
        assert_eq!(watch.over.len(), 2);
    }

    #[test]
    fn one_that_never_starts_is_given_up() {
        let mut watch = Watch::default();
        let stuck = [job("a", Some(0), false)];
        assert_eq!(watch.look(&stuck, at(35), at(4)), ["a"]);
        assert_eq!(watch.look(&stuck, at(35), at(29)), Vec::<String>::new());
        assert_eq!(watch.open.len(), 1);
        watch.look(&stuck, at(35), at(31));
        assert!(watch.open.is_empty());
    }

    #[test]
    fn answers_are_read_loosely_and_bounded() {
        let list = json!({"jobs": [
            {"id": "a", "name": "x".repeat(1000), "enabled": true, "nextRunAtMs": 1_800_000_002_000_i64},
            {"id": "b", "enabled": true, "nextRunAtMs": "soon", "runningAtMs": 5},
            {"id": "c", "enabled": false, "nextRunAtMs": 1},
            {"name": "without an id"}, 7, null,
            {"id": "d", "nextRunAtMs": i64::MAX},
        ]});
        let read = jobs(&list);
        assert_eq!(
            read.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(),
            ["a", "b", "d"]
        );
        assert_eq!((read[0].due_at, read[0].name.len()), (Some(at(2)), NAME_CHARS));
        assert_eq!(
            (read[1].due_at, read[1].running, read[2].due_at),
            (None, true, None)
        );
        for nonsense in [json!(null), json!([]), json!({"jobs": "none"})] {
            assert_eq!(jobs(&nonsense), []);
        }
        let many = json!({"jobs": (0..1000).map(|id| json!({"id": id.to_string()})).collect::<Vec<_>>()});
        assert_eq!(jobs(&many).len(), LISTED);
        assert_eq!(outcome(&json!({"status": "ok", "summary": "Done."})), "Done.");
        assert_eq!(
            outcome(&json!({"status": "error", "error": "No channel"})),
            "error: No channel"
        );
        assert_eq!(outcome(&Value::Null), "it ran");
    }
}
