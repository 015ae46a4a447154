//! A store in a directory of its own, with a clock in the test's hand.

use std::{path::PathBuf, sync::Arc};

use creel_daemon::{Clock as _, ManualClock};
use creel_domain::{Agent, AgentFiles, AgentSpec, Limits, OrgId, Runtime, SessionName, UserId};
use creel_store::{AgentChange, MasterKey, NewAgent, Org, Store};
use jiff::Timestamp;

pub(crate) struct World {
    pub(crate) home: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
}

impl World {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let path = home.path().join("creel.db");
        let store = Store::open(&path, key(), Arc::clone(&clock) as _).expect("opens");
        let owner = store.platform().first_owner().await.expect("made");
        Self {
            home,
            clock,
            store,
            org: owner.org,
            user: owner.user,
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("creel.db")
    }

    pub(crate) fn org(&self) -> Org {
        self.store.org(self.org)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn agent(&self, name: &str) -> Agent {
        self.org().create_agent(new_agent(name)).await.expect("made")
    }

    /// Closes the store and opens it again, as a restart does.
    pub(crate) async fn reopen(&mut self) {
        self.store.close().await;
        self.store = Store::open(&self.path(), key(), Arc::clone(&self.clock) as _).expect("opens again");
    }
}

pub(crate) fn key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

pub(crate) fn spec() -> AgentSpec {
    AgentSpec {
        runtime: Runtime::Lite,
        model: "demo/demo".parse().expect("a model"),
        files: AgentFiles::default(),
        limits: Limits::default_for(Runtime::Lite),
    }
}

pub(crate) fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: name.parse().expect("a name"),
        spec: spec(),
    }
}

pub(crate) fn session() -> SessionName {
    SessionName::default()
}

pub(crate) fn intent(intent: creel_domain::Intent) -> AgentChange {
    AgentChange {
        intent: Some(intent),
        ..AgentChange::default()
    }
}
