//! What the audit trail says: who did what, on what, from where, with which result, by which rule.
//!
//! Names and ids, never contents or secrets: an entry is read by more people than what it tells of.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{OrgId, UserId};

/// Characters of one text of an entry; the rest is cut off.
pub const AUDIT_TEXT_CHARS: usize = 256;
/// Details of one entry; more are left out.
pub const AUDIT_DETAILS: usize = 16;

/// What somebody who acts is to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Creel itself: the reconciler, a job, housekeeping.
    Platform,
    /// A member of the org, or whoever is about to become one.
    User,
    /// Somebody who runs the platform, on an org that need not be theirs.
    Operator,
    /// Nobody that is known.
    Anonymous,
}

impl ActorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::User => "user",
            Self::Operator => "operator",
            Self::Anonymous => "anonymous",
        }
    }
}

impl std::str::FromStr for ActorKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Platform, Self::User, Self::Operator, Self::Anonymous]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("there is no kind of actor `{text}`"))
    }
}

/// Who acts, from where, and what allows it. Texts that are not known are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    pub kind: ActorKind,
    /// A user's id.
    pub id: String,
    pub name: String,
    /// How they showed who they are: `token tok_…`, `session`.
    pub via: String,
    /// The network address that the request came from.
    pub address: String,
    /// The request's id, as in its answer and in the server's log.
    pub request: String,
    /// What allows it: the scope that the route needs, or `known`.
    pub rule: String,
}

impl Actor {
    fn of(kind: ActorKind) -> Self {
        Self {
            kind,
            id: String::new(),
            name: String::new(),
            via: String::new(),
            address: String::new(),
            request: String::new(),
            rule: String::new(),
        }
    }

    pub fn platform() -> Self {
        Self::of(ActorKind::Platform)
    }

    pub fn anonymous() -> Self {
        Self::of(ActorKind::Anonymous)
    }

    pub fn user(id: UserId, name: &str) -> Self {
        Self {
            id: id.to_string(),
            name: name.to_owned(),
            ..Self::of(ActorKind::User)
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActResult {
    Done,
    /// It was not allowed, and nothing happened.
    Refused,
}

impl ActResult {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

impl std::str::FromStr for ActResult {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Done, Self::Refused]
            .into_iter()
            .find(|result| result.as_str() == text)
            .ok_or_else(|| format!("there is no result `{text}`"))
    }
}

/// One thing that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Act {
    /// `noun.verb`, such as `token.create`.
    pub action: String,
    /// What kind of thing it was done to, such as `token`; empty: to the org itself.
    pub target_kind: String,
    pub target: String,
    pub target_name: String,
    pub result: ActResult,
    /// How often the same happened, where an entry stands for several.
    pub repeats: u64,
    /// Further facts, by name.
    pub details: BTreeMap<String, String>,
}

impl Act {
    pub fn new(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            target_kind: String::new(),
            target: String::new(),
            target_name: String::new(),
            result: ActResult::Done,
            repeats: 1,
            details: BTreeMap::new(),
        }
    }

    /// What it was done to.
    pub fn on(mut self, kind: &str, target: impl std::fmt::Display) -> Self {
        self.target_kind = kind.to_owned();
        self.target = target.to_string();
        self
    }

    /// What people call the target.
    pub fn named(mut self, name: impl std::fmt::Display) -> Self {
        self.target_name = name.to_string();
        self
    }

    /// A further fact. Never a secret or a content.
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        if self.details.len() < AUDIT_DETAILS {
            self.details.insert(tidy(name), tidy(&value.to_string()));
        }
        self
    }

    pub fn refused(mut self) -> Self {
        self.result = ActResult::Refused;
        self
    }
}

/// An entry of an org's audit trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// From 1, without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    pub actor: Actor,
    pub act: Act,
}

impl AuditEntry {
    /// With every text bounded, on one line, and as each database gives it back.
    pub fn new(sequence: u64, at: Timestamp, mut actor: Actor, mut act: Act) -> Self {
        for text in [
            &mut actor.id,
            &mut actor.name,
            &mut actor.via,
            &mut actor.address,
            &mut actor.request,
            &mut actor.rule,
            &mut act.action,
            &mut act.target_kind,
            &mut act.target,
            &mut act.target_name,
        ] {
            *text = tidy(text);
        }
        Self {
            sequence,
            at,
            actor,
            act,
        }
    }

    /// What is hashed: every field once, in this order, so that no two different entries have the same bytes.
    /// Numbers are eight bytes, the highest first; a text is its length as a number, then its UTF-8.
    ///
    /// ```text
    /// "creel audit 1" org(16) sequence previous(32) at_in_microseconds
    /// kind id name via address request rule
    /// action target_kind target target_name result repeats
    /// number_of_details { name value }…  by name
    /// ```
    pub fn bytes(&self, org: OrgId, previous: &[u8; 32]) -> Vec<u8> {
        let Self {
            sequence,
            at,
            actor,
            act,
        } = self;
        let mut bytes = b"creel audit 1".to_vec();
        let uuid: Uuid = org.uuid();
        bytes.extend(uuid.as_bytes());
        bytes.extend(sequence.to_be_bytes());
        bytes.extend(previous);
        bytes.extend(at.as_microsecond().to_be_bytes());
        let mut text = |text: &str| {
            bytes.extend((text.len() as u64).to_be_bytes());
            bytes.extend(text.as_bytes());
        };
        for part in [
            actor.kind.as_str(),
            &actor.id,
            &actor.name,
            &actor.via,
            &actor.address,
            &actor.request,
            &actor.rule,
            &act.action,
            &act.target_kind,
            &act.target,
            &act.target_name,
            act.result.as_str(),
        ] {
            text(part);
        }
        bytes.extend(act.repeats.to_be_bytes());
        bytes.extend((act.details.len() as u64).to_be_bytes());
        for part in act.details.iter().flat_map(|(name, value)| [name, value]) {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

fn tidy(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(AUDIT_TEXT_CHARS).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, via: &str, detail: (&str, &str)) -> AuditEntry {
        let actor = Actor {
            name: name.to_owned(),
            via: via.to_owned(),
            ..Actor::anonymous()
        };
        AuditEntry::new(
            1,
            Timestamp::UNIX_EPOCH,
            actor,
            Act::new("a.b").with(detail.0, detail.1),
        )
    }

    proptest! {
        #[test]
        fn what_differs_has_different_bytes(
            a in "[ab]{0,3}", b in "[ab]{0,3}", c in "[ab]{0,2}", d in "[ab]{0,2}",
            e in "[ab]{0,3}", f in "[ab]{0,3}", g in "[ab]{0,2}", h in "[ab]{0,2}",
        ) {
            let (one, two) = (entry(&a, &b, (&c, &d)), entry(&e, &f, (&g, &h)));
            let org = OrgId::from_uuid(Uuid::nil());
            prop_assert_eq!(one == two, one.bytes(org, &[0; 32]) == two.bytes(org, &[0; 32]));
        }

        #[test]
        fn texts_are_bounded_and_on_one_line(text in "(?s).{0,400}") {
            let entry = entry(&text, &text, (&text, &text));
            prop_assert!(entry.actor.name.chars().count() <= AUDIT_TEXT_CHARS);
            prop_assert!(!entry.actor.name.chars().any(char::is_control));
            prop_assert!(!entry.act.details.values().any(|value| value.contains('\n')));
        }
    }
}
