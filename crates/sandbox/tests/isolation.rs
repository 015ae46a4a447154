//! What a hostile guest can and cannot do, tried from inside a real sandbox of the backend that this
//! host uses. docs/guarantees.md points here.

#[expect(dead_code, reason = "each test program uses a part of it")]
mod common;

use common::{DEADLINE, World};
use creel_sandbox::NoSteps;

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_way_out_by_network() {
    let Some(world) = World::new().await else { return };
    let (said, _) = world
        .run(
            "ls /proc/sys/net/ipv4/conf; cat /proc/net/route; \
             for to in 169.254.169.254 10.0.0.1 192.0.2.1; do \
               nc -w 1 $to 80 </dev/null >/dev/null 2>/data/why && echo REACHED $to; cat /data/why; done; \
             wget -T 1 -O - http://example.com/ && echo REACHED name; \
             nc -w 1 127.0.0.1 22 </dev/null && echo REACHED loopback; echo end",
        )
        .await;
    assert!(!said.contains("REACHED"), "{said}");
    assert!(said.contains("end"), "{said}");
    assert!(said.matches("nreachable").count() >= 3, "{said}");
    assert!(!said.contains("eth0"), "{said}");
    let routes = said
        .lines()
        .filter(|line| line.starts_with("lo") && line.contains('\t'))
        .count();
    assert_eq!(routes, 0, "no route at all: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_system_calls_are_refused() {
    let Some(world) = World::new().await else { return };
    let (said, _) = world.run("guest syscalls").await;
    let wanted = [
        ("unshare_user", "EPERM"),
        ("unshare_net", "EPERM"),
        ("mount", "EPERM"),
        ("umount", "EPERM"),
        ("pivot_root", "EPERM"),
        ("chroot", "EPERM"),
        ("setns", "EPERM"),
        ("ptrace", "EPERM"),
        ("keyctl", "EPERM"),
        ("add_key", "EPERM"),
        ("bpf", "EPERM"),
        ("io_uring_setup", "EPERM"),
        ("perf_event_open", "EPERM"),
        ("userfaultfd", "EPERM"),
        ("process_vm_readv", "EPERM"),
        ("name_to_handle_at", "EPERM"),
        ("open_by_handle_at", "EPERM"),
        ("sethostname", "EPERM"),
        ("clone_newuser", "EPERM"),
        ("clone3", "ENOSYS"),
        ("socket_vsock", "EPERM"),
        ("socket_packet", "EPERM"),
        ("socket_alg", "EPERM"),
        ("socket_netfilter", "EPERM"),
        ("socket_raw", "EPERM"),
        ("socket_route", "allowed"),
        ("socket_unix", "allowed"),
        ("socket_inet", "allowed"),
        ("fork", "allowed"),
    ];
    for (what, outcome) in wanted {
        assert!(
            said.lines().any(|line| line == format!("{what}={outcome}")),
            "{what}: {said}"
        );
    }
    if cfg!(target_arch = "x86_64") {
        assert!(said.contains("int80=SIGSYS"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_privileges_to_use() {
    let Some(world) = World::new().await else { return };
    let (said, _) = world
        .run("id; cat /proc/self/status /proc/self/uid_map /proc/self/oom_score_adj")
        .await;
    assert!(said.contains("uid=1000 gid=1000"), "{said}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(
            said.contains(&format!("{set}:\t0000000000000000")),
            "{set}: {said}"
        );
    }
    assert!(said.contains("NoNewPrivs:\t1"), "{said}");
    assert!(said.contains("Seccomp:\t2"), "{said}");
    let map: Vec<&str> = said
        .lines()
        .find(|line| line.trim_end().ends_with("65536"))
        .expect("a uid map")
        .split_whitespace()
        .collect();
    assert!(map[1].parse::<u32>().expect("a uid") >= 0x7000_0000, "{map:?}");
    assert!(
        said.lines().any(|line| line == "500"),
        "first to be killed when the host runs out: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_host_is_visible() {
    let Some(world) = World::new().await else { return };
    let neighbour = world.id();
    world
        .backend()
        .start(
            &world.bundle(neighbour, "echo mine >/data/secret; guest sleep neighbour"),
            &NoSteps,
        )
        .await
        .expect("a neighbour");
    let data = world.data.path().display().to_string();
    let (said, _) = world
        .run(&format!(
            "ps; echo ---; ls /sys 2>&1; cat {data}/secret; cat /proc/kcore | dd bs=1 count=1; cat /proc/cmdline; \
             ls -a /; env; cat /proc/self/mountinfo"
        ))
        .await;
    let processes = said.split("---").next().expect("a list");
    assert!(!processes.contains("neighbour"), "{said}");
    assert!(processes.lines().count() < 6, "only its own processes: {said}");
    assert!(!said.contains("another tenant"), "{said}");
    assert!(!said.contains("mine"), "{said}");
    assert!(said.contains("/sys: No such file"), "{said}");
    assert!(!said.contains("root="), "no command line of the host: {said}");
    world.gone(neighbour).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_volume_and_scratch_space_can_be_written() {
    let Some(world) = World::new().await else { return };
    let (said, _) = world
        .run(
            "for path in /x /bin/x /etc/x /usr/x /dev/x /run/x /run/creel/x /run/creel/etc/x /run/creel/etc/spec.json \
                /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/overcommit_memory; do \
               echo 1 2>/dev/null >$path && echo WROTE $path; done; \
             mkdir -p /data/workspace && touch /data/workspace/a /tmp/a /dev/shm/a /run/creel/in/a && echo good; \
             i=0; while [ $i -lt 20 ]; do touch /run/creel/in/$i 2>/dev/null || break; i=$((i+1)); done; echo made $i; \
             busybox cp /bin/busybox /run/creel/in/b 2>/dev/null; echo; \
             busybox cp /bin/busybox /tmp/run && /tmp/run true && echo tmp runs programs",
        )
        .await;
    assert!(!said.contains("WROTE"), "{said}");
    assert!(said.contains("good"), "{said}");
    let made: u32 = said
        .lines()
        .find_map(|line| line.strip_prefix("made "))
        .expect("a count")
        .parse()
        .expect("a number");
    assert!(
        made < 8,
        "the socket directory takes no more than its few files: {said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_bite() {
    let Some(world) = World::new().await else { return };
    let (said, ended) = world
        .run("guest processes & sleep 2; wait $!; guest memory")
        .await;
    // Its children die with the first process: the bomb harms its owner alone.
    assert!(said.contains("fork_bomb=EAGAIN"), "{said} {ended:?}");
    let forks: u32 = said
        .lines()
        .find_map(|line| line.strip_prefix("forks="))
        .expect("a count")
        .parse()
        .expect("a number");
    assert!(forks < 48, "{forks}");

    let (said, ended) = world.run("guest memory; echo alive").await;
    assert!(
        said.contains("memory=SIGKILL") && said.contains("alive"),
        "{said}"
    );
    assert!(ended.out_of_memory, "{ended:?}");

    let (said, _) = world
        .run(
            "dd if=/dev/zero of=/data/big bs=64k count=1024; ls -l /data/big; \
             dd if=/dev/zero of=/tmp/big bs=64k count=1024; echo end",
        )
        .await;
    assert_eq!(said.matches("No space left on device").count(), 2, "{said}");
    assert!(said.contains("end"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_process_that_eats_all_memory_is_said_to() {
    let Some(world) = World::new().await else { return };
    let (_, ended) = world.run("exec guest eat").await;
    assert!(ended.out_of_memory, "{ended:?}");
    assert!(ended.reason().contains("out of memory"), "{}", ended.reason());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_core_limit_holds() {
    let Some(world) = World::new().await else { return };
    let sandbox = world.id();
    let mut bundle = world.bundle(sandbox, "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done");
    bundle.limits.cpu_millis = 100;
    world.backend().start(&bundle, &NoSteps).await.expect("started");
    let used = |pid: u32| -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        let after = stat.rsplit_once(") ").expect("a name").1;
        let ticks = |field: usize| -> u64 {
            after
                .split(' ')
                .nth(field)
                .expect("a field")
                .parse()
                .expect("a number")
        };
        ticks(11) + ticks(12)
    };
    let Ok(creel_sandbox::Presence::Running { pid, .. }) = world.backend().look(sandbox).await else {
        panic!("it runs");
    };
    let before = used(pid);
    // The one place where time itself is measured.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let ticks = used(pid) - before;
    world.gone(sandbox).await;
    assert!(
        ticks <= 40,
        "a tenth of a core for two seconds is 20 ticks, not {ticks}"
    );
    let _ = DEADLINE;
}
