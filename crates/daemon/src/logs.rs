//! Log lines on standard error: one sentence, identifiers as fields. `CREEL_LOG` filters, as in
//! `CREEL_LOG=info,creel_control=debug`.

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Sets up logging for this process; `json` for machines. A second call changes nothing.
pub fn init_logs(json: bool) {
    let filter = EnvFilter::try_from_env("CREEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    // An error means that a subscriber is there already, as in tests that share a process.
    let _ = if json {
        registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .with_ansi(false)
                    .with_target(false)
                    .with_writer(std::io::stderr),
            )
            .try_init()
    };
}
