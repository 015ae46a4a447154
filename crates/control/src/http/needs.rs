//! What each route needs of its caller: one table, read by the door, the API's description and the tests of
//! the wall. A route that is missing here answers nobody.

use std::fmt;

use creel_domain::Scope;

/// What a caller must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing at all: not even to say who they are.
    Nothing,
    /// To be known.
    Known,
    Scope(Scope),
    /// All that their role allows: what is made could do as much, so a token with less may not make it.
    Everything,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Known => f.write_str("known"),
            Self::Scope(scope) => write!(f, "{scope}"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

use Need::{Everything, Known, Nothing, Scope as Needs};

/// Method, path, need.
pub(crate) const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/v1/agents", Needs(Scope::AgentsRead)),
    ("POST", "/v1/agents", Needs(Scope::AgentsWrite)),
    ("GET", "/v1/agents/{agent}", Needs(Scope::AgentsRead)),
    ("GET", "/v1/agents/{agent}/memory", Needs(Scope::AgentsRead)),
    ("PUT", "/v1/agents/{agent}/hold", Needs(Scope::AgentsWrite)),
    ("DELETE", "/v1/agents/{agent}/hold", Needs(Scope::AgentsWrite)),
    ("PATCH", "/v1/agents/{agent}", Needs(Scope::AgentsWrite)),
    ("DELETE", "/v1/agents/{agent}", Needs(Scope::AgentsWrite)),
    ("POST", "/v1/agents/{agent}/restart", Needs(Scope::AgentsWrite)),
    ("POST", "/v1/agents/{agent}/chat", Needs(Scope::ChatWrite)),
    ("GET", "/v1/agents/{agent}/turns/{turn}", Needs(Scope::ChatRead)),
    (
        "DELETE",
        "/v1/agents/{agent}/turns/{turn}",
        Needs(Scope::ChatWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/turns/{turn}/retry",
        Needs(Scope::ChatWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/turns/{turn}/drop",
        Needs(Scope::ChatWrite),
    ),
    ("GET", "/v1/turns", Needs(Scope::ChatRead)),
    ("GET", "/v1/agents/{agent}/sessions", Needs(Scope::ChatRead)),
    (
        "GET",
        "/v1/agents/{agent}/sessions/{session}/messages",
        Needs(Scope::ChatRead),
    ),
    // Whoever may talk to an agent may do so by the clock.
    ("GET", "/v1/agents/{agent}/schedules", Needs(Scope::ChatRead)),
    ("POST", "/v1/agents/{agent}/schedules", Needs(Scope::ChatWrite)),
    (
        "GET",
        "/v1/agents/{agent}/schedules/{schedule}",
        Needs(Scope::ChatRead),
    ),
    (
        "PATCH",
        "/v1/agents/{agent}/schedules/{schedule}",
        Needs(Scope::ChatWrite),
    ),
    (
        "DELETE",
        "/v1/agents/{agent}/schedules/{schedule}",
        Needs(Scope::ChatWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/schedules/{schedule}/run",
        Needs(Scope::ChatWrite),
    ),
    (
        "GET",
        "/v1/agents/{agent}/schedules/{schedule}/runs",
        Needs(Scope::ChatRead),
    ),
    ("POST", "/v1/schedules/preview", Needs(Scope::ChatRead)),
    ("GET", "/v1/agents/{agent}/exec", Needs(Scope::ComputerWrite)),
    ("POST", "/v1/agents/{agent}/exec", Needs(Scope::ComputerWrite)),
    ("GET", "/v1/agents/{agent}/files", Needs(Scope::ComputerRead)),
    ("DELETE", "/v1/agents/{agent}/files", Needs(Scope::ComputerWrite)),
    (
        "GET",
        "/v1/agents/{agent}/files/content",
        Needs(Scope::ComputerRead),
    ),
    (
        "PUT",
        "/v1/agents/{agent}/files/content",
        Needs(Scope::ComputerWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/files/mkdir",
        Needs(Scope::ComputerWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/files/move",
        Needs(Scope::ComputerWrite),
    ),
    ("GET", "/v1/agents/{agent}/logs", Needs(Scope::ComputerRead)),
    ("GET", "/v1/agents/{agent}/ports", Needs(Scope::AgentsRead)),
    (
        "PUT",
        "/v1/agents/{agent}/ports/{port}",
        Needs(Scope::AgentsWrite),
    ),
    (
        "DELETE",
        "/v1/agents/{agent}/ports/{port}",
        Needs(Scope::AgentsWrite),
    ),
    ("GET", "/v1/domains", Needs(Scope::AgentsRead)),
    ("GET", "/v1/agents/{agent}/domains", Needs(Scope::AgentsRead)),
    (
        "GET",
        "/v1/agents/{agent}/domains/{domain}",
        Needs(Scope::AgentsRead),
    ),
    (
        "PUT",
        "/v1/agents/{agent}/domains/{domain}",
        Needs(Scope::AgentsWrite),
    ),
    (
        "DELETE",
        "/v1/agents/{agent}/domains/{domain}",
        Needs(Scope::AgentsWrite),
    ),
    (
        "POST",
        "/v1/agents/{agent}/domains/{domain}/verify",
        Needs(Scope::AgentsWrite),
    ),
    ("GET", "/v1/agents/{agent}/share-links", Needs(Scope::AgentsRead)),
    (
        "POST",
        "/v1/agents/{agent}/share-links",
        Needs(Scope::AgentsWrite),
    ),
    (
        "DELETE",
        "/v1/agents/{agent}/share-links/{link}",
        Needs(Scope::AgentsWrite),
    ),
    ("GET", "/v1/events", Needs(Scope::AgentsRead)),
    ("GET", "/v1/usage", Needs(Scope::UsageRead)),
    ("GET", "/v1/providers", Needs(Scope::ProvidersRead)),
    ("POST", "/v1/providers", Needs(Scope::ProvidersWrite)),
    ("DELETE", "/v1/providers/{name}", Needs(Scope::ProvidersWrite)),
    ("POST", "/v1/providers/{name}/test", Needs(Scope::ProvidersWrite)),
    ("GET", "/v1/secrets", Needs(Scope::SecretsRead)),
    ("PUT", "/v1/secrets/{secret}", Needs(Scope::SecretsWrite)),
    ("DELETE", "/v1/secrets/{secret}", Needs(Scope::SecretsWrite)),
    ("GET", "/v1/secrets/rotate", Needs(Scope::SecretsRead)),
    ("POST", "/v1/secrets/rotate", Needs(Scope::SecretsWrite)),
    ("GET", "/v1/secrets/key", Needs(Scope::SecretsWrite)),
    ("PUT", "/v1/secrets/key", Needs(Scope::SecretsWrite)),
    ("DELETE", "/v1/secrets/key", Needs(Scope::SecretsWrite)),
    ("GET", "/v1/agents/{agent}/secrets", Needs(Scope::SecretsRead)),
    (
        "PUT",
        "/v1/agents/{agent}/secrets/{secret}",
        Needs(Scope::SecretsWrite),
    ),
    (
        "DELETE",
        "/v1/agents/{agent}/secrets/{secret}",
        Needs(Scope::SecretsWrite),
    ),
    ("GET", "/v1/members", Needs(Scope::MembersRead)),
    ("PATCH", "/v1/members/{user}", Needs(Scope::MembersWrite)),
    ("DELETE", "/v1/members/{user}", Needs(Scope::MembersWrite)),
    ("POST", "/v1/leave", Everything),
    ("GET", "/v1/invitations", Needs(Scope::MembersRead)),
    ("POST", "/v1/invitations", Needs(Scope::MembersWrite)),
    (
        "DELETE",
        "/v1/invitations/{invitation}",
        Needs(Scope::MembersWrite),
    ),
    // The code in it says who may.
    ("POST", "/v1/invitations/accept", Nothing),
    ("GET", "/v1/tokens", Needs(Scope::TokensRead)),
    ("POST", "/v1/tokens", Needs(Scope::TokensWrite)),
    ("DELETE", "/v1/tokens/{token}", Needs(Scope::TokensWrite)),
    ("POST", "/v1/access-tokens", Known),
    ("GET", "/.well-known/jwks.json", Nothing),
    // Before anybody is known: what it is let do, a person decides.
    ("POST", "/v1/devices/authorize", Nothing),
    ("POST", "/v1/devices/token", Nothing),
    ("POST", "/v1/devices/inspect", Needs(Scope::TokensWrite)),
    ("POST", "/v1/devices/approve", Needs(Scope::TokensWrite)),
    ("POST", "/v1/devices/deny", Needs(Scope::TokensWrite)),
    ("GET", "/v1/devices", Needs(Scope::TokensRead)),
    ("DELETE", "/v1/devices/{device}", Needs(Scope::TokensWrite)),
    ("GET", "/v1/audit", Needs(Scope::AuditRead)),
    ("GET", "/v1/audit/export", Needs(Scope::AuditRead)),
    ("GET", "/v1/audit/verify", Needs(Scope::AuditRead)),
    ("GET", "/v1/orgs", Needs(Scope::PlatformWrite)),
    ("GET", "/v1/orgs/{org}", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/orgs/{org}/suspend", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/orgs/{org}/resume", Needs(Scope::PlatformWrite)),
    ("GET", "/v1/operators", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/operators", Needs(Scope::PlatformWrite)),
    ("DELETE", "/v1/operators/{user}", Needs(Scope::PlatformWrite)),
    ("GET", "/v1/sso", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/sso", Needs(Scope::PlatformWrite)),
    ("DELETE", "/v1/sso/{name}", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/sso/{name}/test", Needs(Scope::PlatformWrite)),
    ("GET", "/v1/platform/providers", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/platform/providers", Needs(Scope::PlatformWrite)),
    (
        "DELETE",
        "/v1/platform/providers/{name}",
        Needs(Scope::PlatformWrite),
    ),
    ("GET", "/v1/platform/master-key", Needs(Scope::PlatformWrite)),
    (
        "POST",
        "/v1/platform/master-key/rotate",
        Needs(Scope::PlatformWrite),
    ),
    ("GET", "/v1/host", Needs(Scope::PlatformRead)),
    ("GET", "/v1/images", Needs(Scope::PlatformRead)),
    ("POST", "/v1/images/{image}/build", Needs(Scope::PlatformWrite)),
    ("DELETE", "/v1/images/{image}", Needs(Scope::PlatformWrite)),
    ("POST", "/v1/sign-in-links", Everything),
    ("POST", "/v1/sign-out", Nothing),
    ("POST", "/v1/sign-out-everywhere", Everything),
    // What they bring says who they are.
    ("GET", "/v1/sign-in", Nothing),
    ("POST", "/v1/sign-in", Nothing),
    ("POST", "/v1/sign-in/second-factor", Nothing),
    ("POST", "/v1/sign-in/with/{name}", Nothing),
    ("POST", "/v1/sign-in/passkey/begin", Nothing),
    ("POST", "/v1/sign-in/passkey/finish", Nothing),
    ("POST", "/v1/sign-up", Nothing),
    ("POST", "/v1/sign-up/confirm", Nothing),
    ("POST", "/v1/password-resets", Nothing),
    ("POST", "/v1/password-resets/confirm", Nothing),
    ("POST", "/v1/verify-email", Nothing),
    ("GET", "/v1/me", Everything),
    ("PUT", "/v1/me/email", Everything),
    ("PUT", "/v1/me/password", Everything),
    ("POST", "/v1/me/org", Everything),
    ("POST", "/v1/me/totp", Everything),
    ("POST", "/v1/me/totp/confirm", Everything),
    ("POST", "/v1/me/totp/disable", Everything),
    ("GET", "/v1/me/identities", Everything),
    ("POST", "/v1/me/identities", Everything),
    ("POST", "/v1/me/identities/{identity}/unlink", Everything),
    ("GET", "/v1/me/passkeys", Everything),
    ("POST", "/v1/me/passkeys/begin", Everything),
    ("POST", "/v1/me/passkeys/finish", Everything),
    ("PATCH", "/v1/me/passkeys/{passkey}", Everything),
    ("POST", "/v1/me/passkeys/{passkey}/remove", Everything),
    ("POST", "/v1/me/proof/passkey/begin", Everything),
    ("POST", "/v1/me/proof/passkey/finish", Everything),
    ("GET", "/v1/browser-sessions", Everything),
    ("DELETE", "/v1/browser-sessions/{browser_session}", Everything),
    ("GET", "/v1/whoami", Known),
    ("GET", "/v1/version", Nothing),
];

/// None for a route that nobody put into the table.
pub(crate) fn need(method: &str, path: &str) -> Option<Need> {
    // HEAD is GET without its body.
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE
        .iter()
        .find(|(a_method, a_path, _)| *a_method == method && *a_path == path)
        .map(|(_, _, need)| *need)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_of_the_description_is_in_the_table_and_no_other() {
        let document = serde_json::to_value(super::super::openapi()).expect("JSON");
        let mut described = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        let table: BTreeSet<_> = TABLE
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(described, table);
        assert_eq!(table.len(), TABLE.len(), "each once");
    }
}
