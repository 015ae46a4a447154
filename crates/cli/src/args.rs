//! The command line as a whole: what is global, and the list of commands.

use clap::{Parser, Subcommand};

use crate::{commands, up};

const EXAMPLES: &str = "\
Examples:
  sudo creel up                           start Creel on this host
  creel agent create scout                make an agent and wait until it runs
  creel chat scout \"What can you do?\"     ask it something
  creel exec scout -- ls -l               run a command on its computer

The client's address and token are in $XDG_CONFIG_HOME/creel/config.toml;
CREEL_URL and CREEL_TOKEN override it, --url and --token override both.";

/// Gives every AI agent a computer of its own.
#[derive(Debug, Parser)]
#[command(name = "creel", version, after_help = EXAMPLES, max_term_width = 80)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Print JSON to standard output, for programs
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Address of Creel, for example http://127.0.0.1:7300
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) url: Option<String>,
    /// API token; better in CREEL_TOKEN, where other users cannot see it
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Global options")]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start Creel on this host
    Up(Box<up::UpArgs>),
    /// Stop the Creel of this host
    Down(up::DownArgs),
    /// Look at the database that holds Creel's state, and bring it up to date
    #[command(subcommand)]
    Db(up::DbCommand),
    /// Check whether this host can run Creel
    Doctor(commands::doctor::DoctorArgs),
    /// Make, list, change, start, stop and delete agents
    #[command(subcommand)]
    Agent(commands::agent::AgentCommand),
    /// Talk to an agent
    Chat(commands::chat::ChatArgs),
    /// Have agents told something by the clock, asleep or not
    #[command(subcommand)]
    Schedule(commands::schedule::ScheduleCommand),
    /// List messages that wait or came to nothing, and say them once more
    #[command(subcommand)]
    Inbox(commands::inbox::InboxCommand),
    /// Show what an agent's sandbox says
    Logs(commands::logs::LogsArgs),
    /// Run a command on an agent's computer
    Exec(commands::exec::ExecArgs),
    /// Copy files to and from an agent's computer
    Cp(commands::cp::CpArgs),
    /// Show what model calls used and cost
    Usage(commands::usage::UsageArgs),
    /// Reach an agent's page and ports from outside
    #[command(subcommand)]
    Port(commands::port::PortCommand),
    /// Have names of your own lead to agents
    #[command(subcommand)]
    Domain(commands::domain::DomainCommand),
    /// Show what happened
    Events(commands::events::EventsArgs),
    /// Say where model calls go
    #[command(subcommand)]
    Provider(commands::provider::ProviderCommand),
    /// Keep values that agents' providers use: set once, never shown again
    #[command(subcommand)]
    Secrets(commands::secrets::SecretsCommand),
    /// Exchange the key that closes everything; for operators of the platform
    #[command(subcommand)]
    MasterKey(commands::master_key::MasterKeyCommand),
    /// List, build and remove the images that agents run from
    #[command(subcommand)]
    Image(commands::image::ImageCommand),
    /// List members of the org, give them roles, remove them
    #[command(subcommand)]
    Member(commands::member::MemberCommand),
    /// Invite one person into the org
    Invite(commands::member::InviteArgs),
    /// Accept an invitation
    Join(commands::member::JoinArgs),
    /// Make, list and revoke API tokens
    #[command(subcommand)]
    Token(commands::token::TokenCommand),
    /// Sign in with address and password, and keep a token for it
    Login(commands::login::LoginArgs),
    /// Set your password
    Password(commands::account::PasswordArgs),
    /// Say where you read mail
    Email(commands::account::EmailArgs),
    /// Ask for a code of an app at sign-in, or stop asking
    #[command(subcommand)]
    Totp(commands::account::TotpCommand),
    /// List and end the browsers in which you are signed in
    #[command(subcommand)]
    Session(commands::account::SessionCommand),
    /// Let this computer in as a device: it shows a code that somebody approves
    Pair(commands::device::PairArgs),
    /// Approve, list and remove devices
    #[command(subcommand)]
    Device(commands::device::DeviceCommand),
    /// Show who did what, and prove that nothing of it was changed
    #[command(subcommand)]
    Audit(commands::audit::AuditCommand),
    /// List, suspend and resume orgs; for operators of the platform
    #[command(subcommand)]
    Org(commands::org::OrgCommand),
    /// List operators of the platform, make and unmake them; for operators
    #[command(subcommand)]
    Operator(commands::operator::OperatorCommand),
    /// Say where people may sign in besides here; for operators of the platform
    #[command(subcommand)]
    Sso(commands::sso::SsoCommand),
    /// List and unlink the accounts elsewhere that you sign in with
    #[command(subcommand)]
    Identity(commands::sso::IdentityCommand),
    /// Say who you are and what you may do
    Whoami,
    /// Print a link that opens the web page once
    SignIn,
    /// Print the versions of this program and of the server
    Version,
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsArgs),
    #[command(hide = true)]
    Supervisor(up::SupervisorArgs),
    #[command(hide = true)]
    Control(up::ControlArgs),
    #[command(hide = true)]
    Edge(up::EdgeProcessArgs),
}
