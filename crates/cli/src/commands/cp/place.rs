//! One end of a copy.

use std::{path::PathBuf, str::FromStr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Agent { agent: String, path: String },
    Here(PathBuf),
    Stdio,
}

impl FromStr for Place {
    type Err = String;

    /// As with scp: a colon before the first slash divides agent and path.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a path cannot be empty".to_owned());
        }
        if text == "-" {
            return Ok(Self::Stdio);
        }
        match text.split_once(':') {
            Some((agent, path)) if !agent.is_empty() && !agent.contains('/') => Ok(Self::Agent {
                agent: agent.to_owned(),
                path: if path.is_empty() { "." } else { path }.to_owned(),
            }),
            _ => Ok(Self::Here(PathBuf::from(text))),
        }
    }
}

/// `directory/name`, as the agent's computer writes it.
pub(super) fn join(directory: &str, name: &str) -> String {
    match directory {
        "." | "" => name.to_owned(),
        _ => format!("{}/{name}", directory.trim_end_matches('/')),
    }
}

/// The last part of a path, if it has a name.
pub(super) fn base(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next()?;
    is_name(name).then_some(name)
}

/// Whether it is one plain name. The other side is not trusted: `..` or `a/b` in a listing would lead a
/// copy out of where it was told to go.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_the_first_slash_names_an_agent() {
        let agent = |agent: &str, path: &str| {
            Ok(Place::Agent {
                agent: agent.to_owned(),
                path: path.to_owned(),
            })
        };
        assert_eq!("scout:a/b".parse(), agent("scout", "a/b"));
        assert_eq!("scout:".parse(), agent("scout", "."));
        assert_eq!("./a:b".parse(), Ok(Place::Here(PathBuf::from("./a:b"))));
        assert_eq!(":a".parse(), Ok(Place::Here(PathBuf::from(":a"))));
        assert_eq!("-".parse(), Ok(Place::Stdio));
    }

    #[test]
    fn names_of_the_other_side_stay_in_their_directory() {
        for bad in ["", ".", "..", "a/b", "/", "a\0b"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        assert_eq!(
            (base("a/b/"), base("/data"), base(".."), base("/")),
            (Some("b"), Some("data"), None, None)
        );
    }
}
