//! `creel master-key …`: for operators of the platform.

use std::time::Duration;

use clap::Subcommand;
use creel_api::MasterKey;

use crate::{context::Context, failure::Result, out::progress::Progress};

/// Between two looks at how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum MasterKeyCommand {
    /// Say which master key wraps, and how far its last exchange is
    Show,
    /// Exchange the master key while everything goes on
    ///
    /// Of a file a new key is made in it, and the old one destroyed when nothing needs it. Of a Vault the newest version
    /// of its key is used: make that there first.
    Rotate {
        /// Return when everything is wrapped anew
        #[arg(long)]
        wait: bool,
    },
}

pub(crate) async fn run(command: &MasterKeyCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    let mut key = match command {
        MasterKeyCommand::Show => client.master_key().await?,
        MasterKeyCommand::Rotate { .. } => client.rotate_master_key().await?,
    };
    if matches!(command, MasterKeyCommand::Rotate { wait: true }) {
        let mut progress = Progress::new(context.out.json);
        while key.finished_at.is_none() {
            progress.say(&format!("Wrapping anew, {} left", key.remaining));
            tokio::time::sleep(LOOK_EVERY).await;
            key = client.master_key().await?;
        }
        progress.finish();
    }
    context.out.show(&key, || told(&key))
}

fn told(key: &MasterKey) -> String {
    match key.finished_at {
        Some(at) => format!("{} wraps everything, since {}", key.id, at.strftime("%F %H:%M")),
        None => format!(
            "{} wraps; {} left to be wrapped or sealed anew",
            key.id, key.remaining
        ),
    }
}
