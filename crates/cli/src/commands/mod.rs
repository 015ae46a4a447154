//! One file for each command. This one finds the right file and runs it.

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod audit;
pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod cp;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod domain;
pub(crate) mod events;
pub(crate) mod exec;
pub(crate) mod image;
pub(crate) mod inbox;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod master_key;
pub(crate) mod member;
pub(crate) mod operator;
pub(crate) mod org;
pub(crate) mod port;
pub(crate) mod provider;
pub(crate) mod schedule;
pub(crate) mod secrets;
pub(crate) mod sign_in;
pub(crate) mod sso;
pub(crate) mod token;
pub(crate) mod usage;
pub(crate) mod version;

use crate::{
    args::{Args, Command},
    context::Context,
    failure::Result,
    out::Out,
    up,
};

pub(crate) fn run(args: Args) -> Result<()> {
    let global = &args.global;
    match args.command {
        // These run as services, or need no server: each makes its own world.
        Command::Up(mut args) => {
            args.json = global.json;
            up::up(&args)
        }
        Command::Down(args) => up::down(&args),
        Command::Db(command) => up::db(&command, Out::new(global.json)),
        Command::Supervisor(args) => up::supervisor(args),
        Command::Control(args) => up::control(args),
        Command::Edge(args) => up::edge(args),
        Command::Doctor(args) => doctor::run(&args, global),
        Command::Completions(args) => completions::run(&args),
        Command::Login(args) => on_one_thread(login::run(args, global)),
        command => client_command(command, &Context::new(global)?),
    }
}

/// There is nothing to do at the same time.
fn on_one_thread(work: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // A thread may still wait for a key press: it must not hold up the end.
    runtime.shutdown_background();
    result
}

/// Everything that speaks to the API as somebody.
fn client_command(command: Command, context: &Context) -> Result<()> {
    on_one_thread(async {
        match command {
            Command::Agent(command) => agent::run(command, context).await,
            Command::Chat(args) => chat::run(args, context).await,
            Command::Logs(args) => logs::run(&args, context).await,
            Command::Exec(args) => exec::run(args, context).await,
            Command::Cp(args) => cp::run(&args, context).await,
            Command::Usage(args) => usage::run(args, context).await,
            Command::Events(args) => events::run(&args, context).await,
            Command::Domain(command) => domain::run(command, context).await,
            Command::Port(command) => port::run(command, context).await,
            Command::Provider(command) => provider::run(command, context).await,
            Command::Schedule(command) => schedule::run(command, context).await,
            Command::Secrets(command) => secrets::run(command, context).await,
            Command::MasterKey(command) => master_key::run(&command, context).await,
            Command::Image(command) => image::run(&command, context).await,
            Command::Member(command) => member::run(command, context).await,
            Command::Invite(args) => member::invite(&args, context).await,
            Command::Join(args) => member::join(args, context).await,
            Command::Pair(args) => device::pair(args, context).await,
            Command::Device(command) => device::run(command, context).await,
            Command::Audit(command) => audit::run(command, context).await,
            Command::Org(command) => org::run(command, context).await,
            Command::Operator(command) => operator::run(command, context).await,
            Command::Inbox(command) => inbox::run(command, context).await,
            Command::Whoami => member::whoami(context).await,
            Command::Token(command) => token::run(command, context).await,
            Command::Password(args) => account::password(&args, context).await,
            Command::Email(args) => account::email(args, context).await,
            Command::Totp(command) => account::totp(command, context).await,
            Command::Session(command) => account::session(command, context).await,
            Command::Sso(command) => sso::run(command, context).await,
            Command::Identity(command) => sso::identity(command, context).await,
            Command::SignIn => sign_in::run(context).await,
            _ => version::run(context).await,
        }
    })
}
