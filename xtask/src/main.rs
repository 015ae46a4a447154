//! Chores of this repository: `cargo xtask TASK`.

mod images;
mod layers;
mod openapi;

use anyhow::{Context, Result, bail};

const TASKS: &str = "tasks: images DIRECTORY, layers, openapi [--check]";

fn main() -> Result<()> {
    let task = std::env::args().nth(1).unwrap_or_default();
    match task.as_str() {
        "images" => {
            let directory = std::env::args_os().nth(2).context("images needs a directory")?;
            images::build(directory.as_ref())
        }
        "layers" => layers::check(),
        "openapi" => openapi::run(std::env::args().nth(2).as_deref() == Some("--check")),
        _ => bail!("there is no task `{task}`; {TASKS}"),
    }
}
