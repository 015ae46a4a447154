//! Which programs of the host a build needs, and what to type when one is not there.

use std::path::PathBuf;

use creel_domain::ImageName;

/// A program that a build runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingTool {
    pub program: &'static str,
    /// What it is for, as the end of "… is needed to".
    pub purpose: &'static str,
    /// Debian's and Ubuntu's name for what brings it.
    pub package: &'static str,
}

const BUSYBOX: MissingTool = tool("busybox", "be the programs of the image", "busybox-static");
const OPENCLAW: [MissingTool; 6] = [
    tool("mmdebstrap", "make the Debian part of the image", "mmdebstrap"),
    tool("npm", "install OpenClaw and Node.js", "npm"),
    tool("setpriv", "stop a build together with Creel", "util-linux"),
    tool("unshare", "keep a build apart from the host", "util-linux"),
    tool("chroot", "try the finished image", "coreutils"),
    tool("ip", "try the finished image without a network", "iproute2"),
];

const fn tool(program: &'static str, purpose: &'static str, package: &'static str) -> MissingTool {
    MissingTool {
        program,
        purpose,
        package,
    }
}

impl MissingTool {
    /// What is wrong and what to type, for one program or several.
    pub fn sentences(tools: &[Self]) -> String {
        let mut text = String::new();
        let mut packages: Vec<&str> = Vec::new();
        for tool in tools {
            text += &format!("{} is needed to {}. ", tool.program, tool.purpose);
            if !packages.contains(&tool.package) {
                packages.push(tool.package);
            }
        }
        text + &format!("Type: apt-get install {}", packages.join(" "))
    }
}

impl std::fmt::Display for MissingTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&Self::sentences(&[*self]))
    }
}

/// The programs that a build of `name` would miss on this host. Runs nothing.
pub fn needs(name: ImageName) -> Vec<MissingTool> {
    let tools: &[MissingTool] = match name {
        ImageName::Lite => &[BUSYBOX],
        ImageName::Openclaw => &OPENCLAW,
    };
    tools
        .iter()
        .filter(|tool| find(tool.program).is_none())
        .copied()
        .collect()
}

/// Where a program is: on `PATH`, or where the system's own programs are.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|place| place.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_ends_with_the_line_to_type() {
        let both = MissingTool::sentences(&[OPENCLAW[2], OPENCLAW[3]]);
        assert_eq!(
            both,
            "setpriv is needed to stop a build together with Creel. unshare is needed to keep a build apart from \
             the host. Type: apt-get install util-linux"
        );
        assert_eq!(
            BUSYBOX.to_string(),
            "busybox is needed to be the programs of the image. Type: apt-get install busybox-static"
        );
    }
}
