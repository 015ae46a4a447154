//! Where a PostgreSQL is and how to speak to it: `postgres://user:password@host/database`.
//!
//! Beyond this host, only over TLS with a certificate that this system trusts, unless the address says
//! `sslmode=disable`.

use std::{fmt, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::{
    Client, Config, NoTls, Socket,
    config::{Host, SslMode},
    tls::{MakeTlsConnect, TlsConnect},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::Error;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A server that went away without a word is noticed after about so long.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Address {
    /// Reads an address. Nothing is asked of the network.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // What the parser says may quote the text, and the text may hold a password.
        let mut config: Config = text.parse().map_err(|_| Error::Address)?;
        if config.get_hosts().is_empty() || config.get_dbname().is_none() {
            return Err(Error::Address);
        }
        config
            .application_name("creel")
            .connect_timeout(CONNECT_WITHIN)
            .tcp_user_timeout(SILENCE)
            .keepalives_idle(SILENCE);
        let near = config.get_hosts().iter().all(is_near);
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            SslMode::Prefer if near => None,
            _ => {
                config.ssl_mode(SslMode::Require);
                Some(MakeRustlsConnect::new(trust()?))
            }
        };
        Ok(Self { config, tls })
    }

    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    /// A connection, and what it hears besides answers. The connection lives as long as the client.
    pub(super) async fn connect(&self, hear: impl FnMut(String) + Send + 'static) -> Result<Client, Error> {
        match &self.tls {
            Some(tls) => self.connect_by(tls.clone(), hear).await,
            None => self.connect_by(NoTls, hear).await,
        }
    }

    async fn connect_by<T>(
        &self,
        tls: T,
        mut hear: impl FnMut(String) + Send + 'static,
    ) -> Result<Client, Error>
    where
        T: MakeTlsConnect<Socket> + Send + 'static,
        T::Stream: Send + 'static,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, mut connection) = tokio::time::timeout(CONNECT_WITHIN * 2, self.config.connect(tls))
            .await
            .map_err(|_| Error::Busy)??;
        tokio::spawn(async move {
            // An error ends the client's calls too, and is told there.
            while let Some(Ok(message)) =
                std::future::poll_fn(|context| connection.poll_message(context)).await
            {
                if let tokio_postgres::AsyncMessage::Notification(said) = message {
                    hear(said.payload().to_owned());
                }
            }
        });
        Ok(client)
    }
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        write!(f, "postgres://{host}/{}", self.database())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_near(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(host) => {
            host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    }
}

fn trust() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // Certificates that cannot be read are not trusted, and one that is needed is missed by the handshake.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Error::Address)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_without_its_password() {
        let address = Address::parse("postgres://creel:planted@127.0.0.1:5433/cloud").expect("read");
        assert_eq!(address.to_string(), "postgres://127.0.0.1/cloud");
        assert!(!format!("{address:?}").contains("planted"));
        let said = Address::parse("postgres://creel:planted@h:port/x")
            .expect_err("no port")
            .to_string();
        assert!(!said.contains("planted"), "{said}");
        for bad in ["postgres://", "postgres://host", "mysql://host/x", ""] {
            assert!(matches!(Address::parse(bad), Err(Error::Address)), "{bad}");
        }
    }

    #[test]
    fn beyond_this_host_there_is_tls_unless_it_is_refused() {
        let secured = |text: &str| Address::parse(text).expect("read").tls.is_some();
        assert!(secured("postgres://u@db.example/x"));
        assert!(secured("postgres://u@db.example/x?sslmode=prefer"));
        assert!(secured("postgres://u@127.0.0.1/x?sslmode=require"));
        assert!(!secured("postgres://u@127.0.0.1/x"));
        assert!(!secured("postgres:///x?host=/run/postgresql&user=u"));
        assert!(!secured("postgres://u@db.example/x?sslmode=disable"));
    }
}
