//! The OpenClaw image: a small Debian, the pinned Node.js, OpenClaw by lockfile, and the compile cache of a real run.
//!
//! Nothing of it runs on the host itself: packages are installed without their scripts, and the one script that is needed
//! runs inside the new root, without a network and as the agent's user, like the two trial runs after it.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::{
    bench::Bench,
    child::{Apart, Program},
    error::{Error, OrIo},
    inside::{self, INSIDE, parse},
    prune::Rules,
    recipe::{Recipe, Step, digest},
    shelf::remove,
    sources, tree,
};

/// A file of the recipe.
macro_rules! data {
    ($name:literal) => {
        include_str!(concat!("../../../../deploy/images/openclaw/", $name))
    };
}

const RECIPE: &str = data!("recipe.json");
const PACKAGE: &str = data!("package.json");
const LOCK: &str = data!("package-lock.json");
const NODE_PACKAGE: &str = data!("node/package.json");
const NODE_LOCK: &str = data!("node/package-lock.json");
const PRUNE: &str = data!("prune.txt");
const LAUNCH: &str = data!("launch.json");
const CONFIG: &str = data!("openclaw.json");
const ENTER: &str = data!("enter.sh");
const BAKE: &str = data!("bake.mjs");
/// Changes when the steps below do.
const REVISION: &str = "1";

/// Where things are inside the image; `launch.json` names the same.
const NODE: &str = "/opt/node/bin/node";
const HOME: &str = "/opt/openclaw";
const OPENCLAW: &str = "/opt/openclaw/node_modules/openclaw";
const CACHE: &str = "/opt/openclaw/compile-cache";
/// OpenClaw refuses to start while this file is in its directory.
const UNFINISHED: &str = ".openclaw-lifecycle-pending";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenClaw {
    name: creel_domain::ImageName,
    version: String,
    node: String,
    shell: String,
    room_bytes: u64,
    suite: String,
    packages: Vec<String>,
    leave_out: Vec<String>,
    keep: Vec<String>,
}

pub(super) fn recipe() -> Recipe {
    let data: OpenClaw = parse("openclaw/recipe.json", RECIPE).expect("the recipe is compiled in and tested");
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let fetching_node = format!("fetching Node.js {}", data.node);
    let fetching_openclaw = format!("fetching OpenClaw {}", data.version);
    let (name, version, room_bytes, shell) = (
        data.name,
        data.version.clone(),
        data.room_bytes,
        data.shell.clone(),
    );
    let steps = vec![
        Step::new(fetching_node, 10, minutes(10), |bench| {
            npm(bench, "node", NODE_PACKAGE, NODE_LOCK)
        }),
        Step::new(fetching_openclaw, 40, minutes(20), |bench| {
            npm(bench, "openclaw", PACKAGE, LOCK)
        }),
        Step::new("making the Debian part", 60, minutes(20), move |bench| {
            debian(bench, &data)
        }),
        Step::new("fitting the parts together", 10, minutes(5), move |bench| {
            assemble(bench, &shell)
        }),
        Step::new("finishing the installation", 3, minutes(5), finish),
        Step::new(
            "starting OpenClaw once, to keep what is compiled",
            30,
            minutes(10),
            bake,
        ),
        Step::new("trying the finished image", 25, minutes(10), accept),
    ];
    let files = [
        REVISION,
        INSIDE,
        RECIPE,
        PACKAGE,
        LOCK,
        NODE_PACKAGE,
        NODE_LOCK,
        PRUNE,
        LAUNCH,
        CONFIG,
        ENTER,
        BAKE,
    ];
    Recipe {
        name,
        version,
        digest: digest(&files),
        room_bytes,
        steps,
    }
}

/// Installs exactly what a lockfile says into `work/NAME`, without running any script of any package.
fn npm(bench: &Bench, name: &str, package: &str, lock: &str) -> Result<(), Error> {
    let manifest = bench.note(&format!("{name}/package.json"), package)?;
    bench.note(&format!("{name}/package-lock.json"), lock)?;
    let mut install = Program::new(Apart::Fetching, "npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=warn",
        ])
        .current_dir(manifest.parent().unwrap_or(&bench.work));
    if name != "node" {
        // npm leaves out platform packages that ask for a newer Node than the one it runs in: give it the image's own.
        install = install.path_first(&node_package(bench)?.join("bin"));
    }
    install.run(bench)
}

