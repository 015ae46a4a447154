//! One file for each command. This one finds the right file and runs it.

pub(crate) mod agent;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod cp;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod logs;
pub(crate) mod provider;
pub(crate) mod sign_in;
pub(crate) mod usage;
pub(crate) mod version;

use crate::{
    args::{Args, Command},
    context::Context,
    failure::Result,
    up,
};

pub(crate) fn run(args: Args) -> Result<()> {
    let global = &args.global;
    match args.command {
        // These run as services, or need no server: each makes its own world.
        Command::Up(args) => up::up(&args),
        Command::Down(args) => up::down(&args),
        Command::Supervisor(args) => up::supervisor(args),
        Command::Control(args) => up::control(args),
        Command::Doctor(args) => doctor::run(&args, global),
        Command::Completions(args) => completions::run(&args),
        command => client_command(command, &Context::new(global)?),
    }
}

/// Everything that speaks to the API, on one thread: there is nothing to do at the same time.
fn client_command(command: Command, context: &Context) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        match command {
            Command::Agent(command) => agent::run(command, context).await,
            Command::Chat(args) => chat::run(args, context).await,
            Command::Logs(args) => logs::run(&args, context).await,
            Command::Exec(args) => exec::run(args, context).await,
            Command::Cp(args) => cp::run(&args, context).await,
            Command::Usage(args) => usage::run(args, context).await,
            Command::Events(args) => events::run(&args, context).await,
            Command::Provider(command) => provider::run(command, context).await,
            Command::Image(command) => image::run(&command, context).await,
            Command::SignIn => sign_in::run(context).await,
            _ => version::run(context).await,
        }
    });
    // A thread may still wait for a key press: it must not hold up the end.
    runtime.shutdown_background();
    result
}
