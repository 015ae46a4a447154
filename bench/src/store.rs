//! What the store adds to its engines: a read in the name of a token, and a message accepted, against the raw
//! driver running the same statements, prepared once, in a database with the same tables.
//!
//! SQLite writes through at each commit on both sides. The PostgreSQL of both sides flushes nothing, so that
//! what is compared is Creel's part and not the disk's.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::Result;
use creel_daemon::SystemClock;
use creel_domain::{AgentFiles, AgentId, AgentSpec, Limits, OrgId, Runtime};
use creel_store::{Address, MasterKey, NewAgent, NewToken, Store};
use creel_testkit::PostgresDatabase;
use futures_util::future::try_join_all;
use raw::Raw;

use crate::figures;

mod raw;

const ROUNDS: usize = 15;
/// Of one round.
const READS: usize = 320;
const MESSAGES: usize = 160;
/// How many ask at once, in the second measure of each kind.
const MANY: usize = 16;
/// The token that everybody shows.
const TOKEN: [u8; 32] = [42; 32];
const SESSION: &str = "main";
const MESSAGE: &str = "What is there to do today?";

/// Whose rows are read and written.
#[derive(Debug, Clone, Copy)]
struct Seeded {
    org: OrgId,
    agent: AgentId,
}

struct Ours {
    store: Store,
    seeded: Seeded,
}

pub(crate) async fn run() -> Result<()> {
    // On a disk: a file in memory would have nothing to wait for.
    let home = tempfile::tempdir_in("/var/tmp")?;
    let ours = sqlite(&home.path().join("ours.db")).await?;
    let path = home.path().join("floor.db");
    let floor = sqlite(&path).await?;
    floor.store.close().await;
    measure("SQLite", &ours, &Raw::sqlite(&path, floor.seeded)?).await?;
    ours.store.close().await;

    let database = PostgresDatabase::fresh();
    let ours = postgres(&database).await?;
    let database = PostgresDatabase::fresh();
    let floor = postgres(&database).await?;
    floor.store.close().await;
    // Its administrator, whom no policy concerns.
    let address = database.address().replace("user=creel", "user=postgres");
    measure("PostgreSQL", &ours, &Raw::postgres(&address, floor.seeded).await?).await?;
    ours.store.close().await;
    Ok(())
}

async fn sqlite(path: &Path) -> Result<Ours> {
    Ours::new(Store::open(path, MasterKey::from_bytes([7; 32]), Arc::new(SystemClock)).await?).await
}

async fn postgres(database: &PostgresDatabase) -> Result<Ours> {
    let address = Address::parse(&database.address())?;
    let key = MasterKey::from_bytes([7; 32]);
    Ours::new(Store::connect(address, key, Arc::new(SystemClock)).await?).await
}

impl Ours {
    async fn new(store: Store) -> Result<Self> {
        let owner = store.platform().first_owner().await?;
        let org = store.org(owner.org);
        org.add_token(NewToken::whole(owner.user, "bench", TOKEN)).await?;
        let spec = AgentSpec {
            runtime: Runtime::Lite,
            model: "demo/demo".parse()?,
            files: AgentFiles::default(),
            limits: Limits::default_for(Runtime::Lite),
            rest: creel_domain::Rest::default(),
        };
        let name = "scout".parse()?;
        let agent = org.create_agent(NewAgent { name, spec }).await?;
        let seeded = Seeded {
            org: owner.org,
            agent: agent.id,
        };
        Ok(Self { store, seeded })
    }

    async fn read(&self) -> Result<()> {
        let access = self.store.platform().by_token(TOKEN).await?;
        let org = access.map_or(self.seeded.org, |access| access.org);
        self.store.org(org).agent(self.seeded.agent).await?;
        Ok(())
    }

    async fn message(&self) -> Result<()> {
        let org = self.store.org(self.seeded.org);
        org.begin_turn(self.seeded.agent, SESSION.parse()?, MESSAGE.to_owned())
            .await?;
        Ok(())
    }
}

async fn measure(engine: &str, ours: &Ours, floor: &Raw) -> Result<()> {
    for many in [1, MANY] {
        let (mut reads, mut messages) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            at_once(many, READS, |_| ours.read()).await?;
            let took = began.elapsed();
            let began = Instant::now();
            at_once(many, READS, |worker| floor.read(worker)).await?;
            reads.push((took, began.elapsed()));

            let began = Instant::now();
            at_once(many, MESSAGES, |_| ours.message()).await?;
            let took = began.elapsed();
            let began = Instant::now();
            at_once(many, MESSAGES, |worker| floor.message(worker)).await?;
            messages.push((took, began.elapsed()));
        }
        figures::rates(&format!("{engine}: read by token, {many} at once"), READS, &reads);
        figures::rates(
            &format!("{engine}: message accepted, {many} at once"),
            MESSAGES,
            &messages,
        );
    }
    Ok(())
}

/// Shares the work out to so many workers, each of which does its part one after another.
async fn at_once<W>(many: usize, all: usize, work: impl Fn(usize) -> W) -> Result<()>
where
    W: Future<Output = Result<()>>,
{
    let work = &work;
    let workers = (0..many).map(|worker| async move {
        for _ in 0..all / many {
            work(worker).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(workers).await?;
    Ok(())
}
