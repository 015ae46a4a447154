//! Every bound and wait of a model call. Each also stands in docs/limits.md.

use std::time::Duration;

/// The largest request that a sandbox may send.
pub const REQUEST_BYTES: usize = 8 << 20;
/// The largest answer that is taken from a provider, streamed or whole.
pub const RESPONSE_BYTES: usize = 32 << 20;
/// The largest event of a provider's stream.
pub const EVENT_BYTES: usize = 1 << 20;
/// How much of a provider's error is read.
pub const ERROR_BYTES: usize = 64 << 10;
/// How much of a provider's list of models is read, and how many names of it are kept.
pub const LIST_BYTES: usize = 1 << 20;
pub const MODELS_OFFERED: usize = 500;
/// Calls under way from one sandbox.
pub const CALLS_PER_SANDBOX: usize = 8;
/// Requests to the provider that may follow the first, when that failed before its first byte.
pub const RETRIES: u32 = 2;
/// Pieces of an answer that wait for a slow reader; past it the provider is read no further.
pub const PIECES: usize = 64;

/// The waits, apart so that a test can shorten them.
#[derive(Debug, Clone)]
pub struct Waits {
    /// For the sandbox to send its request.
    pub request: Duration,
    /// For a connection to the provider.
    pub connect: Duration,
    /// For the provider's first byte of a stream.
    pub first_byte: Duration,
    /// For the first byte of an answer that is not streamed: it comes when all of it is made.
    pub whole_answer: Duration,
    /// Between two pieces of an answer, either way.
    pub idle: Duration,
    /// For the whole call, retries included.
    pub call: Duration,
    /// Before the first retry; the second waits twice as long. Half of it is chance.
    pub retry: Duration,
    /// The longest wait that a provider may ask for before a retry; if it asks for more, there is none.
    pub retry_after: Duration,
    /// Between two words of the demo.
    pub demo_word: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(120),
            whole_answer: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(15 * 60),
            retry: Duration::from_millis(500),
            retry_after: Duration::from_secs(10),
            demo_word: Duration::from_millis(15),
        }
    }
}
