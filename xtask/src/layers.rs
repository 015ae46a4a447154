//! `cargo xtask layers`: no crate may depend on another unless the table in ARCHITECTURE.md says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// May be a dev-dependency of any crate, and a plain one of the scenarios only.
const FOR_TESTS: &str = "testkit";

/// Which crate may use which.
type Table = BTreeMap<String, BTreeSet<String>>;

/// One dependency of one of our crates on another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edge {
    from: String,
    to: String,
    dev: bool,
}

pub(crate) fn check() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let table = parse_table(&page)?;
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(&root)
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (crates, edges) = read_metadata(&serde_json::from_slice(&output.stdout)?)?;
    let faults = faults(&table, &crates, &edges);
    if !faults.is_empty() {
        bail!(
            "{}\nChange the dependency, or the table in ARCHITECTURE.md if the design changed",
            faults.join("\n")
        );
    }
    println!(
        "layers: {} crates, {} dependencies among them, as ARCHITECTURE.md says",
        crates.len(),
        edges.len()
    );
    Ok(())
}

/// The rows of the table headed `| crate | one line | may use |`.
fn parse_table(page: &str) -> Result<Table> {
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| crate |"))
        .skip(2);
    let table: Table = rows
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let name = cells.next()?.trim_matches('`').to_owned();
            let uses = cells.nth(1)?.split_whitespace().filter(|word| *word != "—");
            Some((name, uses.map(str::to_owned).collect()))
        })
        .collect();
    ensure!(
        !table.is_empty(),
        "ARCHITECTURE.md has no table `| crate | one line | may use |`"
    );
    Ok(table)
}

/// Our crates by the name of their directory below `crates/`, and the dependencies among them.
fn read_metadata(metadata: &Value) -> Result<(BTreeSet<String>, Vec<Edge>)> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let directory = |manifest: &str| {
        let directory = Path::new(manifest).parent()?;
        let inside = directory.parent()?.file_name()? == "crates";
        inside
            .then(|| directory.file_name()?.to_str().map(str::to_owned))
            .flatten()
    };
    let mut crates = BTreeSet::new();
    let mut edges = Vec::new();
    for package in packages {
        let Some(from) = package["manifest_path"].as_str().and_then(directory) else {
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["path"]
                .as_str()
                .map(|path| format!("{path}/Cargo.toml"));
            if let Some(to) = to.as_deref().and_then(directory) {
                let dev = dependency["kind"] == "dev";
                edges.push(Edge {
                    from: from.clone(),
                    to,
                    dev,
                });
            }
        }
        crates.insert(from);
    }
    Ok((crates, edges))
}

fn faults(table: &Table, crates: &BTreeSet<String>, edges: &[Edge]) -> Vec<String> {
    let missing = crates.iter().filter(|name| !table.contains_key(*name));
    let missing = missing.map(|name| format!("`{name}` has no row in the table"));
    let stale = table.keys().filter(|name| !crates.contains(*name));
    let stale = stale.map(|name| format!("the table has a row for `{name}`, which does not exist"));
    let forbidden = edges.iter().filter(|edge| {
        let listed = table.get(&edge.from).is_some_and(|uses| uses.contains(&edge.to));
        let for_tests = edge.dev && edge.to == FOR_TESTS;
        !listed && !for_tests
    });
    let forbidden = forbidden.map(|edge| format!("`{}` may not use `{}`", edge.from, edge.to));
    missing.chain(stale).chain(forbidden).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
text
| crate | one line | may use |
|---|---|---|
| `up` | above | down |
| `down` | below | — |
| `gone` | was | — |

| other | table | down |
";

    fn edge(from: &str, to: &str, dev: bool) -> Edge {
        Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            dev,
        }
    }

    #[test]
    fn only_what_the_table_says_is_allowed() {
        let table = parse_table(PAGE).expect("a table");
        let crates = ["up", "down", "new"].map(str::to_owned).into();
        let edges = [
            edge("up", "down", false),
            edge("down", "up", false),
            edge("down", "testkit", true),
            edge("up", "testkit", false),
            edge("down", "up", true),
        ];
        assert_eq!(
            faults(&table, &crates, &edges),
            [
                "`new` has no row in the table",
                "the table has a row for `gone`, which does not exist",
                "`down` may not use `up`",
                "`up` may not use `testkit`",
                "`down` may not use `up`",
            ]
        );
    }

    #[test]
    fn this_repository_keeps_its_layers() {
        check().expect("ARCHITECTURE.md and the manifests agree");
    }
}
