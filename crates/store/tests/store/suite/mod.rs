//! What holds on every engine, by the store's public door. Each test has a database of its own.

mod access;
mod agents;
mod attempts;
mod audit;
mod browser_sessions;
mod calls;
mod crash;
pub(crate) mod devices;
mod identities;
mod keys;
mod log;
mod mails;
mod many;
mod members;
mod once;
mod passkeys;
mod people;
mod rest;
mod second_factor;
mod secrets;
mod signing;
mod sso;
mod turns;
mod upgrade;
mod vault;
mod wall;
pub(crate) mod world;
