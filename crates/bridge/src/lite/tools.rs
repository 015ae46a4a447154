//! What the model of a `lite` agent can do: run a command, read, write and list files.
//!
//! Each tool is a name, a schema and a function. Tools of MCP servers will be further entries of [`Tools`].

use std::time::Duration;

use creel_protocol::{ExecFrame, ExecRequest, FileKind};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{exec, files::Volume, paths::Paths, processes::Processes};

const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// What one tool gives back to the model.
const OUTPUT_BYTES: usize = 16 * 1024;

pub(super) struct Tools {
    paths: Paths,
    processes: Processes,
}

impl Tools {
    pub(super) fn new(paths: Paths, processes: Processes) -> Self {
        Self { paths, processes }
    }

    /// For the model.
    pub(super) fn schemas(&self) -> Value {
        let tool = |name: &str, description: &str, properties: Value, required: &[&str]| {
            json!({"type": "function", "function": {"name": name, "description": description,
                "parameters": {"type": "object", "properties": properties, "required": required,
                    "additionalProperties": false}}})
        };
        let path = json!({"type": "string", "description": "Relative to the workspace, or below /data"});
        json!([
            tool(
                "shell",
                "Run a command with /bin/sh in the workspace; gives its output and exit status.",
                json!({"command": {"type": "string"}}),
                &["command"]
            ),
            tool(
                "read",
                "Read a text file; gives at most 16 KiB from `offset`.",
                json!({"path": path, "offset": {"type": "integer", "minimum": 0}}),
                &["path"]
            ),
            tool(
                "write",
                "Write a text file whole, replacing what is there.",
                json!({"path": path, "content": {"type": "string"}}),
                &["path", "content"]
            ),
            tool("list", "List a directory.", json!({"path": path}), &[]),
        ])
    }

    /// Whether it worked, and what it gave.
    pub(super) async fn call(&self, name: &str, arguments: &str) -> (bool, String) {
        let arguments = if arguments.trim().is_empty() {
            "{}"
        } else {
            arguments
        };
        let outcome = match serde_json::from_str::<Value>(arguments) {
            Ok(arguments) => self.run(name, &arguments).await,
            Err(error) => Err(format!("the arguments are not JSON: {error}")),
        };
        match outcome {
            Ok(output) => (true, output),
            Err(reason) => (false, format!("error: {reason}")),
        }
    }

    async fn run(&self, name: &str, arguments: &Value) -> Result<String, String> {
        let text = |field: &str| {
            let missing = || format!("`{field}` must be given as text");
            arguments[field].as_str().map(str::to_owned).ok_or_else(missing)
        };
        let path = || arguments["path"].as_str().unwrap_or_default().to_owned();
        match name {
            "shell" => self.shell(text("command")?).await,
            "read" => {
                let (path, offset) = (text("path")?, arguments["offset"].as_u64().unwrap_or(0));
                self.on_volume(move |volume| read(volume, &path, offset)).await
            }
            "write" => {
                let (path, content) = (text("path")?, text("content")?);
                self.on_volume(move |volume| write(volume, &path, &content)).await
            }
            "list" => {
                let path = path();
                self.on_volume(move |volume| list(volume, &path)).await
            }
            other => Err(format!(
                "there is no tool `{other}`: use shell, read, write or list"
            )),
        }
    }

    async fn on_volume(
        &self,
        act: impl FnOnce(&Volume) -> Result<String, String> + Send + 'static,
    ) -> Result<String, String> {
        let volume = Volume::open(&self.paths).map_err(|error| error.to_string())?;
        tokio::task::spawn_blocking(move || act(&volume))
            .await
            .map_err(|_| "the file task ended early".to_owned())?
    }

    async fn shell(&self, command: String) -> Result<String, String> {
        let request = ExecRequest {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), command],
            ..ExecRequest::default()
        };
        let running = exec::start(&self.processes, &self.paths, &request)?;
        let (input, frames) = mpsc::channel(1);
        let (output, mut said) = mpsc::channel(16);
        // No input: a command that asks gets an end of file.
        let _ = input.send(ExecFrame::StdinEnd).await;
        let (mut text, mut cut, mut status) = (Vec::new(), false, None);
        let collecting = async {
            while let Some(frame) = said.recv().await {
                match frame {
                    ExecFrame::Stdout(bytes) | ExecFrame::Stderr(bytes) => {
                        let room = OUTPUT_BYTES.saturating_sub(text.len());
                        text.extend_from_slice(&bytes[..bytes.len().min(room)]);
                        cut |= bytes.len() > room;
                    }
                    ExecFrame::Exit(code) => status = Some(code),
                    _ => {}
                }
            }
        };
        let carrying = running.carry(frames, output);
        let both = async { tokio::join!(carrying, collecting) };
        let in_time = tokio::time::timeout(COMMAND_TIMEOUT, both).await.is_ok();
        drop(input);
        let mut text = String::from_utf8_lossy(&text).into_owned();
        if cut {
            text.push_str("\n(output cut at 16 KiB)");
        }
        match status {
            Some(0) => Ok(text),
            Some(code) => Ok(format!("{text}\n(exit status {code})")),
            None if !in_time => Err(format!(
                "the command was killed after two minutes; so far it said:\n{text}"
            )),
            None => Err("the command ended without a status".to_owned()),
        }
    }
}

fn read(volume: &Volume, path: &str, offset: u64) -> Result<String, String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let (mut file, bytes) = volume.read(path).map_err(|refusal| refusal.to_string())?;
    file.seek(SeekFrom::Start(offset))
        .map_err(|error| error.to_string())?;
    let mut part = Vec::new();
    file.take(OUTPUT_BYTES as u64)
        .read_to_end(&mut part)
        .map_err(|error| error.to_string())?;
    let end = offset + part.len() as u64;
    let mut text = String::from_utf8_lossy(&part).into_owned();
    if end < bytes {
        text.push_str(&format!(
            "\n(the file has {bytes} bytes; read on from offset {end})"
        ));
    }
    Ok(text)
}

fn write(volume: &Volume, path: &str, content: &str) -> Result<String, String> {
    use std::io::Write as _;
    let parents = path
        .match_indices('/')
        .map(|(at, _)| &path[..at])
        .filter(|parent| !parent.is_empty());
    for parent in parents {
        // It is there, mostly; what cannot be made shows below.
        let _ = volume.mkdir(parent);
    }
    let mut new = volume.begin_write(path).map_err(|refusal| refusal.to_string())?;
    new.file
        .write_all(content.as_bytes())
        .map_err(|error| new.refuse(&error).to_string())?;
    new.keep().map_err(|refusal| refusal.to_string())?;
    Ok(format!("wrote {} bytes to {path}", content.len()))
}

fn list(volume: &Volume, path: &str) -> Result<String, String> {
    let entries = volume.list(path).map_err(|refusal| refusal.to_string())?;
    let mut text = String::new();
    for entry in &entries {
        let mark = if entry.kind == FileKind::Directory {
            "/"
        } else {
            ""
        };
        text.push_str(&format!("{}{mark}\t{}\n", entry.name, entry.bytes));
        if text.len() > OUTPUT_BYTES {
            text.push_str("(more entries are not shown)\n");
            break;
        }
    }
    Ok(if text.is_empty() {
        "(empty)".to_owned()
    } else {
        text
    })
}
