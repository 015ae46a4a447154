//! Chores of this repository: `cargo xtask TASK`.

mod layers;
mod openapi;

use anyhow::{Result, bail};

const TASKS: &str = "tasks: layers, openapi [--check]";

fn main() -> Result<()> {
    let task = std::env::args().nth(1).unwrap_or_default();
    match task.as_str() {
        "layers" => layers::check(),
        "openapi" => openapi::run(std::env::args().nth(2).as_deref() == Some("--check")),
        _ => bail!("there is no task `{task}`; {TASKS}"),
    }
}
