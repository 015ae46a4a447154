//! Swap of the test's own on this host, and gone with it: compressed memory if the kernel has it, else a file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ZRAM: &str = "/sys/class/zram-control";

/// On until it is dropped. What is in it comes back into memory then.
#[derive(Debug)]
pub struct Swap {
    place: Place,
    /// The kernel chooses among all there is: what one test has paged out must not come back with the end of another.
    _alone: File,
}

#[derive(Debug)]
enum Place {
    Zram { number: String },
    File { path: PathBuf },
}

impl Swap {
    /// None, with a sentence on stderr, where a host cannot have any.
    pub fn make(mebibytes: u64) -> Option<Self> {
        let zram = Self::zram(mebibytes);
        let made = zram.or_else(|zram| {
            Self::file(mebibytes)
                .map_err(|file| format!("no compressed memory: {zram}; no swap file: {file}"))
        });
        made.map_err(|reason| eprintln!("skipped: this host cannot swap: {reason}"))
            .ok()
    }

    fn zram(mebibytes: u64) -> Result<Self, io::Error> {
        let alone = alone()?;
        if !Path::new(ZRAM).exists() {
            run("modprobe", ["zram".as_ref()])?;
        }
        let number = fs::read_to_string(format!("{ZRAM}/hot_add"))?.trim().to_owned();
        let swap = Self {
            place: Place::Zram { number },
            _alone: alone,
        };
        fs::write(
            format!("/sys/block/{}/disksize", swap.name()),
            format!("{mebibytes}M"),
        )?;
        swap.on()
    }

    fn file(mebibytes: u64) -> Result<Self, io::Error> {
        let alone = alone()?;
        // Not in memory, where `/tmp` may be.
        let path = Path::new("/var/tmp").join(format!("creel-swap-{}", std::process::id()));
        let swap = Self {
            place: Place::File { path: path.clone() },
            _alone: alone,
        };
        let count = format!("count={mebibytes}");
        let of = format!("of={}", path.display());
        run(
            "dd",
            ["if=/dev/zero", "bs=1M", "status=none", &count, &of].map(AsRef::as_ref),
        )?;
        run("chmod", ["600".as_ref(), path.as_path()])?;
        swap.on()
    }

    fn on(self) -> Result<Self, io::Error> {
        let device = self.device();
        run("mkswap", [device.as_path()])?;
        run("swapon", [device.as_path()])?;
        Ok(self)
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Zram { number } => format!("zram{number}"),
            Place::File { path } => path.display().to_string(),
        }
    }

    fn device(&self) -> PathBuf {
        match &self.place {
            Place::Zram { .. } => Path::new("/dev").join(self.name()),
            Place::File { path } => path.clone(),
        }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // Not on where making it failed.
        let _ = run("swapoff", [self.device().as_path()]);
        let removed = match &self.place {
            Place::Zram { number } => fs::write(format!("/sys/block/{}/reset", self.name()), "1")
                .and_then(|()| fs::write(format!("{ZRAM}/hot_remove"), number)),
            Place::File { path } => fs::remove_file(path),
        };
        if let Err(error) = removed {
            eprintln!("the swap {} stays behind: {error}", self.name());
        }
    }
}

/// Waits until no other test has swap of its own.
fn alone() -> Result<File, io::Error> {
    let swaps = File::open("/proc/swaps")?;
    swaps.lock()?;
    Ok(swaps)
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a Path>) -> Result<(), io::Error> {
    let outcome = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if outcome.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
    Err(io::Error::other(format!("{program}: {said}")))
}
