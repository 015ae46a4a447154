//! A PostgreSQL of the test's own, from the Debian package's programs: a Unix socket in a temporary directory,
//! no port, nothing flushed, nothing left behind.
//!
//! The files of an empty server are made once and copied for each. A thread has one server, which ends with it;
//! should its process be killed, the kernel ends the server, and the next one to start removes the files.

use std::{
    cell::RefCell,
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(3);
/// The user that the tests connect as: no superuser, as a careful operator would have it.
const USER: &str = "creel";
const PREFIX: &str = "creel-postgres-";

static NUMBER: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
}

/// A fresh, empty database on this thread's server.
#[derive(Debug, Clone)]
pub struct PostgresDatabase {
    home: PathBuf,
    name: String,
}

impl PostgresDatabase {
    /// Starts the server if this thread has none.
    ///
    /// # Panics
    ///
    /// When there is no PostgreSQL to start, or it does not start.
    pub fn fresh() -> Self {
        let home = SERVER.with_borrow_mut(|server| server.get_or_insert_with(Server::start).home.clone());
        let name = format!("creel{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let fresh = Self { home, name };
        fresh.ask_in(
            "postgres",
            &format!("CREATE DATABASE {} OWNER {USER}", fresh.name),
        );
        fresh
    }

    /// The address of Creel's own user, who owns the database.
    pub fn address(&self) -> String {
        format!(
            "postgres:///{}?host={}&user={USER}",
            self.name,
            self.home.display()
        )
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks as the server's administrator, whom no wall stops: the answer's columns joined by `|`.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub fn ask(&self, sql: &str) -> String {
        self.ask_in(&self.name, sql)
    }

    /// What `pg_dump` writes of it, as its administrator would keep it for a backup.
    ///
    /// # Panics
    ///
    /// When the server refuses.
    pub fn dump(&self) -> String {
        let mut dump = Command::new(programs().join("pg_dump"));
        dump.args(["-U", "postgres", "-h"])
            .arg(&self.home)
            .arg(&self.name);
        text(dump.output(), "pg_dump")
    }

    fn ask_in(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new("psql");
        psql.env("PGOPTIONS", "-c search_path=creel,public")
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(&self.home)
            .args(["-d", database, "-c", sql]);
        text(psql.output(), "psql")
    }
}

struct Server {
    home: PathBuf,
    child: Child,
}

impl Server {
    fn start() -> Self {
        let parent = memory();
        sweep(&parent);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let data = home.join("data");
        fs::create_dir(&home).expect("a directory for a server");
        give_away(&home);
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(template()).arg(&data);
        text(copy.output(), "cp");
        let log = fs::File::create(home.join("log")).expect("a log");
        let child = as_servant(&programs().join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&home)
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "full_page_writes=off",
            ])
            .args([
                "-c",
                "shared_buffers=16MB",
                "-c",
                "autovacuum=off",
                "-c",
                "max_connections=200",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let mut server = Self { home, child };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let pid = fs::read_to_string(self.home.join("data/postmaster.pid")).unwrap_or_default();
            if pid.lines().any(|line| line.trim() == "ready") {
                return;
            }
            let ended = self.child.try_wait().expect("a child of ours");
            if ended.is_some() || Instant::now() > until {
                let log = fs::read_to_string(self.home.join("log")).unwrap_or_default();
                panic!("PostgreSQL does not start ({ended:?}, {pid:?}):\n{log}");
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT: end at once, and take the children along. Nothing of it is kept anyway.
        let _ = Command::new("kill")
            .args(["-QUIT", &self.child.id().to_string()])
            .status();
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// The files of an empty server with our user in it, made once for all tests that were built together.
fn template() -> PathBuf {
    let program = std::env::current_exe().expect("ourselves");
    let near = program.ancestors().nth(2).expect("a target directory");
    let template = near.join("postgres-template");
    let lock = fs::File::create(near.join("postgres-template.lock")).expect("a lock file");
    lock.lock().expect("locked");
    if !template.exists() {
        make_template(&template);
    }
    template
}

fn make_template(template: &Path) {
    let making = memory().join(format!("{PREFIX}{}-template", std::process::id()));
    let _ = fs::remove_dir_all(&making);
    fs::create_dir(&making).expect("a directory");
    give_away(&making);
    let data = making.join("data");
    let made = as_servant(&programs().join("initdb"))
        .arg("-D")
        .arg(&data)
        .args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-N",
            "--no-locale",
            "-E",
            "UTF8",
            "--wal-segsize=1",
        ])
        .output();
    text(made, "initdb");
    let mut single = as_servant(&programs().join("postgres"))
        .args(["--single", "-F", "-D"])
        .arg(&data)
        .arg("postgres")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres starts");
    let mut input = single.stdin.take().expect("piped");
    io::Write::write_all(
        &mut input,
        format!("CREATE ROLE {USER} LOGIN CREATEROLE\n").as_bytes(),
    )
    .expect("written");
    drop(input);
    assert!(
        single.wait().expect("ended").success(),
        "the user could not be made"
    );
    let beside = template.with_extension("new");
    let _ = fs::remove_dir_all(&beside);
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(&data).arg(&beside);
    text(copy.output(), "cp");
    fs::rename(&beside, template).expect("in its place");
    let _ = fs::remove_dir_all(&making);
}

/// Memory where there is some: half the time of a start is files.
fn memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    }
}

/// Removes what processes that are no more have left.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX)?.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Debian keeps the server's programs by version, outside of `PATH`: the newest.
fn programs() -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is missing: apt-get install postgresql");
    let mut found: Vec<_> = versions
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("postgres").exists())
        .collect();
    found.sort();
    found
        .pop()
        .expect("PostgreSQL is missing: apt-get install postgresql")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// PostgreSQL refuses to run as root. Whoever it runs as, it ends with us.
fn as_servant(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    }
    command.arg("--").arg(program);
    command
}

fn give_away(directory: &Path) {
    if is_root() {
        let mut chown = Command::new("chown");
        chown.arg("nobody:nogroup").arg(directory);
        text(chown.output(), "chown");
    }
}

fn text(output: io::Result<Output>, what: &str) -> String {
    let output = output.unwrap_or_else(|error| panic!("{what} does not start: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what} failed: {said}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
