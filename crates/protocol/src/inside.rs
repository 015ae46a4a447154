//! Where things are, seen from inside a sandbox. The supervisor mounts them, the bridge uses them.

/// The bridge: the first process. A read-only file.
pub const BRIDGE: &str = "/creel/bridge";
/// The specification ([`creel_domain::SandboxSpec`] as JSON). A read-only directory.
pub const SPEC: &str = "/run/creel/etc/spec.json";
/// Where the bridge listens. Its directory is a tiny tmpfs, the only thing shared with the host
/// that the inside may write.
pub const BRIDGE_SOCKET: &str = "/run/creel/in/bridge.sock";
/// In the directory of the bridge's socket: why the bridge gave up, one sentence, if it did. Shown to people.
pub const LAST_WORDS: &str = "/run/creel/in/last-words";
/// Its name there.
pub const LAST_WORDS_NAME: &str = "last-words";
/// The only way out. Its directory is read-only.
pub const UPLINK_SOCKET: &str = "/run/creel/out/uplink.sock";
/// The agent's volume: the only place that is kept.
pub const VOLUME: &str = "/data";
/// Where the agent works and where relative paths of exec and files begin.
pub const WORKSPACE: &str = "/data/workspace";
/// `HOME` of everything that runs inside.
pub const HOME: &str = "/data/home";
/// What the bridge itself keeps.
pub const BRIDGE_STATE: &str = "/data/creel";
/// User and group of every process inside.
pub const UID: u32 = 1000;

/// Port on 127.0.0.1 of OpenClaw's gateway: its own page, its WebSocket, its HTTP API.
pub const OPENCLAW_PORT: u16 = 18789;
/// The header in which OpenClaw is told which person a request comes from. It believes everybody inside; from outside
/// it may only come from Creel itself.
pub const OPENCLAW_PERSON: &str = "x-creel-user";
/// Port on 127.0.0.1 that the bridge splices onto the uplink socket, byte for byte, for model calls in
/// origin form: `POST /v1/chat/completions`, `/v1/responses`, `/v1/messages`.
pub const MODELS_PORT: u16 = 7301;
/// The same, for use as an HTTP proxy: `CONNECT host:port` and absolute form.
pub const EGRESS_PORT: u16 = 7302;
