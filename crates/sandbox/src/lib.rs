//! Isolation backends behind one trait.
//!
//! A backend makes a sandbox from a [`Bundle`], says what it sees of it, and takes it apart again. It
//! keeps nothing in memory that matters: after `kill -9` of us the kernel (cgroups, mounts) and the
//! directories of [`Places`] are the whole truth, and the next process reads it from there.
//!
//! ```text
//!            start                  PID 1 ends, kill
//!  Absent ─────────▶ Running ─────────────────────▶ Remains ──release──▶ Absent ──erase──▶ no volume
//! ```
//!
//! | backend | what it is |
//! |---|---|
//! | [`Oci`] | the command line of `crun`, `runc` or `runsc`, whichever [`choose`] saw working |
//! | [`Fake`] | nothing but directories; dies and fails when a test says so |
//!
//! The only crate with `unsafe`: two ioctls in `loop_device`, a system call in `paging`, and what a child
//! does between fork and exec.

mod backend;
mod bundle;
mod cgroup;
pub mod checks;
mod choose;
mod fake;
mod fs;
mod hostname;
mod loop_device;
mod mappings;
mod memory;
mod mounts;
mod oci;
mod paging;
mod pid;
mod places;
mod program;
mod steps;
mod swap;
mod volume;

pub use backend::{Backend, Ended, Error, Paged, Presence, Work};
pub use bundle::{Bundle, Inbound, ReadOnly, Volume};
pub use choose::{BackendChoice, Chosen, choose};
pub use fake::Fake;
pub use memory::Memory;
pub use oci::{Oci, Runtime};
pub use pid::{ZombieSweep, become_subreaper};
pub use places::Places;
pub use steps::{NoSteps, Steps};
pub use swap::Paging;
