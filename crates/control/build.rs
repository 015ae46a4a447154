//! Embeds the dashboard: writes a table of the files of `dashboard/dist/web` for `http/dashboard.rs` to include.
//!
//! Without them a debug build serves a page that says so: most work on Creel needs no Node.js. A release without them is
//! refused, so that nobody ships one by mistake.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

const MISSING: &str = "the dashboard is not built: run script/up, or `npm ci && npm run build` in dashboard/";

fn main() -> Result<(), Box<dyn Error>> {
    let watched = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../dashboard/dist");
    println!("cargo:rerun-if-changed={}", watched.display());
    let mut root = watched.join("web");
    let mut files = Vec::new();
    if root.join("index.html").is_file() {
        root = fs::canonicalize(root)?;
        find(&root, &mut files)?;
        files.sort();
    } else if env::var("PROFILE")? == "release" {
        return Err(MISSING.into());
    }
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file
            .strip_prefix(&root)?
            .to_str()
            .ok_or("a file's name is not UTF-8")?;
        let packed = |ending: &str| -> Option<PathBuf> {
            let packed = PathBuf::from(format!("{}.{ending}", file.display()));
            packed.is_file().then_some(packed)
        };
        let include = |path: Option<PathBuf>| match path {
            Some(path) => format!("Some(include_bytes!({:?}))", path.display().to_string()),
            None => "None".to_owned(),
        };
        writeln!(
            table,
            "File {{ path: {:?}, plain: include_bytes!({:?}), brotli: {}, gzip: {} }},",
            format!("/{name}"),
            file.display().to_string(),
            include(packed("br")),
            include(packed("gz")),
        )?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("dashboard.rs"), table)?;
    Ok(())
}

/// All files below `folder` but the packed ones, which stand beside theirs.
fn find(folder: &Path, into: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, into)?;
        } else if !path
            .extension()
            .is_some_and(|ending| ending == "br" || ending == "gz")
        {
            into.push(path);
        }
    }
    Ok(())
}
