//! What every image has inside, whatever it is for: mount points, the agent's user, a few small files.

use std::{collections::BTreeMap, fs, io::Write, os::unix::fs::PermissionsExt, path::Path};

use serde::Deserialize;

use super::error::{Error, OrIo};

/// The contract with the bridge and with whoever mounts sandboxes.
pub(super) const INSIDE: &str = include_str!("../../../../deploy/images/inside.json");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inside {
    directories: Vec<String>,
    files: BTreeMap<String, String>,
    user: String,
    uid: u32,
    home: String,
}

/// Adds all of it to `rootfs`. Keeps the users that are there already.
pub(super) fn furnish(rootfs: &Path, shell: &str) -> Result<(), Error> {
    let inside: Inside = parse("inside.json", INSIDE)?;
    for directory in &inside.directories {
        let path = rootfs.join(directory);
        fs::create_dir_all(&path).or_io("create", &path)?;
    }
    let tmp = rootfs.join("tmp");
    fs::set_permissions(&tmp, fs::Permissions::from_mode(0o1777)).or_io("set the mode of", &tmp)?;
    for (name, text) in &inside.files {
        let path = rootfs.join(name);
        // A link that a package left here, such as resolv.conf, must not be written through.
        if path.is_symlink() {
            fs::remove_file(&path).or_io("remove", &path)?;
        }
        fs::write(&path, text).or_io("write", &path)?;
    }
    let Inside { user, uid, home, .. } = &inside;
    add_line(
        &rootfs.join("etc/passwd"),
        "root:x:0:0:root:/:/bin/sh\n",
        &format!("{user}:x:{uid}:{uid}::{home}:{shell}\n"),
    )?;
    add_line(
        &rootfs.join("etc/group"),
        "root:x:0:\n",
        &format!("{user}:x:{uid}:\n"),
    )
}

/// Appends `line`, after `first` when there is no such file.
fn add_line(path: &Path, first: &str, line: &str) -> Result<(), Error> {
    let mut file = fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .or_io("open", path)?;
    if file.metadata().or_io("look at", path)?.len() == 0 {
        file.write_all(first.as_bytes()).or_io("write", path)?;
    }
    file.write_all(line.as_bytes()).or_io("write", path)
}

/// Reads a file of a recipe. They are compiled in and tested, so that this fails in tests only.
pub(super) fn parse<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|error| Error::Unusable(format!("{name} of the recipe cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use creel_protocol::inside;

    use super::*;

    #[test]
    fn the_mount_points_are_those_of_the_contract() {
        let ours: Inside = parse("inside.json", INSIDE).expect("parses");
        let parent =
            |path: &str| Path::new(path).parent().expect("has one").to_string_lossy()[1..].to_owned();
        for path in [inside::SPEC, inside::BRIDGE_SOCKET, inside::UPLINK_SOCKET] {
            assert!(ours.directories.contains(&parent(path)), "{path}");
        }
        assert!(ours.directories.contains(&inside::VOLUME[1..].to_owned()));
        assert!(ours.files.contains_key(&inside::BRIDGE[1..]));
        assert_eq!((ours.uid, ours.home.as_str()), (inside::UID, inside::HOME));
    }
}
