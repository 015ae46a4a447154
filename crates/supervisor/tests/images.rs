//! Images made for real. `lite` always; `openclaw`, which takes minutes, with `CREEL_TEST_IMAGE_BUILD=1`.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use creel_domain::ImageName;
use creel_supervisor::images::{Images, recipe_digest};

/// Runs a shell command in the image as the agent's user.
fn inside(rootfs: &Path, command: &str) -> String {
    let output = Command::new("chroot")
        .args(["--userspec=1000:1000", "--groups="])
        .arg(rootfs)
        .args(["/bin/sh", "-c", command])
        .output()
        .expect("chroot runs");
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every file below `root` that an agent could change or could not read.
fn unsealed(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let data = fs::symlink_metadata(&path).expect("is there");
        let mode = data.mode() & 0o7777;
        let owned = data.uid() == 0 && data.gid() == 0;
        let sealed = data.is_symlink() || mode == 0o1777 || (mode & 0o6022 == 0 && mode & 0o444 == 0o444);
        if !(owned && sealed) {
            found.push(path.clone());
        }
        if data.is_dir() {
            todo.extend(
                fs::read_dir(&path)
                    .expect("readable")
                    .map(|entry| entry.expect("an entry").path()),
            );
        }
    }
    found
}

fn check(rootfs: &Path) {
    assert_eq!(unsealed(rootfs), Vec::<PathBuf>::new());
    assert!(rootfs.join("creel/bridge").is_file());
    for mount in [
        "proc",
        "dev",
        "tmp",
        "data",
        "run/creel/in",
        "run/creel/out",
        "run/creel/etc",
    ] {
        let mut entries = fs::read_dir(rootfs.join(mount)).expect("a mount point");
        assert!(entries.next().is_none(), "{mount} is not empty");
    }
    assert_eq!(
        inside(rootfs, "id -un; echo ~agent; cat /etc/resolv.conf; ls /creel"),
        "agent\n/data/home\nbridge\n"
    );
}

#[tokio::test]
async fn lite_is_made_of_busybox_and_nothing_of_it_can_be_changed() {
    let directory = tempfile::tempdir().expect("a directory");
    let images = Images::open(directory.path()).expect("opens");
    let image = images.built(ImageName::Lite).await.expect("builds");
    check(&image.rootfs);
    assert_eq!(
        inside(&image.rootfs, "printf 'b\\na\\n' | sort | tr a-z A-Z"),
        "A\nB\n"
    );
    assert!(
        image.bytes > 500_000 && image.bytes < 8_000_000,
        "{} bytes",
        image.bytes
    );
    assert_eq!(image.digest, recipe_digest(ImageName::Lite));

    let again = Images::open(directory.path())
        .expect("opens")
        .built(ImageName::Lite)
        .await
        .expect("is there");
    assert_eq!(again, image, "built once");
}

#[tokio::test]
async fn openclaw_answers_in_the_image_that_was_built_for_it() {
    if std::env::var_os("CREEL_TEST_IMAGE_BUILD").is_none_or(|value| value != "1") {
        eprintln!("skipped: takes minutes; set CREEL_TEST_IMAGE_BUILD=1");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let images = Images::open(directory.path()).expect("opens");
    // The build ends with real turns in the finished image, and fails when one of them does.
    let image = images.built(ImageName::Openclaw).await.expect("builds");
    check(&image.rootfs);
    inside(
        &image.rootfs,
        "command -v node git curl jq rg python3 less ps && test ! -e /etc/apt/sources.list",
    );
}
