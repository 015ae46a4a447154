//! Leaves out what an installed package brings and an agent never uses, by a list of rules.

use std::{fs, path::Path};

use super::error::{Error, OrIo};

/// One line of the list; the first that matches a file decides.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    Keep(String),
    Drop(String),
    DropEnding(String),
}

#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

impl Rules {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["keep", path] => Ok(Rule::Keep(path.to_owned())),
            ["drop", path] => Ok(Rule::Drop(path.to_owned())),
            ["drop-name", ending] => Ok(Rule::DropEnding(ending.trim_start_matches('*').to_owned())),
            _ => Err(Error::Unusable(format!(
                "the prune list has a line that says neither keep nor drop: {line}"
            ))),
        });
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// `path` is relative, with `/` between its parts.
    fn drops(&self, path: &str) -> bool {
        let decided = self.0.iter().find_map(|rule| match rule {
            Rule::Keep(start) => path.starts_with(start).then_some(false),
            Rule::Drop(start) => path.starts_with(start).then_some(true),
            Rule::DropEnding(ending) => {
                (path.ends_with(ending) || format!("/{path}").ends_with(ending)).then_some(true)
            }
        });
        decided.unwrap_or(false)
    }

    /// Removes what the rules drop below `root`, and directories that are empty then; returns how many files stay.
    pub(super) fn apply(&self, root: &Path) -> Result<u64, Error> {
        self.visit(root, "")
    }

    fn visit(&self, directory: &Path, prefix: &str) -> Result<u64, Error> {
        let mut stay = 0;
        for entry in fs::read_dir(directory).or_io("list", directory)? {
            let entry = entry.or_io("list", directory)?;
            let path = entry.path();
            let relative = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().or_io("look at", &path)?.is_dir() {
                let inside = self.visit(&path, &format!("{relative}/"))?;
                if inside == 0 {
                    fs::remove_dir_all(&path).or_io("remove", &path)?;
                }
                stay += inside;
            } else if self.drops(&relative) {
                fs::remove_file(&path).or_io("remove", &path)?;
            } else {
                stay += 1;
            }
        }
        Ok(stay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = Rules::parse(
            "# why\nkeep a/docs/licence.md\ndrop a/docs/\ndrop-name *.d.ts\ndrop-name /README.md\n",
        )
        .expect("parses");
        let cases = [
            ("a/docs/licence.md", false),
            ("a/docs/guide.md", true),
            ("b/index.d.ts", true),
            ("b/index.ts", false),
            ("README.md", true),
            ("b/NOTREADME.md", false),
        ];
        for (path, dropped) in cases {
            assert_eq!(rules.drops(path), dropped, "{path}");
        }
        assert!(Rules::parse("remove a/").is_err());
    }

    #[test]
    fn empty_directories_go_with_their_files() {
        let root = tempfile::tempdir().expect("temporary directory");
        for (directory, file) in [("a/types", "a/types/x.d.ts"), ("a/code", "a/code/x.js")] {
            fs::create_dir_all(root.path().join(directory)).expect("create");
            fs::write(root.path().join(file), "").expect("write");
        }
        let rules = Rules::parse("drop-name *.d.ts").expect("parses");
        assert_eq!(rules.apply(root.path()).expect("applies"), 1);
        assert!(!root.path().join("a/types").exists());
        assert!(root.path().join("a/code/x.js").exists());
    }
}
