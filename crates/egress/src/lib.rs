//! The only way out of a sandbox: an HTTP proxy that decides by policy and records what it decided.
//!
//! It rides on the uplink: the bridge splices the sandbox's proxy port onto the socket, so the caller
//! is known before the first byte. `CONNECT host:port` and absolute-form requests come here, requests
//! in origin form are model calls ([`is_proxy_request`] tells them apart).
//!
//! ```text
//! request ─▶ destination ─▶ policy ─▶ recorder ─▶ 403, naming the rule
//! ```
//!
//! Nothing is allowed yet, so nothing is ever connected.

mod record;
mod service;

pub use record::{Decided, Decisions, RECORD_EVERY, RECORD_PLACES};
pub use service::{Body, Caller, Egress, is_proxy_request};
