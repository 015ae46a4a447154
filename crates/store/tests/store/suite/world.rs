//! A store on an engine of its own, with a clock in the test's hand.

use std::sync::Arc;

use creel_daemon::{Clock as _, ManualClock};
use creel_domain::{Agent, AgentFiles, AgentSpec, Email, Limits, OrgId, Runtime, SessionName, UserId};
use creel_store::{
    AgentChange, Error, MasterKey, MasterKeys, NewAgent, NewBrowserSession, Org, PasswordHash, Store,
};
use jiff::Timestamp;

use crate::engine::Engine;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Store,
    pub(crate) org: OrgId,
    pub(crate) user: UserId,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(key()).await
    }

    /// With other keys than most tests have.
    pub(crate) async fn with(keys: impl Into<MasterKeys>) -> Self {
        let engine = Engine::new();
        let start = Timestamp::from_second(1_800_000_000).expect("in range");
        let clock = Arc::new(ManualClock::at(start));
        let store = Engine::open_at(&engine.place(), keys, Arc::clone(&clock) as _)
            .await
            .expect("opens");
        let owner = store.platform().first_owner().await.expect("made");
        Self {
            engine,
            clock,
            store,
            org: owner.org,
            user: owner.user,
        }
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
        self.store = self.open().await.expect("opens again");
    }

    /// As [`Self::reopen`], with other keys.
    pub(crate) async fn reopen_with(&mut self, keys: impl Into<MasterKeys>) -> Result<(), Error> {
        self.store.close().await;
        self.store = self.open_with(keys).await?;
        Ok(())
    }

    pub(crate) async fn open_with(&self, keys: impl Into<MasterKeys>) -> Result<Store, Error> {
        Engine::open_at(&self.engine.place(), keys, Arc::clone(&self.clock) as _).await
    }

    /// Another store on the same database, as another control has it.
    pub(crate) async fn open(&self) -> Result<Store, Error> {
        self.open_with(key()).await
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
        rest: creel_domain::Rest::default(),
    }
}

pub(crate) fn new_agent(name: &str) -> NewAgent {
    NewAgent {
        name: name.parse().expect("a name"),
        spec: spec(),
    }
}

/// A session of a browser whose secret has this mark, opened with a password.
pub(crate) fn browser_session(mark: u8) -> NewBrowserSession {
    NewBrowserSession {
        hash: [mark; 32],
        browser: format!("browser {mark}"),
        proven: true,
    }
}

pub(crate) fn email(text: &str) -> Email {
    text.parse().expect("an address")
}

pub(crate) fn password(mark: u8) -> PasswordHash {
    PasswordHash {
        hash: [mark; 32],
        salt: [mark; 16],
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
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
