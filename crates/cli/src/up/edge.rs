//! `creel edge`: the child that the world speaks to, without root's rights from its first moment.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use creel_control::{Names, PublicUrl};
use creel_daemon::Shutdown;
use creel_edge::{Options, TlsFiles, TrustedProxies};
use creel_protocol::Layout;
use rustix::process::{Resource, Rlimit};

use super::{
    account::{self, Account},
    data::Life,
    people::PeopleArgs,
    sentence,
};
use crate::failure::{Failure, Result};

/// Connections of 16 384 guests, each with one behind it, and some more.
const DESCRIPTORS: u64 = 65_536;

/// How the world reaches Creel and its agents.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Edge")]
pub(crate) struct EdgeArgs {
    /// Domain below which each agent has a name of its own, such as agents.example.com with a wildcard entry
    /// (*.agents.example.com) in DNS. Without it: localhost where Creel listens on this host alone
    #[arg(long, value_name = "DOMAIN", env = "CREEL_AGENT_DOMAIN")]
    pub(crate) agent_domain: Option<String>,
    /// Certificate in PEM, with those that vouch for it: HTTPS is served. Exchanged when the file changes
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "CREEL_TLS_CERT")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "CREEL_TLS_KEY")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where to answer plain HTTP with the address over HTTPS, such as 0.0.0.0:80
    #[arg(long, value_name = "ADDR:PORT", env = "CREEL_LISTEN_HTTP")]
    pub(crate) listen_http: Option<SocketAddr>,
    /// Proxies in front of Creel whose word counts on who is behind them: 10.0.0.0/8,192.168.1.1
    #[arg(long, value_name = "NETWORKS", env = "CREEL_TRUSTED_PROXIES")]
    pub(crate) trusted_proxies: Option<TrustedList>,
}

/// As it was written, and good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustedList(String);

impl std::str::FromStr for TrustedList {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        text.parse::<TrustedProxies>()?;
        Ok(Self(text.to_owned()))
    }
}

impl EdgeArgs {
    pub(super) fn tls(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }

    /// What cannot be used is better refused before anything is made.
    pub(super) fn check(&self, people: &PeopleArgs, acme: bool) -> Result<()> {
        match self.tls() {
            Some(files) => files.check().map_err(sentence)?,
            None if acme => {}
            None if self.listen_http.is_some() => {
                return Err(Failure::sentence(
                    "--listen-http leads to HTTPS, which needs a certificate: --tls-cert and --tls-key, or --acme-email",
                ));
            }
            None => return Ok(()),
        }
        let url = people.public_url.as_deref().map(str::parse::<PublicUrl>);
        match url.transpose().map_err(sentence)? {
            Some(url) if url.is_https() && (!acme || is_name(url.host())) => Ok(()),
            Some(url) if url.is_https() => Err(Failure::sentence(
                "an authority gives certificates for names in DNS: --public-url https://creel.example.com",
            )),
            _ => Err(Failure::sentence(
                "with a certificate, say by which https:// address people reach Creel: --public-url https://creel.example.com",
            )),
        }
    }

    /// The same again for `creel up --background`.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Option<PathBuf>| {
            let path = std::path::absolute(path.as_ref()?).ok()?;
            Some(path.to_string_lossy().into_owned())
        };
        [
            ("CREEL_AGENT_DOMAIN", self.agent_domain.clone()),
            ("CREEL_TLS_CERT", path(&self.tls_cert)),
            ("CREEL_TLS_KEY", path(&self.tls_key)),
            ("CREEL_LISTEN_HTTP", self.listen_http.map(|at| at.to_string())),
            (
                "CREEL_TRUSTED_PROXIES",
                self.trusted_proxies.clone().map(|list| list.0),
            ),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }

    /// What the child is told.
    pub(super) fn flags(&self, names: &Names, acme: bool) -> Vec<String> {
        let mut flags = vec![
            format!("--own={}", names.own),
            format!("--own-url={}", names.own_url),
        ];
        flags.extend(names.agents.iter().map(|domain| format!("--agents={domain}")));
        flags.extend(self.tls().map(|_| "--tls".to_owned()));
        flags.extend(acme.then(|| "--acme".to_owned()));
        flags.extend(self.listen_http.map(|_| "--redirect".to_owned()));
        flags.extend(
            self.trusted_proxies
                .iter()
                .map(|list| format!("--trusted={}", list.0)),
        );
        flags
    }
}

fn is_name(host: &str) -> bool {
    host.parse::<creel_domain::DomainName>().is_ok()
}

#[derive(Debug, clap::Args)]
pub(crate) struct EdgeProcessArgs {
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    uid: u32,
    #[arg(long)]
    gid: u32,
    #[arg(long)]
    parent: i32,
    #[arg(long)]
    own: String,
    #[arg(long)]
    own_url: String,
    #[arg(long)]
    agents: Option<String>,
    /// The certificate and its key lie where the parent puts them.
    #[arg(long)]
    tls: bool,
    /// Certificates are asked of control.
    #[arg(long)]
    acme: bool,
    /// Standard output is a listener too.
    #[arg(long)]
    redirect: bool,
    #[arg(long, default_value = "")]
    trusted: TrustedList,
}

pub(crate) fn run(args: EdgeProcessArgs) -> Result<()> {
    let layout = Layout::new(&args.data);
    let _life = Life::begin(&layout)?;
    // While it may still be raised.
    raise_descriptors();
    let account = Account {
        uid: args.uid,
        gid: args.gid,
    };
    account.become_for_good()?;
    account::die_with(args.parent)?;
    account::name_process("creel-edge");
    creel_daemon::init_logs(false);
    let options = Options {
        listener: own(std::io::stdin())?,
        redirect: args.redirect.then(|| own(std::io::stdout())).transpose()?,
        names: creel_edge::Names {
            own: args.own,
            own_url: args.own_url,
            agents: args.agents,
        },
        tls: args.tls.then(|| placed(&layout)),
        acme: args.acme,
        trusted: args.trusted.0.parse().map_err(Failure::sentence)?,
        layout,
        shutdown: Shutdown::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        creel_edge::run(Options { shutdown, ..options })
            .await
            .map_err(sentence)
    })
}

/// As many as are wanted, or as there may be: past them connections wait in the kernel's queue.
fn raise_descriptors() {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let limit = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    let most = now.maximum.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if rustix::process::setrlimit(Resource::Nofile, limit(DESCRIPTORS)).is_err()
        && let Err(error) = rustix::process::setrlimit(Resource::Nofile, limit(most))
    {
        super::parent::remark(&format!("the limit of open files could not be raised: {error}"));
    }
}

/// A standard stream as what it really is: the parent put a socket in its place.
fn own(stream: impl AsFd) -> Result<TcpListener> {
    let fd: OwnedFd = stream.as_fd().try_clone_to_owned()?;
    Ok(TcpListener::from(fd))
}

/// Where the edge reads them, without the right to read where they come from.
pub(super) fn placed(layout: &Layout) -> TlsFiles {
    TlsFiles {
        certificate: layout.edge().join("certificate.pem"),
        key: layout.edge().join("key.pem"),
    }
}
