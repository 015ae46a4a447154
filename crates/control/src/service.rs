//! Control as a component: options in, a service that runs, a handle for whoever started it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use creel_daemon::{Clock, ServeOptions, Shutdown};
use creel_domain::{Actor, Deadlines, Rates, SparePool};
use creel_models::Models;
use creel_protocol::{Bridges, Layout, Supervisor};
use creel_store::Store;
use tokio::net::UnixListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    BadAgentDomain, BadPublicUrl, Control, OrgVaults, PublicUrl, SignUpMode,
    acme::{self, Acme, AcmeSettings},
    domains::{self, Domains, TxtLookup},
    edge::{self, AgentUrls, Names},
    housekeeping,
    http::{self, failure::Failure},
    issuers::{Issuers, JwtIssuer, fetch},
    key_keeper,
    limits::Limits,
    mail::{self, BadMail, Mailer, Post, SENDERS},
    operations::{sign_in, tokens},
    passwords::{Cost, Passwords},
    reconcile,
    rest::{Activity, Wakes},
    scheduler,
    spares::{self, HostMemory, Spares},
    sso::Sso,
    uplink::{self, Directory, Ledger},
};

pub struct Options {
    pub layout: Layout,
    /// Where the edge hands on what is for the public API; bound by whoever could.
    pub listener: UnixListener,
    /// Where the edge asks who may come to which agent.
    pub edge: UnixListener,
    /// The edge's own address: where Creel is reached on this host.
    pub address: SocketAddr,
    pub store: Store,
    pub supervisor: Arc<dyn Supervisor>,
    pub bridges: Arc<dyn Bridges>,
    pub clock: Arc<dyn Clock>,
    pub deadlines: Deadlines,
    pub people: People,
    pub shutdown: Shutdown,
    /// Whose JWTs are accepted besides our own.
    pub jwt_issuers: Vec<JwtIssuer>,
    /// How often callers may ask; none: as often as they like.
    pub rates: Option<Rates>,
    /// How orgs' own Vaults are reached; the store's keys know the same.
    pub vaults: Arc<OrgVaults>,
    /// Older entries of audit trails are removed; none: they are kept.
    pub audit_retention_days: Option<u32>,
    /// Who knows what stands in DNS.
    pub dns: Arc<dyn TxtLookup>,
    /// How many sandboxes are kept ready for new agents; at most [`creel_domain::MAX_SPARES`] of each runtime.
    pub spares: SparePool,
    /// None: no certificates are got.
    pub acme: Option<AcmeSettings>,
}

/// How people get in, and how mail reaches them.
#[derive(Clone, Default)]
pub struct People {
    pub sign_up: SignUpMode,
    /// Where people reach this Creel; none: at the edge's address, on this host.
    pub public_url: Option<PublicUrl>,
    /// Below which agents have names of their own; none: below `localhost` on loopback, else they have none.
    pub agent_domain: Option<String>,
    /// `smtps://user:password@host`; none: mails become files in the data directory.
    pub smtp_url: Option<String>,
    /// Who mails come from; none: `creel` at the public address.
    pub mail_from: Option<String>,
}

/// Without the mail server's password.
impl std::fmt::Debug for People {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("People")
            .field("sign_up", &self.sign_up)
            .field("public_url", &self.public_url)
            .field("agent_domain", &self.agent_domain)
            .field("mail_from", &self.mail_from)
            .finish_non_exhaustive()
    }
}

impl People {
    /// Whether a service could be made with it.
    pub fn check(&self) -> Result<(), BadMail> {
        let layout = Layout::new("/");
        let from = self.mail_from.as_deref().unwrap_or("creel@localhost");
        Post::new(self.smtp_url.as_deref(), from, layout.mail()).map(drop)
    }

