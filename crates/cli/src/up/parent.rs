//! The parent itself: checks, lock, listener, two children, and an orderly end.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    path::PathBuf,
    time::Duration,
};

use creel_control::Names;
use creel_protocol::Layout;
use creel_store::Place;
use rustix::process::Signal;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{
    account::Account,
    acme::AcmeTold,
    args::UpArgs,
    bridge, certificate,
    child::{Program, Wanted},
    data::{self, Lock},
    detach, edge,
    handover::{self, Ready, Told},
    issuer::Issuer,
    keys::Keys,
    notify,
    owner::Owner,
    preflight::{self, Verdict},
    sentence,
};
use crate::{
    failure::{Failure, Result},
    out::style,
};

/// From the start of both children to the first answer.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Control ends its streams and its store; the supervisor stops every sandbox.
const EDGE_PATIENCE: Duration = Duration::from_secs(10);
const CONTROL_PATIENCE: Duration = Duration::from_secs(20);
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(60);
/// Asks the supervisor to end and leave the sandboxes running, or to stop them first.
pub(super) const END_KEEPING: Signal = Signal::TERM;
pub(super) const END_STOPPING: Signal = Signal::INT;

/// A remark for the operator; nobody may be there to read it.
pub(super) fn remark(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

pub(crate) fn run(args: &UpArgs) -> Result<()> {
    preflight::check_root()?;
    let account = Account::of_this_host();
    let mut layout = Layout::new(data::absolute(&args.data)?);
    if let Some(images) = &args.images {
        layout = layout.with_images(data::absolute(images)?);
    }
    // An address that cannot be read is better refused before anything is made.
    Place::parse(args.database.as_deref(), &layout.database()).map_err(sentence)?;
    let mut people = args.people.people()?;
    people.agent_domain.clone_from(&args.edge.agent_domain);
    args.edge.check(&args.people, args.acme.is_set())?;
    let acme = args.acme.read(args.edge.listen_http.is_some())?;
    let issuer = args.issuer.read()?;
    let keys = args.keys.read()?;
    data::check_version(&layout)?;
    data::check_reachable(layout.data(), account)?;
    let space = preflight::free_space(layout.data());
    match space.verdict {
        Verdict::Fail => return Err(space.refusal()),
        Verdict::Warn => remark(&format!(
            "{} {} {}.",
            style::stderr().warning("warning:"),
            space.found,
            space.next
        )),
        Verdict::Ok => {}
    }
    data::prepare(&layout, account)?;
    let mut lock = Lock::take(&layout)?;
    let listener = preflight::bind(args.listen)?;
    let address = listener.local_addr()?;
    let names = people.names(address).map_err(sentence)?;
    let redirect = args.edge.listen_http.map(preflight::bind).transpose()?;
    if args.detach && !args.background {
        // Only to see that both could be had: the process that stays takes them itself.
        drop((lock, listener, redirect));
        return detach::run(args, &layout);
    }
    lock.sign(address)?;
    let control =
        creel_daemon::bind_unix_std(&layout.control_socket(), 0o600, Some((account.uid, account.gid)))
            .map_err(sentence)?;
    if let Some(files) = args.edge.tls() {
        certificate::place(&files, &edge::placed(&layout), account)?;
    }
    let host = Host {
        bridge: bridge::place(&layout.supervisor())?,
        account,
        layout,
        issuer,
        keys,
        acme,
    };
    let owner = Owner::who_asked();
    // One thread: a child's death signal is tied to the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listeners = Listeners {
        world: listener.into(),
        redirect: redirect.map(Into::into),
        control: control.into(),
    };
    runtime.block_on(tree(args, &host, &owner, listeners, &names, address))
}

/// Bound before anybody is asked to serve them.
struct Listeners {
    world: OwnedFd,
    redirect: Option<OwnedFd>,
    control: OwnedFd,
}

struct Host {
    layout: Layout,
    account: Account,
    bridge: std::path::PathBuf,
    issuer: Option<Issuer>,
    keys: Keys,
    acme: Option<AcmeTold>,
}

