//! What an agent that turned against its platform can do, tried through its own commands.

use std::collections::HashSet;

use creel_api::{Exec, ExecResult, LimitsPatch};
use creel_domain::Runtime;
use creel_tests::{KEY, Platform};

/// A script's output with what it wrote to stderr.
async fn said(platform: &Platform, agent: &str, script: &str) -> String {
    let ExecResult { stdout, stderr, .. } = platform.shell(agent, script).await;
    format!("{stdout}{stderr}")
}

async fn a_hostile_guest(runtime: Runtime) {
    let Some(platform) = Platform::start().await else {
        return;
    };
    let limits = LimitsPatch {
        disk_bytes: Some(256 << 20),
        pids: Some(256),
        ..LimitsPatch::default()
    };
    platform.agent_within("scout", runtime, limits).await;
    platform.agent("neighbour", Runtime::Lite).await;
    platform
        .shell(
            "neighbour",
            "echo the-neighbours-diary > diary.txt; sleep 1000 >/dev/null 2>&1 &",
        )
        .await;
    // A turn, so that the key was used.
    platform.say("scout", "hello").await;

    no_way_out(&platform).await;
    nothing_of_others(&platform).await;
    no_secret(&platform).await;
    nothing_else_can_be_written(&platform).await;
    limits_bite(&platform).await;
    assert_eq!(
        platform.say("neighbour", "are you well?").await.text.trim(),
        "You said: are you well?",
        "the neighbour did not notice"
    );
    platform.end();
}

async fn no_way_out(platform: &Platform) {
    let provider = platform.provider().base_url();
    let port = provider
        .trim_start_matches("http://127.0.0.1:")
        .trim_end_matches("/v1")
        .to_owned();
    let creel = platform
        .client()
        .url()
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    // The host's own loopback is not the guest's, so neither the provider nor the API is there.
    let script = format!(
        "cat /proc/net/route /proc/net/if_inet6 2>/dev/null; \
         for to in '127.0.0.1 {port}' '127.0.0.1 {creel}' '10.0.0.1 80' '169.254.169.254 80' '192.0.2.1 443'; do \
           (exec 3<>/dev/tcp/${{to% *}}/${{to#* }}) 2>/dev/null && echo REACHED $to; \
           command -v nc >/dev/null && nc -w 1 $to </dev/null 2>/dev/null && echo REACHED $to; done; echo end"
    );
    let exec = |argv: &[&str]| Exec {
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        cwd: None,
        env: std::collections::BTreeMap::new(),
        stdin: None,
        timeout_ms: None,
    };
    for shell in ["bash", "sh"] {
        let Ok(result) = platform
            .client()
            .exec("scout", &exec(&[shell, "-c", &script]))
            .await
        else {
            continue;
        };
        let text = format!("{}{}", result.stdout, result.stderr);
        if result.exit_status == 127 {
            continue;
        }
        assert!(!text.contains("REACHED"), "{shell}: {text}");
        assert!(text.trim_end().ends_with("end"), "{shell}: {text}");
        let interfaces: Vec<_> = text
            .lines()
            .filter(|line| line.contains("eth") || line.contains("wlan"))
            .collect();
        assert!(interfaces.is_empty(), "{text}");
    }
    // The one proxy there is names the rule that refuses.
    let refused = said(
        platform,
        "scout",
        "if command -v curl >/dev/null; then curl -s -i -m 10 http://example.com/; \
         else (printf 'GET http://example.com/ HTTP/1.1\\r\\nHost: example.com\\r\\n\\r\\n'; sleep 1) | nc 127.0.0.1 7302; fi",
    );
    let refused = refused.await;
    assert!(
        refused.starts_with("HTTP/1.1 403") && refused.contains("creel-egress: "),
        "{refused}"
    );
}

async fn nothing_of_others(platform: &Platform) {
    let seen = said(
        platform,
        "scout",
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done; \
         cat /proc/mounts; ls -laR /run /data/workspace; \
         find / -name 'bridge.sock' -o -name 'creel.db' -o -name master.key -o -name diary.txt 2>/dev/null",
    )
    .await;
    assert!(seen.contains("/creel/bridge"), "its own first process: {seen}");
    let data = platform.data();
    let hidden = [
        data.to_str().expect("UTF-8"),
        "creel up",
        "supervisor",
        "creel.db",
        "master.key",
        "diary.txt",
    ];
    for word in hidden {
        // What it asked for itself shows up among its processes.
        let lines: Vec<_> = seen
            .lines()
            .filter(|line| line.contains(word) && !line.contains("for p in"))
            .collect();
        assert!(lines.is_empty(), "{word}: {lines:#?}");
    }
    // Where its own places lie on the host is all that its mounts tell.
    let mounts = said(platform, "scout", "cat /proc/self/mountinfo").await;
    let sandboxes: HashSet<&str> = mounts
        .split(['/', ' '])
        .filter(|part| part.starts_with("sbx_"))
        .collect();
    assert!(sandboxes.len() <= 1, "{mounts}");
    let others = said(
        platform,
        "scout",
        "grep -rl the-neighbours-diary /data /tmp /run 2>/dev/null; echo end",
    )
    .await;
    assert!(!others.contains("diary.txt"), "{others}");
    let killed = said(platform, "scout", "kill -9 -1; echo not reached").await;
    assert!(!killed.contains("Operation not permitted"), "{killed}");
    platform.running("scout").await;
    assert_eq!(
        platform.shell("neighbour", "cat diary.txt").await.stdout,
        "the-neighbours-diary\n"
    );
}

