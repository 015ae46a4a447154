//! `creel supervisor`: the child that owns the sandboxes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use creel_daemon::Shutdown;
use creel_protocol::Layout;
use creel_supervisor::{BackendChoice, RunOptions, images::Images};
use tokio::signal::unix::{SignalKind, signal};

use super::{account, args::SupervisorArgs, data::Life, sentence};
use crate::failure::Result;

pub(crate) fn run(args: SupervisorArgs) -> Result<()> {
    let _life = Life::begin(&Layout::new(&args.data))?;
    account::die_with(args.parent)?;
    account::name_process("creel-superviso");
    creel_daemon::init_logs(false);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(args))
}

async fn serve(args: SupervisorArgs) -> Result<()> {
    let mut layout = Layout::new(args.data);
    if let Some(images) = args.images {
        layout = layout.with_images(images);
    }
    let stop_sandboxes = Arc::new(AtomicBool::new(false));
    let options = RunOptions {
        control_uid: args.uid,
        control_gid: args.gid,
        bridge: args.bridge,
        backend: BackendChoice::default(),
        images: Arc::new(Images::open(layout.images()).map_err(sentence)?),
        stop_sandboxes: Arc::clone(&stop_sandboxes),
        layout,
    };
    let shutdown = Shutdown::new();
    let (mut keeping, mut stopping) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let begin = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = keeping.recv() => {}
            _ = stopping.recv() => stop_sandboxes.store(true, Ordering::Relaxed),
        }
        begin.begin();
    });
    creel_supervisor::run(options, shutdown).await.map_err(sentence)
}
