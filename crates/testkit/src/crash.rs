//! Points at which a test kills the program under test.
//!
//! Every fake passes a point before and after each effect. An armed point never returns: to the program
//! that is the same as dying there. The test waits for [`CrashPoints::hit`], drops the program, disarms,
//! and starts another one over the same fakes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::watch;

/// Shared by all fakes of one world, so that points are counted through in the order they are passed.
#[derive(Debug, Clone)]
pub struct CrashPoints(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    passed: AtomicUsize,
    /// The point that kills; 0 for none.
    armed: AtomicUsize,
    hit: watch::Sender<bool>,
}

impl Default for CrashPoints {
    fn default() -> Self {
        Self(Arc::new(Inner {
            passed: AtomicUsize::new(0),
            armed: AtomicUsize::new(0),
            hit: watch::Sender::new(false),
        }))
    }
}

impl CrashPoints {
    /// The `point`th point passed from now on never returns. They count from 1.
    pub fn arm(&self, point: usize) {
        self.0.passed.store(0, Ordering::SeqCst);
        self.0.hit.send_replace(false);
        self.0.armed.store(point, Ordering::SeqCst);
    }

    pub fn disarm(&self) {
        self.0.armed.store(0, Ordering::SeqCst);
        self.0.hit.send_replace(false);
    }

    /// Returns once the armed point was reached.
    pub async fn hit(&self) {
        // The sender lives as long as `self`.
        let _ = self.0.hit.subscribe().wait_for(|hit| *hit).await;
    }

    /// For fakes: passes one point.
    pub async fn pass(&self) {
        let number = self.0.passed.fetch_add(1, Ordering::SeqCst) + 1;
        let armed = self.0.armed.load(Ordering::SeqCst);
        // Past the armed point nothing of the dead program may have an effect any more.
        if armed != 0 && number >= armed {
            self.0.hit.send_replace(true);
            std::future::pending::<()>().await;
        }
    }
}
