//! Signing in by somebody else's word: which kind of provider says it, and who may come that nobody here knows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::MemberRole;

/// How a sign-in provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SsoKind {
    /// OpenID Connect, found by the issuer's own description.
    Oidc,
    /// OAuth as GitHub does it, which says who somebody is by its API.
    Github,
}

impl SsoKind {
    pub const ALL: [Self; 2] = [Self::Oidc, Self::Github];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::Github => "github",
        }
    }
}

impl FromStr for SsoKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| "it is oidc or github".to_owned())
    }
}

impl fmt::Display for SsoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom a sign-in provider lets in whom nobody knows yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SsoNewcomers {
    /// As sign-up by mail: nobody, whoever is invited, or anybody with an org of their own.
    #[default]
    SignUp,
    /// Whoever brings an invitation.
    Invited,
    Nobody,
    /// Everybody, as members of the first org with this role.
    Join(MemberRole),
}

impl SsoNewcomers {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::Invited => "invited",
            Self::Nobody => "nobody",
            Self::Join(role) => role.as_str(),
        }
    }
}

impl FromStr for SsoNewcomers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sign_up" => Ok(Self::SignUp),
            "invited" => Ok(Self::Invited),
            "nobody" => Ok(Self::Nobody),
            // Nobody becomes an owner because somebody else says who they are.
            _ => match text.parse() {
                Ok(role) if role != MemberRole::Owner => Ok(Self::Join(role)),
                _ => Err(
                    "it is sign_up, invited, nobody, or one of the roles viewer, developer and admin"
                        .to_owned(),
                ),
            },
        }
    }
}

impl fmt::Display for SsoNewcomers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl utoipa::PartialSchema for SsoNewcomers {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^(sign_up|invited|nobody|viewer|developer|admin)$"))
            .into()
    }
}

impl utoipa::ToSchema for SsoNewcomers {}

impl TryFrom<String> for SsoNewcomers {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SsoNewcomers> for String {
    fn from(newcomers: SsoNewcomers) -> Self {
        newcomers.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newcomers_are_words_and_nobody_becomes_an_owner() {
        for text in ["sign_up", "invited", "nobody", "viewer", "developer", "admin"] {
            assert_eq!(text.parse::<SsoNewcomers>().expect(text).as_str(), text);
        }
        for text in ["owner", "everybody", ""] {
            text.parse::<SsoNewcomers>().expect_err(text);
        }
    }
}
