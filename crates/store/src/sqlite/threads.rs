//! Transactions: one thread writes, a few connections read, and the event loop never waits for a disk.
//!
//! ```text
//! write(body) ─▶ bounded queue ─▶ writer thread: BEGIN, each body in a savepoint, one COMMIT ─▶ answers
//! read(body)  ─▶ one of READERS connections, on a blocking thread
//! ```
//!
//! The bodies are async so that the same ones can run on an engine whose statements wait for a network. On
//! SQLite a statement is done when it returns, so a body is driven to its end by one poll, on the thread
//! that owns the connection: one hop for a transaction, none for a statement. Bodies that wait in the queue
//! together are committed together, with one flush of the disk between them.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use super::{open_reader, open_writer};
use crate::{
    Error,
    tx::{Body, Tx},
};

/// Reads at a time; more wait.
const READERS: usize = 4;
/// Writes that wait; whoever comes after them waits for a place.
const QUEUE: usize = 1024;
/// How long to wait for a place before saying that the store is busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Writes committed together.
const BATCH: usize = 64;

pub(crate) struct Database {
    queue: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
    readers: Arc<Mutex<Vec<Tx>>>,
    places: Arc<Semaphore>,
}

enum Message {
    Write(Box<dyn Job>),
    Close,
}

/// A body with its caller, when neither type is of interest any more.
trait Job: Send {
    /// Runs in a savepoint, which is to be kept if it went well.
    fn run(&mut self, tx: &mut Tx) -> Result<(), Error>;
    /// Answers the caller, once the batch is on disk or is not.
    fn settle(self: Box<Self>, committed: Result<(), Error>);
}

struct Pending<F, T> {
    body: Option<F>,
    outcome: Result<T, Error>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<F, T> Job for Pending<F, T>
where
    F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send,
    T: Send,
{
    fn run(&mut self, tx: &mut Tx) -> Result<(), Error> {
        if let Some(body) = self.body.take() {
            self.outcome = drive(body, tx);
        }
        self.outcome.as_ref().map(|_| ()).map_err(Error::clone)
    }

    fn settle(self: Box<Self>, committed: Result<(), Error>) {
        let outcome = self.outcome.and_then(|value| committed.map(|()| value));
        // Nobody there: the caller hung up after the work was queued. It is done all the same.
        let _ = self.caller.send(outcome);
    }
}

/// Runs a body to its end. A panic in it is an error of its caller's and of nobody else's.
fn drive<T>(body: impl for<'t> FnOnce(&'t mut Tx) -> Body<'t, T>, tx: &mut Tx) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(|| at_once(body(tx)))).unwrap_or(Err(Error::Interrupted))
}

/// The outcome of a body on SQLite. One that waits for anything but its own statements would hold up
/// everybody else's, and fails instead.
fn at_once<T>(body: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match pin!(body).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(Error::Interrupted),
    }
}

/// An open file that nobody uses yet.
pub(crate) struct Prepared {
    writer: Tx,
    readers: Vec<Tx>,
}

impl Prepared {
    #[cfg(test)]
    fn writer(&mut self) -> &mut Tx {
        &mut self.writer
    }

    /// Starts the writer. `news` hears of every appended event.
    pub(crate) fn start(self, news: Arc<watch::Sender<u64>>) -> Result<Database, Error> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let Self { writer, readers } = self;
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_all(writer, jobs, &news))
            .map_err(|_| Error::Interrupted)?;
        Ok(Database {
            queue,
            writer: Mutex::new(Some(writer)),
            readers: Arc::new(Mutex::new(readers)),
            places: Arc::new(Semaphore::new(READERS)),
        })
    }
}

impl Database {
    /// Opens or makes the file and brings its schema up to date.
    pub(crate) fn prepare(path: &Path) -> Result<Prepared, Error> {
        let writer = open_writer(path)?;
        let readers = (0..READERS)
            .map(|_| open_reader(path))
            .collect::<Result<_, _>>()?;
        Ok(Prepared { writer, readers })
    }

