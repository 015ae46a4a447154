//! Rest: who needs an agent at the moment, putting to rest those that nobody needs, waking those that somebody
//! knocks at.
//!
//! ```text
//! knock ─▶ needed (guard) ─▶ asleep? ─▶ thawed at once ─▶ row says run ─▶ reconciler
//! idle  ─▶ row says sleep, unless a turn is under way ─▶ needed meanwhile? then awake again
//! ```
//!
//! What is needed is in memory: a control that dies takes the connections with it that needed something. Whether an
//! agent sleeps is in its row.

mod activity;
pub(crate) mod own_jobs;
mod sleep;
mod wake;

pub(crate) use activity::{Activity, Needed};
pub(crate) use sleep::settle;
pub(crate) use wake::{Reached, Wakes};
