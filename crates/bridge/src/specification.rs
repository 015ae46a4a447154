//! What the agent is specified as: read at the start, and again when it has changed. A sandbox that was made ahead of
//! need learns so whose it is, and an agent its new files, without being started anew.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;
use creel_domain::SandboxSpec;

use crate::{logs::Logs, paths::Paths, seed};

pub(crate) struct Specification {
    paths: Paths,
    logs: Logs,
    /// Which file was read: it is never changed, only replaced. None: what is there could not be used.
    read: Mutex<Option<Mark>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    changed: (i64, i64),
}

impl Specification {
    pub(crate) fn read(paths: Paths, logs: Logs) -> anyhow::Result<(Self, SandboxSpec)> {
        let path = &paths.spec;
        let (mark, spec) = load(path).with_context(|| format!("cannot read {}", path.display()))?;
        let this = Self {
            paths,
            logs,
            read: Mutex::new(Some(mark)),
        };
        Ok((this, spec))
    }

    /// Writes the agent's files as they are specified.
    pub(crate) fn seed(&self, spec: &SandboxSpec) {
        if let Err(error) = seed::seed(&self.paths, &spec.files) {
            self.logs
                .bridge(format!("the agent's files could not be written: {error}"));
        }
    }

    /// Does what a new specification asks for, if there is one.
    pub(crate) fn follow(&self) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let there = fs::metadata(&self.paths.spec).map(|about| Mark::of(&about)).ok();
        if there.is_none() || there == *read {
            return;
        }
        match load(&self.paths.spec) {
            Ok((mark, spec)) => {
                self.logs.bridge(format!("{} is specified anew", spec.name));
                self.seed(&spec);
                *read = Some(mark);
            }
            // Once for each file that is there.
            Err(error) if read.is_some() => {
                self.logs
                    .bridge(format!("the new specification cannot be used: {error}"));
                *read = None;
            }
            Err(_) => {}
        }
    }
}

impl Mark {
    fn of(about: &fs::Metadata) -> Self {
        Self {
            inode: about.ino(),
            changed: (about.mtime(), about.mtime_nsec()),
        }
    }
}

fn load(path: &Path) -> io::Result<(Mark, SandboxSpec)> {
    let file = fs::File::open(path)?;
    let mark = Mark::of(&file.metadata()?);
    Ok((mark, serde_json::from_reader(io::BufReader::new(file))?))
}

#[cfg(test)]
mod tests {
    use creel_domain::{AgentFiles, AgentId, Limits, Runtime};
    use uuid::Uuid;

    use super::*;

    fn spec(soul: &str) -> String {
        let spec = SandboxSpec {
            agent: AgentId::from_uuid(Uuid::from_u128(1)),
            name: "scout".parse().expect("a name"),
            runtime: Runtime::Lite,
            model: "demo/demo".parse().expect("a model"),
            files: AgentFiles {
                soul: soul.to_owned(),
                ..AgentFiles::default()
            },
            limits: Limits::default_for(Runtime::Lite),
            incarnation: 1,
        };
        serde_json::to_string(&spec).expect("JSON")
    }

    #[test]
    fn a_specification_that_is_replaced_is_followed_and_one_that_is_broken_is_not() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = Paths::below(root.path());
        for directory in [&paths.workspace, &paths.bridge_state] {
            fs::create_dir_all(directory).expect("made");
        }
        fs::create_dir_all(paths.spec.parent().expect("a parent")).expect("made");
        let soul = || fs::read_to_string(paths.workspace.join("SOUL.md")).unwrap_or_default();
        seed::replace(&paths.spec, &spec("one")).expect("written");
        let (specification, first) =
            Specification::read(paths.clone(), Logs::new()).expect("a specification");
        specification.seed(&first);
        assert_eq!(soul(), "one");
        specification.follow();
        fs::write(paths.workspace.join("SOUL.md"), "mine").expect("edited");
        specification.follow();
        assert_eq!(soul(), "mine", "nothing was specified anew");
        seed::replace(&paths.spec, "{").expect("written");
        specification.follow();
        specification.follow();
        assert_eq!(soul(), "mine");
        seed::replace(&paths.spec, &spec("two")).expect("written");
        specification.follow();
        assert_eq!(soul(), "two");
    }
}
