//! The store on SQLite, and what only a file has.

mod engine;
mod file;
mod suite;

pub(crate) use suite::world;
