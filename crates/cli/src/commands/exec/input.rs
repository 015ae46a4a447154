//! What goes to the command: standard input, the terminal's new sizes, signals.

use std::io::{IsTerminal, Read};

use bytes::Bytes;
use creel_protocol::ExecFrame;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use super::terminal;
use crate::failure::Result;

/// Pieces of standard input on their way.
const PIECES: usize = 4;
const PIECE_BYTES: usize = 32 * 1024;

pub(super) struct Input {
    stdin: mpsc::Receiver<ExecFrame>,
    ended: bool,
    /// With a terminal on the other side its own keys send signals.
    tty: bool,
    resized: Signal,
    interrupted: Signal,
    terminated: Signal,
}

impl Input {
    pub(super) fn new(interactive: bool, tty: bool) -> Result<Self> {
        let (sender, stdin) = mpsc::channel(PIECES);
        if interactive || !std::io::stdin().is_terminal() {
            // A blocking read cannot be cancelled: it waits on a thread of its own.
            std::thread::spawn(move || read(&sender));
        } else {
            let _ = sender.try_send(ExecFrame::StdinEnd);
        }
        Ok(Self {
            stdin,
            ended: false,
            tty,
            resized: signal(SignalKind::window_change())?,
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
        })
    }

    /// The next thing to tell the command. Never ends; may be dropped and asked again.
    pub(super) async fn next(&mut self) -> ExecFrame {
        loop {
            tokio::select! {
                frame = self.stdin.recv(), if !self.ended => match frame {
                    Some(frame) => {
                        self.ended = frame == ExecFrame::StdinEnd;
                        return frame;
                    }
                    None => self.ended = true,
                },
                _ = self.resized.recv() => {
                    if self.tty {
                        let (columns, rows) = terminal::size();
                        return ExecFrame::Resize(columns, rows);
                    }
                }
                _ = self.interrupted.recv() => return ExecFrame::Signal(2),
                _ = self.terminated.recv() => return ExecFrame::Signal(15),
            }
        }
    }
}

fn read(sender: &mpsc::Sender<ExecFrame>) {
    let mut stdin = std::io::stdin().lock();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let frame = match stdin.read(&mut piece) {
            Ok(0) | Err(_) => ExecFrame::StdinEnd,
            Ok(length) => ExecFrame::Stdin(Bytes::copy_from_slice(&piece[..length])),
        };
        let last = frame == ExecFrame::StdinEnd;
        if sender.blocking_send(frame).is_err() || last {
            return;
        }
    }
}
