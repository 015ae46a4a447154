//! Fakes over the contracts of Creel, each with the real one's rules, and ways to make them misbehave.

mod bridge;
mod crash;
mod exec;
mod files;
mod provider;
mod script;
mod supervisor;

pub use bridge::FakeBridges;
pub use crash::CrashPoints;
pub use provider::{FakeProvider, Heard, Plan, REPORTED, Reported};
pub use script::{Act, Gate, Script, echo};
pub use supervisor::FakeSupervisor;
