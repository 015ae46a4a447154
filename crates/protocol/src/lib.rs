//! Private contracts between the programs of Creel.
//!
//! Each contract is a trait with plain messages. Over the wire every one of them is ordinary HTTP/1.1
//! on a Unix socket, so both sides are ordinary servers and a byte dump can be read.
//!
//! | contract | spoken by | spoken to | socket |
//! |---|---|---|---|
//! | [`Supervisor`] | control | supervisor | `run/supervisor.sock` |
//! | [`Bridge`] | control | the bridge in a sandbox (hostile) | `run/sandboxes/ID/in/bridge.sock` |
//! | [`edge`] | edge | control | `run/edge/edge.sock` |
//! | uplink | the bridge (hostile) | control's models and egress | `run/sandboxes/ID/out/uplink.sock` |

mod bridge;
mod bridge_http;
pub mod edge;
mod exec;
mod image;
pub mod inside;
mod layout;
mod ports;
pub mod sse;
mod supervisor;
pub mod supervisor_http;
mod tunnel;

pub use bridge::{
    Bridge, BridgeError, Bridges, ByteStream, EventStream, FileEntry, FileKind, HistoryEntry, LogLine,
    LogStream, NumberedEvent, ReadFile, SessionSummary, ToolUse, TurnRequest, limits,
};
pub use bridge_http::{BridgeClient, LocalBridges};
pub use exec::{BadFrame, ExecFrame, ExecRequest, ExecSession};
pub use image::{ImageState, ImageStatus};
pub use layout::Layout;
pub use ports::{PORT_UPGRADE, connect_port, is_public_port};
pub use supervisor::{HostReport, PagingReport, ReportStream, SandboxMemory, Supervisor, SupervisorError};
pub use supervisor_http::{PutTarget, SupervisorClient};
pub use tunnel::tunnel;
