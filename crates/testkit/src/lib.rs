//! Fakes over the contracts of Creel, each with the real one's rules, and ways to make them misbehave.

mod authenticator;
mod bridge;
mod crash;
mod dns;
mod exec;
mod files;
mod ports;
mod postgres;
mod provider;
mod script;
mod supervisor;
mod swap;
mod vault;

pub use authenticator::{Algorithm, FakePasskey, flags};
pub use bridge::FakeBridges;
pub use crash::CrashPoints;
pub use dns::{DnsMood, FakeDns};
pub use ports::FakePorts;
pub use postgres::PostgresDatabase;
pub use provider::{FakeProvider, Heard, Plan, REPORTED, Reported};
pub use script::{Act, Gate, Script, echo};
pub use supervisor::FakeSupervisor;
pub use swap::Swap;
pub use vault::{FakeVault, VaultMood};

/// How often a heavy proof goes round: a sample, or in full under `just soak`.
pub fn rounds(sample: usize, full: usize) -> usize {
    match std::env::var_os("CREEL_SOAK") {
        Some(_) => full,
        None => sample,
    }
}