    /// One transaction: all of `body` or nothing. It is on disk when this returns. Once queued it runs,
    /// even if the caller goes away.
    pub(crate) async fn write<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending {
            body: Some(body),
            outcome: Err(Error::Interrupted),
            caller,
        });
        match self.queue.send_timeout(Message::Write(job), PATIENCE).await {
            Ok(()) => answer.await.unwrap_or(Err(Error::Interrupted)),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Error::Busy),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(Error::Interrupted),
        }
    }

    /// Looks at one moment of the database; a statement that would change it is refused by the engine.
    pub(crate) async fn read<T, F>(&self, body: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> Body<'t, T> + Send + 'static,
    {
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| Error::Busy)?
            .map_err(|_| Error::Interrupted)?;
        let mut lent = Lent::of(&self.readers, place).ok_or(Error::Interrupted)?;
        tokio::task::spawn_blocking(move || {
            let tx = lent.tx.as_mut().ok_or(Error::Interrupted)?;
            tx.sqlite_session().begin_read()?;
            let outcome = drive(body, tx);
            tx.sqlite_session().roll_back();
            outcome
        })
        .await
        .map_err(|_| Error::Interrupted)?
    }

    /// Lets what is queued finish, then closes the file. Later calls fail.
    pub(crate) async fn close(&self) {
        self.places.close();
        // Fails when it is closed already.
        let _ = self.queue.send(Message::Close).await;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // The thread has nothing to report: whoever it failed was told.
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
    }
}

/// A reader out of the pool, back in it when dropped: also when its task panics or never runs.
struct Lent {
    tx: Option<Tx>,
    pool: Arc<Mutex<Vec<Tx>>>,
    _place: OwnedSemaphorePermit,
}

