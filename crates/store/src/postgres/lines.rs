//! Writes of one scope stand in line here, one behind the other, before they take a connection: an org with
//! much to write holds one connection and not all of them. Between several controls the database decides.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::OwnedMutexGuard, time::timeout};

use super::PATIENCE;
use crate::{Error, database::Scope};

/// Who stands in one line; whoever comes after them is told at once. One org cannot take all places of the queue.
const LINE: usize = 512;

#[derive(Default)]
pub(super) struct Lines(Mutex<HashMap<Scope, Arc<tokio::sync::Mutex<()>>>>);

/// A turn that ends when it is dropped.
pub(super) struct Turn<'l> {
    lines: &'l Lines,
    scope: Scope,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Lines {
    pub(super) async fn turn(&self, scope: Scope) -> Result<Turn<'_>, Error> {
        let line = Arc::clone(self.map().entry(scope).or_default());
        // The map's, ours, and that of whose turn it is are no waiting ones.
        if Arc::strong_count(&line) >= LINE + 3 {
            return Err(Error::Busy);
        }
        let mut turn = Turn {
            lines: self,
            scope,
            guard: None,
        };
        let guard = timeout(PATIENCE, line.lock_owned()).await;
        turn.guard = Some(guard.map_err(|_| Error::Busy)?);
        Ok(turn)
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<Scope, Arc<tokio::sync::Mutex<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut map = self.lines.map();
        self.guard = None;
        // Whoever waits holds the line too.
        if map
            .get(&self.scope)
            .is_some_and(|line| Arc::strong_count(line) == 1)
        {
            map.remove(&self.scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_scope_waits_for_itself_only_and_not_endlessly() {
        let lines = Lines::default();
        let one = Scope::Org(creel_domain::OrgId::from_uuid(uuid::Uuid::from_u128(1)));
        let first = lines.turn(one).await.expect("free");
        lines.turn(Scope::Platform).await.expect("another line");
        let mut waiting = Vec::new();
        for _ in 0..LINE {
            let mut turn = Box::pin(lines.turn(one));
            assert!(futures_util::poll!(&mut turn).is_pending());
            waiting.push(turn);
        }
        assert!(matches!(lines.turn(one).await, Err(Error::Busy)));
        drop((first, waiting));
        drop(lines.turn(one).await.expect("free again"));
        assert!(lines.map().is_empty(), "nobody stands in any line");
    }
}
