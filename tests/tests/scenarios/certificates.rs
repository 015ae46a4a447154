//! Certificates from an authority that is not ours: Pebble, which Let's Encrypt tests clients with, over the real edge. It
//! refuses a part of all nonces, as it may.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use creel_tests::DEADLINE;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, StatusCode};
use serde_json::{Value, json};

const OWN: &str = "creel.example.com";
const AGENT: &str = "scout.agents.example.net";
const DOMAIN: &str = "chat.example.org";

/// A process that ends with the scenario.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports that nobody listens on.
fn free<const N: usize>() -> [u16; N] {
    let held = std::array::from_fn::<_, N, _>(|_| TcpListener::bind("127.0.0.1:0").expect("a port"));
    held.map(|listener| listener.local_addr().expect("bound").port())
}

/// Pebble, and a DNS server by which every name leads here.
struct Authority {
    directory: String,
    management: u16,
    dns: u16,
    records: u16,
    _processes: [Ends; 2],
}

impl Authority {
    /// `http` and `tls` are where it looks for its proofs.
    fn start(home: &Path, http: u16, tls: u16) -> Self {
        let [listen, management, dns, records] = free();
        let mut above = CertificateParams::new(Vec::new()).expect("names");
        above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let above = CertifiedIssuer::self_signed(above, KeyPair::generate().expect("a key")).expect("signed");
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("names");
        let own = own.signed_by(&key, &above).expect("signed");
        let write = |name: &str, text: String| {
            let path = home.join(name);
            fs::write(&path, text).expect("written");
            path
        };
        write("root.pem", above.pem());
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{listen}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": write("pebble.pem", own.pem()),
            "privateKey": write("pebble.key", key.serialize_pem()),
            "httpPort": http, "tlsPort": tls, "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        let config = write("pebble.json", config.to_string());
        let begin = |command: &mut Command| {
            let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            Ends(child.expect("Debian's package pebble is installed"))
        };
        let names = begin(Command::new("pebble-challtestsrv").args([
            &format!("-dns01=127.0.0.1:{dns}"),
            &format!("-management=127.0.0.1:{records}"),
            "-defaultIPv6=",
            "-http01=",
            "-https01=",
            "-tlsalpn01=",
        ]));
        let pebble = begin(
            Command::new("pebble")
                .arg("-config")
                .arg(config)
                .arg(format!("-dnsserver=127.0.0.1:{dns}"))
                .env("PEBBLE_VA_NOSLEEP", "1")
                .env("PEBBLE_WFE_NONCEREJECT", "20"),
        );
        Self {
            directory: format!("https://localhost:{listen}/dir"),
            management,
            dns,
            records,
            _processes: [names, pebble],
        }
    }

    /// Who vouches for the certificates that it gives.
    async fn root(&self) -> Certificate {
        let client = Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .expect("a client");
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let pem = until("the authority's root", async || {
            client.get(&url).send().await.ok()
        })
        .await;
        Certificate::from_pem(&pem.bytes().await.expect("whole")).expect("a certificate")
    }

    async fn set_txt(&self, name: &str, value: &str) {
        let body = json!({"host": format!("{name}."), "value": value}).to_string();
        let url = format!("http://127.0.0.1:{}/set-txt", self.records);
        let set = Client::new()
            .post(url)
            .body(body)
            .send()
            .await
            .expect("an answer");
        assert!(set.status().is_success());
    }
}

