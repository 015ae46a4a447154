//! The model endpoint that sandboxes see.
//!
//! A sandbox speaks OpenAI's chat completions or responses, or Anthropic's messages; its agent's
//! provider may speak another format. The provider's key is added here and exists nowhere nearer to the sandbox.
//!
//! ```text
//! request ─▶ whose model? ─▶ what may it ask? ─▶ ledger.begin ─▶ provider ─▶ stream ─▶ ledger.finish
//! ```
//!
//! | sandbox speaks ↓ \ provider is → | openai | openai-compatible | anthropic | gemini | demo |
//! |---|---|---|---|---|---|
//! | chat completions | as it is | as it is | translated | translated | here |
//! | responses | as it is | translated | translated | translated | here |
//! | messages | translated | translated | as it is | translated | here |
//!
//! *As it is*: fields that we do not know pass both ways; only the model's name, the headers,
//! `stream_options.include_usage` (chat) and `store: false` are ours. *Translated* goes through one conversation type:
//! text, pictures given as data, tools, their calls and results, why the answer ended, usage. What it cannot
//! say is refused by name, or dropped where nothing is lost by it (thoughts, hints). Either way a request may not
//! make the provider a way around egress: see `guard.rs`.
//!
//! # What a sandbox is answered when something fails
//!
//! OpenClaw turns a provider off for minutes on 401, 402 and 403, and retries 408, 429 and 5xx for longer than a
//! turn should take. So a sandbox never sees these: every failure is a **400** in the shape of the API it
//! spoke, with a code and a sentence; an unknown path is 404, a wrong method 405. Within a stream it is that API's
//! error event.
//!
//! | the provider answers | we |
//! |---|---|
//! | 408, 409, 425, 429, 500, 502, 503, 504, 529, or no connection | try again, [`limits::RETRIES`] times, before the first byte; then `model_failed` |
//! | 429 whose error says that the quota is spent | do not try again: `model_billing` |
//! | 401, 403 | `model_key_refused` |
//! | 402 | `model_billing` |
//! | 400, 404, 413, 422 | pass its sentence on as `model_refused`, so that a runtime can read "context too long" |
//! | anything else, a redirect, HTML, half an answer | `model_failed` |

mod api;
mod body;
mod call;
mod caller;
mod conversation;
mod demo;
mod directory;
mod failure;
mod guard;
mod ledger;
pub mod limits;
mod offered;
mod price;
mod record;
mod relay;
mod service;
pub mod sse;
mod upstream;
mod usage;
mod wire;

pub use api::Api;
pub use body::Body;
pub use caller::Caller;
pub use creel_domain::ProviderKind;
pub use directory::{BadBaseUrl, BadKey, BaseUrl, Directory, DirectoryError, Key, Provider, own_address};
pub use ledger::{CallEnd, CallStart, Ledger, Outcome, Refusal};
pub use price::{as_of as prices_as_of, cost};
pub use service::Models;
pub use upstream::Verdict;
pub use usage::Usage;

use failure::Failure;