/// The package with the Node.js of this machine, once it is fetched.
fn node_package(bench: &Bench) -> Result<PathBuf, Error> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => {
            return Err(Error::Unusable(format!(
                "OpenClaw's image cannot be built on {other} machines"
            )));
        }
    };
    Ok(bench
        .work
        .join("node/node_modules")
        .join(format!("node-linux-{machine}")))
}

fn debian(bench: &Bench, data: &OpenClaw) -> Result<(), Error> {
    let mut program = Program::new(Apart::Fetching, "mmdebstrap")
        .args(["--mode=root", "--variant=essential", "--format=directory"])
        .arg(format!("--include={}", data.packages.join(",")))
        .args([
            "--aptopt=APT::Install-Recommends \"false\"",
            "--aptopt=Acquire::Languages \"none\"",
        ])
        // The finished image is flushed as a whole.
        .arg("--dpkgopt=force-unsafe-io")
        .args(
            data.leave_out
                .iter()
                .map(|path| format!("--dpkgopt=path-exclude={path}")),
        )
        .args(
            data.keep
                .iter()
                .map(|path| format!("--dpkgopt=path-include={path}")),
        )
        .arg(&data.suite)
        .arg(&bench.rootfs);
    let sources = sources::of_host(Path::new("/etc/apt"), &data.suite);
    for (name, text) in [
        ("host.list", &sources.lines),
        ("host.sources", &sources.paragraphs),
    ] {
        if !text.is_empty() {
            program = program.arg(bench.note(name, text)?);
        }
    }
    program.run(bench)?;
    for leftover in ["etc/apt", "var/lib/apt", "var/cache", "var/log"] {
        let path = bench.rootfs.join(leftover);
        remove(&path)?;
        fs::create_dir_all(&path).or_io("create", &path)?;
    }
    Ok(())
}

fn assemble(bench: &Bench, shell: &str) -> Result<(), Error> {
    let inside = |path: &str| bench.rootfs.join(path.trim_start_matches('/'));
    let node = node_package(bench)?;
    for (file, place) in [("bin/node", NODE), ("LICENSE", "/opt/node/LICENSE")] {
        let place = inside(place);
        create_parent(&place)?;
        fs::rename(node.join(file), &place).or_io("move", &place)?;
    }
    let link = inside("/usr/local/bin/node");
    symlink(NODE, &link).or_io("link", &link)?;

    // OpenClaw finds its dependencies only below a directory of this very name.
    let modules = inside(HOME).join("node_modules");
    create_parent(&modules)?;
    fs::rename(bench.work.join("openclaw/node_modules"), &modules).or_io("move", &modules)?;
    Rules::parse(PRUNE)?.apply(&modules)?;
    for (name, text) in [("launch.json", LAUNCH), ("openclaw.json", CONFIG)] {
        let path = inside(HOME).join(name);
        fs::write(&path, text).or_io("write", &path)?;
    }
    let cache = inside(CACHE);
    fs::create_dir(&cache).or_io("create", &cache)?;
    inside::furnish(&bench.rootfs, shell)?;
    tree::seal(&bench.rootfs).map(drop)
}

fn create_parent(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), |parent| {
        fs::create_dir_all(parent).or_io("create", parent)
    })
}

/// Runs the one script that OpenClaw cannot do without.
fn finish(bench: &Bench) -> Result<(), Error> {
    let package = bench.rootfs.join(OPENCLAW.trim_start_matches('/'));
    tree::give(&package, agent())?;
    enter(
        bench,
        OPENCLAW,
        &[
            NODE,
            &format!("{OPENCLAW}/scripts/postinstall-bundled-plugins.mjs"),
        ],
    )?;
    tree::seal(&package)?;
    if package.join(UNFINISHED).exists() {
        return Err(Error::Unusable(format!(
            "OpenClaw still counts as half installed ({UNFINISHED} is there): see {}",
            bench.log().path().display()
        )));
    }
    Ok(())
}

/// Starts the gateway and runs turns, so that V8 leaves its compile cache behind.
fn bake(bench: &Bench) -> Result<(), Error> {
    tree::give(&bench.rootfs.join(CACHE.trim_start_matches('/')), agent())?;
    enter(bench, CACHE, &[NODE, "/data/bake.mjs", "bake"])?;
    tree::seal(&bench.rootfs).map(drop)
}

