//! Every SQL statement and migration of Creel. Takes and returns domain types; rows are private.
//!
//! Tenant data is reached through [`Store::org`], whose every statement carries the org. What concerns
//! the whole platform, such as the reconciler's list of all agents, is behind [`Store::platform`].
//!
//! One thread writes and a few connections read: a slow disk holds up database calls, never the event
//! loop. A write that returned is on disk. The statements and the bodies around them are written for more
//! than one engine; why so is told in `docs/adr/0002-store.md`.

mod access;
mod agents;
mod attempts;
mod audit;
mod browser_sessions;
mod calls;
mod certificates;
mod database;
mod devices;
mod domains;
mod egress;
mod error;
mod events;
mod hosts;
mod idempotency;
mod identities;
mod keys;
mod mails;
mod members;
mod migrations;
mod operators;
mod orgs;
mod passkeys;
mod people;
mod place;
mod platform_providers;
mod ports;
mod postgres;
mod providers;
mod rows;
mod runs;
mod runtime_wakes;
mod schedules;
mod second_factor;
mod secrets;
mod share_links;
mod signing;
mod spares;
mod sqlite;
mod sso;
mod store;
mod tokens;
mod turns;
mod tx;
mod ways_in;

pub use access::{Access, FirstOwner};
pub use agents::{AgentChange, MAX_AGENTS, NewAgent, Unchanged};
pub use attempts::MAX_ATTEMPT_KEYS;
pub use audit::{AuditFault, AuditFaultKind, AuditFilter, AuditVerdict, StoredEntry, audit_hash};
pub use browser_sessions::{FoundBrowserSession, NewBrowserSession, StoredBrowserSession};
pub use calls::{CallResult, NewCall, UsageBy, UsageSum};
pub use certificates::{
    CertificateState, MAX_CERTIFICATES, MAX_CERTIFICATES_OF_ORG, NewCertificate, StoredCertificate,
};
pub use devices::{
    ApprovedDevice, DEVICE_REQUEST_FOR, DevicePoll, GUESSES_OF_ONE, LetInDevice, MAX_DEVICE_REQUESTS,
    MAX_DEVICE_REQUESTS_OF_ONE, NewDeviceRequest, StoredDevice, StoredDeviceRequest,
};
pub use domains::{DomainSighting, DueDomain, MAX_DOMAINS, MAX_DOMAINS_OF_AGENT, StoredDomain};
pub use egress::{EgressDecision, KEPT_DECISIONS};
pub use error::Error;
pub use events::{KEPT_EVENTS, LogEvent};
pub use hosts::StoredHost;
pub use idempotency::Claim;
pub use identities::{MAX_IDENTITIES, Met, NewIdentity, Newcomers, StoredIdentity};
pub use keys::{
    KEY_OPEN_FOR, KeyEncryption, MAX_OPEN_ORGS, MasterKey, MasterKeyError, MasterKeyState, MasterKeys,
    OwnKeys, Rotation, StoredOwnKey, Tended, WrapError, Wrapped, Wrapping,
};
pub use mails::{MAX_DEAD_MAILS, MAX_WAITING_MAILS, Mail, MailKind, Prepared};
pub use members::{
    INVITATION_FOR, Joined, MAX_INVITATIONS, MAX_MEMBERS, NewInvitation, StoredInvitation, StoredMember,
};
pub use operators::{MAX_OPERATORS, StoredOperator};
pub use orgs::StoredOrg;
pub use passkeys::{
    MAX_PASSKEY_CHALLENGES, MAX_PASSKEY_CHALLENGES_OF_NETWORK, MAX_PASSKEY_CHALLENGES_OF_USER, MAX_PASSKEYS,
    NewPasskey, PASSKEY_CHALLENGE_FOR, PasskeyPurpose, PasskeyUse, StoredPasskey,
};
pub use people::{Membership, NewPerson, PasswordHash, Person, Purpose, SignedUp};
pub use place::{Place, Schema};
pub use platform_providers::MAX_PLATFORM_PROVIDERS;
pub use ports::{MAX_PORTS, StoredPort};
pub use postgres::{Address, CopiedTable, copy};
pub use providers::{FoundProvider, KeySource, MAX_PROVIDERS, NewProvider, StoredProvider};
pub use runs::{DueSchedule, KEPT_RUNS, MAX_WAITING_TURNS, RunOutcome, StoredRun};
pub use runtime_wakes::{RUNTIME_WAKES_APART, RuntimeWake};
pub use schedules::{MAX_SCHEDULES, NewSchedule, StoredSchedule};
pub use second_factor::{HalfSession, NewTotp, StoredTotp};
pub use secrets::{MAX_SECRETS, SECRET_BYTES, StoredSecret};
pub use share_links::{
    ACCESS_FOR, AccessBy, MAX_ACCESSES, MAX_SHARE_LINKS, NewShareLink, StoredShareLink, TICKET_FOR,
};
pub use signing::{NewSigningKey, SigningKey};
pub use sso::{
    MAX_SSO_ATTEMPTS, MAX_SSO_ATTEMPTS_OF_ONE, MAX_SSO_PROVIDERS, NewSsoAttempt, NewSsoProvider,
    SSO_ATTEMPT_FOR, SsoLink, StoredSsoAttempt, StoredSsoProvider,
};
pub use store::{Org, Platform, Store};
pub use tokens::{MAX_TOKENS, NewToken, StoredToken};
pub use turns::{SessionRow, StoredTurn, TurnWord};
