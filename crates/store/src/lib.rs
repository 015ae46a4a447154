//! Every SQL statement and migration of Creel. Takes and returns domain types; rows are private.
//!
//! Tenant data is reached through [`Store::org`], whose every statement carries the org. What concerns
//! the whole platform, such as the reconciler's list of all agents, is behind [`Store::platform`].
//!
//! One writer and a few readers, each a SQLite connection used on a blocking thread: a slow disk holds
//! up database calls, never the event loop. A call that returned is on disk.

mod access;
mod agents;
mod calls;
mod database;
mod error;
mod events;
mod idempotency;
mod migrations;
mod providers;
mod rows;
mod seal;
mod store;
mod turns;

pub use access::{Access, FirstOwner};
pub use agents::{AgentChange, MAX_AGENTS, NewAgent};
pub use calls::{CallResult, NewCall, UsageBy, UsageSum};
pub use error::Error;
pub use events::{KEPT_EVENTS, LogEvent};
pub use idempotency::Claim;
pub use providers::{NewProvider, StoredProvider};
pub use seal::{MasterKey, MasterKeyError};
pub use store::{Org, Platform, Store};
pub use turns::{SessionRow, StoredTurn};
