//! A real browser in front of the real page: scripts in `tests/browser`, each over a Creel of its own.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::Platform;

/// A whole script: each of its own waits is shorter. Looking at every page in four ways takes two cores half a minute alone.
const SCRIPT_WITHIN: Duration = Duration::from_secs(270);

impl Platform {
    /// Runs a script of `tests/browser` and fails with what the page said. Without `CREEL_BROWSER`, where `script/test`
    /// has put what drives a browser, it says that it is skipped; `CREEL_PICTURES` names a folder for pictures.
    pub async fn in_a_browser(&self, script: &str) {
        let Some(driver) = std::env::var_os("CREEL_BROWSER") else {
            eprintln!("skipped: run script/test, which installs a browser");
            return;
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        let run = Command::new("node")
            .arg(folder.join(format!("{script}.mjs")))
            .env("CREEL_BROWSER", driver)
            .env("CREEL_URL", self.client().url())
            .env("CREEL_TOKEN", self.token())
            .stdin(Stdio::null())
            // The browser hears of it by the end of its pipe.
            .kill_on_drop(true)
            .output();
        let ended = timeout(SCRIPT_WITHIN, run)
            .await
            .expect("it ends in time")
            .expect("node runs");
        let told = [ended.stdout, ended.stderr].concat();
        assert!(
            ended.status.success(),
            "{script}: {}\n{}",
            String::from_utf8_lossy(&told),
            self.logs()
        );
    }
}
