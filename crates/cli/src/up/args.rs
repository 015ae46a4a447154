//! What `creel up`, its two children and `creel down` are told.

use std::{net::SocketAddr, path::PathBuf};

pub(crate) const DEFAULT_DATA: &str = "/var/lib/creel";
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:7300";

/// Start Creel on this host
///
/// Runs until Ctrl-C, SIGTERM or `creel down`. The sandboxes are then stopped, and run again with the next
/// `creel up`; with --keep-sandboxes they go on running meanwhile and are taken over.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  sudo creel up
  sudo creel up --detach --data /srv/creel --listen 127.0.0.1:8080
  sudo creel up --keep-sandboxes          survives an upgrade of creel")]
pub(crate) struct UpArgs {
    /// Where all state is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA, env = "CREEL_DATA")]
    pub(crate) data: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// Where images are kept, if not in the data directory; several installations may share it
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Do not build the openclaw image in the background
    #[arg(long)]
    pub(crate) no_image_build: bool,
    /// Leave sandboxes running when Creel stops
    #[arg(long)]
    pub(crate) keep_sandboxes: bool,
    /// Return when it is ready and leave it running; its logs are in DIR/logs
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Set by --detach for the process that stays.
    #[arg(long, hide = true)]
    pub(crate) background: bool,
}

/// Stop the Creel of this host
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {
    /// Where its state is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA, env = "CREEL_DATA")]
    pub(crate) data: PathBuf,
    /// Leave sandboxes running; the next `creel up` takes them over
    #[arg(long)]
    pub(crate) keep_sandboxes: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SupervisorArgs {
    #[arg(long)]
    pub(crate) data: PathBuf,
    #[arg(long)]
    pub(crate) images: Option<PathBuf>,
    /// Numeric group of control, who may connect.
    #[arg(long)]
    pub(crate) uid: u32,
    #[arg(long)]
    pub(crate) gid: u32,
    #[arg(long)]
    pub(crate) bridge: PathBuf,
    /// Who started it, and takes it along when it dies.
    #[arg(long)]
    pub(crate) parent: i32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ControlArgs {
    #[arg(long)]
    pub(crate) data: PathBuf,
    #[arg(long)]
    pub(crate) uid: u32,
    #[arg(long)]
    pub(crate) gid: u32,
    #[arg(long)]
    pub(crate) no_image_build: bool,
    #[arg(long)]
    pub(crate) parent: i32,
}
