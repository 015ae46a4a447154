//! Which model an agent uses: `PROVIDER/MODEL`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Name;

/// `demo/demo`, `openai/gpt-5`, `local/qwen3:8b`: the name of a configured provider, a slash, and the
/// model as that provider calls it (1 to 128 visible ASCII characters; further slashes belong to it).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName {
    provider: Name,
    model: String,
}

/// How a provider of models is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    Openai,
    Anthropic,
    Gemini,
    /// Anything that speaks OpenAI's chat completions: Ollama, vLLM, OpenRouter and so on.
    OpenaiCompatible,
    /// Built in: answers by itself, without a key or a network, and says that it is a demo.
    Demo,
}

impl ProviderKind {
    pub const ALL: [Self; 5] = [
        Self::Openai,
        Self::Anthropic,
        Self::Gemini,
        Self::OpenaiCompatible,
        Self::Demo,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::OpenaiCompatible => "openai-compatible",
            Self::Demo => "demo",
        }
    }
}

impl FromStr for ProviderKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| {
                format!(
                    "there is no kind of provider `{text}`: use `openai`, `anthropic`, `gemini` or `openai-compatible`"
                )
            })
    }
}

impl fmt::Display for ProviderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no model: write PROVIDER/MODEL, for example `demo/demo`")]
pub struct BadModelName(String);

impl ModelName {
    /// The built-in one, which needs no key: `demo/demo`.
    pub fn demo() -> Self {
        Self {
            provider: Name::demo(),
            model: "demo".to_owned(),
        }
    }

    pub fn provider(&self) -> &Name {
        &self.provider
    }

    /// The model as the provider calls it.
    pub fn model(&self) -> &str {
        &self.model
    }
}

impl FromStr for ModelName {
    type Err = BadModelName;

    fn from_str(text: &str) -> Result<Self, BadModelName> {
        let bad = || BadModelName(text.chars().take(80).collect());
        let (provider, model) = text.split_once('/').ok_or_else(bad)?;
        let provider = provider.parse().map_err(|_| bad())?;
        let good = (1..=128).contains(&model.len()) && model.bytes().all(|b| b.is_ascii_graphic());
        if good {
            Ok(Self {
                provider,
                model: model.to_owned(),
            })
        } else {
            Err(bad())
        }
    }
}

impl TryFrom<String> for ModelName {
    type Error = BadModelName;

    fn try_from(text: String) -> Result<Self, BadModelName> {
        text.parse()
    }
}

impl From<ModelName> for String {
    fn from(name: ModelName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl utoipa::PartialSchema for ModelName {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(["demo/demo"])
            .into()
    }
}

impl utoipa::ToSchema for ModelName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slash_divides() {
        let name: ModelName = "router/meta/llama-4:free".parse().expect("a good name");
        assert_eq!(
            (name.provider().as_str(), name.model()),
            ("router", "meta/llama-4:free")
        );
        for bad in ["", "demo", "/demo", "demo/", "De/mo", "a/b c", "a/b\n"] {
            assert!(bad.parse::<ModelName>().is_err(), "{bad:?}");
        }
    }
}
