//! What a sandbox may do: decide and explain. Pure: no I/O, no clock.
//!
//! Today this is the way out alone, and its answer is always no. Each decision names the rule that
//! made it, so that a refusal can be understood and, later, changed.

mod destination;
mod egress;

pub use destination::{BadDestination, Destination, Host};
pub use egress::{Decision, EgressPolicy, Rule};
