//! A Creel of its own for each scenario: the real binary over a fresh data directory, spoken to as anybody
//! would, with a provider of models in the test's process.
//!
//! `script/test` builds the binaries and images and names them: `CREEL_BIN`, `CREEL_BRIDGE`,
//! `CREEL_TEST_IMAGES`, `CREEL_TEST_OIDC_PROVIDER`, `CREEL_BROWSER`. Where they are not named, a scenario says that it is skipped.

mod authenticator;
mod browser;
mod chromium;
mod identity_provider;
mod leftovers;
mod platform;
mod processes;
mod talk;

pub use authenticator::code;
pub use browser::{Browser, Page};
pub use identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
pub use leftovers::leftovers;
pub use platform::{DEADLINE, KEY, Platform};
pub use processes::{Memory, Part, Process, processes};
pub use talk::Heard;
