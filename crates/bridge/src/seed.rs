//! SOUL.md, USER.md and IDENTITY.md in the workspace, as the specification has them.
//!
//! Written when the specification's text is another than the one written last. An agent may edit its own
//! files; they stay as it left them until its owner changes them.

use std::{fs, io, path::Path};

use creel_domain::AgentFiles;

use crate::paths::Paths;

pub(crate) fn seed(paths: &Paths, files: &AgentFiles) -> io::Result<()> {
    let remembered = paths.bridge_state.join("seeded");
    fs::create_dir_all(&remembered)?;
    for (name, text) in files.named() {
        let last = remembered.join(name);
        if fs::read_to_string(&last).unwrap_or_default() == text {
            continue;
        }
        if !text.is_empty() {
            replace(&paths.workspace.join(name), text)?;
        }
        replace(&last, text)?;
    }
    Ok(())
}

/// Whole or not at all; a link of that name is replaced, not followed.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let fresh = parent.join(format!(".{name}.creel-new"));
    let _ = fs::remove_file(&fresh);
    fs::write(&fresh, text)?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_own_edit_stays_until_its_owner_changes_the_text() {
        let root = tempfile::tempdir().expect("a directory");
        let paths = Paths::below(root.path());
        for directory in [&paths.workspace, &paths.bridge_state] {
            fs::create_dir_all(directory).expect("made");
        }
        let files = |soul: &str| AgentFiles {
            soul: soul.to_owned(),
            ..AgentFiles::default()
        };
        let soul = paths.workspace.join("SOUL.md");
        let read = || fs::read_to_string(&soul).expect("there");
        seed(&paths, &files("one")).expect("seeded");
        assert_eq!(read(), "one");
        fs::write(&soul, "mine").expect("edited");
        seed(&paths, &files("one")).expect("seeded");
        assert_eq!(read(), "mine");
        seed(&paths, &files("two")).expect("seeded");
        assert_eq!(read(), "two");
        assert!(
            !paths.workspace.join("USER.md").exists(),
            "an empty file is not written"
        );
    }
}
