//! The nouns of Creel: typed ids, specifications and state machines.
//!
//! Pure by rule: nothing here reads a clock, draws a random number, does I/O or awaits. Time and
//! randomness come in as arguments, so every decision can be tested as a table.

mod access;
mod agent;
mod attempts;
mod audit;
mod browser_session;
mod email;
mod health;
mod id;
mod limits;
mod model;
mod money;
mod name;
mod observed;
mod owned_domain;
mod password;
mod port;
mod rate;
mod reconcile;
mod rest;
mod sandbox;
mod schedule;
mod secret;
mod session;
mod spare;
mod sso;
mod turn;

pub use access::{BadRole, BadScope, MemberRole, Scope};
pub use agent::{Agent, AgentFiles, AgentSpec, AgentState, FileTooLong, Intent, Runtime};
pub use attempts::{Attempts, Patience};
pub use audit::{AUDIT_DETAILS, AUDIT_TEXT_CHARS, Act, ActResult, Actor, ActorKind, AuditEntry};
pub use browser_session::{BrowserSessionAge, Shown, Verdict};
pub use email::{BadEmail, Email};
pub use health::{BridgeHealth, OwnJobs, RuntimeHealth, RuntimeState};
pub use id::{
    AgentId, BadId, BrowserSessionId, CallId, DeviceId, EventId, IdentityId, InvitationId, MailId, MessageId,
    OrgId, PasskeyId, ProviderId, RunId, SandboxId, ScheduleId, ShareLinkId, SsoProviderId, TokenId, TurnId,
    UserId,
};
pub use limits::{BadLimits, Limits};
pub use model::{BadModelName, ModelName, ProviderKind};
pub use money::MicroUsd;
pub use name::{BadName, Name};
pub use observed::Observed;
pub use owned_domain::{DomainCourse, DomainState};
pub use password::{PasswordRules, WeakPassword};
pub use port::{AgentHost, BadDomainName, DomainName, PortAccess};
pub use rate::{Allowance, BadRates, Rate, RateClass, Rates};
pub use reconcile::{Deadlines, Situation, Step, agent_state, next_steps};
pub use rest::{Autostop, BadRest, Rest};
pub use sandbox::{Depth, Generation, ImageName, SandboxReport, SandboxSpec, SandboxState, Target, Waiting};
pub use schedule::{
    BadCron, BadWhen, BadZone, CATCH_UP, CronExpr, Missed, NotRun, Overlap, Plan, SHORTEST_INTERVAL_S,
    Schedule, ScheduleSpec, When, Zone, plan as plan_schedule,
};
pub use secret::{BadSecretName, BadTransitKey, SecretName, TransitKey};
pub use session::{BadSessionName, SessionName};
pub use spare::{BadSparePool, MAX_SPARES, Spare, SparePool, SpareState, SpareStep, next_spare_step};
pub use sso::{SsoKind, SsoNewcomers};
pub use turn::{ToolRecord, Turn, TurnEvent, TurnFailure, TurnStatus};