async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(began.elapsed() < DEADLINE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A Creel with certificates of its own.
struct Creel {
    up: Child,
    home: tempfile::TempDir,
    tls: u16,
    client: Client,
    token: String,
    authority: Authority,
}

impl Creel {
    async fn start(plain: bool) -> Option<Self> {
        let named = |name| std::env::var_os(name).map(PathBuf::from);
        let (Some(bin), Some(images), Some(_)) = (
            named("CREEL_BIN"),
            named("CREEL_TEST_IMAGES"),
            named("CREEL_BRIDGE"),
        ) else {
            eprintln!("skipped: run script/test, which builds what scenarios need");
            return None;
        };
        let home = tempfile::Builder::new()
            .prefix("creel-scenario-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a directory");
        let [http, tls] = free();
        let authority = Authority::start(home.path(), http, tls);
        let root = authority.root().await;
        let mut command = Command::new(bin);
        command
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env_remove("SUDO_UID")
            .args(["up", "--no-image-build", "--rate-limit", "off"])
            .arg("--data")
            .arg(home.path().join("data"))
            .arg("--images")
            .arg(images)
            .arg(format!("--listen=127.0.0.1:{tls}"))
            .arg(format!("--public-url=https://{OWN}:{tls}"))
            .arg("--agent-domain=agents.example.net")
            .arg("--acme-email=ops@example.com")
            .arg(format!("--acme-directory={}", authority.directory))
            .arg("--acme-root")
            .arg(home.path().join("root.pem"))
            .arg(format!("--dns-server=127.0.0.1:{}", authority.dns));
        if plain {
            command.arg(format!("--listen-http=127.0.0.1:{http}"));
        }
        let mut up = command.stdout(Stdio::piped()).spawn().expect("creel runs");
        let lines = BufReader::new(up.stdout.take().expect("a pipe")).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(
            lines.any(|line| line.starts_with("Creel runs at ")),
            "it says where it runs"
        );
        let settings = fs::read_to_string(home.path().join("config/creel/config.toml")).expect("settings");
        let token = settings.lines().find_map(|line| line.strip_prefix("token = \""));
        let here = SocketAddr::from(([127, 0, 0, 1], tls));
        let mut client = Client::builder().tls_certs_only([root]).pool_max_idle_per_host(0);
        for name in [
            OWN,
            AGENT,
            DOMAIN,
            "nobody.agents.example.net",
            "evil.example.org",
        ] {
            client = client.resolve(name, here);
        }
        Some(Self {
            token: token.expect("a token").trim_end_matches('"').to_owned(),
            up,
            home,
            tls,
            client: client.build().expect("a client"),
            authority,
        })
    }

    /// What is answered at a name; none: no handshake.
    async fn at(&self, name: &str) -> Option<StatusCode> {
        let asked = self
            .client
            .get(format!("https://{name}:{}/", self.tls))
            .send()
            .await;
        asked.ok().map(|answer| answer.status())
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> Value {
        let method = method.parse().expect("a method");
        let url = format!("https://{OWN}:{}/v1/{path}", self.tls);
        let asked = self
            .client
            .request(method, url)
            .bearer_auth(&self.token)
            .json(&body);
        let answer = asked.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.expect("JSON")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("data/logs/control.log")).unwrap_or_default()
    }

    fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.up);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("told to end");
        assert!(self.up.wait().expect("ended").success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_somewhere_get_certificates_and_no_others() {
    let Some(creel) = Creel::start(true).await else {
        return;
    };
    until("Creel's own", async || creel.at(OWN).await).await;
    creel
        .api("POST", "agents", json!({"name": "scout", "runtime": "lite"}))
        .await;
    assert_eq!(creel.at(AGENT).await, None, "nothing is published there");
    let page = json!({"access": "public", "page": true});
    creel.api("PUT", "agents/scout/ports/3000", page).await;
    // Nothing listens there: what counts is that there is somebody to say so.
    let answered = until("an agent's name", async || creel.at(AGENT).await).await;
    assert!(answered.is_server_error(), "{answered}");
    let claimed = creel
        .api("PUT", &format!("agents/scout/domains/{DOMAIN}"), json!({}))
        .await;
    let proof = claimed["records"][0]["value"].as_str().expect("a token");
    assert_eq!(creel.at(DOMAIN).await, None, "it is not proven");
    creel.authority.set_txt(&format!("_creel.{DOMAIN}"), proof).await;
    let verify = format!("agents/scout/domains/{DOMAIN}/verify");
    assert_eq!(creel.api("POST", &verify, json!({})).await["state"], "verified");
    until("an owner's name", async || creel.at(DOMAIN).await).await;
    for name in ["nobody.agents.example.net", "evil.example.org"] {
        assert_eq!(creel.at(name).await, None, "{name}");
        assert!(!creel.log().contains(name), "the authority was asked for {name}");
    }
    creel.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_plain_http_the_proof_is_shown_over_tls() {
    let Some(creel) = Creel::start(false).await else {
        return;
    };
    until("Creel's own", async || creel.at(OWN).await).await;
    creel.end();
}
