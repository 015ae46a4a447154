//! Puts the bridge's binary into the program when `CREEL_BRIDGE_BIN` names one.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo::rerun-if-env-changed=CREEL_BRIDGE_BIN");
    let code = match env::var("CREEL_BRIDGE_BIN") {
        Ok(path) if !path.is_empty() => {
            println!("cargo::rerun-if-changed={path}");
            assert!(
                Path::new(&path).is_file(),
                "CREEL_BRIDGE_BIN names {path}, which is no file"
            );
            format!("const BRIDGE: Option<&[u8]> = Some(include_bytes!({path:?}));\n")
        }
        _ => "const BRIDGE: Option<&[u8]> = None;\n".to_owned(),
    };
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
    fs::write(Path::new(&out).join("bridge.rs"), code).expect("OUT_DIR can be written");
}
