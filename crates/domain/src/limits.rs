//! How much of the host one sandbox may use.

use serde::{Deserialize, Serialize};

use crate::Runtime;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Limits that the kernel enforces. All of them bite: past memory a process inside is killed, past
/// pids a fork fails, past cpu the sandbox is throttled, past disk a write fails with ENOSPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory of all processes and of `/tmp` together, in bytes.
    pub memory_bytes: u64,
    /// Thousandths of one CPU core.
    pub cpu_millis: u32,
    /// Processes and threads together.
    pub pids: u32,
    /// Size of the volume, in bytes.
    pub disk_bytes: u64,
}

/// A limit lies outside what a sandbox of this runtime can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be between {least} and {most}, not {given}")]
pub struct BadLimits {
    what: &'static str,
    least: u64,
    most: u64,
    given: u64,
}

impl Limits {
    /// What an agent gets when nothing is asked for. OpenClaw is killed by its own first turn below 1 GiB.
    pub const fn default_for(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Lite => Self {
                memory_bytes: 256 * MIB,
                cpu_millis: 1000,
                pids: 256,
                disk_bytes: GIB,
            },
            Runtime::Openclaw => Self {
                memory_bytes: 1536 * MIB,
                cpu_millis: 2000,
                pids: 512,
                disk_bytes: 4 * GIB,
            },
        }
    }

    /// Checks each value against its bounds for this runtime; the first that lies outside is named.
    pub fn check(&self, runtime: Runtime) -> Result<(), BadLimits> {
        let (least_memory, least_pids) = match runtime {
            Runtime::Lite => (32 * MIB, 32),
            Runtime::Openclaw => (GIB, 256),
        };
        let within = |what, given: u64, least: u64, most: u64| {
            if (least..=most).contains(&given) {
                Ok(())
            } else {
                Err(BadLimits {
                    what,
                    least,
                    most,
                    given,
                })
            }
        };
        within("memory_bytes", self.memory_bytes, least_memory, 1024 * GIB)?;
        within("cpu_millis", self.cpu_millis.into(), 50, 256_000)?;
        within("pids", self.pids.into(), least_pids, 32_768)?;
        within("disk_bytes", self.disk_bytes, 16 * MIB, 4096 * GIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_pass_their_own_check() {
        for runtime in [Runtime::Lite, Runtime::Openclaw] {
            assert_eq!(Limits::default_for(runtime).check(runtime), Ok(()));
        }
    }

    #[test]
    fn openclaw_below_its_floor_is_refused_with_the_floor() {
        let limits = Limits {
            memory_bytes: 512 * MIB,
            ..Limits::default_for(Runtime::Openclaw)
        };
        let error = limits.check(Runtime::Openclaw).expect_err("too little");
        assert_eq!(
            error.to_string(),
            "memory_bytes must be between 1073741824 and 1099511627776, not 536870912"
        );
    }
}
