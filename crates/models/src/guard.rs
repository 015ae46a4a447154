//! What a sandbox may not ask of a provider, though the provider would do it.
//!
//! A sandbox has no way out but this one, and providers can be asked to fetch an address, to search the web, to
//! run code on a machine of theirs, to call a server, to read what was stored under the same key by
//! another agent, or to go on after the call has ended. Each would be a way around egress, tenancy or the
//! ledger. Tools are therefore allowed by kind, and everything that points to something is refused.

use serde_json::{Map, Value};

use crate::{Api, Failure};

/// Fields that must be absent: what each would do, in words.
const FIELDS: &[(&str, &str)] = &[
    (
        "previous_response_id",
        "read a conversation stored at the provider",
    ),
    ("conversation", "read a conversation stored at the provider"),
    ("prompt", "use a prompt stored at the provider"),
    ("cachedContent", "read a cache stored at the provider"),
    ("web_search_options", "let the provider search the web"),
    ("plugins", "let the provider use plug-ins of its own"),
    ("mcp_servers", "let the provider call other servers"),
    ("container", "let the provider run code"),
    ("models", "use other models than the agent's"),
    ("fallbacks", "use other models than the agent's"),
];

/// Checks a request before anything is done for it.
pub(crate) fn check(api: Api, fields: &Map<String, Value>) -> Result<(), Failure> {
    for (name, what) in FIELDS {
        if fields.get(*name).is_some_and(|value| !value.is_null()) {
            return Err(refused(&format!("`{name}` would {what}")));
        }
    }
    if fields.get("background").is_some_and(|value| *value == true) {
        return Err(refused("`background` would go on after the call has ended"));
    }
    if let Some(tier) = fields.get("service_tier").and_then(Value::as_str)
        && !matches!(tier, "auto" | "default" | "standard" | "standard_only")
    {
        return Err(refused("`service_tier` would change what the call costs"));
    }
    for tool in items(fields.get("tools")) {
        check_tool(api, tool)?;
    }
    for message in items(fields.get("messages")).chain(items(fields.get("input"))) {
        // Of responses, an item with neither is a reference too.
        let bare = message["type"].is_null() && message["role"].is_null();
        if message["type"] == "item_reference" || bare || !message["audio"]["id"].is_null() {
            return Err(refused("a reference would read what is stored at the provider"));
        }
        for holder in ["content", "output"] {
            for part in items(message.get(holder)) {
                check_part(part)?;
                // Results of tools have parts of their own.
                for inner in items(part.get("content")) {
                    check_part(inner)?;
                }
            }
        }
    }
    Ok(())
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn refused(sentence: &str) -> Failure {
    Failure::not_allowed(format!("{sentence}: a sandbox may not ask for that"))
}

/// Only tools that run in the sandbox.
fn check_tool(api: Api, tool: &Value) -> Result<(), Failure> {
    let kind = match (api, &tool["type"]) {
        (Api::Messages, Value::Null) => return Ok(()),
        (_, Value::String(kind)) => kind.as_str(),
        _ => return Err(Failure::invalid("a tool must have a `type`")),
    };
    let runs_inside = match api {
        Api::ChatCompletions => matches!(kind, "function" | "custom"),
        Api::Responses => matches!(kind, "function" | "custom" | "local_shell" | "apply_patch"),
        Api::Messages => {
            kind == "custom"
                || ["bash_", "text_editor_", "computer_", "memory_"]
                    .iter()
                    .any(|own| kind.starts_with(own))
        }
    };
    if runs_inside {
        Ok(())
    } else {
        let kind: String = kind.chars().take(60).collect();
        Err(refused(&format!(
            "a tool of type `{kind}` would run at the provider"
        )))
    }
}

/// Content is given as data, never as an address or an id.
fn check_part(part: &Value) -> Result<(), Failure> {
    let url = part["image_url"]
        .as_str()
        .or(part["image_url"]["url"].as_str())
        .or(part["file_url"].as_str())
        .or(part["video_url"]["url"].as_str())
        .or(part["audio_url"]["url"].as_str())
        .or(part["input_audio"]["url"].as_str());
    if url.is_some_and(|url| !url.starts_with("data:")) {
        return Err(refused("content at an address would be fetched by the provider"));
    }
    let source = part["source"]["type"].as_str();
    if matches!(source, Some("url")) {
        return Err(refused("content at an address would be fetched by the provider"));
    }
    let has_id = !part["file_id"].is_null() || !part["file"]["file_id"].is_null();
    if has_id || matches!(source, Some("file")) || part["type"] == "container_upload" {
        return Err(refused("a file id would read what is stored at the provider"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn verdict(api: Api, request: Value) -> Result<(), String> {
        let Value::Object(fields) = request else {
            panic!("an object")
        };
        check(api, &fields).map_err(|failure| failure.message)
    }

    #[test]
    fn what_runs_in_the_sandbox_passes() {
        use Api::{ChatCompletions, Messages, Responses};
        for (api, request) in [
            (
                ChatCompletions,
                json!({"tools": [{"type": "function", "function": {"name": "f"}}], "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
                    {"role": "tool", "tool_call_id": "c", "content": "file_id"}]}),
            ),
            (
                Responses,
                json!({"tools": [{"type": "function", "name": "f"}], "previous_response_id": null,
                    "background": false, "store": true, "input": "hi"}),
            ),
            (
                Messages,
                json!({"tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}], "service_tier": "auto",
                    "messages": [{"role": "assistant", "content": [
                        {"type": "tool_use", "id": "t", "name": "f", "input": {"file_id": "mine", "url": "http://x"}}]}]}),
            ),
        ] {
            assert_eq!(verdict(api, request), Ok(()));
        }
    }

    #[test]
    fn each_way_around_is_refused() {
        use Api::{ChatCompletions, Messages, Responses};
        let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
        for (api, request) in [
            (ChatCompletions, json!({"web_search_options": {}})),
            (ChatCompletions, json!({"models": ["expensive/one"]})),
            (ChatCompletions, json!({"plugins": [{"id": "web"}]})),
            (ChatCompletions, json!({"service_tier": "priority"})),
            (ChatCompletions, json!({"tools": [{"type": "web_search"}]})),
            (
                ChatCompletions,
                part(json!({"type": "image_url", "image_url": {"url": "https://evil.example/?q=secret"}})),
            ),
            (
                ChatCompletions,
                part(json!({"type": "file", "file": {"file_id": "file-1"}})),
            ),
            (Responses, json!({"previous_response_id": "resp_1"})),
            (Responses, json!({"background": true})),
            (
                Responses,
                json!({"tools": [{"type": "mcp", "server_url": "https://evil.example"}]}),
            ),
            (Responses, json!({"tools": [{"type": "shell"}]})),
            (
                Responses,
                json!({"input": [{"type": "item_reference", "id": "msg_1"}]}),
            ),
            (Responses, json!({"input": [{"id": "msg_1"}]})),
            (
                ChatCompletions,
                json!({"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}),
            ),
            (
                Responses,
                json!({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://evil.example"}]}]}),
            ),
            (
                Responses,
                json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://evil.example"}]}]}),
            ),
            (
                Responses,
                json!({"input": [{"type": "function_call_output", "call_id": "c", "output": [
                    {"type": "input_image", "file_id": "file-1"}]}]}),
            ),
            (
                Messages,
                json!({"mcp_servers": [{"url": "https://evil.example"}]}),
            ),
            (
                Messages,
                json!({"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}),
            ),
            (
                Messages,
                json!({"tools": [{"type": "code_execution_20250825", "name": "x"}]}),
            ),
            (
                Messages,
                part(json!({"type": "image", "source": {"type": "url", "url": "http://x"}})),
            ),
            (
                Messages,
                part(json!({"type": "tool_result", "tool_use_id": "t", "content": [
                    {"type": "image", "source": {"type": "file", "file_id": "f"}}]})),
            ),
        ] {
            let shown = request.to_string();
            assert!(verdict(api, request).is_err(), "{api}: {shown}");
        }
    }
}
