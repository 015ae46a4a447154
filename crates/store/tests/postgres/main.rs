//! The store on PostgreSQL: the same suite, and what only this engine has.

mod copying;
mod cuts;
mod engine;
mod server;
#[path = "../store/suite/mod.rs"]
mod suite;
mod walls;

pub(crate) use suite::world;
