//! Where things are on the host: one data directory.
//!
//! ```text
//! DATA/                       root, 0711: others may pass through, not look
//!   version                   layout version, refused when newer than ours
//!   control/                  0700, owned by the unprivileged account: creel.db, master.key
//!   supervisor/               0700, root: one record per sandbox, bundles, the runtime's own state
//!   images/NAME/VERSION/      read-only roots, shared
//!   volumes/ID/               disk.img and the directory it is mounted on
//!   run/                      sockets; made anew when missing
//!     supervisor.sock         0660, root and the unprivileged account
//!     control.sock            0600, the unprivileged account: the public API, as the edge reaches it
//!     edge/edge.sock          below a directory of the unprivileged account's alone: what the edge asks of control
//!     sandboxes/ID/in/        tiny tmpfs, bridge.sock
//!     sandboxes/ID/out/       uplink.sock, owned by the unprivileged account
//!     sandboxes/ID/etc/       spec.json
//!   mail/                     0700, owned by the unprivileged account: mails that no server takes
//!   logs/                     one file per process
//! ```

use std::path::{Path, PathBuf};

use creel_domain::SandboxId;

/// Paths below one data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    data: PathBuf,
    images: PathBuf,
}

impl Layout {
    /// `data` should be absolute. Images live in `DATA/images` unless told otherwise.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        let data = data.into();
        Self {
            images: data.join("images"),
            data,
        }
    }

    /// Takes images from, and builds them into, another directory; several installations may share it.
    pub fn with_images(mut self, images: impl Into<PathBuf>) -> Self {
        self.images = images.into();
        self
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn images(&self) -> &Path {
        &self.images
    }

    pub fn version(&self) -> PathBuf {
        self.data.join("version")
    }

    pub fn control(&self) -> PathBuf {
        self.data.join("control")
    }

    pub fn database(&self) -> PathBuf {
        self.control().join("creel.db")
    }

    pub fn master_key(&self) -> PathBuf {
        self.control().join("master.key")
    }

    pub fn supervisor(&self) -> PathBuf {
        self.data.join("supervisor")
    }

    pub fn run(&self) -> PathBuf {
        self.data.join("run")
    }

    pub fn lock(&self) -> PathBuf {
        self.run().join("up.lock")
    }

    /// Locked by each process that a `creel up` has started.
    pub fn lives(&self) -> PathBuf {
        self.run().join("lives.lock")
    }

    /// Mails as files, where no server takes them.
    pub fn mail(&self) -> PathBuf {
        self.data.join("mail")
    }

    pub fn logs(&self) -> PathBuf {
        self.data.join("logs")
    }

    pub fn supervisor_socket(&self) -> PathBuf {
        self.run().join("supervisor.sock")
    }

    /// The public API, without TLS and with the caller's address in a header.
    pub fn control_socket(&self) -> PathBuf {
        self.run().join("control.sock")
    }

    /// Of the unprivileged account alone.
    pub fn edge(&self) -> PathBuf {
        self.run().join("edge")
    }

    pub fn edge_socket(&self) -> PathBuf {
        self.edge().join("edge.sock")
    }

    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    pub fn volume(&self, sandbox: SandboxId) -> PathBuf {
        self.volumes().join(sandbox.to_string())
    }

    pub fn sandboxes(&self) -> PathBuf {
        self.run().join("sandboxes")
    }

    pub fn sandbox(&self, sandbox: SandboxId) -> PathBuf {
        self.sandboxes().join(sandbox.to_string())
    }

    /// Directory of `bridge.sock`. What is in it comes from the inside: open it without following links.
    pub fn inbound(&self, sandbox: SandboxId) -> PathBuf {
        self.sandbox(sandbox).join("in")
    }

    /// Directory of `uplink.sock`.
    pub fn outbound(&self, sandbox: SandboxId) -> PathBuf {
        self.sandbox(sandbox).join("out")
    }

    pub fn spec_dir(&self, sandbox: SandboxId) -> PathBuf {
        self.sandbox(sandbox).join("etc")
    }
}