impl Lent {
    fn of(pool: &Arc<Mutex<Vec<Tx>>>, place: OwnedSemaphorePermit) -> Option<Self> {
        let tx = pool.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Self {
            tx: Some(tx),
            pool: Arc::clone(pool),
            _place: place,
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.extend(self.tx.take());
    }
}

fn write_all(mut tx: Tx, mut jobs: mpsc::Receiver<Message>, news: &watch::Sender<u64>) {
    let mut closing = false;
    while !closing {
        let mut batch = Vec::new();
        let mut next = jobs.blocking_recv();
        while let Some(message) = next {
            match message {
                Message::Write(job) => batch.push(job),
                Message::Close => closing = true,
            }
            next = if closing || batch.len() == BATCH {
                None
            } else {
                jobs.try_recv().ok()
            };
        }
        // Every sender is gone.
        closing |= batch.is_empty();
        write_batch(&mut tx, batch, news);
    }
}

fn write_batch(tx: &mut Tx, mut batch: Vec<Box<dyn Job>>, news: &watch::Sender<u64>) {
    let committed = commit_batch(tx, &mut batch);
    let told = std::mem::take(&mut tx.told);
    if told && committed.is_ok() {
        news.send_modify(|count| *count = count.wrapping_add(1));
    }
    for job in batch {
        job.settle(committed.clone());
    }
}

fn commit_batch(tx: &mut Tx, batch: &mut [Box<dyn Job>]) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    tx.told = false;
    let outcome = tx.sqlite_session().begin_write().and_then(|()| {
        for job in batch {
            tx.sqlite_session().savepoint()?;
            let told = tx.told;
            match job.run(tx) {
                Ok(()) => tx.sqlite_session().keep()?,
                Err(error) => {
                    tx.told = told;
                    // Some errors, such as a full disk, end the whole transaction: then that is why.
                    tx.sqlite_session().forget().map_err(|_| error)?;
                }
            }
        }
        tx.sqlite_session().commit()
    });
    if outcome.is_err() {
        tx.sqlite_session().roll_back();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::values;

    struct Bench {
        home: tempfile::TempDir,
        database: Database,
    }

    fn bench(pages: Option<u32>) -> Bench {
        let home = tempfile::tempdir().expect("a directory");
        let mut prepared = Database::prepare(&home.path().join("t.db")).expect("opens");
        let writer = prepared.writer();
        at_once(async { writer.run("CREATE TABLE t (v TEXT UNIQUE)", values![]).await }).expect("made");
        if let Some(pages) = pages {
            let sql = format!("PRAGMA max_page_count = {pages}");
            at_once(async { writer.rows(&sql, values![]).await }).expect("set");
        }
        let news = Arc::new(watch::Sender::new(0));
        Bench {
            home,
            database: prepared.start(news).expect("starts"),
        }
    }

    impl Bench {
        async fn put(&self, value: String) -> Result<u64, Error> {
            let sql = "INSERT INTO t VALUES ($1)";
            self.database
                .write(move |tx| Box::pin(async move { tx.run(sql, values![value]).await }))
                .await
        }

        async fn count(&self) -> u64 {
            let sql = "SELECT COUNT(*) AS n FROM t";
            let row = self
                .database
                .read(move |tx| Box::pin(async move { tx.row(sql, values![]).await }));
            row.await
                .expect("read")
                .expect("a row")
                .count("n")
                .expect("a number")
        }
    }

    /// Holds the writer until all of `writes` wait, so that they come in one batch.
    async fn together<T>(bench: &Bench, writes: impl Future<Output = T>) -> T {
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let hold = bench.database.write(move |_| {
            let _ = wait.recv();
            Box::pin(async { Ok(()) })
        });
        let release = async {
            tokio::task::yield_now().await;
            drop(go);
        };
        let (held, outcome, ()) = tokio::join!(hold, writes, release);
        held.expect("held");
        outcome
    }

    #[tokio::test]
    async fn one_that_fails_takes_nobody_along() {
        let bench = bench(None);
        let writes = async {
            tokio::join!(
                bench.put("a".to_owned()),
                bench.put("a".to_owned()),
                bench.database.write::<(), _>(|tx| Box::pin(async move {
                    tx.run("INSERT INTO t VALUES ('half')", values![]).await?;
                    panic!("a fault in a body")
                })),
                bench.database.write::<(), _>(|tx| Box::pin(async move {
                    tx.run("INSERT INTO t VALUES ('half')", values![]).await?;
                    tokio::task::yield_now().await;
                    Ok(())
                })),
                bench.put("b".to_owned()),
            )
        };
        let (first, second, panicked, waited, last) = together(&bench, writes).await;
        assert!(first.is_ok() && last.is_ok());
        assert!(second.expect_err("a duplicate").is_duplicate());
        assert!(matches!(panicked, Err(Error::Interrupted)));
        assert!(
            matches!(waited, Err(Error::Interrupted)),
            "bodies wait for statements only"
        );
        assert_eq!(bench.count().await, 2, "a and b");
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_passes() {
        let bench = bench(Some(60));
        let big = bench.put("x".repeat(1 << 20)).await;
        assert!(matches!(big, Err(Error::DiskFull)), "{big:?}");
        bench.put("small".to_owned()).await.expect("there is room for it");
        assert_eq!(bench.count().await, 1);
    }

    #[tokio::test]
    async fn readers_come_back_whoever_hangs_up_or_panics() {
        let bench = bench(None);
        for _ in 0..3 * READERS {
            let read = bench.database.read::<(), _>(|_| panic!("a fault in a body"));
            assert!(matches!(read.await, Err(Error::Interrupted)));
            let hung_up = bench.database.read(|_| Box::pin(async { Ok(()) }));
            let _ = tokio::time::timeout(Duration::ZERO, hung_up).await;
        }
        for _ in 0..3 * READERS {
            assert_eq!(bench.count().await, 0);
        }
    }

    #[tokio::test]
    async fn a_read_cannot_write() {
        let bench = bench(None);
        let sql = "INSERT INTO t VALUES ('x')";
        let outcome = bench
            .database
            .read(move |tx| Box::pin(async move { tx.run(sql, values![]).await }))
            .await;
        assert!(outcome.is_err());
        assert_eq!(bench.count().await, 0);
    }

    #[tokio::test]
    async fn who_hangs_up_on_a_write_has_it_done_all_the_same() {
        let bench = bench(None);
        {
            // Asked once, which hands the write over, and never again.
            let mut write = std::pin::pin!(bench.put("a".to_owned()));
            std::future::poll_fn(|context| {
                let _ = write.as_mut().poll(context);
                std::task::Poll::Ready(())
            })
            .await;
        }
        bench.put("b".to_owned()).await.expect("written");
        assert_eq!(bench.count().await, 2);
        assert!(bench.home.path().exists());
    }
}
