//! The privileged process of Creel: makes each local sandbox match its target and reports what it sees.
//!
//! ```text
//!  control ──put_target──▶ Handle ── record on disk ──▶ owner (one task a sandbox)
//!     ▲                                                   │ look, decide, act, look again
//!     └────── list, watch ◀── reports ◀──────────────────┘        │
//!                                                               backend
//! ```
//!
//! Nothing that matters is kept in memory: after `kill -9` the records and what the backend sees are
//! enough to go on. Running sandboxes outlive this process and are found again.

mod decide;
mod error;
mod files;
mod http;
pub mod images;
mod images_of;
mod options;
mod owner;
mod records;
mod reports;
mod run;
mod service;
mod slots;
mod sweep;

pub use creel_sandbox::{BackendChoice, checks};
pub use error::Error;
pub use http::{SERVE_OPTIONS, router};
pub use images_of::{FixedImages, ImageSource};
pub use options::Options;
pub use run::{RunOptions, places, run};
pub use service::{Handle, Service};