async fn no_secret(platform: &Platform) {
    // Split, so that the search does not find itself.
    for secret in [KEY, platform.token()] {
        let (head, tail) = secret.split_at(secret.len() / 2);
        let found = said(
            platform,
            "scout",
            &format!(
                "w='{head}'; w=\"$w\"'{tail}'; for e in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do \
                 case $e in /proc/self/*|/proc/$$/*) continue;; esac; grep -l \"$w\" $e 2>/dev/null; done; \
                 printf '%s' \"$w\" > /tmp/needle; \
                 grep -rlF -f /tmp/needle /data /run /etc /tmp /creel /dev/shm 2>/dev/null | grep -v needle; \
                 rm -f /tmp/needle; echo end"
            ),
        )
        .await;
        assert_eq!(found.trim(), "end", "{found}");
    }
    assert!(
        platform.provider().heard().iter().any(|call| call
            .authorization
            .as_deref()
            .is_some_and(|value| value.ends_with(KEY))),
        "the provider did get it"
    );
}

/// Besides the volume and scratch space there is only the bridge's own place, /run/creel/in, of 64 KiB.
async fn nothing_else_can_be_written(platform: &Platform) {
    let tried = said(
        platform,
        "scout",
        "for at in / /bin /usr /etc /opt /creel /home /root /var /run /run/creel /run/creel/etc /run/creel/out \
           /proc/sys/kernel /sys /dev; do \
           if touch $at/planted 2>/dev/null; then echo WROTE $at; fi; done; \
         echo 1 > /proc/sys/kernel/panic && echo WROTE sysctl; echo b > /proc/sysrq-trigger && echo WROTE sysrq; \
         mount -t tmpfs x /tmp 2>/dev/null && echo WROTE mount; echo end",
    )
    .await;
    assert!(!tried.contains("WROTE"), "{tried}");
    assert!(tried.contains("end"), "{tried}");
    let inside = said(
        platform,
        "scout",
        "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status",
    )
    .await;
    let value = |name: &str| {
        let line = inside.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{name} in {inside}"))
            .trim()
            .to_owned()
    };
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(value(name), "0000000000000000", "{name}");
    }
    assert_eq!(
        (value("NoNewPrivs:").as_str(), value("Seccomp:").as_str()),
        ("1", "2")
    );
}

async fn limits_bite(platform: &Platform) {
    let limits = platform
        .client()
        .agent("scout")
        .await
        .expect("it is there")
        .limits;
    let disk = said(
        platform,
        "scout",
        &format!(
            "dd if=/dev/zero of=big bs=1M count={} 2>&1 | tail -n 1; wc -c < big; rm -f big; echo still > small; cat small",
            limits.disk_bytes / (1 << 20) + 64
        ),
    )
    .await;
    assert!(disk.contains("still"), "{disk}");
    let size: u64 = disk
        .lines()
        .find_map(|line| line.trim().parse().ok())
        .expect("a size");
    assert!(size <= limits.disk_bytes, "{disk}");

    let forks = said(
        platform,
        "scout",
        &format!(
            "n=0; while [ $n -lt {} ]; do sleep 30 >/dev/null 2>&1 & n=$((n+1)); done; echo all",
            limits.pids + 50
        ),
    )
    .await;
    assert!(
        !forks.trim_end().ends_with("all") || forks.contains("fork"),
        "{forks}"
    );
    // A bomb that goes off by itself, and the same shell is gone with its children.
    let _ = said(platform, "scout", "pkill sleep; killall sleep").await;

    let memory = said(
        platform,
        "scout",
        "dd if=/dev/zero of=/dev/null bs=3000000000 count=1 2>&1; echo status $?",
    )
    .await;
    assert!(!memory.contains("status 0"), "{memory}");
    platform.running("scout").await;
    let answer = platform.say("scout", "still there?").await;
    assert!(
        answer.text.trim().ends_with("still there?"),
        "{answer:?}\n{}",
        platform.logs()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_holds_a_hostile_guest() {
    a_hostile_guest(Runtime::Lite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openclaw_holds_a_hostile_guest() {
    a_hostile_guest(Runtime::Openclaw).await;
}
