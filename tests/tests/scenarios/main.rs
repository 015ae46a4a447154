//! What a user lives through, over the real binaries.

mod certificates;
mod conversation;
mod domains;
mod edge;
mod guest;
mod input;
mod kills;
mod openclaw;
mod passkeys;
mod rest;
mod schedules;
mod sso;
