//! The tiny image: busybox under its many names, and the mount points. Made in milliseconds, from the host's own busybox.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::Command,
    time::Duration,
};

use serde::Deserialize;

use super::{
    bench::Bench,
    error::{Error, OrIo},
    inside::{self, INSIDE, parse},
    needs,
    recipe::{Recipe, Step, digest},
};

const RECIPE: &str = include_str!("../../../../deploy/images/lite/recipe.json");
/// The host's certificate bundle, for programs that speak TLS through the egress; taken when it is there.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Changes when the steps below do.
const REVISION: &str = "1";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lite {
    name: creel_domain::ImageName,
    version: String,
    shell: String,
    room_bytes: u64,
}

pub(super) fn recipe() -> Recipe {
    let lite: Lite = parse("lite/recipe.json", RECIPE).expect("the recipe is compiled in and tested");
    let shell = lite.shell;
    Recipe {
        name: lite.name,
        version: lite.version,
        digest: digest(&[REVISION, INSIDE, RECIPE]),
        room_bytes: lite.room_bytes,
        steps: vec![Step::new(
            "copying busybox",
            1,
            Duration::from_secs(30),
            move |bench| make(bench, &shell),
        )],
    }
}

fn make(bench: &Bench, shell: &str) -> Result<(), Error> {
    let root = &bench.rootfs;
    let busybox = needs::find("busybox")
        .ok_or_else(|| Error::MissingTools(needs::needs(creel_domain::ImageName::Lite)))?;
    let binary = fs::read(&busybox).or_io("read", &busybox)?;
    if !is_static(&binary) {
        return Err(Error::Unusable(format!(
            "{} needs shared libraries, which the image does not have. Type: apt-get install busybox-static",
            busybox.display()
        )));
    }
    let bin = root.join("bin");
    fs::create_dir_all(&bin).or_io("create", &bin)?;
    let inside = bin.join("busybox");
    fs::write(&inside, &binary).or_io("write", &inside)?;
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o755)).or_io("set the mode of", &inside)?;
    for applet in applets(&busybox)? {
        let path = bin.join(applet);
        symlink("busybox", &path).or_io("link", &path)?;
    }
    let usr = root.join("usr");
    fs::create_dir_all(&usr).or_io("create", &usr)?;
    for (target, link) in [
        ("bin", root.join("sbin")),
        ("../bin", usr.join("bin")),
        ("../bin", usr.join("sbin")),
    ] {
        symlink(target, &link).or_io("link", &link)?;
    }
    inside::furnish(root, shell)?;
    let certificates = root.join(CERTIFICATES);
    if let Ok(bundle) = fs::read(Path::new("/").join(CERTIFICATES)) {
        let parent = root.join("etc/ssl/certs");
        fs::create_dir_all(&parent).or_io("create", &parent)?;
        fs::write(&certificates, bundle).or_io("write", &certificates)?;
    }
    Ok(())
}

/// The names that this busybox answers to.
fn applets(busybox: &Path) -> Result<Vec<String>, Error> {
    let output = Command::new(busybox)
        .arg("--list")
        .output()
        .or_io("run", busybox)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let plain = |name: &&str| !name.is_empty() && *name != "busybox" && !name.contains('/');
    Ok(text.lines().filter(plain).map(str::to_owned).collect())
}

/// Whether a 64-bit little-endian ELF program runs without a dynamic loader: it names no interpreter.
fn is_static(binary: &[u8]) -> bool {
    const INTERPRETER: [u8; 4] = 3u32.to_le_bytes();
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = binary.get(at..at + width)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
        )
    };
    let headers = || {
        let (start, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count)
            .map(|index| binary.get(start + index * size..)?.get(..4))
            .collect::<Option<Vec<_>>>()
    };
    binary.starts_with(b"\x7fELF\x02\x01") && headers().is_some_and(|all| !all.contains(&&INTERPRETER[..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header followed by program headers of the given types.
    fn elf(types: &[u32]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(types.len()).expect("few");
        for kind in types {
            bytes.extend(kind.to_le_bytes());
            bytes.resize(bytes.len() + 52, 0);
        }
        bytes
    }

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        assert!(is_static(&elf(&[1, 1])));
        assert!(!is_static(&elf(&[1, 3, 1])));
        assert!(!is_static(b"#!/bin/sh"));
        assert!(!is_static(&elf(&[1, 1])[..70]));
    }
}
