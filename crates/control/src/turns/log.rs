//! What was said in one turn so far, for every reader who comes, comes back, or comes late.
//!
//! Readers keep a position and wait for news; a slow reader holds nobody up and loses nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use creel_domain::TurnEvent;
use futures_util::{Stream, stream};
use tokio::sync::watch;

/// Events are numbered from 1, without gaps.
pub(crate) struct TurnLog {
    events: Mutex<Vec<Arc<TurnEvent>>>,
    news: watch::Sender<usize>,
}

impl Default for TurnLog {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            news: watch::Sender::new(0),
        }
    }
}

impl TurnLog {
    /// Nothing is taken after the last event.
    pub(crate) fn push(&self, event: Arc<TurnEvent>) {
        let mut events = self.lock();
        if events.last().is_some_and(|event| event.is_last()) {
            return;
        }
        events.push(event);
        let count = events.len();
        drop(events);
        self.news.send_replace(count);
    }

    /// What was said since the runtime last began (again).
    pub(crate) fn present(&self) -> Vec<Arc<TurnEvent>> {
        let events = self.lock();
        let begin = events
            .iter()
            .rposition(|event| matches!(**event, TurnEvent::Started))
            .unwrap_or(0);
        events[begin..].to_vec()
    }

    /// Waits for the event that ends the turn.
    pub(crate) async fn finished(&self) {
        let mut news = self.news.subscribe();
        loop {
            news.borrow_and_update();
            if self.lock().last().is_some_and(|event| event.is_last()) {
                return;
            }
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    /// The events after number `after`, as they come, up to the last one of the turn.
    pub(crate) fn read(
        self: Arc<Self>,
        after: u64,
    ) -> impl Stream<Item = (u64, Arc<TurnEvent>)> + Send + 'static {
        let news = self.news.subscribe();
        let start = usize::try_from(after).unwrap_or(usize::MAX);
        stream::unfold((self, news, start), |(log, mut news, next)| async move {
            loop {
                news.borrow_and_update();
                let (event, over) = {
                    let events = log.lock();
                    let over = events.last().is_some_and(|event| event.is_last());
                    (events.get(next).cloned(), over)
                };
                if let Some(event) = event {
                    let number = next as u64 + 1;
                    return Some(((number, event), (log, news, next + 1)));
                }
                if over {
                    return None;
                }
                news.changed().await.ok()?;
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<TurnEvent>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    fn text(delta: &str) -> Arc<TurnEvent> {
        Arc::new(TurnEvent::Text {
            delta: delta.to_owned(),
        })
    }

    #[tokio::test]
    async fn a_reader_who_comes_back_misses_nothing_and_hears_nothing_twice() {
        let log = Arc::new(TurnLog::default());
        log.push(Arc::new(TurnEvent::Started));
        log.push(text("a"));
        let mut early = Box::pin(Arc::clone(&log).read(0));
        assert_eq!(early.next().await.map(|(number, _)| number), Some(1));
        drop(early);
        log.push(text("b"));
        log.push(Arc::new(TurnEvent::Cancelled));
        log.push(text("too late"));
        let rest: Vec<_> = Arc::clone(&log).read(1).collect().await;
        let rest: Vec<_> = rest
            .iter()
            .map(|(number, event)| (*number, event.name()))
            .collect();
        assert_eq!(rest, [(2, "text"), (3, "text"), (4, "cancelled")]);
        assert_eq!(
            log.read(99).count().await,
            0,
            "a number of the future ends at once"
        );
    }
}
