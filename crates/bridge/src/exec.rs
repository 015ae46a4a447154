//! A command with its streams: three pipes, or a terminal.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    process::{Command, Stdio},
};

use bytes::Bytes;
use creel_protocol::{ExecFrame, ExecRequest};
use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    process::{ChildStderr, ChildStdin, ChildStdout},
    sync::mpsc,
};

use crate::{
    paths::Paths,
    processes::{Group, Processes},
};

const ARGUMENTS: usize = 1024;
const ARGUMENT_BYTES: usize = 128 * 1024;

/// A command that runs. Dropping it kills the command's process group.
pub(crate) struct Running {
    pub(crate) group: Group,
    pub(crate) streams: Streams,
}

pub(crate) enum Streams {
    Pipes {
        stdin: ChildStdin,
        stdout: ChildStdout,
        stderr: ChildStderr,
    },
    Terminal {
        reader: pipe::Receiver,
        writer: pipe::Sender,
        pty: pty_process::blocking::Pty,
    },
}

fn check(request: &ExecRequest) -> Result<(), String> {
    if request.argv.is_empty() || request.argv.len() > ARGUMENTS || request.argv[0].is_empty() {
        return Err(format!(
            "a command has 1 to {ARGUMENTS} arguments, the first of them a program"
        ));
    }
    let environment = request.env.iter().map(|(name, value)| name.len() + value.len());
    if request
        .argv
        .iter()
        .map(String::len)
        .chain(environment)
        .sum::<usize>()
        > ARGUMENT_BYTES
    {
        return Err("arguments and environment together have at most 128 KiB".to_owned());
    }
    let texts = request
        .argv
        .iter()
        .chain(request.env.keys())
        .chain(request.env.values())
        .chain(&request.cwd);
    if texts.into_iter().any(|text| text.contains('\0')) {
        return Err("arguments must not contain a zero byte".to_owned());
    }
    if request
        .env
        .keys()
        .any(|name| name.is_empty() || name.contains('='))
    {
        return Err("a variable's name must not be empty or contain `=`".to_owned());
    }
    Ok(())
}

fn sentence(error: &io::Error, program: &str) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("`{program}` was not found, or the working directory is not there")
        }
        io::ErrorKind::PermissionDenied => format!("`{program}` may not be executed"),
        _ => format!("`{program}` could not be started: {error}"),
    }
}

/// Starts a command in the workspace, or says in a sentence why not.
pub(crate) fn start(processes: &Processes, paths: &Paths, request: &ExecRequest) -> Result<Running, String> {
    check(request)?;
    let program = request.argv[0].as_str();
    let cwd = paths.workspace.join(request.cwd.as_deref().unwrap_or_default());
    let environment = paths.environment();
    let told = |error: io::Error| sentence(&error, program);
    if let Some((columns, rows)) = request.tty {
        let failed = |error: pty_process::Error| format!("a terminal could not be had: {error}");
        let (pty, pts) = pty_process::blocking::open().map_err(failed)?;
        pty.resize(pty_process::Size::new(rows.max(1), columns.max(1)))
            .map_err(failed)?;
        let command = pty_process::blocking::Command::new(program)
            .args(&request.argv[1..])
            .env_clear()
            .envs(environment)
            .env("TERM", "xterm-256color")
            .envs(&request.env)
            .current_dir(cwd);
        let (_, group) = processes
            .adopt(move || {
                let child = command.spawn(pts).map_err(|error| match error {
                    pty_process::Error::Io(error) => error,
                    other => io::Error::other(other),
                })?;
                let pid = i32::try_from(child.id()).unwrap_or_default();
                Ok((child, pid))
            })
            .map_err(told)?;
        // A terminal is no pipe, but it is read and written like one.
        let half = || -> io::Result<OwnedFd> {
            let descriptor = pty.as_fd().try_clone_to_owned()?;
            fcntl_setfl(&descriptor, fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
            Ok(descriptor)
        };
        let reader = half()
            .and_then(pipe::Receiver::from_owned_fd_unchecked)
            .map_err(told)?;
        let writer = half()
            .and_then(pipe::Sender::from_owned_fd_unchecked)
            .map_err(told)?;
        return Ok(Running {
            group,
            streams: Streams::Terminal { reader, writer, pty },
        });
    }
    let mut command = Command::new(program);
    command
        .args(&request.argv[1..])
        .env_clear()
        .envs(environment)
        .envs(&request.env)
        .current_dir(cwd)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let (mut child, group) = processes.spawn(&mut command).map_err(told)?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err("the command's streams are missing".to_owned());
    };
    let streams = Streams::Pipes {
        stdin: ChildStdin::from_std(stdin).map_err(told)?,
        stdout: ChildStdout::from_std(stdout).map_err(told)?,
        stderr: ChildStderr::from_std(stderr).map_err(told)?,
    };
    Ok(Running { group, streams })
}

