//! Where Creel is and who is asking: file, then environment, then flag.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    args::Global,
    failure::{Failure, Result},
};

/// Where `creel up` listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:7300";

/// `config.toml`. It holds a token: mode 0600, always.
#[derive(Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// What a command uses in the end.
pub(crate) struct Resolved {
    pub(crate) url: String,
    pub(crate) token: Option<String>,
}

pub(crate) fn resolve(global: &Global) -> Result<Resolved> {
    let environment = |name| {
        std::env::var(name)
            .ok()
            .filter(|value: &String| !value.is_empty())
    };
    let url = global.url.clone().or_else(|| environment("CREEL_URL"));
    let token = global.token.clone().or_else(|| environment("CREEL_TOKEN"));
    let file = match (&url, &token) {
        (Some(_), Some(_)) => Settings::default(),
        _ => path(|name| std::env::var_os(name).map(PathBuf::from))
            .map_or_else(|| Ok(Settings::default()), |path| read(&path))?,
    };
    // The file's token belongs to the file's address: another server has no business seeing it.
    let same_server = url.is_none() || url.as_deref().map(trim) == file.url.as_deref().map(trim);
    Ok(Resolved {
        token: token.or(file.token.filter(|_| same_server)),
        url: url.or(file.url).unwrap_or_else(|| DEFAULT_URL.to_owned()),
    })
}

fn trim(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// `$XDG_CONFIG_HOME/creel/config.toml`, or the same below `$HOME/.config`.
pub(crate) fn path(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let base = variable("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".config")))?;
    Some(base.join("creel").join("config.toml"))
}

/// A missing file is an empty one.
pub(crate) fn read(path: &Path) -> Result<Settings> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(error) => {
            return Err(Failure::sentence(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    };
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let what = error.message();
        Failure::sentence(format!(
            "{} is not valid: {what}. Correct or remove it",
            path.display()
        ))
    })
}

/// Replaces the file whole, readable by its owner alone from the first byte on.
pub(crate) fn write(path: &Path, settings: &Settings) -> std::io::Result<()> {
    let directory = path.parent().ok_or(std::io::ErrorKind::InvalidInput)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let text = toml::to_string(settings).map_err(std::io::Error::other)?;
    let fresh = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}
