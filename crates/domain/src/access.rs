//! What a member may do by their role, and what a token may do by its scopes.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($variant:ident = $name:tt, $what:literal;)*) => {
        /// One thing that may be done through the API. A request needs one of them, both of its member's role and,
        /// where a token speaks for the member, of the token.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum Scope {
            $(#[doc = $what] #[serde(rename = $name)] $variant,)*
        }

        impl Scope {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it allows, in a few words.
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

scopes! {
    AgentsRead = "agents:read", "See agents and what they do.";
    AgentsWrite = "agents:write", "Make, change, restart and delete agents.";
    ChatRead = "chat:read", "Read conversations.";
    ChatWrite = "chat:write", "Talk to agents and stop turns.";
    ComputerRead = "computer:read", "Read an agent's files and logs.";
    ComputerWrite = "computer:write", "Run commands on an agent's computer and change its files.";
    ProvidersRead = "providers:read", "See where model calls go.";
    ProvidersWrite = "providers:write", "Add, test and remove providers and their keys.";
    SecretsRead = "secrets:read", "See which secrets there are, never their values.";
    SecretsWrite = "secrets:write", "Set and remove secrets, rotate their keys.";
    UsageRead = "usage:read", "See what was used and what it cost.";
    MembersRead = "members:read", "See members and invitations.";
    MembersWrite = "members:write", "Invite and remove members and change their roles.";
    TokensRead = "tokens:read", "See API tokens, without their secrets.";
    TokensWrite = "tokens:write", "Make and revoke API tokens.";
    AuditRead = "audit:read", "See who did what.";
    PlatformRead = "platform:read", "See the host and its images.";
    PlatformWrite = "platform:write", "Build and remove images, suspend orgs, keep the platform's providers and master key. Only operators of the platform have it.";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scope `{0}`; they are {all}", all = list(Scope::ALL.iter().map(|scope| scope.as_str())))]
pub struct BadScope(String);

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let found = Self::ALL.iter().find(|scope| scope.as_str() == text);
        found
            .copied()
            .ok_or_else(|| BadScope(text.chars().take(60).collect()))
    }
}

/// What a member of an org is to it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// Sees, and changes nothing.
    Viewer,
    /// Makes agents and works with them.
    Developer,
    /// Everything but what concerns owners.
    Admin,
    /// Everything. An org has at least one.
    Owner,
}

impl MemberRole {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Whether a member with this role may give somebody the other, or take it away.
    pub fn may_grant(self, other: Self) -> bool {
        self == Self::Owner || (self == Self::Admin && other != Self::Owner)
    }

    /// Never [`Scope::PlatformWrite`]: that is for operators, whatever they are in an org.
    pub fn scopes(self) -> BTreeSet<Scope> {
        let has = |scope: &Scope| match scope {
            Scope::AgentsRead
            | Scope::ChatRead
            | Scope::ProvidersRead
            | Scope::UsageRead
            | Scope::MembersRead
            | Scope::TokensRead
            | Scope::PlatformRead => true,
            // Its own only, and never with more than it has itself.
            Scope::TokensWrite => true,
            Scope::AgentsWrite
            | Scope::ChatWrite
            | Scope::ComputerRead
            | Scope::ComputerWrite
            | Scope::SecretsRead => self >= Self::Developer,
            Scope::ProvidersWrite | Scope::SecretsWrite | Scope::MembersWrite | Scope::AuditRead => {
                self >= Self::Admin
            }
            Scope::PlatformWrite => false,
        };
        Scope::ALL.iter().copied().filter(has).collect()
    }
}

impl fmt::Display for MemberRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no role `{0}`; they are {all}", all = list(MemberRole::ALL.iter().map(|role| role.as_str())))]
pub struct BadRole(String);

impl FromStr for MemberRole {
    type Err = BadRole;

    fn from_str(text: &str) -> Result<Self, BadRole> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| BadRole(text.chars().take(60).collect()))
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_higher_role_never_has_less() {
        for pair in MemberRole::ALL.windows(2) {
            assert!(pair[0].scopes().is_subset(&pair[1].scopes()), "{pair:?}");
        }
        assert!(!MemberRole::Owner.scopes().contains(&Scope::PlatformWrite));
        assert!(
            MemberRole::Viewer
                .scopes()
                .iter()
                .all(|scope| scope.as_str().ends_with(":read") || *scope == Scope::TokensWrite)
        );
    }

    #[test]
    fn nobody_makes_somebody_more_than_themselves() {
        for giver in MemberRole::ALL {
            for given in MemberRole::ALL {
                assert_eq!(
                    giver.may_grant(given),
                    giver >= MemberRole::Admin && given <= giver,
                    "{giver} {given}"
                );
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert_eq!(
                serde_json::to_value(scope).expect("JSON"),
                serde_json::json!(scope.as_str())
            );
        }
        for role in MemberRole::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(
                serde_json::to_value(role).expect("JSON"),
                serde_json::json!(role.as_str())
            );
        }
        let error = "agents:fly"
            .parse::<Scope>()
            .expect_err("no such scope")
            .to_string();
        assert!(
            error.contains("`agents:fly`") && error.contains("agents:write"),
            "{error}"
        );
    }
}
