//! What must be remembered: a file for each sandbox with its target and generation, and a tombstone for
//! each one that is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use creel_domain::{Generation, SandboxId, Target};
use serde::{Deserialize, Serialize};

use crate::{Error, files, slots::Slot};

/// Deleted ids remembered; the oldest are forgotten. Ids carry their time, so one that is forgotten is
/// old, and whoever still speaks of it would have to be older yet.
const MAX_TOMBSTONES: usize = 20_000;
const VERSION: u32 = 1;

/// One sandbox as it is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    pub(crate) sandbox: SandboxId,
    pub(crate) generation: Generation,
    pub(crate) target: Target,
    pub(crate) slot: Slot,
}

impl Record {
    pub(crate) fn new(sandbox: SandboxId, generation: Generation, target: Target, slot: Slot) -> Self {
        Self {
            version: VERSION,
            sandbox,
            generation,
            target,
            slot,
        }
    }
}

/// The directory of records. One process at a time works with it.
#[derive(Debug)]
pub(crate) struct Records {
    directory: PathBuf,
    gone: Mutex<BTreeSet<SandboxId>>,
}

impl Records {
    /// Reads all that is remembered.
    pub(crate) fn open(directory: PathBuf) -> Result<(Self, BTreeMap<SandboxId, Record>), Error> {
        let tombs = directory.join("gone");
        files::directory(&tombs, 0o700)?;
        let gone = files::names(&tombs)
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        let mut found = BTreeMap::new();
        for name in files::names(&directory) {
            let Some(sandbox) = name
                .strip_suffix(".json")
                .and_then(|id| id.parse::<SandboxId>().ok())
            else {
                continue;
            };
            let path = directory.join(&name);
            let record = read(&path, sandbox)?;
            found.insert(sandbox, record);
        }
        let records = Self {
            directory,
            gone: Mutex::new(gone),
        };
        Ok((records, found))
    }

    pub(crate) fn is_gone(&self, sandbox: SandboxId) -> bool {
        self.gone().contains(&sandbox)
    }

    /// Returns when the record survives power loss.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let text = serde_json::to_vec(record)?;
        files::write_durably(&self.path(record.sandbox), 0o600, &text)
    }

    /// Remembers for good that this sandbox is gone.
    pub(crate) fn bury(&self, sandbox: SandboxId) -> io::Result<()> {
        let tomb = self.tomb(sandbox);
        fs::write(&tomb, "")?;
        files::sync_parent(&tomb)?;
        let mut gone = self.gone();
        gone.insert(sandbox);
        while gone.len() > MAX_TOMBSTONES {
            if let Some(oldest) = gone.pop_first() {
                let _ = fs::remove_file(self.tomb(oldest));
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&self, sandbox: SandboxId) -> io::Result<()> {
        files::remove_durably(&self.path(sandbox))
    }

    fn path(&self, sandbox: SandboxId) -> PathBuf {
        self.directory.join(format!("{sandbox}.json"))
    }

    fn tomb(&self, sandbox: SandboxId) -> PathBuf {
        self.directory.join("gone").join(sandbox.to_string())
    }

    fn gone(&self) -> MutexGuard<'_, BTreeSet<SandboxId>> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path, sandbox: SandboxId) -> Result<Record, Error> {
    let text = fs::read(path).map_err(Error::io("read", path))?;
    let bad = |reason: String| Error::BadRecord {
        path: path.to_owned(),
        reason,
    };
    let record: Record = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if record.version != VERSION {
        return Err(bad(format!(
            "it has version {}, this Creel knows {VERSION}",
            record.version
        )));
    }
    if record.sandbox != sandbox {
        return Err(bad(format!("it is about {}", record.sandbox)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    fn id(last: char) -> SandboxId {
        SandboxId::from_str(&format!("sbx_0000000000000000000000000{last}")).expect("an id")
    }

    fn record(sandbox: SandboxId, generation: u64) -> Record {
        let slot = crate::slots::free(&BTreeSet::new(), "").expect("a slot");
        Record::new(sandbox, Generation(generation), Target::Stopped, slot)
    }

    #[test]
    fn records_and_tombstones_are_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let open = || Records::open(directory.path().to_owned()).expect("records");
        let (records, found) = open();
        assert!(found.is_empty());
        records.write(&record(id('1'), 3)).expect("written");
        records.write(&record(id('1'), 4)).expect("written");
        records.write(&record(id('2'), 1)).expect("written");
        records.bury(id('2')).expect("buried");
        records.remove(id('2')).expect("removed");
        let (records, found) = open();
        assert_eq!(found, BTreeMap::from([(id('1'), record(id('1'), 4))]));
        assert!(records.is_gone(id('2')) && !records.is_gone(id('1')));
    }

    #[test]
    fn a_record_of_a_newer_creel_or_a_broken_one_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(format!("{}.json", id('1')));
        let newer = serde_json::to_string(&record(id('1'), 1))
            .expect("JSON")
            .replace("\"version\":1", "\"version\":2");
        for text in [newer.as_str(), "{", ""] {
            fs::write(&path, text).expect("a file");
            let error = Records::open(directory.path().to_owned()).expect_err("refused");
            assert!(
                error.to_string().contains("sbx_00000000000000000000000001.json"),
                "{error}"
            );
        }
        // What a crash left of a half-written one is no record.
        fs::remove_file(&path).expect("removed");
        fs::write(path.with_extension("new"), "{").expect("a file");
        let (_, found) = Records::open(directory.path().to_owned()).expect("records");
        assert!(found.is_empty());
    }
}
