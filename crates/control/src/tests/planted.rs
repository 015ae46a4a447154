//! Distinctive values go in wherever a secret goes in; then everything that leaves or lies about is searched for them.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use creel_domain::OrgId;
use creel_store::NewTotp;
use creel_testkit::{FakeVault, VaultMood};
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Reply, World,
    secrets::{put, set},
    vault::{TOKEN, keys},
    wait,
};

const ORG: &str = "planted-org-secret-7f3a91c2";
const REPLACED: &str = "planted-replaced-secret-91b5c0fa";
const REMOVED: &str = "planted-removed-secret-3c7de82f";
const AGENT: &str = "planted-agent-secret-0b6e44d8";
const PROVIDER: &str = "planted-provider-key-c19d2e75";
const PLATFORM: &str = "planted-platform-key-5a8f03be";
const VAULT: &str = "planted-vault-token-e2d7416c";
const TOTP: &str = "planted-totp-secret-64c0b1d9";
const PLANTED: [&str; 9] = [
    ORG, REPLACED, REMOVED, AGENT, PROVIDER, PLATFORM, VAULT, TOTP, TOKEN,
];

/// Every form in which a value could lie somewhere.
fn forms(value: &str) -> Vec<Vec<u8>> {
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![value.to_owned(), hex.to_uppercase(), hex];
    for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
        // It may begin at any of three places of a longer text: what is in the middle looks the same.
        for before in 0..3 {
            let text = engine.encode([vec![b'-'; before], value.as_bytes().to_vec()].concat());
            forms.push(text[4..text.len() - 4].to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// What was found, and where.
#[derive(Default)]
struct Haystack(Vec<(String, Vec<u8>)>);

impl Haystack {
    async fn answer(&mut self, what: &str, reply: Reply) {
        self.add(&format!("headers of {what}"), format!("{:?}", reply.headers));
        self.add(what, reply.bytes().await);
    }

    fn add(&mut self, what: &str, bytes: impl Into<Vec<u8>>) {
        self.0.push((what.to_owned(), bytes.into()));
    }

    /// All files below.
    fn files(&mut self, directory: &Path) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a kind"));
            if kind.is_dir() {
                self.files(&path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).expect("readable");
                self.add(&path.display().to_string(), bytes);
            }
        }
    }

    fn where_is(&self, value: &str) -> Vec<&str> {
        let forms = forms(value);
        let found = |bytes: &[u8]| forms.iter().any(|form| holds(bytes, form));
        let found = self.0.iter().filter(|(_, bytes)| found(bytes));
        found.map(|(place, _)| place.as_str()).collect()
    }
}

/// All that is logged on this thread.
#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn log(logs: &Logs) -> tracing::subscriber::DefaultGuard {
    let writer = logs.clone();
    let subscriber = tracing_subscriber::fmt()
        // Everything of ours; what libraries say of every byte is not switched on by anybody.
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_default(subscriber)
}

async fn plant(world: &World, theirs: &FakeVault, seen: &mut Haystack) {
    for (path, value) in [
        ("/v1/secrets/ORG", REPLACED),
        ("/v1/secrets/ORG", ORG),
        ("/v1/secrets/GONE", REMOVED),
        ("/v1/agents/scout/secrets/AGENT", AGENT),
        ("/v1/secrets/bad-name", ORG),
        ("/v1/agents/nobody/secrets/X", AGENT),
    ] {
        seen.answer(path, set(world, path, value).await).await;
    }
    seen.answer("removal", world.delete("/v1/secrets/GONE").await)
        .await;
    let provider = |key: &str| json!({"name": "planted", "kind": "openai", "key": key});
    for (path, key) in [
        ("/v1/providers", PROVIDER),
        ("/v1/providers", PROVIDER),
        ("/v1/platform/providers", PLATFORM),
    ] {
        seen.answer(path, world.post(path, provider(key)).await).await;
    }
    // Nobody listens there: a call fails, and its reason is told.
    let failing = json!({"name": "failing", "kind": "openai-compatible", "base_url": "http://127.0.0.1:9/v1",
                         "key_secret": "ORG"});
    seen.answer("failing", world.post("/v1/providers", failing).await)
        .await;
    let own = json!({"address": theirs.address(), "name": "creel", "token": VAULT});
    let own = put(world, "/v1/secrets/key", own).await;
    assert_eq!(own.status, 200);
    seen.answer("own key", own).await;
}

#[tokio::test]
async fn what_is_planted_is_found_in_no_file_dump_log_answer_or_export() {
    let logs = Logs::default();
    let _logged = log(&logs);
    let vault = FakeVault::start(TOKEN).await.expect("a vault");
    let theirs = FakeVault::start(VAULT).await.expect("their vault");
    let world = World::with_keys(keys(&vault)).await;
    world.create("scout").await;
    let me = world.get("/v1/whoami").await.expect(200).await;
    let org: OrgId = me["org"].as_str().expect("an id").parse().expect("an id");
    let user = me["user"].as_str().expect("an id").parse().expect("an id");
    let platform = world.store().platform();
    let totp = NewTotp {
        secret: Zeroizing::new(TOTP.to_owned()),
    };
    assert!(platform.begin_totp(user, totp).await.expect("begun"));
    assert!(
        platform
            .confirm_totp(user, 1, Vec::new())
            .await
            .expect("confirmed")
    );
    let mut seen = Haystack::default();
    plant(&world, &theirs, &mut seen).await;
    for path in [
        "/v1/providers/failing/test",
        "/v1/secrets/rotate",
        "/v1/platform/master-key/rotate",
    ] {
        seen.answer(path, world.post(path, json!({})).await).await;
    }
    for mood in [VaultMood::Status(403), VaultMood::Works] {
        theirs.set_mood(mood);
        for path in [
            "/v1/secrets",
            "/v1/secrets/key",
            "/v1/secrets/rotate",
            "/v1/agents/scout/secrets",
            "/v1/agents/scout",
            "/v1/providers",
            "/v1/platform/providers",
            "/v1/platform/master-key",
            "/v1/events",
            "/v1/audit?limit=200",
            "/v1/audit/export",
            "/v1/whoami",
            "/v1/usage",
        ] {
            seen.answer(path, world.get(path).await).await;
        }
    }
    wait("both exchanges to end", || async {
        let rotation = world.get("/v1/secrets/rotate").await.expect(200).await;
        let master = world.get("/v1/platform/master-key").await.expect(200).await;
        let over = rotation["rotating"] == false && master.get("finished_at").is_some();
        (over, format!("{rotation} {master}"))
    })
    .await;
    // They are really there: what is found nowhere below was sealed, not lost.
    let org = world.store().org(org);
    let value = org.secret_for(None, "ORG".parse().expect("a name"));
    assert_eq!(value.await.expect("read").expect("there").1.as_str(), ORG);

    seen.files(world.home.path());
    match &world.database {
        Some(database) => seen.add("pg_dump", database.dump()),
        None => assert!(seen.0.iter().any(|(name, _)| name.ends_with("creel.db-wal"))),
    }
    let log = logs.0.lock().expect("nobody panicked").clone();
    assert!(log.len() > 200, "something was logged: {}", log.len());
    seen.add("the log", log);
    for value in PLANTED {
        assert_eq!(seen.where_is(value), Vec::<&str>::new(), "{value}");
    }
    // The search finds what is there, and the names of secrets are.
    let name = "secret.set";
    let found = seen.where_is(name);
    assert!(
        found.contains(&"/v1/events") && found.contains(&"/v1/audit/export"),
        "{found:?}"
    );
}
