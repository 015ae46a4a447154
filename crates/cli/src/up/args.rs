//! What `creel up`, its two children and `creel down` are told.

use std::{net::SocketAddr, path::PathBuf};

use creel_domain::{Rates, SparePool};

use super::{
    acme::AcmeArgs, edge::EdgeArgs, issuer::IssuerArgs, keys::KeysArgs, names::DnsArgs, people::PeopleArgs,
};

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
  sudo creel up --keep-sandboxes          survives an upgrade of creel
  sudo creel up --listen 0.0.0.0:443 --listen-http 0.0.0.0:80 \\
      --public-url https://creel.example.com --agent-domain agents.example.com \\
      --tls-cert /etc/creel/cert.pem --tls-key /etc/creel/key.pem
  sudo CREEL_DATABASE=postgres://creel:secret@db.example/creel creel up")]
pub(crate) struct UpArgs {
    /// Where all state is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA, env = "CREEL_DATA")]
    pub(crate) data: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT", default_value = DEFAULT_LISTEN)]
    pub(crate) listen: SocketAddr,
    /// PostgreSQL database for state, instead of a file in the data directory; better in CREEL_DATABASE, where
    /// other users cannot see its password
    #[arg(long, value_name = "URL", env = "CREEL_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
    #[command(flatten)]
    pub(crate) edge: EdgeArgs,
    #[command(flatten)]
    pub(crate) acme: AcmeArgs,
    #[command(flatten)]
    pub(crate) dns: DnsArgs,
    #[command(flatten)]
    pub(crate) people: PeopleArgs,
    #[command(flatten)]
    pub(crate) issuer: IssuerArgs,
    #[command(flatten)]
    pub(crate) keys: KeysArgs,
    /// Where images are kept, if not in the data directory; several installations may share it
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
    /// Do not build the openclaw image in the background
    #[arg(long)]
    pub(crate) no_image_build: bool,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Leave sandboxes running when Creel stops
    #[arg(long)]
    pub(crate) keep_sandboxes: bool,
    /// Return when it is ready and leave it running; its logs are in DIR/logs
    #[arg(long, short)]
    pub(crate) detach: bool,
    /// Set by --detach for the process that stays.
    #[arg(long, hide = true)]
    pub(crate) background: bool,
    /// The global option.
    #[arg(skip)]
    pub(crate) json: bool,
}

/// What callers may, how long it is told, and what is kept ready for them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Bounds {
    /// Requests a minute of one token or session, and sign-ins of one address; `off` for no limits
    #[arg(long, value_name = "RATES", default_value = "reads=1200,writes=600,chat=120,sign-in=60", value_parser = rates)]
    pub(crate) rate_limit: Limit<Rates>,
    /// Days for which the audit trail is kept; `none` for ever
    #[arg(long, value_name = "DAYS", default_value = "400", value_parser = days)]
    pub(crate) audit_retention: Limit<u32>,
    /// Sandboxes kept ready for new agents, as openclaw=2,lite=4: an agent with the usual limits gets one and need not
    /// wait for a start. `none` for none
    #[arg(
        long,
        value_name = "SIZES",
        default_value = "openclaw=1",
        env = "CREEL_SPARES"
    )]
    pub(crate) spares: SparePool,
}

impl Bounds {
    /// The same again, for another process of ours.
    pub(crate) fn flags(&self) -> [String; 3] {
        [
            format!("--rate-limit={}", self.rate_limit.text("off")),
            format!("--audit-retention={}", self.audit_retention.text("none")),
            format!("--spares={}", self.spares),
        ]
    }
}

/// A bound that can be lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

impl<T: ToString> Limit<T> {
    fn text(&self, none: &str) -> String {
        self.0.as_ref().map_or_else(|| none.to_owned(), T::to_string)
    }
}

fn rates(text: &str) -> Result<Limit<Rates>, String> {
    if text == "off" {
        return Ok(Limit(None));
    }
    let rates = text.parse::<Rates>().map_err(|error| error.to_string())?;
    Ok(Limit(Some(rates)))
}

fn days(text: &str) -> Result<Limit<u32>, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
    let days: u32 = days.ok_or("write a number of days from 1 to 36500, or `none`")?;
    Ok(Limit(Some(days)))
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

/// Look after the database that holds Creel's state
#[derive(Debug, clap::Subcommand)]
pub(crate) enum DbCommand {
    /// Say how far the database's schema is, and change nothing
    Status(DbArgs),
    /// Bring the database's schema up to date, as `creel up` does
    Migrate(DbArgs),
    /// Copy everything from the file to an empty PostgreSQL database, and compare
    ///
    /// Creel must not run meanwhile. The file stays as it is.
    Copy(DbCopyArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct DbCopyArgs {
    /// Where all state is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA, env = "CREEL_DATA")]
    pub(crate) data: PathBuf,
    /// The empty PostgreSQL database
    #[arg(long, value_name = "URL", env = "CREEL_DATABASE", hide_env_values = true)]
    pub(crate) to: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DbArgs {
    /// Where all state is kept
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA, env = "CREEL_DATA")]
    pub(crate) data: PathBuf,
    /// PostgreSQL database, instead of the file in the data directory
    #[arg(long, value_name = "URL", env = "CREEL_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
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
    /// Where the edge listens.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    #[arg(long)]
    pub(crate) agent_domain: Option<String>,
    #[command(flatten)]
    pub(crate) dns: DnsArgs,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[arg(long)]
    pub(crate) parent: i32,
}
