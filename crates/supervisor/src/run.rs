//! The supervisor as a program: everything opened, the socket served, until a signal.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use creel_daemon::{Shutdown, SystemClock, bind_unix, serve};
use creel_protocol::Layout;
use creel_sandbox::{BackendChoice, NoSteps, Places, choose};

use crate::{Error, ImageSource, Options, SERVE_OPTIONS, Service, files, router};

/// What `creel` tells its supervisor.
#[derive(Clone)]
pub struct RunOptions {
    pub layout: Layout,
    pub control_uid: u32,
    pub control_gid: u32,
    pub bridge: PathBuf,
    pub backend: BackendChoice,
    pub images: Arc<dyn ImageSource>,
    /// Whether sandboxes end with us. Otherwise they live on, and the next supervisor finds them.
    /// Looked at when the end begins: whoever asks for it decides.
    pub stop_sandboxes: Arc<AtomicBool>,
}

/// Works until the end begins.
pub async fn run(options: RunOptions, shutdown: Shutdown) -> Result<(), Error> {
    let layout = options.layout.clone();
    for (path, mode) in [
        (layout.data().to_owned(), 0o711),
        (layout.supervisor(), 0o700),
        (layout.run(), 0o711),
    ] {
        files::directory(&path, mode)?;
    }
    // Before the probe: it would fail for the same reason, with a sentence that nobody understands.
    if let Some(path) = files::no_way_in(layout.data()) {
        return Err(Error::NoWayIn {
            path: path.to_owned(),
        });
    }
    raise_open_files();
    let backend = choose(options.backend, &places(&layout)).await?;
    for sentence in &backend.tried {
        tracing::info!("{sentence}");
    }
    let paging = backend.backend.paging().await;
    tracing::info!("{}", paging.found);
    let service = Service::start(Options {
        layout: layout.clone(),
        control_uid: options.control_uid,
        control_gid: options.control_gid,
        bridge: options.bridge,
        backend,
        images: options.images,
        clock: Arc::new(SystemClock),
        stop_grace: Options::STOP_GRACE,
        steps: Arc::new(NoSteps),
    })
    .await?;
    let owner = Some((0, options.control_gid));
    let listener = bind_unix(&layout.supervisor_socket(), 0o660, owner)?;
    let routes = router(Arc::new(service.handle()), options.control_uid);
    serve(listener, routes, SERVE_OPTIONS, shutdown).await;
    // Nobody answers on it any more; who finds it gone knows that at once.
    let _ = std::fs::remove_file(layout.supervisor_socket());
    if options.stop_sandboxes.load(Ordering::Relaxed) {
        service.stop_all().await
    } else {
        service.stop().await;
        Ok(())
    }
}

/// Each sandbox takes a descriptor or two of ours; the usual 1024 would end that at some hundred.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the bound on open files could not be raised");
    }
}

/// Where the backends keep things in this layout.
pub fn places(layout: &Layout) -> Places {
    Places {
        volumes: layout.volumes(),
        sandboxes: layout.sandboxes(),
        bundles: layout.supervisor().join("bundles"),
        runtime: layout.supervisor().join("runtime"),
        cgroup: Places::cgroup_for(layout.data()),
    }
}