    fn public_url(&self, address: SocketAddr) -> Result<PublicUrl, Error> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None => here(address),
        }
    }

    fn agent_urls(&self, address: SocketAddr) -> Result<AgentUrls, Error> {
        let url = self.public_url(address)?;
        Ok(AgentUrls::new(&url, self.agent_domain.as_deref())?)
    }

    /// Under which names Creel and its agents are reached, with an edge that listens at `address`.
    pub fn names(&self, address: SocketAddr) -> Result<Names, Error> {
        Ok(self.agent_urls(address)?.names())
    }

    fn post(&self, url: &PublicUrl, layout: &Layout) -> Result<Post, BadMail> {
        let from = match &self.mail_from {
            Some(from) => from.clone(),
            // An address in brackets is none that everybody understands.
            None if url.host().contains(':') => "creel@localhost".to_owned(),
            None => format!("Creel <creel@{}>", url.host()),
        };
        Post::new(self.smtp_url.as_deref(), &from, layout.mail())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database could not be used")]
    Store(#[from] creel_store::Error),
    #[error("the client for model providers could not be made")]
    Models(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Mail(#[from] BadMail),
    #[error(transparent)]
    PublicUrl(#[from] BadPublicUrl),
    #[error(transparent)]
    AgentDomain(#[from] BadAgentDomain),
    #[error("the client for the certificate authority could not be made: {0}")]
    Acme(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{0}")]
    Refused(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure.detail().to_owned())
    }
}

/// A control that is ready to run.
pub struct Service {
    control: Arc<Control>,
    layout: Layout,
    listener: UnixListener,
    edge: UnixListener,
}

/// What whoever started control may ask of it. Cheap to clone.
#[derive(Clone)]
pub struct Handle(Arc<Control>);

/// Prepares a control and runs it until its shutdown begins.
pub async fn run(options: Options) -> Result<(), Error> {
    Service::new(options).await?.run().await
}

impl Service {
    /// Makes the first owner where there is none, closes what a dead process left open, and takes its turns up.
    pub async fn new(options: Options) -> Result<Self, Error> {
        let Options {
            layout,
            listener,
            edge,
            address,
            store,
            supervisor,
            bridges,
            clock,
            deadlines,
            people,
            shutdown,
            jwt_issuers,
            rates,
            vaults,
            audit_retention_days,
            dns,
            spares,
            acme,
        } = options;
        let first = store.platform().first_owner().await?;
        let http = fetch::client().map_err(|error| Error::Refused(error.to_string()))?;
        let public_url = people.public_url(address)?;
        let agent_urls = people.agent_urls(address)?;
        let mailer = Mailer::new(people.post(&public_url, &layout)?);
        store.platform().first_owner().await?;
        let interrupted = store.platform().interrupt_open_calls().await?;
        if interrupted > 0 {
            tracing::info!(interrupted, "model calls were under way when control ended");
        }
        let turns = Arc::default();
        let (activity, visits) = (Arc::<Activity>::default(), Arc::default());
        let ledger = Ledger::new(
            store.clone(),
            Arc::clone(&turns),
            Arc::clone(&activity),
            Arc::clone(&visits),
        );
        let directory = Arc::new(Directory(store.clone()));
        let models =
            Models::new(directory, Arc::clone(&ledger) as _).map_err(|error| Error::Models(error.into()))?;
        let control = Arc::new(Control {
            models,
            ledger,
            passwords: Passwords::new(COST),
            mailer,
            public_url,
            agent_urls,
            domains: Domains::new(dns),
            acme: acme
                .map(Acme::new)
                .transpose()
                .map_err(|error| Error::Acme(error.into()))?,
            sign_up: people.sign_up,
            turns,
            store,
            clock,
            supervisor,
            bridges,
            deadlines,
            shutdown,
            sightings: Arc::default(),
            activity,
            visits,
            wakes: Wakes::default(),
            signing: Default::default(),
            issuers: Issuers::new(jwt_issuers, first.org, &http),
            sso: Sso::new(&http),
            looker: Default::default(),
            nudges: Default::default(),
            told: Default::default(),
            owners: Default::default(),
            limits: Limits::new(rates),
            refusals: Default::default(),
            spares: Spares::new(spares, HostMemory::default()),
            schedules_nudge: Default::default(),
            keys_nudge: Default::default(),
            vaults,
            audit_retention_days,
        });
        // Before the ways out open: a sandbox may be in the middle of a turn.
        for stored in control.store.platform().running_turns().await? {
            tracing::info!(turn = %stored.turn.id, "a turn was under way when control ended; taking it up");
            control.turns.resume(&control, stored);
        }
        Ok(Self {
            control,
            layout,
            listener,
            edge,
        })
    }

    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.control))
    }

    /// Serves until the shutdown begins, then until what is under way has had its time.
    pub async fn run(self) -> Result<(), Error> {
        let Self {
            control,
            layout,
            listener,
            edge,
        } = self;
        let uplink = tokio::spawn(uplink::run(Arc::clone(&control), layout));
        // A task that panicked takes the process down: half a control helps nobody.
        let (uplink, reconciler) = (
            AbortOnDropHandle::new(uplink),
            AbortOnDropHandle::new(tokio::spawn(reconcile::run(Arc::clone(&control)))),
        );
        let scheduler = AbortOnDropHandle::new(tokio::spawn(scheduler::run(Arc::clone(&control))));
        let domains = AbortOnDropHandle::new(tokio::spawn(domains::run(Arc::clone(&control))));
        let spares = AbortOnDropHandle::new(tokio::spawn(spares::run(Arc::clone(&control))));
        let certificates = AbortOnDropHandle::new(tokio::spawn(acme::run(Arc::clone(&control))));
        let mails: Vec<_> = (0..SENDERS)
            .map(|_| AbortOnDropHandle::new(tokio::spawn(mail::run(Arc::clone(&control)))))
            .collect();
        let keeper = AbortOnDropHandle::new(tokio::spawn(housekeeping::run(Arc::clone(&control))));
        let _keys = AbortOnDropHandle::new(tokio::spawn(key_keeper::run(Arc::clone(&control))));
        let edge = edge::run(Arc::clone(&control), edge);
        let edge = AbortOnDropHandle::new(tokio::spawn(edge));
        let shutdown = control.shutdown.clone();
        let server = creel_daemon::serve(
            listener,
            http::router(Arc::clone(&control)),
            ServeOptions::default(),
            shutdown.clone(),
        );
        tokio::select! {
            () = server => {}
            ended = uplink => ended_early("the ways out of the sandboxes", ended)?,
            ended = edge => ended_early("what the edge asks", ended)?,
            ended = reconciler => ended_early("the reconciler", ended)?,
            ended = scheduler => ended_early("the scheduler", ended)?,
            ended = domains => ended_early("the check of domains", ended)?,
            ended = spares => ended_early("the keeper of spares", ended)?,
            ended = certificates => ended_early("the getting of certificates", ended)?,
            (ended, ..) = futures_util::future::select_all(mails) => ended_early("the sender of mails", ended)?,
        }
        control.turns.drain().await;
        control.ledger.flush().await;
        // It has heard of the end as well, and says what it still has to say.
        let _ = keeper.await;
        Ok(())
    }
}

/// What a password costs to check. Stories that do it often would wait for it more than for anything else.
#[cfg(not(test))]
const COST: Cost = Cost::OWASP;
#[cfg(test)]
const COST: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

/// An address that is listened on, as a browser on this host reaches it.
fn here(bound: SocketAddr) -> Result<PublicUrl, Error> {
    let address = match bound.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    Ok(format!("http://{}", SocketAddr::new(address, bound.port())).parse()?)
}

fn ended_early(what: &str, ended: Result<(), tokio::task::JoinError>) -> Result<(), Error> {
    match ended {
        // The shutdown has begun; the server is only slower to hear of it.
        Ok(()) => Ok(()),
        Err(error) => Err(Error::Refused(format!("{what} ended: {error}"))),
    }
}

impl Handle {
    #[cfg(test)]
    pub(crate) fn control(&self) -> Arc<Control> {
        Arc::clone(&self.0)
    }

    /// None: `token` is still good. Otherwise a new one for the first owner, told this once.
    pub async fn owner_token(&self, token: Option<&str>) -> Result<Option<String>, Error> {
        let platform = self.0.store.platform();
        if let Some(token) = token
            && platform.by_token(sign_in::hash(token)).await?.is_some()
        {
            return Ok(None);
        }
        let owner = platform.first_owner().await?;
        let secret = sign_in::secret(tokens::PREFIX)?;
        let token = creel_store::NewToken::whole(owner.user, "creel up", sign_in::hash(&secret));
        self.0.store.org(owner.org).add_token(token).await?;
        Ok(Some(secret))
    }

    /// The path of a one-time sign-in link for the first owner.
    pub async fn sign_in_path(&self) -> Result<String, Error> {
        let owner = self.0.store.platform().first_owner().await?;
        let actor = Arc::new(Actor::platform());
        Ok(sign_in::link_for(&self.0, owner.org, owner.user, actor)
            .await?
            .path)
    }
}