impl Host {
    fn supervisor(&self) -> Program {
        let mut args = self.common();
        args.push(flag("--bridge", self.bridge.as_os_str()));
        args.push(flag("--images", self.layout.images().as_os_str()));
        Program {
            name: "supervisor",
            args,
            log: self.layout.logs().join("supervisor.log"),
            listener: None,
            second: None,
            told: None,
            patience: SUPERVISOR_PATIENCE,
        }
    }

    fn edge(&self, args: &UpArgs, names: &Names, listener: OwnedFd, redirect: Option<OwnedFd>) -> Program {
        let mut common = self.common();
        common.extend(
            args.edge
                .flags(names, args.acme.is_set())
                .into_iter()
                .map(Into::into),
        );
        Program {
            name: "edge",
            args: common,
            log: self.layout.logs().join("edge.log"),
            listener: Some(listener),
            second: redirect,
            told: None,
            patience: EDGE_PATIENCE,
        }
    }

    fn control(
        &self,
        args: &UpArgs,
        listener: OwnedFd,
        address: SocketAddr,
        token: Option<String>,
    ) -> Program {
        let mut common = self.common();
        common.push(format!("--address={address}").into());
        if let Some(domain) = &args.edge.agent_domain {
            common.push(format!("--agent-domain={domain}").into());
        }
        common.extend(args.dns.flag().map(Into::into));
        if args.no_image_build {
            common.push("--no-image-build".into());
        }
        common.extend(args.bounds.flags().map(Into::into));
        Program {
            name: "control",
            args: common,
            log: self.layout.logs().join("control.log"),
            listener: Some(listener),
            second: None,
            told: Some(Told {
                token,
                database: args.database.clone(),
                people: args.people.clone(),
                issuer: self.issuer.clone(),
                keys: self.keys.clone(),
                acme: self.acme.clone(),
            }),
            patience: CONTROL_PATIENCE,
        }
    }

    fn common(&self) -> Vec<std::ffi::OsString> {
        vec![
            flag("--data", self.layout.data().as_os_str()),
            format!("--uid={}", self.account.uid).into(),
            format!("--gid={}", self.account.gid).into(),
        ]
    }
}

fn flag(name: &str, value: &std::ffi::OsStr) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(name);
    flag.push("=");
    flag.push(value);
    flag
}

async fn tree(
    args: &UpArgs,
    host: &Host,
    owner: &Owner,
    listeners: Listeners,
    names: &Names,
    address: SocketAddr,
) -> Result<()> {
    // Only what the certificate is for is reached over TLS without a complaint.
    let url = match args.edge.tls() {
        Some(_) => names.own_url.clone(),
        None if args.acme.is_set() => names.own_url.clone(),
        None => format!("http://{}", reachable(address)),
    };
    if let Some(files) = args.edge.tls() {
        tokio::spawn(certificate::keep(files, edge::placed(&host.layout), host.account));
    }
    let (ready, is_ready) = watch::channel(false);
    let (supervisor_wanted, wanted) = watch::channel(Wanted::Running);
    let supervisor = host.supervisor().keep(wanted, is_ready.clone(), None);
    let mut supervisor = tokio::spawn(supervisor);
    let (control_wanted, wanted) = watch::channel(Wanted::Running);
    let (handovers, mut lives) = mpsc::unbounded_channel();
    let control = host
        .control(args, listeners.control, address, owner.token(&url))
        .keep(wanted, is_ready.clone(), Some(handovers));
    let mut control = tokio::spawn(control);
    let (edge_wanted, wanted) = watch::channel(Wanted::Running);
    let edge = host.edge(args, names, listeners.world, listeners.redirect);
    let mut edge = tokio::spawn(edge.keep(wanted, is_ready, None));

    let (mut interrupt, mut terminate, mut keep) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::user_defined1())?,
    );
    let mut said = false;
    let mut first = Box::pin(first_answer(&mut lives, &host.layout));
    let (end, result) = loop {
        tokio::select! {
            answer = &mut first, if !said => {
                said = true;
                match answer.and_then(|answer| announce(answer, &url, owner, host, args.json)) {
                    Ok(()) => {
                        let _ = ready.send(true);
                        notify::ready();
                    }
                    Err(failure) => break (END_STOPPING, Err(failure)),
                }
            }
            // Neither ends by itself unless it cannot start at all.
            ended = &mut supervisor => break (END_STOPPING, flat(ended)),
            ended = &mut control => break (END_STOPPING, flat(ended)),
            ended = &mut edge => break (END_STOPPING, flat(ended)),
            _ = interrupt.recv() => break (if args.keep_sandboxes { END_KEEPING } else { END_STOPPING }, Ok(())),
            _ = terminate.recv() => break (if args.keep_sandboxes { END_KEEPING } else { END_STOPPING }, Ok(())),
            _ = keep.recv() => break (END_KEEPING, Ok(())),
        }
    };
    drop(first);
    if result.is_ok() {
        remark(match end {
            END_STOPPING => "Stopping Creel and its sandboxes",
            _ => "Stopping Creel; the sandboxes go on running",
        });
    }
    // The edge first: whoever comes now is not told that something behind it is gone.
    let _ = edge_wanted.send(Wanted::Ended(Signal::TERM));
    if !edge.is_finished() {
        let _ = edge.await;
    }
    let _ = control_wanted.send(Wanted::Ended(Signal::TERM));
    if !control.is_finished() {
        let _ = control.await;
    }
    let _ = supervisor_wanted.send(Wanted::Ended(end));
    if !supervisor.is_finished() {
        let _ = supervisor.await;
    }
    result
}

