//! `creel image …`: the read-only roots that sandboxes share.

use std::time::Duration;

use clap::Subcommand;
use creel_api::{HostSpares, Image, ImageProgress};
use creel_domain::ImageName;
use jiff::Timestamp;

use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{progress::Progress, style, table::Table, units},
};

const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// List images, and how many sandboxes with each are kept ready
    #[command(visible_alias = "list")]
    Ls,
    /// Build an image and wait until it is ready
    Build {
        /// lite or openclaw
        image: ImageName,
        /// Return at once; the build goes on
        #[arg(long, short)]
        detach: bool,
    },
    /// Remove an image that no sandbox uses
    Rm {
        /// lite or openclaw
        image: ImageName,
    },
}

pub(crate) async fn run(command: &ImageCommand, context: &Context) -> Result<()> {
    match command {
        ImageCommand::Ls => ls(context).await,
        ImageCommand::Build { image, detach } => build(*image, *detach, context).await,
        ImageCommand::Rm { image } => {
            context.client.remove_image(*image).await?;
            context.out.show(image, || image.to_string())
        }
    }
}

async fn ls(context: &Context) -> Result<()> {
    let images = context.client.images().await?.items;
    let spares = context.client.host().await?.spares;
    context.out.show(&images, || {
        let mut table = Table::new(&["NAME", "VERSION", "SPARES", "STATE"]);
        for image in &images {
            let spares = spares.iter().find(|spares| spares.runtime.image() == image.name);
            table.row([
                image.name.to_string(),
                image.version.clone(),
                spares.map_or_else(|| "none".to_owned(), ready),
                state(&image.state, Timestamp::now()),
            ]);
        }
        table.render()
    })
}

/// How many sandboxes with it are kept ready, and why not all of them are.
fn ready(spares: &HostSpares) -> String {
    let HostSpares { ready, wanted, .. } = spares;
    match &spares.waiting {
        Some(why) => format!("{ready} of {wanted}: {}", style::plain(why)),
        None => format!("{ready} of {wanted}"),
    }
}

fn state(progress: &ImageProgress, now: Timestamp) -> String {
    match progress {
        ImageProgress::Absent => "absent".to_owned(),
        ImageProgress::Building { percent, step } => format!("building: {percent} %, {step}"),
        ImageProgress::Ready { built_at, bytes } => {
            format!(
                "ready: {}, built {} ago",
                units::bytes(*bytes),
                units::age(*built_at, now)
            )
        }
        ImageProgress::Failed { reason } => format!("failed: {reason}"),
    }
}

async fn build(name: ImageName, detach: bool, context: &Context) -> Result<()> {
    context.client.build_image(name).await?;
    let mut progress = Progress::new(context.out.json);
    let image = loop {
        let image = look(name, context).await?;
        match &image.state {
            ImageProgress::Building { percent, step } if !detach => {
                progress.percent(*percent, &format!("image {name}: {}", style::plain(step)));
            }
            ImageProgress::Failed { reason } => {
                return Err(Failure::sentence(format!("image {name} was not built: {reason}")));
            }
            ImageProgress::Absent if !detach => progress.say(&format!("image {name}: about to begin")),
            _ => break image,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    progress.finish();
    context.out.show(&image, || name.to_string())
}

async fn look(name: ImageName, context: &Context) -> Result<Image> {
    let images = context.client.images().await?.items;
    let found = images.into_iter().find(|image| image.name == name);
    found.ok_or_else(|| Failure::sentence(format!("the server knows no image `{name}`: update it")))
}
