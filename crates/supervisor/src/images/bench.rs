//! What a step of a build works on: two directories, a log, a deadline, and the question whether anyone still wants it.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::error::{Error, OrIo};

/// How much of the log's end an error shows.
const TAIL_BYTES: u64 = 2048;
const TAIL_LINES: usize = 12;

/// Set once, by whoever no longer wants the build.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub(super) fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(super) struct Bench {
    /// The image as it grows.
    pub(super) rootfs: PathBuf,
    /// Scratch room on the same filesystem, gone when the build ends.
    pub(super) work: PathBuf,
    log: Log,
    cancel: Cancel,
    deadline: Instant,
    allowed: Duration,
}

impl Bench {
    pub(super) fn new(directory: &Path, log: Log, cancel: Cancel) -> Result<Self, Error> {
        let (rootfs, work) = (directory.join("image/rootfs"), directory.join("work"));
        for path in [&rootfs, &work] {
            fs::create_dir_all(path).or_io("create", path)?;
        }
        Ok(Self {
            rootfs,
            work,
            log,
            cancel,
            deadline: Instant::now(),
            allowed: Duration::ZERO,
        })
    }

    pub(super) fn begin(&mut self, sentence: &str, allowed: Duration) -> Result<(), Error> {
        self.still_wanted()?;
        self.allowed = allowed;
        self.deadline = Instant::now() + allowed;
        self.log.say(sentence)
    }

    pub(super) fn still_wanted(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            Err(Error::Cancelled)
        } else {
            Ok(())
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn allowed(&self) -> Duration {
        self.allowed
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Writes a file below the scratch directory and says where it is.
    pub(super) fn note(&self, name: &str, text: &str) -> Result<PathBuf, Error> {
        let path = self.work.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).or_io("create", parent)?;
        }
        fs::write(&path, text).or_io("write", &path)?;
        Ok(path)
    }
}

/// What the build and its programs said.
#[derive(Debug)]
pub(super) struct Log(PathBuf);

impl Log {
    /// Starts afresh.
    pub(super) fn create(path: PathBuf) -> Result<Self, Error> {
        File::create(&path).or_io("create", &path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn writer(&self) -> Result<File, Error> {
        File::options().append(true).open(&self.0).or_io("open", &self.0)
    }

    pub(super) fn say(&self, sentence: &str) -> Result<(), Error> {
        writeln!(self.writer()?, "== {sentence}").or_io("write", &self.0)
    }

    /// The last lines, as far as they can be read.
    pub(super) fn tail(&self) -> String {
        let end = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.0)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let text = String::from_utf8_lossy(&end().unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}
