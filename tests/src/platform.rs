//! Creel from `creel up` to its end.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use creel_api::{AddProvider, Agent, CreateAgent, LimitsPatch, client::Client};
use creel_domain::{AgentState, ProviderKind, Runtime};
use creel_testkit::{FakeProvider, PostgresDatabase};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::leftovers::{clear, leftovers};

/// Whatever a scenario waits for comes within this, or the scenario fails.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// The key of the provider `fake`: it must show up nowhere but at the provider.
pub const KEY: &str = "sk-canary-5b1d0c0a7e";

/// Creel over a data directory of its own, with the provider `fake`.
pub struct Platform {
    bin: PathBuf,
    images: PathBuf,
    /// Where its state is, if not in its data directory.
    database: Option<PostgresDatabase>,
    /// Further ones for `creel up`.
    flags: Vec<String>,
    directory: TempDir,
    provider: FakeProvider,
    parent: Option<Child>,
    client: Client,
    token: String,
}

impl Platform {
    /// None, with a sentence on stderr, where scenarios cannot run.
    pub async fn start() -> Option<Self> {
        Self::start_on(|| None, &[]).await
    }

    /// The same, with further flags for `creel up`.
    pub async fn start_with(flags: &[&str]) -> Option<Self> {
        Self::start_on(|| None, flags).await
    }

    /// The same, with its state on a PostgreSQL server of its own.
    pub async fn start_on_postgres() -> Option<Self> {
        Self::start_on(|| Some(PostgresDatabase::fresh()), &[]).await
    }

