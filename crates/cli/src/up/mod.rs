//! `creel up`: the process tree that is Creel on one host.
//!
//! ```text
//! creel up            root, this module: checks, lock, listener, restarts; nothing that speaks to the world
//! ├─ creel supervisor root: owns the sandboxes
//! ├─ creel edge       unprivileged from its first moment: what the world speaks to
//! └─ creel control    unprivileged from its first moment: API, store, turns, model calls
//! ```
//!
//! The listeners, the world's and control's, are bound once, here, and handed to each child in turn: while one is
//! started again, callers wait in the backlog instead of being refused.

mod account;
mod acme;
mod args;
mod backoff;
mod bridge;
mod certificate;
mod child;
mod control;
mod data;
mod db;
mod detach;
mod down;
mod edge;
mod handover;
mod host;
mod issuer;
mod keys;
mod log;
mod names;
mod notify;
mod owner;
mod parent;
mod people;
mod preflight;
mod supervisor;

pub(crate) use args::{ControlArgs, DbCommand, DownArgs, SupervisorArgs, UpArgs};
pub(crate) use control::run as control;
pub(crate) use db::run as db;
pub(crate) use down::run as down;
pub(crate) use edge::{EdgeProcessArgs, run as edge};
pub(crate) use host::host_findings;
pub(crate) use parent::run as up;
pub(crate) use preflight::{Finding, Verdict, findings};
pub(crate) use supervisor::run as supervisor;

/// An error of one of our programs with its causes, as one sentence.
fn sentence(error: impl std::error::Error) -> crate::failure::Failure {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    crate::failure::Failure::sentence(text)
}
