//! What happens while a command runs: streams in both directions, Ctrl-C.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use creel_domain::TurnId;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{HANGS, World};

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

fn within_seconds(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn exec_streams_both_ways_at_once_and_passes_the_status_on() {
    let world = World::new();
    let mut command = world.command(&["exec", "scout", "-w", "src", "-e", "A=b=c", "--", "cat", "-n"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    // More than all buffers on the way hold: whoever writes before he reads would hang.
    let sent: Vec<u8> = (0..8u32 << 20).map(|n| (n % 251) as u8).collect();
    let expected = sent.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let mut got = Vec::new();
    stdout.read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(
        got == expected,
        "{} of {} bytes came back",
        got.len(),
        expected.len()
    );
    insta::assert_snapshot!(world.seen()[0], @r#"{"argv":["cat","-n"],"cwd":"src","env":{"A":"b=c"},"tty":null,"timeout_ms":null}"#);
}

#[test]
fn ctrl_c_reaches_the_command() {
    let world = World::new();
    let mut command = world.command(&["exec", "-i", "scout", "--", "sleep", "1000"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // Held open: at its end the command would end by itself.
    let _stdin = child.stdin.take();
    within_seconds("the command begins", || !world.seen().is_empty());
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn ctrl_c_stops_the_turn_and_a_second_one_leaves() {
    let world = World::new();
    let turn = TurnId::from_uuid(uuid::Uuid::from_u128(9));
    world.location(&format!("/v1/agents/scout/turns/{turn}"));
    let text = "id: 1\ndata: {\"type\":\"text\",\"delta\":\"Hm\"}\n\n".to_owned() + HANGS;
    world.raw("POST /v1/agents/scout/chat", 200, "text/event-stream", text);
    let stop = format!("DELETE /v1/agents/scout/turns/{turn}");
    world.raw(&stop, 202, "application/json", "");
    let mut command = world.command(&["chat", "scout", "Hi"]);
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    interrupt(&child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = stderr.by_ref().map(Result::unwrap).find(|line| !line.is_empty());
    assert_eq!(said.as_deref(), Some("Stopping (Ctrl-C again to leave)"));
    within_seconds("the turn is stopped", || world.seen().contains(&stop));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(
        stderr.next().unwrap().unwrap(),
        "error: left; the agent may still be at it"
    );
}
