//! Model calls from a sandbox's side, over real sockets, against a provider that can be made to fail.

mod calls;
mod client;
mod hang_ups;
mod matrix;
mod world;
