//! Writes `openapi/public.json` from the handlers, or with `--check` says whether it is current.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

pub(crate) fn run(check: bool) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/public.json");
    let mut current = creel_control::openapi().to_pretty_json()?;
    current.push('\n');
    if check {
        let committed = fs::read_to_string(&path).unwrap_or_default();
        ensure!(
            committed == current,
            "openapi/public.json is not what the handlers say: run `cargo xtask openapi` and commit the difference"
        );
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(&path, current).with_context(|| format!("cannot write {}", path.display()))
}