fn flat(ended: std::result::Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    ended.unwrap_or_else(|error| Err(Failure::sentence(error.to_string())))
}

/// The first control's word that it is ready, with the supervisor listening too.
async fn first_answer(
    lives: &mut mpsc::UnboundedReceiver<std::os::unix::net::UnixStream>,
    layout: &Layout,
) -> Result<Ready> {
    let both = async {
        let ready = loop {
            let Some(life) = lives.recv().await else {
                std::future::pending().await
            };
            let read = tokio::task::spawn_blocking(move || handover::receive::<Ready>(&life)).await;
            // One that died before it was ready is followed by another, or by the end of everything.
            if let Ok(Ok(ready)) = read {
                break ready;
            }
        };
        while tokio::net::UnixStream::connect(layout.supervisor_socket())
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ready
    };
    tokio::time::timeout(READY_TIMEOUT, both).await.map_err(|_| {
        let (seconds, logs) = (READY_TIMEOUT.as_secs(), layout.logs());
        Failure::sentence(format!(
            "Creel was not ready within {seconds} s: see the files in {}",
            logs.display()
        ))
    })
}

fn announce(ready: Ready, url: &str, owner: &Owner, host: &Host, json: bool) -> Result<()> {
    let settings = owner.path.as_deref();
    if let Some(token) = ready.token
        && let Err(error) = owner.write(url, token)
    {
        let path = settings.map_or_else(
            || "$HOME/.config/creel/config.toml".into(),
            |path| path.to_string_lossy(),
        );
        return Err(Failure::sentence(format!(
            "cannot write the token to {path}: {error}. Set HOME, or make room there"
        )));
    }
    let said = Announcement {
        url: url.to_owned(),
        sign_in: format!("{url}{}", ready.sign_in),
        settings: settings.map(PathBuf::from),
        logs: host.layout.logs(),
    };
    let text = if json { said.json()? } else { said.text() };
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    Ok(())
}

/// What `creel up` says when it is ready.
#[derive(serde::Serialize)]
struct Announcement {
    url: String,
    /// Opens the web page once.
    sign_in: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    settings: Option<PathBuf>,
    logs: PathBuf,
}

impl Announcement {
    fn text(&self) -> String {
        let mut text = format!(
            "Creel runs at {}\nSign in (opens once): {}\n",
            self.url, self.sign_in
        );
        if let Some(path) = &self.settings {
            text.push_str(&format!("Settings of the command line: {}\n", path.display()));
        }
        text.push_str(&format!("Logs: {}\n", self.logs.display()));
        text
    }

    /// One line, so that a reader knows when it is whole.
    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self).map_err(std::io::Error::other)? + "\n")
    }
}

/// The address as a client on this host uses it.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