    async fn start_on(database: impl FnOnce() -> Option<PostgresDatabase>, flags: &[&str]) -> Option<Self> {
        let named = |name| std::env::var_os(name).map(PathBuf::from);
        let (Some(bin), Some(images), Some(_bridge)) = (
            named("CREEL_BIN"),
            named("CREEL_TEST_IMAGES"),
            named("CREEL_BRIDGE"),
        ) else {
            eprintln!("skipped: run script/test, which builds what scenarios need");
            return None;
        };
        // The sandboxes' own users must be able to pass through it.
        let directory = tempfile::Builder::new()
            .prefix("creel-scenario-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir()
            .expect("a directory");
        let mut platform = Self {
            bin,
            images,
            database: database(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            directory,
            provider: FakeProvider::start().await.expect("a provider"),
            parent: None,
            client: Client::new("http://127.0.0.1:1", None).expect("a client"),
            token: String::new(),
        };
        platform.up("127.0.0.1:0");
        let provider = AddProvider {
            name: "fake".parse().expect("a name"),
            kind: ProviderKind::OpenaiCompatible,
            base_url: Some(platform.provider.base_url()),
            key: Some(KEY.to_owned()),
            key_secret: None,
        };
        platform
            .client
            .add_provider(&provider)
            .await
            .expect("a provider is added");
        Some(platform)
    }

    /// `creel` with the settings of this installation.
    pub fn creel(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.bin);
        command
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"))
            .env("CREEL_DATA", self.data())
            // Unless a scenario is about them.
            .env("CREEL_SPARES", "none")
            .env_remove("CREEL_URL")
            .env_remove("CREEL_TOKEN")
            .env_remove("SUDO_UID")
            .env_remove("CREEL_DATABASE")
            .stdin(Stdio::null())
            .args(args);
        if let Some(database) = &self.database {
            command.env("CREEL_DATABASE", database.address());
        }
        command
    }

    fn up(&mut self, listen: &str) {
        let images = self.images.to_str().expect("a path in UTF-8").to_owned();
        let mut parent = self
            .creel(&[
                "up",
                "--no-image-build",
                "--rate-limit",
                "off",
                "--images",
                &images,
                "--listen",
                listen,
            ])
            .args(&self.flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("creel runs");
        let mut lines = BufReader::new(parent.stdout.take().expect("a pipe")).lines();
        self.parent = Some(parent);
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("Creel runs at ").map(str::to_owned))
            .unwrap_or_else(|| panic!("it says where it runs\n{}", self.logs()));
        let settings = self.directory.path().join("config/creel/config.toml");
        let settings = fs::read_to_string(settings).expect("settings");
        let token = settings.lines().find_map(|line| line.strip_prefix("token = \""));
        self.token = token.expect("a token").trim_end_matches('"').to_owned();
        self.client = Client::new(&url, Some(self.token.clone())).expect("a client");
    }

    /// Kills the parent, and with it all that Creel runs outside sandboxes; then starts it again.
    pub fn crash_and_start_again(&mut self) {
        let listen = self.client.url().trim_start_matches("http://").to_owned();
        let mut parent = self.parent.take().expect("it runs");
        parent.kill().expect("killed");
        parent.wait().expect("ended");
        self.up(&listen);
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// What the API is told to know its caller.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The provider `fake`; its model is `fake/m1`.
    pub fn provider(&self) -> &FakeProvider {
        &self.provider
    }

    pub fn database(&self) -> Option<&PostgresDatabase> {
        self.database.as_ref()
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The root directory of an image.
    pub fn image(&self, name: &str) -> PathBuf {
        let versions = fs::read_dir(self.images.join(name)).expect("images");
        versions
            .filter_map(|entry| Some(entry.ok()?.path().join("rootfs")))
            .find(|rootfs| rootfs.is_dir())
            .expect("script/test has made the images")
    }

    /// The process id of `creel up`.
    pub fn parent(&self) -> u32 {
        self.parent.as_ref().expect("it runs").id()
    }

    pub fn logs(&self) -> String {
        let logs = ["edge.log", "control.log", "supervisor.log"]
            .map(|name| fs::read_to_string(self.data().join("logs").join(name)));
        logs.map(Result::unwrap_or_default).join("\n")
    }

    /// Makes an agent that uses the provider `fake`, and waits until it runs.
    pub async fn agent(&self, name: &str, runtime: Runtime) -> Agent {
        self.agent_within(name, runtime, LimitsPatch::default()).await
    }

    /// The same, with limits of its own.
    pub async fn agent_within(&self, name: &str, runtime: Runtime, limits: LimitsPatch) -> Agent {
        self.create_within(name, runtime, limits).await;
        self.running(name).await
    }

    /// Makes an agent that uses the provider `fake`, and does not wait for it.
    pub async fn create(&self, name: &str, runtime: Runtime) -> Agent {
        self.create_within(name, runtime, LimitsPatch::default()).await
    }

    async fn create_within(&self, name: &str, runtime: Runtime, limits: LimitsPatch) -> Agent {
        let agent = CreateAgent {
            name: name.parse().expect("a name"),
            runtime: Some(runtime),
            model: Some("fake/m1".parse().expect("a model")),
            files: creel_domain::AgentFiles::default(),
            limits,
            rest: creel_api::RestPatch::default(),
        };
        self.client
            .create_agent(&agent, None)
            .await
            .expect("it is created")
    }

    /// Waits until the agent runs.
    pub async fn running(&self, name: &str) -> Agent {
        let mut seen = None;
        let agent = self
            .until(&format!("`{name}` runs"), async || {
                let agent = self.client.agent(name).await.expect("it is there");
                seen = Some(agent.status.clone());
                matches!(agent.status, AgentState::Running { .. }).then_some(agent)
            })
            .await;
        agent.unwrap_or_else(|| panic!("`{name}` is {seen:?}\n{}", self.logs()))
    }

    /// Asks until there is an answer; none at the deadline.
    pub async fn until<T>(&self, _what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        while began.elapsed() < DEADLINE {
            if let Some(answer) = ask().await {
                return Some(answer);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
    }

    /// Ends it as an operator would, and looks that nothing of it is left on the host.
    pub fn end(mut self) {
        let status = self.terminate().expect("it runs");
        assert!(status.success(), "{status}\n{}", self.logs());
        let left = leftovers(&self.data());
        assert!(left.is_empty(), "left behind: {left:#?}\n{}", self.logs());
    }

    fn terminate(&mut self) -> Option<std::process::ExitStatus> {
        let mut parent = self.parent.take()?;
        let _ = kill_process(Pid::from_child(&parent), Signal::TERM);
        parent.wait().ok()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // A scenario that failed leaves nothing either.
        if self.terminate().is_some() && std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        if std::thread::panicking() {
            clear(&self.data());
        }
    }
}
