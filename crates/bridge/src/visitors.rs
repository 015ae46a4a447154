//! People at the runtime's own page. It works for them then, although no turn is under way.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

#[derive(Clone, Default)]
pub(crate) struct Visitors(Arc<AtomicUsize>);

/// One connection of somebody's, as long as it is held.
pub(crate) struct Visit(Visitors);

impl Visitors {
    pub(crate) fn come(&self) -> Visit {
        self.0.fetch_add(1, Ordering::SeqCst);
        Visit(self.clone())
    }

    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}
