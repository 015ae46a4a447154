//! Who needs an agent, and since when nobody does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use creel_domain::AgentId;
use tokio::time::Instant;

/// Of all agents that were needed since this control began.
#[derive(Default)]
pub(crate) struct Activity(Arc<Mutex<HashMap<AgentId, Use>>>);

#[derive(Debug, Clone, Copy)]
struct Use {
    /// How many need it now.
    by: usize,
    /// When the last of them was done.
    last: Instant,
}

/// Somebody needs an agent, as long as this lives.
pub(crate) struct Needed {
    all: Arc<Mutex<HashMap<AgentId, Use>>>,
    agent: AgentId,
}

fn lock(all: &Mutex<HashMap<AgentId, Use>>) -> MutexGuard<'_, HashMap<AgentId, Use>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Activity {
    pub(crate) fn begin(&self, agent: AgentId) -> Needed {
        let now = Instant::now();
        let mut all = lock(&self.0);
        let used = all.entry(agent).or_insert(Use { by: 0, last: now });
        used.by += 1;
        used.last = now;
        Needed {
            all: Arc::clone(&self.0),
            agent,
        }
    }

    pub(crate) fn is_needed(&self, agent: AgentId) -> bool {
        lock(&self.0).get(&agent).is_some_and(|used| used.by > 0)
    }

    /// Since when nobody needs it, counted from the first time that anybody asks; none: somebody does.
    pub(crate) fn idle(&self, agent: AgentId) -> Option<Duration> {
        let now = Instant::now();
        let mut all = lock(&self.0);
        let used = all.entry(agent).or_insert(Use { by: 0, last: now });
        (used.by == 0).then(|| now.duration_since(used.last))
    }

    /// Whether anybody needs it, or has needed it so lately.
    pub(crate) fn lately(&self, agent: AgentId, within: Duration) -> bool {
        lock(&self.0)
            .get(&agent)
            .is_some_and(|used| used.by > 0 || used.last.elapsed() < within)
    }

    /// Its idleness begins anew.
    pub(crate) fn touch(&self, agent: AgentId) {
        drop(self.begin(agent));
    }

    pub(crate) fn forget(&self, agent: AgentId) {
        let mut all = lock(&self.0);
        if all.get(&agent).is_some_and(|used| used.by == 0) {
            all.remove(&agent);
        }
    }
}

impl Drop for Needed {
    fn drop(&mut self) {
        if let Some(used) = lock(&self.all).get_mut(&self.agent) {
            used.by = used.by.saturating_sub(1);
            used.last = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn idleness_begins_when_the_last_one_is_done() {
        let (activity, agent) = (Activity::default(), AgentId::from_uuid(Uuid::from_u128(1)));
        let second = Duration::from_secs(1);
        assert_eq!(
            activity.idle(agent),
            Some(Duration::ZERO),
            "nobody has asked before"
        );
        tokio::time::advance(second).await;
        assert_eq!(activity.idle(agent), Some(second));
        let (first, last) = (activity.begin(agent), activity.begin(agent));
        assert_eq!(activity.idle(agent), None);
        drop(first);
        tokio::time::advance(second).await;
        assert!(activity.is_needed(agent), "one is left");
        drop(last);
        assert_eq!(activity.idle(agent), Some(Duration::ZERO));
    }
}
