//! The models that a provider lists: read as somebody else's text, bounded, and never more than suggestions.

use serde_json::Value;

use crate::limits;

/// The names in a list of OpenAI's, Anthropic's or Gemini's form, in order, without those that no agent can be given.
pub(crate) fn offered(list: &[u8]) -> Vec<String> {
    let Ok(list) = serde_json::from_slice::<Value>(list) else {
        return Vec::new();
    };
    let models = list.get("data").or_else(|| list.get("models"));
    let mut names: Vec<_> = models
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|model| model.get("id").or_else(|| model.get("name"))?.as_str())
        // Gemini's names begin with what they are names of.
        .map(|name| name.strip_prefix("models/").unwrap_or(name))
        .filter(|name| (1..=128).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(limits::MODELS_OFFERED);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_providers_list_is_read() {
        for list in [
            r#"{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"a"}]}"#,
            r#"{"models":[{"name":"models/a","displayName":"A"},{"name":"models/b"}]}"#,
            r#"{"data":[{"id":"a"},{"id":"b"},{"id":""},{"id":"two words"},{"id":7},{},"x"],"has_more":false}"#,
        ] {
            assert_eq!(offered(list.as_bytes()), ["a", "b"], "{list}");
        }
    }

    #[test]
    fn what_is_no_list_offers_nothing_and_a_long_one_is_cut() {
        for text in ["", "[]", "{", r#"{"data":{}}"#, r#"{"models":null}"#] {
            assert!(offered(text.as_bytes()).is_empty(), "{text}");
        }
        let many: Vec<_> = (0..2 * limits::MODELS_OFFERED)
            .map(|number| serde_json::json!({"id": format!("m{number}")}))
            .collect();
        let list = serde_json::json!({ "data": many }).to_string();
        assert_eq!(offered(list.as_bytes()).len(), limits::MODELS_OFFERED);
    }
}
