//! Where things are. Inside a sandbox the places of [`inside`]; below another root in tests.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use creel_protocol::inside;

#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) spec: PathBuf,
    pub(crate) bridge_socket: PathBuf,
    pub(crate) uplink_socket: PathBuf,
    pub(crate) volume: PathBuf,
    pub(crate) workspace: PathBuf,
    pub(crate) home: PathBuf,
    pub(crate) bridge_state: PathBuf,
    /// Programs of the image.
    pub(crate) image: PathBuf,
}

impl Paths {
    pub(crate) fn below(root: &Path) -> Self {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        Self {
            spec: at(inside::SPEC),
            bridge_socket: at(inside::BRIDGE_SOCKET),
            uplink_socket: at(inside::UPLINK_SOCKET),
            volume: at(inside::VOLUME),
            workspace: at(inside::WORKSPACE),
            home: at(inside::HOME),
            bridge_state: at(inside::BRIDGE_STATE),
            image: root.to_owned(),
        }
    }

    /// The environment of every process that the bridge starts; nothing else is passed on.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let proxy = format!("http://127.0.0.1:{}", inside::EGRESS_PORT);
        let mut all: Vec<(OsString, OsString)> = [
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("LANG", "C.UTF-8"),
            ("USER", "agent"),
            ("LOGNAME", "agent"),
            ("SHELL", "/bin/sh"),
            ("TMPDIR", "/tmp"),
            ("NO_PROXY", "127.0.0.1,localhost"),
            ("no_proxy", "127.0.0.1,localhost"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            all.push((name.into(), proxy.clone().into()));
        }
        all.push(("HOME".into(), self.home.clone().into()));
        all
    }
}
