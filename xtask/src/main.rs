//! Chores of this repository: `cargo xtask TASK`.

mod layers;

use anyhow::{Result, bail};

const TASKS: &str = "tasks: layers";

fn main() -> Result<()> {
    let task = std::env::args().nth(1).unwrap_or_default();
    match task.as_str() {
        "layers" => layers::check(),
        _ => bail!("there is no task `{task}`; {TASKS}"),
    }
}