/// The same turns once more with everything read-only: what sandboxes will see.
fn accept(bench: &Bench) -> Result<(), Error> {
    enter(bench, "", &[NODE, "/data/bake.mjs", "accept"])
}

const fn agent() -> u32 {
    creel_protocol::inside::UID
}

/// Runs a program in the new root as the agent would, with `writable` as the only part of the image that it may change.
fn enter(bench: &Bench, writable: &str, program: &[&str]) -> Result<(), Error> {
    let script = bench.note("enter.sh", ENTER)?;
    let data = bench.work.join("data");
    remove(&data)?;
    bench.note("data/bake.mjs", BAKE)?;
    chown(&data, Some(agent()), Some(agent())).or_io("give away", &data)?;
    Program::new(Apart::Alone, "sh")
        .args([script.as_path(), &bench.rootfs, &data, Path::new(writable)])
        .arg(agent().to_string())
        .args(program)
        .run(bench)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).expect("is JSON")
    }

    #[test]
    fn the_versions_agree_wherever_they_are_said() {
        let recipe = json(RECIPE);
        for (file, version) in [(PACKAGE, &recipe["version"]), (NODE_PACKAGE, &recipe["node"])] {
            assert_eq!(json(file)["version"], *version);
        }
        assert_eq!(json(PACKAGE)["dependencies"]["openclaw"], recipe["version"]);
        assert_eq!(
            json(LOCK)["packages"]["node_modules/openclaw"]["version"],
            recipe["version"]
        );
        for machine in ["x64", "arm64"] {
            let name = format!("node-linux-{machine}");
            assert_eq!(json(NODE_PACKAGE)["optionalDependencies"][&name], recipe["node"]);
            assert_eq!(
                json(NODE_LOCK)["packages"][format!("node_modules/{name}")]["version"],
                recipe["node"]
            );
        }
    }

    #[test]
    fn the_lockfiles_pin_contents_and_name_no_host() {
        for lock in [LOCK, NODE_LOCK] {
            let lock = json(lock);
            for (path, package) in lock["packages"].as_object().expect("packages") {
                assert!(
                    package.get("resolved").is_none(),
                    "{path} names where it comes from"
                );
                // What comes inside another package is covered by that one's hash.
                let covered = path.is_empty() || package["inBundle"] == true;
                assert!(
                    covered || package.get("integrity").is_some(),
                    "{path} has no hash"
                );
            }
        }
    }

    #[test]
    fn the_launch_command_starts_what_the_image_has() {
        let launch = json(LAUNCH);
        let argv: Vec<&str> = launch["argv"]
            .as_array()
            .expect("argv")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(argv[0], NODE);
        assert!(argv.contains(&format!("{OPENCLAW}/dist/index.js").as_str()));
        assert_eq!(launch["env"]["NODE_COMPILE_CACHE"], CACHE);
        assert_eq!(launch["env"]["HOME"], creel_protocol::inside::HOME);
        assert_eq!(
            launch["env"]["OPENCLAW_WORKSPACE_DIR"],
            creel_protocol::inside::WORKSPACE
        );
        assert_eq!(launch["config_template"], format!("{HOME}/openclaw.json"));
        assert_eq!(json(CONFIG)["gateway"]["port"], launch["port"]);
        assert_eq!(launch["port"], creel_protocol::inside::OPENCLAW_PORT);
    }

    #[test]
    fn openclaw_believes_who_comes_from_its_own_sandbox_and_nobody_else() {
        let gateway = &json(CONFIG)["gateway"];
        assert_eq!(gateway["bind"], "loopback");
        assert_eq!(gateway["trustedProxies"], serde_json::json!(["127.0.0.1", "::1"]));
        let auth = &gateway["auth"];
        assert_eq!(auth["mode"], "trusted-proxy");
        assert_eq!(
            auth["trustedProxy"]["userHeader"],
            creel_protocol::inside::OPENCLAW_PERSON
        );
        // OpenClaw refuses to start when a token is set beside it.
        assert!(auth.get("token").is_none() && !LAUNCH.contains("OPENCLAW_GATEWAY_TOKEN"));
        // A page of another host cannot use the person's browser to come in.
        assert!(gateway["controlUi"].get("allowedOrigins").is_none());
    }
}
