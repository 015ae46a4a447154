//! An agent's volume: one sparse file with a file system of its own, so that a full volume is its
//! owner's trouble alone (ENOSPC inside), on every kernel and host file system.
//!
//! ```text
//! volumes/ID/disk.img    as long as the limit; takes only what was written
//! volumes/ID/mnt         where it is mounted while the sandbox is there
//! ```

use std::{
    fs::{self, OpenOptions},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::mount::MountFlags;

use crate::{Error, backend::blocking, fs as files, loop_device, mounts, program::Program};

/// Making or growing a file system of any size we allow takes well below a second on a healthy disk.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long the kernel may take to let go of an unmounted image; whoever needs it gone says so after that.
const LET_GO: Duration = Duration::from_secs(3);

/// One volume on the host.
#[derive(Debug, Clone)]
pub(crate) struct VolumeFiles {
    directory: PathBuf,
}

impl VolumeFiles {
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    fn image(&self) -> PathBuf {
        self.directory.join("disk.img")
    }

    /// There while the volume is being made larger.
    fn growing(&self) -> PathBuf {
        self.directory.join("growing")
    }

    pub(crate) fn point(&self) -> PathBuf {
        self.directory.join("mnt")
    }

    pub(crate) fn bytes(&self) -> Result<Option<u64>, Error> {
        match fs::metadata(self.image()) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at a volume")(error)),
        }
    }

    /// Makes it with this size, owned by `owner`; makes an existing one larger if need be.
    pub(crate) async fn make(&self, bytes: u64, owner: u32) -> Result<(), Error> {
        files::directory(&self.directory, 0o711)?;
        match self.bytes()? {
            None => self.format(bytes, owner).await,
            Some(present) if present > bytes => Err(refuse_to_shrink(present, bytes)),
            Some(present) if present == bytes && !self.growing().exists() => Ok(()),
            Some(_) => self.grow(bytes).await,
        }
    }

    async fn format(&self, bytes: u64, owner: u32) -> Result<(), Error> {
        let unfinished = self.directory.join("disk.new");
        files::remove_file(&unfinished)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&unfinished)
            .and_then(|file| file.set_len(bytes))
            .map_err(Error::io("make a volume"))?;
        // A new sparse file reads as zeros: neither tables nor journal have to be written out.
        let extended = format!("root_owner={owner}:{owner},lazy_itable_init=1,lazy_journal_init=1,nodiscard");
        Program::new("mkfs.ext4", "make the file system of a volume", DEADLINE)
            .arguments(["-q", "-F", "-m", "0", "-E", &extended])
            .arguments([&unfinished])
            .run()
            .await?;
        let this = self.clone();
        blocking("make a volume", move || {
            fs::rename(&unfinished, this.image()).map_err(Error::io("name a new volume"))?;
            files::sync_directory(&this.directory)
        })
        .await
    }

    async fn grow(&self, bytes: u64) -> Result<(), Error> {
        if mounts::is_mounted(&self.point())? || loop_device::is_shown(&self.image()) {
            return Err(Error::Volume(
                "the volume is still in use and cannot be made larger yet; it is tried again".to_owned(),
            ));
        }
        fs::write(self.growing(), "").map_err(Error::io("note that a volume grows"))?;
        let image = self.image();
        OpenOptions::new()
            .write(true)
            .open(&image)
            .and_then(|file| file.set_len(bytes))
            .map_err(Error::io("make a volume larger"))?;
        let check = Program::new("e2fsck", "check a volume before it grows", DEADLINE);
        // Status 1 of e2fsck means that it mended something, which is no failure: run it twice.
        if check
            .clone()
            .arguments(["-f", "-p"])
            .arguments([&image])
            .run()
            .await
            .is_err()
        {
            check.arguments(["-f", "-p"]).arguments([&image]).run().await?;
        }
        Program::new("resize2fs", "make the file system of a volume larger", DEADLINE)
            .arguments([&image])
            .run()
            .await?;
        files::remove_file(&self.growing())
    }

    /// Mounts it, unless it is mounted. Never shows one image through two devices.
    pub(crate) fn mount(&self) -> Result<(), Error> {
        let (image, point) = (self.image(), self.point());
        files::directory_unless_mounted(&point, 0o700)?;
        if mounts::is_mounted(&point)? {
            return Ok(());
        }
        let device = match loop_device::showing(&image)? {
            Some(device) => device,
            None => loop_device::attach(&image)?,
        };
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        // Freed blocks go back to the host; tables that were never written are not written now.
        let options = c"discard,noinit_itable,errors=remount-ro";
        rustix::mount::mount(&device.path, &point, c"ext4", flags, options)
            .map_err(Error::errno(format!("mount volume {}", self.directory.display())))?;
        // Only a checker of file systems has a use for it, and makes it anew.
        let _ = fs::remove_dir(point.join("lost+found"));
        Ok(())
    }

    /// Unmounts it, and waits a moment until the kernel has let go of it: a mount namespace that is just
    /// being made may hold a copy of every mount for some milliseconds.
    pub(crate) fn unmount(&self) -> Result<(), Error> {
        mounts::unmount(&self.point())?;
        let image = self.image();
        let give_up = Instant::now() + LET_GO;
        while loop_device::is_shown(&image) && Instant::now() < give_up {
            // Nothing signals the end of a loop device.
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(crate) fn remove(&self) -> Result<(), Error> {
        self.unmount()?;
        files::remove_tree(&self.directory)
    }
}

/// The sentence for somebody who wants a smaller volume.
fn refuse_to_shrink(present: u64, wanted: u64) -> Error {
    Error::Volume(format!(
        "the volume has {present} bytes and cannot shrink to {wanted}: keep disk_bytes at {present} or more, \
         or make a new agent"
    ))
}

/// Mounts a tiny tmpfs for sockets that the inside makes: `owner` may write, `group` may pass.
pub(crate) fn mount_inbound(point: &Path, owner: u32, group: u32) -> Result<(), Error> {
    files::directory_unless_mounted(point, 0o711)?;
    if mounts::is_mounted(point)? {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = format!("size=64k,nr_inodes=8,mode=2710,uid={owner},gid={group}");
    let options = std::ffi::CString::new(options).map_err(|error| Error::io("mount")(error.into()))?;
    rustix::mount::mount(c"creel", point, c"tmpfs", flags, options.as_c_str())
        .map_err(Error::errno(format!("mount {}", point.display())))
}
