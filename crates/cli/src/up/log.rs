//! What the children say, in one file each, which never grows past a bound.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Past this a file becomes `NAME.log.1`, and the one before that goes.
const MAX_BYTES: u64 = 16 << 20;
/// How much of the end is kept to tell why a child died.
const TAIL_BYTES: usize = 4096;

pub(super) struct Log {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl Log {
    /// It is made at the first word; a log that cannot be written stops nobody.
    pub(super) fn new(path: PathBuf) -> Self {
        let bytes = fs::metadata(&path).map_or(0, |about| about.len());
        Self {
            path,
            file: None,
            bytes,
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.bytes > MAX_BYTES {
            let _ = fs::rename(&self.path, self.path.with_extension("log.1"));
            (self.file, self.bytes) = (None, 0);
        }
        if self.file.is_none() {
            self.file = fs::OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&self.path)
                .ok();
        }
        if let Some(file) = &mut self.file
            && file.write_all(bytes).is_ok()
        {
            self.bytes += bytes.len() as u64;
        }
    }

    /// Takes all that `stream` says, to its end; gives its last lines.
    pub(super) async fn take(mut self, mut stream: impl AsyncRead + Unpin) -> String {
        let (mut piece, mut tail) = (vec![0; 16 * 1024], Vec::new());
        while let Ok(length @ 1..) = stream.read(&mut piece).await {
            self.write(&piece[..length]);
            tail.extend_from_slice(&piece[..length]);
            let surplus = tail.len().saturating_sub(TAIL_BYTES);
            tail.drain(..surplus);
        }
        String::from_utf8_lossy(&tail).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_are_the_most_there_ever_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut log = Log::new(directory.path().join("control.log"));
        let line = vec![b'x'; 1 << 20];
        for _ in 0..60 {
            log.write(&line);
        }
        let sizes = fs::read_dir(directory.path())
            .expect("listed")
            .map(|entry| entry.and_then(|entry| entry.metadata()).expect("metadata").len());
        let sizes: Vec<u64> = sizes.collect();
        assert_eq!(sizes.len(), 2);
        assert!(
            sizes.iter().all(|size| *size <= MAX_BYTES + (1 << 20)),
            "{sizes:?}"
        );
    }
}
