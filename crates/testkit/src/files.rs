//! A volume as a map, for the fake bridge: the refusals of the contract, nothing of a real file system.

use std::collections::BTreeMap;

use bytes::Bytes;
use creel_protocol::{BridgeError, FileEntry, FileKind, inside};

/// Absolute paths below the volume. A directory has no content.
#[derive(Debug)]
pub(crate) struct Files(BTreeMap<String, Option<Bytes>>);

impl Default for Files {
    fn default() -> Self {
        Self(
            [inside::VOLUME, inside::WORKSPACE]
                .map(|path| (path.to_owned(), None))
                .into(),
        )
    }
}

fn refused(code: &str, path: &str) -> BridgeError {
    BridgeError::Refused {
        code: code.to_owned(),
        message: format!("`{path}`: {}", code.replace('_', " ")),
    }
}

fn absolute(path: &str) -> Result<String, BridgeError> {
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{}/{path}", inside::WORKSPACE)
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part if part.contains('\0') => return Err(refused("invalid", path)),
            part => parts.push(part),
        }
    }
    let clean = format!("/{}", parts.join("/"));
    let within = clean == inside::VOLUME || clean.starts_with(&format!("{}/", inside::VOLUME));
    if within {
        Ok(clean)
    } else {
        Err(refused("path_outside", path))
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

impl Files {
    pub(crate) fn list(&self, path: &str) -> Result<Vec<FileEntry>, BridgeError> {
        let directory = absolute(path)?;
        match self.0.get(&directory) {
            None => return Err(refused("not_found", path)),
            Some(Some(_)) => return Err(refused("not_a_directory", path)),
            Some(None) => {}
        }
        let entries = self.0.iter().filter(|(child, _)| parent(child) == directory);
        Ok(entries
            .map(|(child, content)| FileEntry {
                name: child.rsplit('/').next().unwrap_or_default().to_owned(),
                kind: if content.is_some() {
                    FileKind::File
                } else {
                    FileKind::Directory
                },
                bytes: content.as_ref().map_or(0, |content| content.len() as u64),
                modified_at: None,
                mode: 0o644,
            })
            .collect())
    }

    pub(crate) fn read(&self, path: &str) -> Result<Bytes, BridgeError> {
        match self.0.get(&absolute(path)?) {
            None => Err(refused("not_found", path)),
            Some(None) => Err(refused("is_a_directory", path)),
            Some(Some(content)) => Ok(content.clone()),
        }
    }

    pub(crate) fn write(&mut self, path: &str, content: Bytes) -> Result<(), BridgeError> {
        let file = absolute(path)?;
        if matches!(self.0.get(&file), Some(None)) {
            return Err(refused("is_a_directory", path));
        }
        if !matches!(self.0.get(parent(&file)), Some(None)) {
            return Err(refused("not_found", path));
        }
        self.0.insert(file, Some(content));
        Ok(())
    }

    /// With its parents; one that is there is fine.
    pub(crate) fn mkdir(&mut self, path: &str) -> Result<(), BridgeError> {
        let mut directory = absolute(path)?;
        if matches!(self.0.get(&directory), Some(Some(_))) {
            return Err(refused("not_a_directory", path));
        }
        while !self.0.contains_key(&directory) {
            let above = parent(&directory).to_owned();
            self.0.insert(std::mem::replace(&mut directory, above), None);
        }
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), BridgeError> {
        let (from_path, to_path) = (absolute(from)?, absolute(to)?);
        if self.0.contains_key(&to_path) {
            return Err(refused("exists", to));
        }
        let content = self
            .0
            .remove(&from_path)
            .ok_or_else(|| refused("not_found", from))?;
        self.0.insert(to_path, content);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &str, recursive: bool) -> Result<(), BridgeError> {
        let gone = absolute(path)?;
        if !self.0.contains_key(&gone) {
            return Err(refused("not_found", path));
        }
        let below = format!("{gone}/");
        let full = self.0.keys().any(|child| child.starts_with(&below));
        if full && !recursive {
            return Err(refused("not_empty", path));
        }
        self.0
            .retain(|child, _| *child != gone && !child.starts_with(&below));
        Ok(())
    }
}
