//! Loop devices, so that a file can be mounted. Each goes by itself with its last user, also when that
//! is a process that was killed.

use std::{
    fs::{self, File, OpenOptions},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    ioctl::{Ioctl, IoctlOutput, Opcode, Setter, ioctl},
};

use crate::Error;

const LOOP_CTL_GET_FREE: Opcode = 0x4C82;
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Others on this host also take free devices; so often we lose the race before we give up.
const RACES: usize = 32;

/// A loop device in use; mount it while this lives, and it stays until unmounted.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _open: File,
}

/// The device that already shows `image`, if there is one. Two devices over one image would be two
/// file systems writing to it.
pub(crate) fn showing(image: &Path) -> Result<Option<LoopDevice>, Error> {
    let image = image
        .canonicalize()
        .map_err(Error::io(format!("find {}", image.display())))?;
    for name in names() {
        if !shows(&name, &image) {
            continue;
        }
        let path = Path::new("/dev").join(&name);
        let open = open(&path)?;
        // Held open it cannot be cleared any more; it may have been just before.
        if shows(&name, &image) {
            return Ok(Some(LoopDevice { path, _open: open }));
        }
    }
    Ok(None)
}

/// Whether any device shows `image`, without holding it.
pub(crate) fn is_shown(image: &Path) -> bool {
    let Ok(image) = image.canonicalize() else {
        return false;
    };
    names().iter().any(|name| shows(name, &image))
}

fn names() -> Vec<String> {
    let mut names = crate::fs::names(Path::new("/sys/block"));
    names.retain(|name| name.starts_with("loop"));
    names
}

fn shows(name: &str, image: &Path) -> bool {
    fs::read_to_string(format!("/sys/block/{name}/loop/backing_file"))
        .is_ok_and(|file| Path::new(file.trim_end_matches('\n')) == image)
}

/// A new device over `image`.
pub(crate) fn attach(image: &Path) -> Result<LoopDevice, Error> {
    let backing = open(image)?;
    let control = open(Path::new("/dev/loop-control"))?;
    for _ in 0..RACES {
        #[expect(unsafe_code, reason = "an ioctl that rustix does not have")]
        // SAFETY: /dev/loop-control takes no argument for this and returns a number.
        let number = unsafe { ioctl(&control, GetFree) }.map_err(Error::errno("find a free loop device"))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&path)?;
        let config = LoopConfig::new(&backing);
        #[expect(unsafe_code, reason = "an ioctl that rustix does not have")]
        // SAFETY: `LoopConfig` is laid out as the kernel's `struct loop_config`, which it only reads.
        let outcome = unsafe { ioctl(&device, Setter::<LOOP_CONFIGURE, LoopConfig>::new(config)) };
        match outcome {
            Ok(()) => return Ok(LoopDevice { path, _open: device }),
            Err(Errno::BUSY) => {}
            Err(errno) => {
                return Err(Error::errno(format!(
                    "attach {} to a loop device",
                    image.display()
                ))(errno));
            }
        }
    }
    Err(Error::Volume(
        "every free loop device was taken by somebody else first; try again".to_owned(),
    ))
}

fn open(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(Error::io(format!("open {}", path.display())))
}

struct GetFree;

#[expect(unsafe_code, reason = "an ioctl that rustix does not have")]
// SAFETY: no pointer is passed, and the output is what the call returned.
unsafe impl Ioctl for GetFree {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}

/// `struct loop_config` of `linux/loop.h`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

#[repr(C)]
struct LoopInfo64 {
    /// Device, inode, rdevice, offset, size limit.
    places: [u64; 5],
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

const _: () = assert!(size_of::<LoopConfig>() == 304, "as the kernel has it");

impl LoopConfig {
    fn new(backing: &File) -> Self {
        Self {
            fd: backing.as_raw_fd().unsigned_abs(),
            block_size: 0,
            info: LoopInfo64 {
                places: [0; 5],
                number: 0,
                encrypt_type: 0,
                encrypt_key_size: 0,
                flags: LO_FLAGS_AUTOCLEAR,
                file_name: [0; 64],
                crypt_name: [0; 64],
                encrypt_key: [0; 32],
                init: [0; 2],
            },
            reserved: [0; 8],
        }
    }
}
