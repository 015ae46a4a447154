//! How many tokens a call used, by the provider's own count, in one meaning for all of them.

use serde_json::Value;

/// Tokens of one call. Providers differ in what their numbers include; here each number has one meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input, with what was cached and what was written to the cache.
    pub input: u64,
    /// The part of `input` that was read from the provider's cache.
    pub cached_input: u64,
    /// The part of `input` that was written to the provider's cache.
    pub cache_write: u64,
    /// All output, with what the model thought and did not say.
    pub output: u64,
}

/// No provider counts this far: a larger number is nonsense and taken for none.
const MOST_TOKENS: u64 = 1 << 40;

fn count(value: &Value) -> Option<u64> {
    value.as_u64().filter(|tokens| *tokens <= MOST_TOKENS)
}

fn part(value: &Value) -> u64 {
    count(value).unwrap_or(0)
}

impl Usage {
    /// `usage` of chat completions. Input includes cached tokens, output includes reasoning.
    pub(crate) fn of_chat(usage: &Value) -> Option<Self> {
        let details = &usage["prompt_tokens_details"];
        Self::checked(Self {
            input: count(&usage["prompt_tokens"])?,
            cached_input: part(&details["cached_tokens"]),
            cache_write: part(&details["cache_write_tokens"]),
            output: count(&usage["completion_tokens"])?,
        })
    }

    /// `usage` of responses. Input includes cached tokens, output includes reasoning.
    pub(crate) fn of_responses(usage: &Value) -> Option<Self> {
        let details = &usage["input_tokens_details"];
        Self::checked(Self {
            input: count(&usage["input_tokens"])?,
            cached_input: part(&details["cached_tokens"]),
            cache_write: part(&details["cache_write_tokens"]),
            output: count(&usage["output_tokens"])?,
        })
    }

    /// `usage` of messages. Input excludes both what was cached and what was written to the cache.
    pub(crate) fn of_messages(usage: &Value) -> Option<Self> {
        let cached_input = part(&usage["cache_read_input_tokens"]);
        let cache_write = part(&usage["cache_creation_input_tokens"]);
        Self::checked(Self {
            input: count(&usage["input_tokens"])? + cached_input + cache_write,
            cached_input,
            cache_write,
            output: count(&usage["output_tokens"])?,
        })
    }

    /// `usageMetadata` of Gemini. Input includes cached tokens, output excludes thoughts; a count of zero
    /// may be left out.
    pub(crate) fn of_gemini(usage: &Value) -> Option<Self> {
        Self::checked(Self {
            input: count(&usage["promptTokenCount"])? + part(&usage["toolUsePromptTokenCount"]),
            cached_input: part(&usage["cachedContentTokenCount"]),
            cache_write: 0,
            output: part(&usage["candidatesTokenCount"]) + part(&usage["thoughtsTokenCount"]),
        })
    }

    /// Parts that exceed their whole make no sense.
    fn checked(self) -> Option<Self> {
        (self.cached_input + self.cache_write <= self.input).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn four_reports_of_the_same_call_mean_the_same() {
        let same = Usage {
            input: 1234,
            cached_input: 1000,
            cache_write: 0,
            output: 20,
        };
        let chat = json!({"prompt_tokens": 1234, "completion_tokens": 20, "total_tokens": 1254,
            "prompt_tokens_details": {"cached_tokens": 1000}});
        let responses = json!({"input_tokens": 1234, "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 1000}});
        let messages = json!({"input_tokens": 234, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 1000, "output_tokens": 20});
        let gemini = json!({"promptTokenCount": 1234, "cachedContentTokenCount": 1000,
            "candidatesTokenCount": 15, "thoughtsTokenCount": 5, "totalTokenCount": 1254});
        assert_eq!(Usage::of_chat(&chat), Some(same));
        assert_eq!(Usage::of_responses(&responses), Some(same));
        assert_eq!(Usage::of_messages(&messages), Some(same));
        assert_eq!(Usage::of_gemini(&gemini), Some(same));
    }

    #[test]
    fn nonsense_is_no_report() {
        for usage in [
            json!(null),
            json!({}),
            json!({"prompt_tokens": -1, "completion_tokens": 1}),
            json!({"prompt_tokens": 1.5, "completion_tokens": 1}),
            json!({"prompt_tokens": "7", "completion_tokens": 1}),
            json!({"prompt_tokens": u64::MAX, "completion_tokens": 1}),
            json!({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}),
        ] {
            assert_eq!(Usage::of_chat(&usage), None, "{usage}");
        }
    }
}
