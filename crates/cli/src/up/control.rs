//! `creel control`: the child that speaks to the world, without root's rights from its first moment.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::Arc,
    time::Duration,
};

use creel_control::{Dns, Options, Service};
use creel_daemon::{Shutdown, SystemClock};
use creel_domain::{Deadlines, ImageName};
use creel_protocol::{Layout, LocalBridges, Supervisor, SupervisorClient};
use creel_store::Place;

use super::{
    account::{self, Account},
    args::ControlArgs,
    data::Life,
    handover::{self, Ready, Told},
    sentence,
};
use crate::failure::Result;

/// Between two attempts to ask a supervisor that is just starting for an image.
const ASK_AGAIN: Duration = Duration::from_millis(500);

pub(crate) fn run(args: ControlArgs) -> Result<()> {
    let account = Account {
        uid: args.uid,
        gid: args.gid,
    };
    let _life = Life::begin(&Layout::new(&args.data))?;
    account.become_for_good()?;
    account::die_with(args.parent)?;
    account::name_process("creel-control");
    creel_daemon::init_logs(false);
    let listener = UnixListener::from(own(std::io::stdin())?);
    listener.set_nonblocking(true)?;
    let parent = UnixStream::from(own(std::io::stdout())?);
    let told: Told = handover::receive(&parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args, listener, &parent, told))
}

/// A standard stream as what it really is: the parent put a socket in its place.
fn own(stream: impl AsFd) -> std::io::Result<OwnedFd> {
    stream.as_fd().try_clone_to_owned()
}

async fn serve(args: ControlArgs, listener: UnixListener, parent: &UnixStream, told: Told) -> Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let layout = Layout::new(args.data);
    let edge_socket = layout.edge_socket();
    let vaults = Arc::new(told.keys.vaults()?);
    let keys = told.keys.master_keys(&layout)?.own_keys(Arc::clone(&vaults) as _);
    let place = Place::parse(told.database.as_deref(), &layout.database()).map_err(sentence)?;
    let store = place.open(keys, Arc::new(SystemClock)).await.map_err(sentence)?;
    let supervisor: Arc<dyn Supervisor> = Arc::new(SupervisorClient::new(layout.supervisor_socket()));
    let mut people = told.people.people()?;
    people.agent_domain = args.agent_domain;
    let service = Service::new(Options {
        bridges: Arc::new(LocalBridges::new(layout.clone())),
        layout,
        listener: tokio::net::UnixListener::from_std(listener)?,
        edge: creel_daemon::bind_unix(&edge_socket, 0o600, None).map_err(sentence)?,
        address: args.address,
        store,
        supervisor: Arc::clone(&supervisor),
        clock: Arc::new(SystemClock),
        deadlines: Deadlines::default(),
        people,
        jwt_issuers: told.issuer.map(Into::into).into_iter().collect(),
        shutdown: shutdown.clone(),
        rates: args.bounds.rate_limit.0,
        vaults,
        audit_retention_days: args.bounds.audit_retention.0,
        dns: Arc::new(Dns::new(args.dns.dns_server)),
        spares: args.bounds.spares,
        acme: told.acme.map(Into::into),
    });
    let service = service.await.map_err(sentence)?;
    let handle = service.handle();
    let ready = Ready {
        token: handle
            .owner_token(told.token.as_deref())
            .await
            .map_err(sentence)?,
        sign_in: handle.sign_in_path().await.map_err(sentence)?,
    };
    if !args.no_image_build {
        tokio::spawn(build_images(supervisor, shutdown));
    }
    // The listener is open already: whoever comes between this word and the first accept waits a moment.
    // A parent that no longer listens has its answer from an earlier life of ours.
    let _ = handover::send(parent, &ready);
    service.run().await.map_err(sentence)
}

/// Has every image made that is not there, the small one first. A build goes on in the supervisor.
async fn build_images(supervisor: Arc<dyn Supervisor>, shutdown: Shutdown) {
    for image in ImageName::ALL {
        while let Err(error) = supervisor.build_image(image).await {
            if !matches!(error, creel_protocol::SupervisorError::Unreachable { .. }) {
                tracing::warn!(%image, %error, "an image cannot be built");
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(ASK_AGAIN) => {}
                () = shutdown.begun() => return,
            }
        }
    }
}
