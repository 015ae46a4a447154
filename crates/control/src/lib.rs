//! The control plane: public API, reconciler, turns, and the way out of the sandboxes. Runs without root.
//!
//! ```text
//! http ─▶ operations ─▶ store          what people want, on disk before it is answered
//!                         │ nudge
//! reconcile ◀─────────────┘            brings sandboxes there, through the supervisor
//! turns ─▶ bridge                      messages to their end, through crashes
//! uplink ◀─ sandbox                    model calls and the refusal of everything else
//! ```
//!
//! What was seen of the world is in [`sightings`] and in memory only; what people were promised is in the
//! store. Any of it may be killed at any time.
#![forbid(unsafe_code)]

mod control;
mod http;
mod operations;
mod reconcile;
mod service;
mod sightings;
#[cfg(test)]
mod tests;
mod turns;
mod uplink;

pub use http::openapi;
pub use service::{Error, Handle, Options, Service, run};

pub(crate) use control::{Control, Who};
