//! `creel pair` on the device that asks, `creel device …` for the person who decides.

use std::{collections::BTreeSet, time::Duration};

use clap::Subcommand;
use creel_api::{
    ApproveDevice, AskForDevice, DeviceRequest, DeviceToken, ErrorCode,
    client::{Client, Error},
};
use creel_domain::{DeviceId, Scope};

use super::token::{scopes_text, seconds};
use crate::{
    context::Context,
    failure::{Failure, Result},
    out::{self, table::Table},
    settings::{self, Settings},
};

/// After `slow_down` the pause between two questions grows by this; RFC 8628 says so.
const SLOWER_BY: Duration = Duration::from_secs(5);
/// No server makes us wait longer between two questions.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  creel pair https://creel.example.com
  creel pair https://creel.example.com --name build-box --scope agents:read

It prints a code and waits until somebody approves it, on the page that it
names or with `creel device approve CODE`.")]
pub(crate) struct PairArgs {
    /// Address of Creel; without it the one of the settings
    address: Option<String>,
    /// By which you will know this computer; without it its host name
    #[arg(long)]
    name: Option<String>,
    /// Ask for this only; may be given again. Whoever approves decides
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// Print the token instead of writing it to the settings
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// See what shows a code, and let it in
    #[command(after_help = "\
Examples:
  creel device approve BDWP-HQPK
  creel device approve BDWP-HQPK --scope agents:read --expires 30d --yes")]
    Approve(ApproveArgs),
    /// Turn away what shows a code
    Deny {
        /// The code that it shows
        code: String,
    },
    /// List your devices; for an admin, everybody's
    #[command(visible_alias = "list")]
    Ls,
    /// Remove a device: its token ends at once
    Rm {
        /// Its id, as `creel device ls` shows it
        device: DeviceId,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// The code that it shows
    code: String,
    /// Allow only this; may be given again. Without it: what it asks for
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// For how long it is let in: 12h, 30d, 1y. Without it: until it is removed
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires: Option<u64>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(command: DeviceCommand, context: &Context) -> Result<()> {
    let client = &context.client;
    match command {
        DeviceCommand::Approve(args) => approve(args, context).await,
        DeviceCommand::Deny { code } => {
            client.deny_device(code.clone()).await?;
            context.out.show(&code, || format!("{code} was turned away"))
        }
        DeviceCommand::Ls => ls(context).await,
        DeviceCommand::Rm { device, yes } => {
            if !yes && !out::confirm(&format!("remove {device}"))? {
                return Err(Failure::sentence("nothing was removed"));
            }
            client.remove_device(device).await?;
            context.out.show(&device, || device.to_string())
        }
    }
}

async fn approve(args: ApproveArgs, context: &Context) -> Result<()> {
    let scopes: BTreeSet<Scope> = args.scopes.into_iter().collect();
    let scopes = (!scopes.is_empty()).then_some(scopes);
    if !args.yes {
        let request = context.client.inspect_device(args.code.clone()).await?;
        let may = scopes_text(scopes.as_ref().or(request.scopes.as_ref()), "all that you may");
        let DeviceRequest { name, address, .. } = request;
        let asked = request.created_at.strftime("%F %T UTC");
        if !out::confirm(&format!(
            "let `{name}` in, which asked from {address} at {asked}, and may then do {may}"
        ))? {
            return Err(Failure::sentence(
                "it was not let in; `creel device deny` turns it away",
            ));
        }
    }
    let request = context
        .client
        .approve_device(&ApproveDevice {
            user_code: args.code,
            scopes,
            expires_in_seconds: args.expires,
        })
        .await?;
    context
        .out
        .show(&request, || format!("{} is let in", request.name))
}

async fn ls(context: &Context) -> Result<()> {
    let devices = context.client.devices().await?.items;
    context.out.show(&devices, || {
        let mut table = Table::new(&["DEVICE", "NAME", "FROM", "SCOPES", "SINCE", "LAST USED"]);
        for device in &devices {
            table.row([
                device.id.to_string(),
                device.name.clone(),
                device.address.clone(),
                scopes_text(device.scopes.as_ref(), "all"),
                device.created_at.strftime("%F").to_string(),
                device
                    .last_used_at
                    .map_or_else(|| "never".to_owned(), |at| at.strftime("%F").to_string()),
            ]);
        }
        table.render()
    })
}

pub(crate) async fn pair(args: PairArgs, context: &Context) -> Result<()> {
    let address = args.address.as_deref().unwrap_or(context.client.url());
    // Who asks is nobody yet: a token for another server has no business there.
    let client = Client::new(address, None)?;
    let name = args.name.unwrap_or_else(host_name);
    let scopes: BTreeSet<Scope> = args.scopes.into_iter().collect();
    let asked = client
        .ask_for_device(&AskForDevice {
            name,
            scopes: (!scopes.is_empty()).then_some(scopes),
        })
        .await?;
    // Not a remark: without the code nothing goes on.
    eprintln!(
        "Code: {}\nApprove it within {} minutes at {}\nor with: creel device approve {}",
        asked.user_code,
        asked.expires_in / 60,
        asked.verification_uri,
        asked.user_code
    );
    let (interval, life) = (
        Duration::from_secs(asked.interval),
        Duration::from_secs(asked.expires_in),
    );
    let token = tokio::time::timeout(life, wait(&client, asked.device_code, interval))
        .await
        .map_err(|_| Failure::sentence("nobody approved it in time: begin anew with `creel pair`"))??;
    if args.print {
        return context.out.show(&token, || token.access_token.clone());
    }
    let path = settings::path(|name| std::env::var_os(name).map(Into::into))
        .ok_or_else(|| Failure::sentence("there is no place for the settings: set HOME"))?;
    if settings::read(&path)?.token.is_some() {
        std::fs::copy(&path, path.with_extension("toml.old"))?;
    }
    let settings = Settings {
        url: Some(client.url().to_owned()),
        token: Some(token.access_token.clone()),
    };
    settings::write(&path, &settings)?;
    context.out.show(
        &serde_json::json!({"device": token.device, "org": token.org, "org_name": token.org_name}),
        || format!("{} is a device of {} now", token.device, token.org_name),
    )?;
    context.out.note(&format!("Its token is in {}.", path.display()));
    Ok(())
}

async fn wait(client: &Client, device_code: String, interval: Duration) -> Result<DeviceToken> {
    let mut pause = interval.min(LONGEST_PAUSE);
    loop {
        tokio::time::sleep(pause).await;
        match client.device_token(device_code.clone()).await {
            Ok(token) => return Ok(token),
            Err(error) => match error.code() {
                Some(ErrorCode::AuthorizationPending) => {}
                Some(ErrorCode::SlowDown) => pause = (pause + SLOWER_BY).min(LONGEST_PAUSE),
                // The server is back in a moment, or the code ends by itself.
                _ if error.is_passing() && !matches!(error, Error::Unreadable { .. }) => {
                    pause = (pause + SLOWER_BY).min(LONGEST_PAUSE);
                }
                _ => return Err(error.into()),
            },
        }
    }
}

fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        "computer".to_owned()
    } else {
        name
    }
}
