//! What every long-running program of Creel shares: clock, ids, logs, listeners, shutdown.

mod clock;
mod listen;
mod logs;
mod serve;
mod shutdown;

pub use clock::{Clock, ManualClock, SystemClock, mint};
pub use listen::{ListenError, bind_tcp, bind_unix, bind_unix_std};
pub use logs::init_logs;
pub use serve::{Incoming, Peer, ServeOptions, serve};
pub use shutdown::Shutdown;
