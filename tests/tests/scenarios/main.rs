//! What a user lives through, over the real binaries.

mod certificates;
mod conversation;
mod dashboard;
mod domains;
mod edge;
mod guest;
mod input;
mod kills;
mod openclaw;
mod openclaw_page;
mod passkeys;
mod rest;
mod schedules;
mod spares;
mod sso;
