//! Every SQL statement and migration of Creel. Takes and returns domain types; rows are private.
//!
//! Tenant data is reached through [`Store::org`], whose every statement carries the org. What concerns
//! the whole platform, such as the reconciler's list of all agents, is behind [`Store::platform`].
//!
//! One thread writes and a few connections read: a slow disk holds up database calls, never the event
//! loop. A write that returned is on disk. The statements and the bodies around them are written for more
//! than one engine; why so is told in `docs/adr/0002-store.md`.

mod access;
mod agents;
mod calls;
mod database;
mod egress;
mod error;
mod events;
mod idempotency;
mod migrations;
mod providers;
mod rows;
mod seal;
mod sqlite;
mod store;
mod turns;
mod tx;

pub use access::{Access, FirstOwner, StoredToken};
pub use agents::{AgentChange, MAX_AGENTS, NewAgent};
pub use calls::{CallResult, NewCall, UsageBy, UsageSum};
pub use egress::{EgressDecision, KEPT_DECISIONS};
pub use error::Error;
pub use events::{KEPT_EVENTS, LogEvent};
pub use idempotency::Claim;
pub use providers::{MAX_PROVIDERS, NewProvider, StoredProvider};
pub use seal::{MasterKey, MasterKeyError};
pub use store::{Org, Platform, Store};
pub use turns::{SessionRow, StoredTurn};
