//! The floor: the drivers by themselves.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, ensure};
use rusqlite::{Connection, params};
use tokio_postgres::{Client, NoTls, Statement, types::Type};
use uuid::Uuid;

use super::{MANY, MESSAGE, SESSION, Seeded, TOKEN};

const BY_TOKEN: &str =
    "SELECT t.org_id, o.name, t.user_id, m.name, m.role, u.operator, t.scopes, t.last_used_at
    FROM tokens t JOIN orgs o ON o.id = t.org_id JOIN users u ON u.id = t.user_id
    JOIN members m ON m.org_id = t.org_id AND m.user_id = t.user_id
    WHERE t.hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)";
const AGENT: &str =
    "SELECT id, org_id, name, spec, intent, generation, incarnation, sandbox_id, created_at, changed_at
    FROM agents WHERE org_id = $1 AND id = $2";
const TURN: &str = "INSERT INTO turns (id, org_id, agent_id, session, message, status, created_at)
    VALUES ($1, $2, $3, $4, $5, 'running', $6)";
const NEXT: &str = "UPDATE orgs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event";
const EVENT: &str = "INSERT INTO events (org_id, sequence, kind, subject, data, at) VALUES ($1, $2, 'turn.started', $3, $4, $5)";
/// Any time will do.
const NOW: i64 = 1_800_000_000_000_000;

pub(super) enum Raw {
    /// One connection for each worker that reads; SQLite has one writer, so they share one to write.
    Sqlite {
        readers: Vec<Arc<Mutex<Connection>>>,
        writer: Arc<Mutex<Connection>>,
        seeded: Seeded,
    },
    /// One connection for each worker.
    Postgres {
        clients: Vec<(Client, Prepared)>,
        seeded: Seeded,
    },
}

pub(super) struct Prepared {
    by_token: Statement,
    agent: Statement,
    turn: Statement,
    next: Statement,
    event: Statement,
}

impl Raw {
    pub(super) fn sqlite(path: &Path, seeded: Seeded) -> Result<Self> {
        let open = || -> Result<_> {
            let connection = Connection::open(path)?;
            connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
            Ok(Arc::new(Mutex::new(connection)))
        };
        Ok(Self::Sqlite {
            readers: (0..MANY).map(|_| open()).collect::<Result<_>>()?,
            writer: open()?,
            seeded,
        })
    }

    pub(super) async fn postgres(address: &str, seeded: Seeded) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..MANY {
            let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute("SET search_path TO creel").await?;
            let prepared = Prepared {
                by_token: client.prepare(BY_TOKEN).await?,
                agent: client.prepare(AGENT).await?,
                turn: client
                    .prepare_typed(TURN, &[Type::UUID, Type::UUID, Type::UUID])
                    .await?,
                next: client.prepare(NEXT).await?,
                event: client.prepare(EVENT).await?,
            };
            clients.push((client, prepared));
        }
        Ok(Self::Postgres { clients, seeded })
    }

    pub(super) async fn read(&self, worker: usize) -> Result<()> {
        match self {
            Self::Sqlite { readers, seeded, .. } => {
                let (reader, seeded) = (Arc::clone(&readers[worker]), *seeded);
                tokio::task::spawn_blocking(move || {
                    let reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
                    let org: Vec<u8> = reader
                        .prepare_cached(BY_TOKEN)?
                        .query_row(params![TOKEN, NOW], |row| row.get(0))?;
                    let name: String = reader
                        .prepare_cached(AGENT)?
                        .query_row(params![org, seeded.agent.uuid().as_bytes()], |row| row.get(2))?;
                    ensure!(!name.is_empty());
                    Ok(())
                })
                .await?
            }
            Self::Postgres { clients, seeded } => {
                let (client, prepared) = &clients[worker];
                let row = client
                    .query_one(&prepared.by_token, &[&TOKEN.as_slice(), &NOW])
                    .await?;
                let org: Uuid = row.try_get(0)?;
                let row = client
                    .query_one(&prepared.agent, &[&org, &seeded.agent.uuid()])
                    .await?;
                ensure!(!row.try_get::<_, String>(2)?.is_empty());
                Ok(())
            }
        }
    }

    pub(super) async fn message(&self, worker: usize) -> Result<()> {
        let turn = Uuid::now_v7();
        match self {
            Self::Sqlite { writer, seeded, .. } => {
                let (writer, seeded) = (Arc::clone(writer), *seeded);
                tokio::task::spawn_blocking(move || {
                    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                    let tx = writer.transaction()?;
                    let (org, agent) = (seeded.org.uuid().into_bytes(), seeded.agent.uuid().into_bytes());
                    tx.prepare_cached(AGENT)?
                        .query_row(params![org, agent], |_| Ok(()))?;
                    tx.prepare_cached(TURN)?.execute(params![
                        turn.as_bytes(),
                        org,
                        agent,
                        SESSION,
                        MESSAGE,
                        NOW
                    ])?;
                    let sequence: i64 = tx
                        .prepare_cached(NEXT)?
                        .query_row(params![org], |row| row.get(0))?;
                    tx.prepare_cached(EVENT)?
                        .execute(params![org, sequence, turn.to_string(), "{}", NOW])?;
                    Ok(tx.commit()?)
                })
                .await?
            }
            Self::Postgres { clients, seeded } => {
                let (client, prepared) = &clients[worker];
                let (org, agent) = (seeded.org.uuid(), seeded.agent.uuid());
                client.batch_execute("BEGIN").await?;
                client
                    .query_opt(&prepared.agent, &[&org, &agent])
                    .await?
                    .context("the agent")?;
                client
                    .execute(&prepared.turn, &[&turn, &org, &agent, &SESSION, &MESSAGE, &NOW])
                    .await?;
                let sequence: i64 = client.query_one(&prepared.next, &[&org]).await?.try_get(0)?;
                client
                    .execute(
                        &prepared.event,
                        &[&org, &sequence, &turn.to_string(), &"{}", &NOW],
                    )
                    .await?;
                Ok(client.batch_execute("COMMIT").await?)
            }
        }
    }
}
