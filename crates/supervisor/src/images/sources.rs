//! The host's own package sources, narrowed to the suite of the image: no mirror is named here, and other people's
//! repositories on the host stay out of the image.

use std::{fs, path::Path};

/// What `/etc/apt` of the host has to say about `suite`: texts in apt's two formats, either may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// One-line entries, `deb [options] URI SUITE COMPONENT…`.
    pub(super) lines: String,
    /// Paragraphs of `Key: value`.
    pub(super) paragraphs: String,
}

/// Reads the sources below `apt`. On a host with another distribution nothing fits: mmdebstrap then takes its default.
pub(super) fn of_host(apt: &Path, suite: &str) -> Sources {
    let mut files = vec![apt.join("sources.list")];
    let more = fs::read_dir(apt.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten();
    let mut more: Vec<_> = more.map(|entry| entry.path()).collect();
    more.sort();
    files.extend(more);
    let mut sources = Sources::default();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("list") => sources.lines += &lines_for(&text, suite),
            Some("sources") => sources.paragraphs += &paragraphs_for(&text, suite),
            _ => {}
        }
    }
    sources
}

fn is_for(word: &str, suite: &str) -> bool {
    word.strip_prefix(suite)
        .is_some_and(|rest| matches!(rest, "" | "-updates" | "-security"))
}

fn lines_for(text: &str, suite: &str) -> String {
    let fits = |line: &&str| {
        let line = line.trim();
        let rest = match line.strip_prefix("deb ").map(str::trim_start) {
            Some(rest) if rest.starts_with('[') => rest.split_once(']').map_or("", |(_, rest)| rest),
            Some(rest) => rest,
            None => return false,
        };
        rest.split_whitespace()
            .nth(1)
            .is_some_and(|word| is_for(word, suite))
    };
    text.lines()
        .filter(fits)
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

fn paragraphs_for(text: &str, suite: &str) -> String {
    let mut kept = String::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in lines.split(|line| line.trim().is_empty()) {
        let field = |name: &str| {
            let line = paragraph.iter().find(|line| {
                line.split_once(':')
                    .is_some_and(|(key, _)| key.eq_ignore_ascii_case(name))
            });
            line.and_then(|line| line.split_once(':'))
                .map_or("", |(_, value)| value)
        };
        let suites = field("Suites").split_whitespace().any(|word| is_for(word, suite));
        let binary = field("Types").split_whitespace().any(|word| word == "deb");
        if suites && binary && field("Enabled").trim() != "no" {
            kept += &format!("{}\n\n", paragraph.join("\n"));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_suite_itself_is_taken() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let (apt, more) = (directory.path(), directory.path().join("sources.list.d"));
        fs::create_dir(&more).expect("create");
        let list = "# comment\ndeb [signed-by=/k.gpg] mirror:/a bookworm main\ndeb mirror:/a bookworm-updates main\n\
                    deb mirror:/b tools-bookworm main\ndeb-src mirror:/a bookworm main\n";
        fs::write(apt.join("sources.list"), list).expect("write");
        let debian = "# ours\nTypes: deb\nURIs: mirror:/c\nSuites: bookworm bookworm-security\nComponents: main\n\n\
                      Types: deb\nURIs: mirror:/d\nSuites: nodistro\nComponents: main\n";
        fs::write(more.join("debian.sources"), debian).expect("write");
        fs::write(more.join("other.list.disabled"), "deb mirror:/e bookworm main\n").expect("write");
        assert_eq!(
            of_host(apt, "bookworm"),
            Sources {
                lines:
                    "deb [signed-by=/k.gpg] mirror:/a bookworm main\ndeb mirror:/a bookworm-updates main\n"
                        .into(),
                paragraphs:
                    "Types: deb\nURIs: mirror:/c\nSuites: bookworm bookworm-security\nComponents: main\n\n"
                        .into(),
            }
        );
        assert_eq!(of_host(apt, "noble"), Sources::default());
    }
}
