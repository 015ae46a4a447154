//! How the bridge is called. In a sandbox without any argument; the flags are for tests and for people
//! who take it apart.

use std::path::PathBuf;

use creel_protocol::inside;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Everything is looked for below this directory.
    pub(crate) root: PathBuf,
    /// Loopback ports for model calls and for the way out; 0 takes any free one.
    pub(crate) ports: [u16; 2],
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("creel-bridge takes `--root DIR` and `--ports MODELS,EGRESS`, not `{0}`")]
pub(crate) struct Error(String);

impl Options {
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let mut options = Self {
            root: PathBuf::from("/"),
            ports: [inside::MODELS_PORT, inside::EGRESS_PORT],
        };
        let mut arguments = arguments.into_iter();
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or_else(|| Error(flag.clone()))?;
            match flag.as_str() {
                "--root" => options.root = value.into(),
                "--ports" => options.ports = ports(&value).ok_or(Error(value))?,
                _ => return Err(Error(flag)),
            }
        }
        Ok(options)
    }
}

fn ports(text: &str) -> Option<[u16; 2]> {
    let (models, egress) = text.split_once(',')?;
    Some([models.parse().ok()?, egress.parse().ok()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_mistakes() {
        let parse = |text: &str| Options::parse(text.split_whitespace().map(str::to_owned));
        let plain = parse("").expect("no flags are good");
        assert_eq!((plain.root.to_str(), plain.ports), (Some("/"), [7301, 7302]));
        let told = parse("--root /tmp/x --ports 0,0").expect("both flags");
        assert_eq!((told.root.to_str(), told.ports), (Some("/tmp/x"), [0, 0]));
        for bad in ["--root", "--ports 1", "--ports 1,99999", "x y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
