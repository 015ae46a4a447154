//! TXT records, from DNS servers that somebody else runs: every answer is bounded in number, bytes and time.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
    system_conf::read_system_conf,
};

/// For one question, with all that is tried.
pub const LOOKUP_WITHIN: Duration = Duration::from_secs(10);
/// For one server's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// Records of one answer.
pub const MAX_TXT_RECORDS: usize = 100;
/// Bytes of one answer's records together. An answer itself has 64 KiB at most.
pub const MAX_TXT_BYTES: usize = 16 * 1024;

/// Why nothing is known of a name's records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("the DNS server answered {0}: look whether the domain's own name servers work")]
    Refused(String),
    #[error("no DNS server answered in time: look whether the domain's own name servers work")]
    Silent,
    #[error(
        "there are more than {MAX_TXT_RECORDS} TXT records or {MAX_TXT_BYTES} bytes of them: remove some"
    )]
    TooMuch,
    #[error("the DNS server that Creel asks is out of reach or makes no sense: {0}")]
    Broken(String),
}

pub type TxtRecords<'l> = Pin<Box<dyn Future<Output = Result<Vec<Vec<u8>>, LookupError>> + Send + 'l>>;

/// Who knows what stands in DNS.
pub trait TxtLookup: Send + Sync {
    /// The TXT records at `name`, each in one piece; none where there are none, or no such name.
    fn txt<'l>(&'l self, name: &'l str) -> TxtRecords<'l>;
}

/// DNS servers: one that was named, or the system's own.
#[derive(Debug, Clone)]
pub struct Dns {
    server: Option<SocketAddr>,
}

impl Dns {
    /// None: those of `/etc/resolv.conf`, as they are when they are needed.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self { server }
    }

    fn servers(&self) -> Result<ResolverConfig, NetError> {
        let Some(server) = self.server else {
            return read_system_conf().map(|(config, _)| config);
        };
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
            connection.port = server.port();
            connection
        });
        let server = NameServerConfig::new(server.ip(), true, connections.into());
        Ok(ResolverConfig::from_parts(None, Vec::new(), vec![server]))
    }

    async fn ask(&self, name: &str) -> Result<Vec<Vec<u8>>, LookupError> {
        let broken = |error: NetError| LookupError::Broken(error.to_string());
        let mut name = Name::from_ascii(name).map_err(|error| LookupError::Broken(error.to_string()))?;
        // No search list: it is this name and no other.
        name.set_fqdn(true);
        let mut options = ResolverOpts::default();
        options.timeout = ANSWER_WITHIN;
        options.attempts = ATTEMPTS;
        options.num_concurrent_reqs = 1;
        // Whoever has just set a record wants to be believed now.
        options.cache_size = 0;
        options.use_hosts_file = ResolveHosts::Never;
        let servers = self.servers().map_err(broken)?;
        let resolver = Resolver::builder_with_config(servers, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(broken)?;
        let answer = match resolver.lookup(name, RecordType::TXT).await {
            Ok(answer) => answer,
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let code = none.response_code;
                return match u16::from(code) {
                    // No error, and no such name: that is an answer.
                    0 | 3 => Ok(Vec::new()),
                    _ => Err(LookupError::Refused(code.to_str().to_owned())),
                };
            }
            Err(NetError::Dns(DnsError::ResponseCode(code))) => {
                return Err(LookupError::Refused(code.to_str().to_owned()));
            }
            Err(NetError::Timeout) => return Err(LookupError::Silent),
            Err(error) => return Err(broken(error)),
        };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        let texts: Vec<Vec<u8>> = texts.take(MAX_TXT_RECORDS + 1).collect();
        let bytes: usize = texts.iter().map(Vec::len).sum();
        if texts.len() > MAX_TXT_RECORDS || bytes > MAX_TXT_BYTES {
            return Err(LookupError::TooMuch);
        }
        Ok(texts)
    }
}

impl TxtLookup for Dns {
    fn txt<'l>(&'l self, name: &'l str) -> TxtRecords<'l> {
        Box::pin(async move {
            match tokio::time::timeout(LOOKUP_WITHIN, self.ask(name)).await {
                Ok(answer) => answer,
                Err(_) => Err(LookupError::Silent),
            }
        })
    }
}
