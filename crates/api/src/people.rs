//! Signing in and up, and what people keep about themselves: `/v1/sign-in`, `/v1/sign-up`, `/v1/me` and others.

use std::fmt;

use creel_domain::{BrowserSessionId, Email, MemberRole, OrgId, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::SsoChoice;

/// A text that debug output does not show.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = "password")]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Who may become a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignUpMode {
    /// Anybody, with an org of their own.
    Open,
    /// Whoever was invited into an org.
    #[default]
    Invite,
    /// Nobody.
    Closed,
}

impl SignUpMode {
    pub const ALL: [Self; 3] = [Self::Open, Self::Invite, Self::Closed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }
}

impl std::str::FromStr for SignUpMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| "it is open, invite or closed".to_owned())
    }
}

/// `GET /v1/sign-in`: how one gets in here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignInOptions {
    pub sign_up: SignUpMode,
    /// Where else one may show who one is, by name.
    #[serde(default)]
    pub providers: Vec<SsoChoice>,
    /// The address of the page, without a path, at which passkeys can be made and used. Absent: this Creel is reached
    /// by no name, and there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkeys_at: Option<String>,
}

/// A token instead of a browser's session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedToken {
    /// To tell it from others: 1 to 100 characters.
    pub name: String,
    /// From now on; 60 seconds to one year.
    pub expires_in_seconds: u64,
}

/// `POST /v1/sign-in`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub email: Email,
    pub password: Secret,
    /// Which of the user's orgs. Absent: the one they joined first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    /// Absent: the answer sets the cookie of a session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<WantedToken>,
}

/// `POST /v1/sign-in/second-factor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactor {
    /// From the answer to the password.
    pub ticket: Secret,
    /// Six digits of the app, or a recovery code.
    pub code: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<OrgId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<WantedToken>,
}

/// What comes of a sign-in whose password was right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum SignInResult {
    SignedIn(SignedIn),
    /// Send the ticket with a code, within five minutes.
    SecondFactorRequired {
        ticket: Secret,
        expires_at: Timestamp,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    pub user: UserId,
    pub org: OrgId,
    pub org_name: String,
    pub role: MemberRole,
    /// Of the token that was asked for; shown this once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

/// `POST /v1/sign-up`: asks for a mail with a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    pub email: Email,
    /// The code of an invitation, where one is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Secret>,
}

/// `POST /v1/sign-up/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSignUp {
    /// From the mail.
    pub code: Secret,
    /// What others shall call you: 1 to 100 characters.
    pub name: String,
    /// 12 to 256 characters.
    pub password: Secret,
}

/// `POST /v1/password-resets`: asks for a mail with a code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    pub email: Email,
}

/// `POST /v1/password-resets/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmReset {
    /// From the mail.
    pub code: Secret,
    /// 12 to 256 characters.
    pub password: Secret,
}

/// `POST /v1/verify-email`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyEmail {
    /// From the mail.
    pub code: Secret,
}

/// `GET /v1/me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    pub user: UserId,
    pub user_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Whether its mail was shown to reach the user.
    pub email_verified: bool,
    /// Whether one is set.
    pub password: bool,
    /// Whether a second factor is asked for.
    pub second_factor: bool,
    pub recovery_codes_left: u64,
    /// How many passkeys there are.
    pub passkeys: u64,
    /// The org of this session or token.
    pub org: OrgId,
    /// All orgs of the user, in the order in which they joined.
    pub orgs: Vec<MyOrg>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MyOrg {
    pub id: OrgId,
    pub name: String,
    pub role: MemberRole,
}

/// `PUT /v1/me/email`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEmail {
    pub email: Email,
    /// The current one; not needed within 15 minutes of signing in with it or with a passkey, nor where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// `PUT /v1/me/password`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    /// The current one; not needed within 15 minutes of signing in with it or with a passkey, nor where none is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Secret>,
    /// 12 to 256 characters.
    pub new: Secret,
}

/// `POST /v1/me/org`: the session goes on in another org of its user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchOrg {
    pub org: OrgId,
}

/// `POST /v1/me/totp`, `POST /v1/me/totp/disable`, `POST /v1/me/passkeys/begin`, and to remove a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The current one; not needed within 15 minutes of signing in with it or with a passkey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// What an app needs to make codes. It counts once a code has confirmed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TotpEnrolment {
    /// In base32, to be typed.
    pub secret: Secret,
    /// The same as `otpauth://…`, to be shown as a QR code.
    pub uri: Secret,
}

/// `POST /v1/me/totp/confirm`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmTotp {
    pub code: Secret,
}

/// Each gets in once, in place of the app. Shown this once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrowserSession {
    pub id: BrowserSessionId,
    pub org: OrgId,
    pub org_name: String,
    /// What the browser says that it is.
    pub browser: String,
    /// Whether it is the caller's own.
    pub current: bool,
    pub created_at: Timestamp,
    /// Exact to ten minutes.
    pub seen_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BrowserSessionList {
    pub items: Vec<BrowserSession>,
}

/// `POST /v1/sign-out-everywhere`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOutEverywhere {
    /// Revoke all of the user's tokens as well, in every org.
    #[serde(default)]
    pub tokens: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_sent_and_not_shown() {
        let body = SignIn {
            email: "ada@example.com".parse().expect("an address"),
            password: Secret::new("planted"),
            org: None,
            token: None,
        };
        let json = serde_json::to_string(&body).expect("JSON");
        assert_eq!(json, r#"{"email":"ada@example.com","password":"planted"}"#);
        let shown = format!("{body:?}");
        assert!(!shown.contains("planted") && !shown.contains("ada@"), "{shown}");
    }
}
