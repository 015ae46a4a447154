//! The control plane: public API, reconciler, turns, and the way out of the sandboxes. Runs without root.
//!
//! ```text
//! http ─▶ operations ─▶ store          what people want, on disk before it is answered
//!                         │ nudge
//! reconcile ◀─────────────┘            brings sandboxes there, through the supervisor
//! rest                                 puts to rest what nobody needs, wakes what somebody does
//! scheduler                            what the clock says, to agents
//! spares                               sandboxes made ahead of need
//! turns ─▶ bridge                      messages to their end, through crashes
//! acme                                 certificates for the names that lead here
//! domains                              owners' own names, proven in DNS
//! edge                                 who may come to an agent's ports, and leases that keep it awake
//! uplink ◀─ sandbox                    model calls and the refusal of everything else
//! mail                                 what waits in the store, to people
//! limits, refusals                     how often somebody may ask, and who was refused
//! signing, issuers, jwt                tokens that others can check, and those that others make
//! sso                                  signing in at somebody else's
//! vault, key_keeper                    what wraps the keys, and exchanging them
//! housekeeping                         what is done now and then
//! ```
//!
//! What was seen of the world is in [`sightings`] and in memory only; what people were promised is in the
//! store. Any of it may be killed at any time.
#![forbid(unsafe_code)]

mod acme;
mod control;
mod domains;
mod edge;
mod housekeeping;
mod http;
mod issuers;
mod jwt;
mod key_keeper;
mod limits;
mod mail;
mod operations;
mod passwords;
mod public_url;
mod reconcile;
mod refusals;
mod rest;
mod scheduler;
mod service;
mod sightings;
mod signing;
mod spares;
mod sso;
#[cfg(test)]
mod tests;
mod turns;
mod uplink;
mod vault;

pub use acme::{AcmeSettings, ORDERS_PER_HOUR};
pub use creel_api::SignUpMode;
pub use domains::{Dns, LOOKUP_WITHIN, LookupError, MAX_TXT_BYTES, MAX_TXT_RECORDS, TxtLookup, TxtRecords};
pub use edge::{BadAgentDomain, Names};
pub use http::openapi;
pub use issuers::{IssuerKeys, JwtIssuer, SHARED_SECRET_BYTES};
pub use mail::BadMail;
pub use public_url::{BadPublicUrl, PublicUrl};
pub use service::{Error, Handle, Options, People, Service, run};
pub use vault::{OrgVaults, Transit, VaultToken};

pub(crate) use control::{Control, Who};
