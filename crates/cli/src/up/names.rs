//! Who is asked what stands in DNS.

use std::net::SocketAddr;

/// What `creel up` and control are told alike.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Edge")]
pub(crate) struct DnsArgs {
    /// DNS server that is asked whose a domain is, such as 192.0.2.53:53. Without it: those of /etc/resolv.conf
    #[arg(long, value_name = "IP:PORT", env = "CREEL_DNS_SERVER")]
    pub(crate) dns_server: Option<SocketAddr>,
}

impl DnsArgs {
    pub(super) fn flag(&self) -> Option<String> {
        self.dns_server.map(|server| format!("--dns-server={server}"))
    }

    /// The same again for `creel up --background`.
    pub(super) fn environment(&self) -> Option<(&'static str, String)> {
        Some(("CREEL_DNS_SERVER", self.dns_server?.to_string()))
    }
}
