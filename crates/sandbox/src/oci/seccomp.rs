//! Which system calls a sandbox may make.

use serde_json::{Value, json};

/// Names, one or more a line; `#` begins a comment.
const ALLOWED: &str = include_str!("seccomp.txt");

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
const NETLINK_ROUTE: u64 = 0;

/// Every `CLONE_NEW…` that `clone` takes: mount, cgroup, uts, ipc, user, pid, net.
const CLONE_NEW: u64 =
    0x0002_0000 | 0x0200_0000 | 0x0400_0000 | 0x0800_0000 | 0x1000_0000 | 0x2000_0000 | 0x4000_0000;

/// Kinds of `personality` that only change what a program is told, and the question which it is.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The `seccomp` object of an OCI configuration. One architecture only: calls through the 32-bit or x32
/// door end the process.
pub(super) fn profile() -> Value {
    let mut rules = vec![json!({ "names": allowed(), "action": "SCMP_ACT_ALLOW" })];
    let mut allow = |name: &str, conditions: Value| {
        rules.push(json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": conditions }));
    };
    allow(
        "clone",
        json!([{ "index": 0, "value": CLONE_NEW, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }]),
    );
    // Not one of the families that know no namespaces, such as AF_VSOCK, whose other end is the hypervisor.
    for family in [AF_UNIX, AF_INET, AF_INET6] {
        allow("socket", json!([equal(0, family)]));
    }
    allow("socket", json!([equal(0, AF_NETLINK), equal(2, NETLINK_ROUTE)]));
    allow("socketpair", json!([equal(0, AF_UNIX)]));
    for kind in PERSONALITIES {
        allow("personality", json!([equal(0, kind)]));
    }
    // Its flags lie in memory where no filter sees them. Libraries fall back to `clone`.
    rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": [ARCHITECTURE],
        "syscalls": rules,
    })
}

const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") {
    "SCMP_ARCH_AARCH64"
} else {
    "SCMP_ARCH_X86_64"
};

fn equal(index: u32, value: u64) -> Value {
    json!({ "index": index, "value": value, "op": "SCMP_CMP_EQ" })
}

fn allowed() -> Vec<&'static str> {
    ALLOWED
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_out_of_sandboxes_is_not_on_the_list() {
        let allowed = allowed();
        for dangerous in [
            "unshare",
            "setns",
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "pidfd_getfd",
            "kcmp",
            "keyctl",
            "add_key",
            "request_key",
            "bpf",
            "perf_event_open",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "userfaultfd",
            "name_to_handle_at",
            "open_by_handle_at",
            "init_module",
            "finit_module",
            "kexec_load",
            "reboot",
            "swapon",
            "swapoff",
            "syslog",
            "acct",
            "quotactl",
            "fanotify_init",
            "clone3",
            "clone",
            "socket",
            "socketpair",
            "personality",
            "modify_ldt",
            "iopl",
            "ioperm",
            "settimeofday",
            "clock_settime",
            "adjtimex",
            "clock_adjtime",
            "sethostname",
            "setdomainname",
            "memfd_secret",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsmount",
            "fsconfig",
            "mount_setattr",
            "move_pages",
            "migrate_pages",
            "vmsplice",
            "uselib",
            "lookup_dcookie",
            "process_madvise",
            "vhangup",
            "nfsservctl",
        ] {
            assert!(!allowed.contains(&dangerous), "{dangerous}");
        }
    }

    #[test]
    fn each_name_stands_once() {
        let mut names = allowed();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(all > 200, "{all}");
    }
}
