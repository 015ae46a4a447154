//! The command line as people and scripts meet it: the real binary, what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod client;
mod device;
mod lifecycle;
mod live;
mod people;
mod up;
mod world;
mod wrong_use;
