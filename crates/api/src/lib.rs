//! The public HTTP contract: what may be asked under `/v1`, what is answered, and how errors look.
//!
//! `control` serves these types, `openapi/public.json` is generated from them, and the client in
//! [`client`] speaks them; nothing else defines the API.

mod access_tokens;
mod agents;
mod audit;
mod chat;
pub mod client;
mod devices;
mod domains;
mod events;
mod files;
mod members;
mod operators;
mod orgs;
mod passkeys;
mod people;
mod platform;
mod ports;
mod problem;
mod providers;
mod schedules;
mod secrets;
mod sso;
mod tokens;
mod usage;

pub use access_tokens::{AccessToken, CreateAccessToken};
pub use agents::{Agent, AgentList, AgentMemory, CreateAgent, HoldAgent, LimitsPatch, PatchAgent, RestPatch};
pub use audit::{AuditFault, AuditFaultKind, AuditList, AuditRecord, AuditVerdict, OCSF_VERSION, ocsf};
pub use chat::{
    ChatRequest, Message, MessageList, Role, Session, SessionList, ToolCall, Turn, TurnList, TurnState,
};
pub use creel_domain::{ProviderKind, SsoKind, SsoNewcomers};
pub use devices::{
    ApproveDevice, AskForDevice, Device, DeviceAuthorization, DeviceCode, DeviceList, DeviceRequest,
    DeviceToken, TokenType, UserCode,
};
pub use domains::{DnsRecord, Domain, DomainCertificate, DomainList, DomainStatus, PutDomain};
pub use events::{Event, EventList};
pub use files::{Entry, EntryKind, EntryList, Exec, ExecResult, LogLine};
pub use members::{
    AcceptInvitation, CreateInvitation, Invitation, InvitationList, Joined, Member, MemberList,
    NewInvitation, PatchMember,
};
pub use operators::{AddOperator, Operator, OperatorList};
pub use orgs::{Org, OrgList};
pub use passkeys::{
    AddPasskey, AuthenticatorSelection, CredentialDescriptor, CredentialParameters, NewCredential,
    NewCredentialResponse, Passkey, PasskeyCreation, PasskeyCreationOptions, PasskeyList, PasskeyRequest,
    PasskeyRequestOptions, PasskeySignIn, ProveByPasskey, RelyingPartyEntity, RenamePasskey,
    SignedCredential, SignedCredentialResponse, UserEntity,
};
pub use people::{
    BrowserSession, BrowserSessionList, ConfirmReset, ConfirmSignUp, ConfirmTotp, Me, MyOrg, Proof,
    RecoveryCodes, ResetPassword, SecondFactor, Secret, SetEmail, SetPassword, SignIn, SignInOptions,
    SignInResult, SignOutEverywhere, SignUp, SignUpMode, SignedIn, SwitchOrg, TotpEnrolment, VerifyEmail,
    WantedToken,
};
pub use platform::{
    Host, HostPaging, HostSpares, Identity, Image, ImageList, ImageProgress, SignInLink, Version,
};
pub use ports::{CreateShareLink, NewShareLink, Port, PortList, PublishPort, ShareLink, ShareLinkList};
pub use problem::{ErrorCode, Problem};
pub use providers::{AddProvider, Provider, ProviderList, ProviderTest};
pub use schedules::{
    CreateSchedule, PatchSchedule, PreviewSchedule, RunState, Schedule, ScheduleList, SchedulePreview,
    ScheduleRun, ScheduleRunList,
};
pub use secrets::{
    KeyProblem, MasterKey, OwnKey, SecretEntry, SecretList, SecretRotation, SetOwnKey, SetSecret,
};
pub use sso::{
    AddSsoProvider, BeginSso, LinkIdentity, LinkedIdentity, LinkedIdentityList, SsoBegun, SsoChoice,
    SsoProvider, SsoProviderList, SsoTest,
};
pub use tokens::{CreateToken, NewToken, Token, TokenList};
pub use usage::{UsageGroup, UsageReport, UsageRow};

/// Header that makes a create safe to send again: 1 to 128 visible ASCII characters, kept 24 hours.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Page size when none is asked for, and the largest.
pub const DEFAULT_PAGE: u32 = 50;
pub const MAX_PAGE: u32 = 200;
