//! Which names nobody can have for an agent.

use creel_domain::DomainName;

use super::words::DOMAIN_BYTES;
use crate::edge::Names;

/// Why a name cannot be an agent's; none: it can.
pub(crate) fn refusal(name: &DomainName, names: &Names) -> Option<String> {
    if name.as_str().len() > DOMAIN_BYTES {
        return Some(format!(
            "`{name}` is too long: a domain has at most {DOMAIN_BYTES} bytes."
        ));
    }
    if name.is_within("localhost") {
        return Some(format!(
            "`{name}` is this host's own: take a name that is in DNS."
        ));
    }
    if name.is_within(&names.own) {
        return Some(format!(
            "`{name}` is Creel's own name or below it: take one of yours."
        ));
    }
    match &names.agents {
        Some(agents) if name.is_within(agents) => Some(format!(
            "`{name}` is the agents' domain or below it, where every agent has a name already: `creel port ls AGENT` shows it."
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_creels_own_are_nobodys() {
        let names = Names {
            own: "creel.example.com".to_owned(),
            own_url: "https://creel.example.com".to_owned(),
            agents: Some("agents.example.net".to_owned()),
        };
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(57));
        for (good, name) in [
            (true, "chat.example.com"),
            (true, "example.com"),
            (true, "notcreel.example.com"),
            (true, "example.net"),
            (false, "creel.example.com"),
            (false, "a.creel.example.com"),
            (false, "agents.example.net"),
            (false, "scout.agents.example.net"),
            (false, "x.localhost"),
            (false, long.as_str()),
        ] {
            let name = name.parse().expect("a domain");
            assert_eq!(refusal(&name, &names).is_none(), good, "{name}");
        }
    }
}
