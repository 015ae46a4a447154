//! The configuration that makes a container of an OCI runtime a sandbox.
//!
//! A user namespace with uids of its own, no capability at all, no new privileges, a read-only root, no
//! `/sys`, an empty network, limits, and system calls by list. What may be written: the volume, the tiny
//! tmpfs for sockets, `/tmp` and `/dev/shm`; the last two count as memory.

use serde_json::{Value, json};

use super::seccomp;
use crate::Bundle;

const MIB: u64 = 1 << 20;
/// The largest `/tmp`; it also never takes more than a quarter of the memory.
const TMP_BYTES: u64 = 256 * MIB;
const SHM_BYTES: u64 = 16 * MIB;
/// Open files of one process, where the host lets us give so many.
const OPEN_FILES: u64 = 4096;
const CPU_PERIOD_US: u64 = 100_000;
const UIDS: u32 = 65_536;

/// Told about the host on which things about memory the kernel can bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Memory and swap together can be bounded.
    pub(super) bounds_swap: bool,
    /// The host's own bound on open files of a process.
    pub(super) open_files: u64,
}

/// What of `/proc` tells about the host and is hidden.
const MASKED: [&str; 24] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/cmdline",
    "/proc/config.gz",
    "/proc/diskstats",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/modules",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/timer_list",
    "/proc/vmallocinfo",
];

const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// `config.json` of one sandbox; `cgroup` is the absolute path of its control group.
pub(super) fn config(bundle: &Bundle, cgroup: &str, facts: Facts) -> Value {
    let files = OPEN_FILES.min(facts.open_files);
    let no_capabilities = json!([]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": bundle.uid, "gid": bundle.uid },
            "args": bundle.argv,
            "env": bundle.env,
            "cwd": "/",
            "capabilities": {
                "bounding": no_capabilities, "effective": no_capabilities, "permitted": no_capabilities,
                "inheritable": no_capabilities, "ambient": no_capabilities,
            },
            "rlimits": [
                { "type": "RLIMIT_NOFILE", "hard": files, "soft": files.min(1024) },
                { "type": "RLIMIT_CORE", "hard": 0, "soft": 0 },
            ],
            "noNewPrivileges": true,
            "oomScoreAdj": 500,
        },
        "root": { "path": bundle.rootfs, "readonly": true },
        "hostname": bundle.hostname,
        "mounts": mounts(bundle),
        "linux": {
            "namespaces": [
                { "type": "user" }, { "type": "mount" }, { "type": "pid" }, { "type": "ipc" },
                { "type": "uts" }, { "type": "cgroup" }, { "type": "network" },
            ],
            "uidMappings": [{ "containerID": 0, "hostID": bundle.uid_base, "size": UIDS }],
            "gidMappings": [{ "containerID": 0, "hostID": bundle.uid_base, "size": UIDS }],
            "cgroupsPath": cgroup,
            "resources": resources(bundle, facts),
            "rootfsPropagation": "private",
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": seccomp::profile(),
        },
    })
}

fn mounts(bundle: &Bundle) -> Value {
    let memory = bundle.limits.memory_bytes;
    let tmp = format!("size={}", TMP_BYTES.min(memory / 4));
    let shm = format!("size={}", SHM_BYTES.min(memory / 4));
    let mut mounts = vec![
        json!({
            "destination": "/proc", "type": "proc", "source": "proc",
            "options": ["nosuid", "noexec", "nodev"],
        }),
        json!({
            "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=64k"],
        }),
        json!({
            "destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        }),
        json!({
            "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", shm],
        }),
        json!({
            "destination": "/tmp", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "nodev", "mode=1777", tmp],
        }),
        json!({
            "destination": bundle.inbound.inside, "type": "bind", "source": bundle.inbound.host,
            "options": ["bind", "rw", "nosuid", "nodev", "noexec"],
        }),
    ];
    for bind in &bundle.read_only {
        let mut options = vec!["bind", "ro", "nosuid", "nodev"];
        if !bind.executable {
            options.push("noexec");
        }
        mounts.push(json!({
            "destination": bind.inside, "type": "bind", "source": bind.host, "options": options,
        }));
    }
    json!(mounts)
}

