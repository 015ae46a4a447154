//! Which backend works on this host: found by really running a hardened sandbox, not by looking at
//! versions. What was tried and how it went is kept as sentences for people.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use creel_domain::{Limits, SandboxId};

use crate::{
    Backend, Bundle, Error, Fake, Inbound, NoSteps, Oci, Places, Runtime, Volume, become_subreaper,
    cgroup::Cgroups, fs as files,
};

/// A probe starts, runs and ends within this, or the backend is called unusable.
const PROBE_DEADLINE: Duration = Duration::from_secs(20);
/// Status with which the probe's program ends, which no failure to start it shares.
const PROBE_STATUS: i32 = 42;

/// Which backend the operator wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The first that works: crun, runc, runsc.
    #[default]
    Auto,
    Crun,
    Runc,
    Runsc,
    /// No isolation at all: for tests.
    Fake,
}

impl FromStr for BackendChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "crun" => Ok(Self::Crun),
            "runc" => Ok(Self::Runc),
            "runsc" => Ok(Self::Runsc),
            "fake" => Ok(Self::Fake),
            _ => Err(format!(
                "there is no backend `{text}`: choose auto, crun, runc, runsc or fake"
            )),
        }
    }
}

/// The backend that is used, and how it was found.
#[derive(Clone)]
pub struct Chosen {
    pub backend: Arc<dyn Backend>,
    /// A sentence for each one tried.
    pub tried: Vec<String>,
}

/// Finds the backend to use. Nothing of the probes stays behind.
pub async fn choose(choice: BackendChoice, places: &Places) -> Result<Chosen, Error> {
    let mut tried = Vec::new();
    if choice == BackendChoice::Fake {
        tried.push("fake: chosen by the operator; it isolates nothing.".to_owned());
        let backend = Arc::new(Fake::new(places.clone()));
        return Ok(Chosen { backend, tried });
    }
    become_subreaper()?;
    for runtime in candidates(choice, &Cgroups::of_this_host()?) {
        let oci = Oci::new(runtime.clone(), places.clone())?;
        let outcome = match tokio::time::timeout(PROBE_DEADLINE, probe(&oci, places)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::Late {
                program: runtime.name().to_owned(),
                doing: "run a first sandbox".to_owned(),
                after: PROBE_DEADLINE,
            }),
        };
        let how = how(&runtime);
        let cleared = clear(&oci, places).await;
        match outcome.and(cleared) {
            Ok(()) => {
                tried.push(format!("{how}: works."));
                let backend = Arc::new(oci);
                return Ok(Chosen { backend, tried });
            }
            Err(error) => tried.push(format!("{how}: {error}.")),
        }
    }
    Err(Error::NoBackend { tried })
}

fn candidates(choice: BackendChoice, cgroups: &Cgroups) -> Vec<Runtime> {
    let mut crun = vec![Runtime::Crun { without: None }];
    if let Some(point) = cgroups.second_hierarchy() {
        crun.push(Runtime::Crun { without: Some(point) });
    }
    match choice {
        BackendChoice::Auto => [crun, vec![Runtime::Runc, Runtime::Runsc]].concat(),
        BackendChoice::Crun => crun,
        BackendChoice::Runc => vec![Runtime::Runc],
        BackendChoice::Runsc => vec![Runtime::Runsc],
        BackendChoice::Fake => Vec::new(),
    }
}

fn how(runtime: &Runtime) -> String {
    match runtime {
        Runtime::Crun { without: Some(_) } => "crun, shown only version 1 of the control groups".to_owned(),
        other => other.name().to_owned(),
    }
}

/// Not an id that anyone is ever given.
fn probe_id() -> Result<SandboxId, Error> {
    "sbx_00000000000000000000000000"
        .parse()
        .map_err(|error| Error::Injected(format!("the probe's id: {error}")))
}

fn probe_root(places: &Places, sandbox: SandboxId) -> PathBuf {
    places.sandbox(sandbox).join("root")
}

async fn probe(oci: &Oci, places: &Places) -> Result<(), Error> {
    let sandbox = probe_id()?;
    oci.erase(sandbox, &NoSteps).await?;
    let rootfs = probe_root(places, sandbox);
    files::directory(&places.sandbox(sandbox), 0o711)?;
    files::directory(&rootfs, 0o755)?;
    write_program(&rootfs.join("probe"))?;
    let bundle = Bundle {
        sandbox,
        hostname: "probe".to_owned(),
        rootfs,
        uid_base: 0x7fff_0000 - 0x1_0000,
        uid: 1000,
        limits: Limits {
            memory_bytes: 256 << 20,
            cpu_millis: 1000,
            pids: 512,
            disk_bytes: 16 << 20,
        },
        argv: vec!["/probe".to_owned()],
        env: Vec::new(),
        volume: Volume {
            inside: PathBuf::from("/data"),
        },
        inbound: Inbound {
            host: places.inbound(sandbox),
            inside: PathBuf::from("/run/creel/in"),
            gid: 0,
        },
        read_only: Vec::new(),
    };
    oci.start(&bundle, &NoSteps).await?;
    let ended = oci.ended(sandbox).await;
    match ended.status {
        // It had ended, and was reaped, before we looked.
        Some(PROBE_STATUS) | None => Ok(()),
        Some(_) => Err(Error::Program {
            program: oci.name().to_owned(),
            doing: "run a first sandbox".to_owned(),
            said: ended.reason(),
        }),
    }
}

async fn clear(oci: &Oci, places: &Places) -> Result<(), Error> {
    let sandbox = probe_id()?;
    oci.erase(sandbox, &NoSteps).await?;
    files::remove_tree(&places.sandbox(sandbox))
}

fn write_program(path: &Path) -> Result<(), Error> {
    fs::write(path, program()).map_err(Error::io("write the probe's program"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .map_err(Error::io("write the probe's program"))
}

/// The smallest program there is: an ELF header, one segment, and `exit(42)`. So the probe needs nothing
/// of the host.
fn program() -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    // mov edi, 42; mov eax, 60; syscall
    let (machine, code): (u16, &[u8]) = (62, &[0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
    #[cfg(target_arch = "aarch64")]
    // mov x0, #42; mov x8, #93; svc #0
    let (machine, code): (u16, &[u8]) = (
        183,
        &[
            0x40, 0x05, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4,
        ],
    );
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let bytes = HEADERS + code.len() as u64;
    let mut elf = Vec::with_capacity(bytes as usize);
    elf.extend(b"\x7fELF\x02\x01\x01");
    elf.resize(16, 0);
    for half in [2, machine] {
        elf.extend(half.to_le_bytes());
    }
    elf.extend(1u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 0, 0, 0] {
        elf.extend(half.to_le_bytes());
    }
    for word in [1u32, 5] {
        elf.extend(word.to_le_bytes());
    }
    for word in [0, BASE, BASE, bytes, bytes, 0x1000] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_program_runs() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("probe");
        write_program(&path).expect("written");
        let status = std::process::Command::new(&path).status().expect("it starts");
        assert_eq!(status.code(), Some(PROBE_STATUS));
    }
}