impl Running {
    /// Carries frames until the command has ended and said everything; the last frame is its exit.
    /// Ends early when nobody listens any more.
    pub(crate) async fn carry(
        mut self,
        mut input: mpsc::Receiver<ExecFrame>,
        output: mpsc::Sender<ExecFrame>,
    ) {
        let status = match self.streams {
            Streams::Pipes {
                stdin,
                stdout,
                stderr,
            } => {
                let out = copy(stdout, &output, ExecFrame::Stdout);
                let err = copy(stderr, &output, ExecFrame::Stderr);
                let feed = feed_pipe(stdin, &mut input, &self.group);
                // A grandchild may hold the pipes open for ever: once the leader is gone, what is left of
                // its group has a moment to finish.
                let streams = async { tokio::join!(out, err) };
                tokio::pin!(streams, feed);
                let mut waiting = self.group.clone_wait();
                let mut said = false;
                let status = loop {
                    tokio::select! {
                        _ = &mut streams, if !said => said = true,
                        status = &mut waiting => break status,
                        () = &mut feed => {}
                        () = output.closed() => return,
                    }
                };
                if !said {
                    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), streams).await;
                }
                status
            }
            Streams::Terminal { reader, writer, pty } => {
                let show = copy(reader, &output, ExecFrame::Stdout);
                let feed = feed_terminal(writer, &pty, &mut input, &self.group);
                tokio::pin!(show, feed);
                let mut waiting = self.group.clone_wait();
                let mut said = false;
                let status = loop {
                    tokio::select! {
                        () = &mut show, if !said => said = true,
                        status = &mut waiting => break status,
                        () = &mut feed => {}
                        () = output.closed() => return,
                    }
                };
                if !said {
                    let _ = tokio::time::timeout(std::time::Duration::from_millis(500), show).await;
                }
                status
            }
        };
        self.group.has_ended(status);
        // Nobody left to hear it is no reason for anything.
        let _ = output.send(ExecFrame::Exit(status)).await;
    }
}

async fn copy(
    mut stream: impl AsyncRead + Unpin,
    output: &mpsc::Sender<ExecFrame>,
    frame: fn(Bytes) -> ExecFrame,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if output
            .send(frame(Bytes::copy_from_slice(&buffer[..read])))
            .await
            .is_err()
        {
            return;
        }
    }
}

fn deliver(group: &Group, signal: u8) {
    if let Some(signal) = Signal::from_named_raw(i32::from(signal)) {
        group.signal(signal);
    }
}

/// Never returns by itself before the client is silent for good; then it waits for ever.
async fn feed_pipe(stdin: ChildStdin, input: &mut mpsc::Receiver<ExecFrame>, group: &Group) {
    let mut stdin = Some(stdin);
    while let Some(frame) = input.recv().await {
        match frame {
            ExecFrame::Stdin(bytes) => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    stdin = None;
                }
            }
            ExecFrame::StdinEnd => stdin = None,
            ExecFrame::Signal(signal) => deliver(group, signal),
            _ => {}
        }
    }
    drop(stdin);
    std::future::pending().await
}

async fn feed_terminal(
    mut terminal: pipe::Sender,
    pty: &pty_process::blocking::Pty,
    input: &mut mpsc::Receiver<ExecFrame>,
    group: &Group,
) {
    while let Some(frame) = input.recv().await {
        match frame {
            // A closed terminal shows itself to the reader.
            ExecFrame::Stdin(bytes) => drop(terminal.write_all(&bytes).await),
            // What a person types to end the input.
            ExecFrame::StdinEnd => drop(terminal.write_all(b"\x04").await),
            ExecFrame::Resize(columns, rows) => {
                let _ = pty.resize(pty_process::Size::new(rows.max(1), columns.max(1)));
            }
            ExecFrame::Signal(signal) => deliver(group, signal),
            _ => {}
        }
    }
    std::future::pending().await
}
