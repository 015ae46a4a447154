//! The store by its public door, each test on a file of its own.

mod access;
mod agents;
mod calls;
mod crash;
mod file;
mod log;
mod once;
mod turns;
mod wall;
mod world;
