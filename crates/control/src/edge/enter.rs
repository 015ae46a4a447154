//! A browser is let in: a ticket of somebody's who is signed in, or a share link, becomes an access.

use std::sync::Arc;

use creel_api::ErrorCode;
use creel_domain::AgentHost;
use creel_protocol::edge::{Enter, EnterWith, Entered, Face, Hidden};
use creel_store::ACCESS_FOR;

use super::right::{agent, can_come, door, slow_down};
use crate::{
    Control,
    http::{
        auth::Caller,
        failure::{Answer, Failure},
    },
    operations::sign_in::{self, hash},
};

pub(super) async fn enter(control: &Arc<Control>, enter: Enter) -> Answer<Entered> {
    let (agent, port) = agent(control, &enter.face).await?;
    let door = door(control, &agent, port).await?;
    let (org, host) = (control.store.org(agent.org), enter.face.host());
    let secret = sign_in::secret("")?;
    let entered = match &enter.with {
        EnterWith::Ticket(ticket) => {
            let port = org
                .use_ticket(agent.id, host, hash(&ticket.0), hash(&secret))
                .await?;
            port == Some(door.port)
        }
        EnterWith::Link(link) => match org.share_link(agent.id, hash(&link.0)).await? {
            Some(link) if link.port == door.port => {
                org.use_share_link(agent.id, &link, host, hash(&secret)).await?;
                true
            }
            _ => false,
        },
    };
    if entered {
        let seconds = u32::try_from(ACCESS_FOR.as_secs()).unwrap_or(u32::MAX);
        return Ok(Entered {
            access: Hidden(secret),
            seconds,
        });
    }
    slow_down(control, enter.address)?;
    Err(Failure::new(
        ErrorCode::Unauthenticated,
        match enter.with {
            EnterWith::Ticket(_) => "This way in was used already, or is too old. Open the page again.",
            EnterWith::Link(_) => {
                "This share link is over, or was removed. Ask whoever gave it to you for another."
            }
        },
    ))
}

/// Where a browser goes to arrive at an agent's page as whoever is signed in: `to` is the page's address.
pub(crate) async fn let_in(control: &Control, caller: &Caller, to: &str) -> Answer<String> {
    let wrong = || Failure::invalid("`to` is not the address of an agent's page here.");
    let url: http::Uri = to.parse().map_err(|_| wrong())?;
    let (face, base): (Face, String) = if let Some(host) = control.agent_urls.read(&url) {
        let base = control.agent_urls.of(&host);
        (host.into(), base)
    } else {
        let domain = control.agent_urls.read_domain(&url).ok_or_else(wrong)?;
        let base = control.agent_urls.of_domain(&domain);
        (domain.into(), base)
    };
    let (agent, port) = agent(control, &face).await?;
    can_come(caller, &agent)?;
    let session = caller
        .session
        .ok_or_else(|| Failure::invalid("Only a browser that is signed in is let in this way."))?;
    let door = door(control, &agent, port).await?;
    let ticket = sign_in::secret("")?;
    caller
        .org(control)
        .add_ticket(agent.id, door.port, face.host(), session.id, hash(&ticket))
        .await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    Ok(arrival(&base, &ticket, path))
}

/// The edge answers here itself, on every agent's host.
fn arrival(base: &str, ticket: &str, path: &str) -> String {
    let mut to = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/') {
            to.push(char::from(byte));
        } else {
            to.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{base}/.creel/enter?ticket={ticket}&to={to}")
}

/// The address of one of an agent's ports.
pub(crate) fn address(control: &Control, label: &str, port: Option<u16>) -> String {
    control.agent_urls.of(&AgentHost {
        label: label.to_owned(),
        port,
    })
}
