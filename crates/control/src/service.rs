//! Control as a component: options in, a service that runs, a handle for whoever started it.

use std::sync::Arc;

use creel_daemon::{Clock, ServeOptions, Shutdown};
use creel_domain::Deadlines;
use creel_models::Models;
use creel_protocol::{Bridges, Layout, Supervisor};
use creel_store::Store;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Control,
    http::{self, failure::Failure},
    operations::sign_in,
    reconcile,
    uplink::{self, Directory, Ledger},
};

pub struct Options {
    pub layout: Layout,
    /// The public listener, bound by whoever could.
    pub listener: TcpListener,
    pub store: Store,
    pub supervisor: Arc<dyn Supervisor>,
    pub bridges: Arc<dyn Bridges>,
    pub clock: Arc<dyn Clock>,
    pub deadlines: Deadlines,
    pub shutdown: Shutdown,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database could not be used")]
    Store(#[from] creel_store::Error),
    #[error("the client for model providers could not be made")]
    Models(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    listener: TcpListener,
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
            store,
            supervisor,
            bridges,
            clock,
            deadlines,
            shutdown,
        } = options;
        store.platform().first_owner().await?;
        let interrupted = store.platform().interrupt_open_calls().await?;
        if interrupted > 0 {
            tracing::info!(interrupted, "model calls were under way when control ended");
        }
        let turns = Arc::default();
        let ledger = Ledger::new(store.clone(), Arc::clone(&turns));
        let directory = Arc::new(Directory(store.clone()));
        let models =
            Models::new(directory, Arc::clone(&ledger) as _).map_err(|error| Error::Models(error.into()))?;
        let control = Arc::new(Control {
            models,
            ledger,
            turns,
            store,
            clock,
            supervisor,
            bridges,
            deadlines,
            shutdown,
            sightings: Arc::default(),
            looker: Default::default(),
            nudges: Default::default(),
            told: Default::default(),
            owners: Default::default(),
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
        } = self;
        let uplink = tokio::spawn(uplink::run(Arc::clone(&control), layout));
        // A task that panicked takes the process down: half a control helps nobody.
        let (uplink, reconciler) = (
            AbortOnDropHandle::new(uplink),
            AbortOnDropHandle::new(tokio::spawn(reconcile::run(Arc::clone(&control)))),
        );
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
            ended = reconciler => ended_early("the reconciler", ended)?,
        }
        control.turns.drain().await;
        control.ledger.flush().await;
        Ok(())
    }
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
        let secret = sign_in::secret("creel_")?;
        platform
            .add_token(
                owner.org,
                owner.user,
                "creel up".to_owned(),
                sign_in::hash(&secret),
            )
            .await?;
        Ok(Some(secret))
    }

    /// The path of a one-time sign-in link for the first owner.
    pub async fn sign_in_path(&self) -> Result<String, Error> {
        let owner = self.0.store.platform().first_owner().await?;
        Ok(sign_in::link_for(&self.0, owner.org, owner.user).await?.path)
    }
}
