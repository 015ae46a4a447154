//! The settings of whoever ran `creel up`: where Creel is, and the token to speak to it.

use std::path::{Path, PathBuf};

use rustix::{
    process::{Gid, Uid},
    thread::{set_thread_res_gid, set_thread_res_uid},
};

use super::account::{Account, Person};
use crate::settings::{self, Settings};

pub(super) struct Owner {
    person: Person,
    pub(super) path: Option<PathBuf>,
}

impl Owner {
    pub(super) fn who_asked() -> Self {
        let person = Person::who_asked();
        let path = settings::path(|name| match name {
            "HOME" => person.home.clone(),
            // Root's own setting says nothing about the person behind sudo.
            _ if person.account.uid != 0 => None,
            _ => std::env::var_os(name).map(PathBuf::from),
        });
        Self { person, path }
    }

    /// The token that is there for this address.
    pub(super) fn token(&self, url: &str) -> Option<String> {
        let path = self.path.as_deref()?;
        let settings = as_account(self.person.account, || settings::read(path).ok())?;
        settings.token.filter(|_| settings.url.as_deref() == Some(url))
    }

    /// Puts both there. Settings for another server are kept beside them.
    pub(super) fn write(&self, url: &str, token: String) -> std::io::Result<()> {
        let path = self.path.as_deref().ok_or(std::io::ErrorKind::NotFound)?;
        let settings = Settings {
            url: Some(url.to_owned()),
            token: Some(token),
        };
        as_account(self.person.account, || {
            let old = settings::read(path).ok().and_then(|old| old.url);
            if old.is_some_and(|old| old != url) {
                std::fs::rename(path, kept(path))?;
            }
            settings::write(path, &settings)
        })
    }
}

fn kept(path: &Path) -> PathBuf {
    path.with_extension("toml.old")
}

/// With the rights of that account: root must not follow what a person put into their own directories.
///
/// Changes the calling thread only, and back again.
fn as_account<T>(account: Account, act: impl FnOnce() -> T) -> T {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let there = set_thread_res_gid(None, gid, None).and_then(|()| set_thread_res_uid(None, uid, None));
    let done = act();
    let back =
        set_thread_res_uid(None, Uid::ROOT, None).and_then(|()| set_thread_res_gid(None, Gid::ROOT, None));
    if there.is_err() || back.is_err() {
        // Nothing that follows would be what it seems.
        std::process::abort();
    }
    done
}
