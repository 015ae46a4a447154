//! The first process of every sandbox: starts the runtime, serves chat, exec, files and logs on
//! `bridge.sock`, reaps what dies, and ends when it is told to.
//!
//! It holds no secret and trusts nobody inside; whoever breaks it gains what the agent had anyway.

mod exec;
mod files;
mod http;
mod lite;
mod logs;
mod openclaw;
mod options;
mod paths;
mod processes;
mod refusal;
mod runtime;
mod seed;
mod specification;
mod splice;
mod turns;
mod visitors;

use std::{path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use creel_domain::Runtime as RuntimeKind;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    http::Server, lite::Lite, logs::Logs, openclaw::Openclaw, options::Options, paths::Paths,
    processes::Processes, runtime::Runtime, specification::Specification, splice::Splice, turns::Turns,
};

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("creel-bridge: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    let paths = Paths::below(&options.root);
    let logs = Logs::new();
    let (specification, spec) = Specification::read(paths.clone(), logs.clone())?;
    for directory in [&paths.workspace, &paths.home, &paths.bridge_state] {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    specification.seed(&spec);
    let processes = Processes::start().context("cannot wait for children")?;
    let splice = Splice::new(paths.uplink_socket.clone(), logs.clone());
    for port in options.ports {
        splice
            .listen(port)
            .await
            .with_context(|| format!("cannot listen on 127.0.0.1:{port}"))?;
    }
    let runtime: Arc<dyn Runtime> = match spec.runtime {
        RuntimeKind::Lite => Arc::new(Lite::new(paths.clone(), processes.clone())),
        RuntimeKind::Openclaw => Arc::new(Openclaw::start(paths.clone(), processes.clone(), logs.clone())),
    };
    let shutdown = CancellationToken::new();
    let server = Server {
        specification: Arc::new(specification),
        turns: Turns::new(Arc::clone(&runtime)),
        runtime: Arc::clone(&runtime),
        processes,
        logs: logs.clone(),
        volume: files::Volume::open(&paths)?,
        paths: paths.clone(),
        shutdown: shutdown.clone(),
        started: std::time::Instant::now(),
        execs: Arc::new(tokio::sync::Semaphore::new(creel_protocol::limits::EXECS)),
        ports: Arc::new(tokio::sync::Semaphore::new(
            creel_protocol::limits::PORT_CONNECTIONS,
        )),
    };
    let listener = listen(&paths.bridge_socket)?;
    logs.bridge(format!(
        "{} runs the {} runtime",
        spec.name,
        spec.runtime.as_str()
    ));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let routes = server.routes();
    tokio::select! {
        served = axum::serve(listener, routes) => served.context("cannot serve")?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = shutdown.cancelled() => {}
    }
    runtime.shutdown().await;
    Ok(())
}

fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    if std::fs::symlink_metadata(path).is_ok() {
        std::fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    // Who may reach it is decided by its directory.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}
