//! A real identity provider: npm's `oidc-provider` as a process of its own on loopback.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{Browser, browser::Page};

pub const CLIENT_ID: &str = "creel";
/// It must show up nowhere but at the provider.
pub const CLIENT_SECRET: &str = "secret-canary-77c0f1be";

pub struct IdentityProvider {
    directory: PathBuf,
    redirect_uri: String,
    pub issuer: String,
    process: Option<Child>,
}

impl IdentityProvider {
    /// None, with a sentence on stderr, where it is not installed.
    pub fn start(redirect_uri: String) -> Option<Self> {
        let Some(directory) = std::env::var_os("CREEL_TEST_OIDC_PROVIDER").map(PathBuf::from) else {
            eprintln!("skipped: run script/test, which installs the identity provider");
            return None;
        };
        let mut provider = Self {
            directory,
            redirect_uri,
            issuer: String::new(),
            process: None,
        };
        provider.issuer = provider.run("0");
        Some(provider)
    }

    fn run(&mut self, port: &str) -> String {
        let mut process = Command::new("node")
            .arg("server.js")
            .current_dir(&self.directory)
            .envs([
                ("PORT", port),
                ("CLIENT_ID", CLIENT_ID),
                ("CLIENT_SECRET", CLIENT_SECRET),
            ])
            .env("REDIRECT_URI", &self.redirect_uri)
            // Its end is the provider's as well.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        self.process = Some(process);
        lines
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("issuer ").map(str::to_owned))
            .expect("it says who it is")
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// At the same address, with another key.
    pub fn start_again(&mut self) {
        self.stop();
        let port = self.issuer.rsplit(':').next().unwrap_or_default().to_owned();
        assert_eq!(self.run(&port), self.issuer);
    }

    /// Goes through its pages as somebody: who they are, and that they agree. What the browser shows afterwards.
    pub async fn agree(&self, browser: &mut Browser, page: Page, who: &str) -> Page {
        let mut page = page;
        for form in [
            format!("prompt=login&login={who}&password=x"),
            "prompt=consent".to_owned(),
        ] {
            // Whoever was here before is asked less.
            if !page.url.as_str().starts_with(&self.issuer) {
                return page;
            }
            let submit = page.address("action", "/interaction/");
            page = browser.submit(submit, &form).await;
        }
        page
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.stop();
    }
}