/// The volume's mount, whose source on the host only the backend knows.
pub(super) fn add_volume(config: &mut Value, bundle: &Bundle, source: &std::path::Path) {
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.push(json!({
            "destination": bundle.volume.inside, "type": "bind", "source": source,
            "options": ["bind", "rw", "nosuid", "nodev"],
        }));
    }
}

fn resources(bundle: &Bundle, facts: Facts) -> Value {
    let limits = bundle.limits;
    let memory = if facts.bounds_swap {
        json!({ "limit": limits.memory_bytes, "swap": limits.memory_bytes })
    } else {
        json!({ "limit": limits.memory_bytes })
    };
    json!({
        "memory": memory,
        "pids": { "limit": limits.pids },
        "cpu": { "quota": u64::from(limits.cpu_millis) * CPU_PERIOD_US / 1000, "period": CPU_PERIOD_US },
        "devices": [{ "allow": false, "access": "rwm" }],
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use creel_domain::{Limits, Runtime, SandboxId};

    use super::*;
    use crate::{Inbound, ReadOnly, Volume};

    fn bundle() -> Bundle {
        Bundle {
            sandbox: "sbx_00000000000000000000000007"
                .parse()
                .unwrap_or_else(|_| unreachable!("an id")),
            hostname: "scout".to_owned(),
            rootfs: PathBuf::from("/images/lite"),
            uid_base: 0x7000_0000,
            uid: 1000,
            limits: Limits::default_for(Runtime::Lite),
            argv: vec!["/creel/bridge".to_owned()],
            env: vec![],
            volume: Volume {
                inside: PathBuf::from("/data"),
            },
            inbound: Inbound {
                host: PathBuf::from("/run/in"),
                inside: PathBuf::from("/run/creel/in"),
                gid: 7,
            },
            read_only: vec![ReadOnly {
                host: PathBuf::from("/run/etc"),
                inside: PathBuf::from("/run/creel/etc"),
                executable: false,
            }],
        }
    }

    /// A misspelt name would be ignored by a runtime, and the hardening it stands for with it.
    #[test]
    fn every_field_is_one_that_the_specification_knows() {
        let facts = Facts {
            bounds_swap: true,
            open_files: 1 << 20,
        };
        let mut written = config(&bundle(), "/creel-0/x", facts);
        add_volume(&mut written, &bundle(), std::path::Path::new("/v/mnt"));
        let read: oci_spec::runtime::Spec = serde_json::from_value(written.clone()).expect("a specification");
        let understood = serde_json::to_value(read).expect("JSON");
        let mut lost = Vec::new();
        compare("", &written, &understood, &mut lost);
        assert!(lost.is_empty(), "not understood: {lost:?}");
    }

    fn compare(path: &str, written: &Value, understood: &Value, lost: &mut Vec<String>) {
        match (written, understood) {
            (Value::Object(written), _) => {
                for (name, value) in written {
                    compare(&format!("{path}.{name}"), value, &understood[name], lost);
                }
            }
            (Value::Array(written), Value::Array(understood)) if written.len() == understood.len() => {
                // Sets come back in another order.
                let plain = |values: &[Value]| {
                    let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
                    texts.sort();
                    texts
                };
                if written.iter().all(Value::is_object) {
                    for (index, (written, understood)) in written.iter().zip(understood).enumerate() {
                        compare(&format!("{path}[{index}]"), written, understood, lost);
                    }
                } else if plain(written) != plain(understood) {
                    lost.push(path.to_owned());
                }
            }
            _ if written == understood => {}
            // Left out where it says what is so anyway.
            (Value::Number(number), Value::Null) if number.as_u64() == Some(0) => {}
            _ => lost.push(path.to_owned()),
        }
    }

    #[test]
    fn small_sandboxes_get_a_small_tmp() {
        let mut bundle = bundle();
        bundle.limits.memory_bytes = 32 * MIB;
        assert!(mounts(&bundle).to_string().contains("size=8388608"));
    }

    #[test]
    fn ids_are_of_one_length() {
        let _: SandboxId = bundle().sandbox;
        assert_eq!(bundle().sandbox.to_string().len(), 30);
    }
}
