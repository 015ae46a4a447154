//! A Creel of its own for each scenario: the real binary over a fresh data directory, spoken to as anybody
//! would, with a provider of models in the test's process.
//!
//! `script/test` builds the binaries and images and names them: `CREEL_BIN`, `CREEL_BRIDGE`,
//! `CREEL_TEST_IMAGES`. Where they are not named, a scenario says that it is skipped.

mod leftovers;
mod platform;
mod processes;
mod talk;

pub use leftovers::leftovers;
pub use platform::{DEADLINE, KEY, Platform};
pub use processes::{Part, Process, processes};
pub use talk::Heard;
