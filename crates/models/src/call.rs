//! One model call as it was asked for, and the way that it takes.

use bytes::Bytes;
use creel_domain::{CallId, ProviderKind};
use reqwest::Url;
use serde_json::{Map, Value, json};

use crate::{
    Api, Caller, Failure, Provider,
    conversation::Prompt,
    guard,
    wire::{self, Reader, Writer},
};

/// A request as far as it must be understood; the rest passes as it is.
pub(crate) struct Asked {
    pub(crate) api: Api,
    pub(crate) fields: Map<String, Value>,
    pub(crate) streamed: bool,
    /// The name of the model in the sandbox's words.
    model: String,
}

/// How a call is answered.
pub(crate) enum Way {
    /// By the demo.
    Here { prompt: Prompt, writer: Writer },
    /// By a provider that speaks what the sandbox speaks.
    AsItIs { request: ToProvider, hide_usage: bool },
    /// By a provider that speaks something else; its answer is streamed, whatever the sandbox wants.
    Translated { request: ToProvider, writer: Writer },
}

pub(crate) struct ToProvider {
    pub(crate) provider: Provider,
    pub(crate) url: Url,
    pub(crate) body: Bytes,
    pub(crate) streamed: bool,
    pub(crate) reader: Reader,
}

impl Asked {
    /// Reads and checks a request: all that can be refused without knowing the provider.
    pub(crate) fn parse(api: Api, body: &[u8], caller: &Caller) -> Result<Self, Failure> {
        let fields: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|error| Failure::invalid(format!("the request is not a JSON object: {error}")))?;
        let streamed = match fields.get("stream") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(streamed)) => *streamed,
            Some(_) => return Err(Failure::invalid("`stream` must be true or false")),
        };
        let model = match fields.get("model") {
            Some(Value::String(model)) if caller.may_use(model) => model.clone(),
            Some(Value::String(model)) => {
                return Err(Failure::new(
                    "model_not_allowed",
                    format!(
                        "this agent uses {}, not `{}`: ask for `default`, or set the agent's model",
                        caller.model,
                        model.chars().take(80).collect::<String>()
                    ),
                ));
            }
            _ => {
                return Err(Failure::invalid(
                    "`model` must be given as text: `default` is the agent's own",
                ));
            }
        };
        guard::check(api, &fields)?;
        Ok(Self {
            api,
            fields,
            streamed,
            model,
        })
    }

    fn wants_usage(&self) -> bool {
        self.fields
            .get("stream_options")
            .is_some_and(|options| options["include_usage"] == true)
    }

    /// Chooses the way; `None` is the built-in provider. `now` is in seconds since 1970.
    pub(crate) fn way(
        self,
        provider: Option<Provider>,
        model: &str,
        call: CallId,
        now: i64,
    ) -> Result<Way, Failure> {
        let kind = provider
            .as_ref()
            .map_or(ProviderKind::Demo, |provider| provider.kind);
        let native = matches!(
            (self.api, kind),
            (
                Api::ChatCompletions,
                ProviderKind::Openai | ProviderKind::OpenaiCompatible
            ) | (Api::Responses, ProviderKind::Openai)
                | (Api::Messages, ProviderKind::Anthropic)
        );
        let provider = match provider {
            Some(provider) if native => return Ok(self.pass(provider, model)),
            other => other,
        };
        let prompt = wire::read(self.api, &self.fields)?;
        let writer = Writer::new(self.api, call, self.model.clone(), self.wants_usage(), now);
        let Some(provider) = provider else {
            return Ok(Way::Here { prompt, writer });
        };
        let base = &provider.base_url;
        let url = match kind {
            ProviderKind::Gemini => {
                let name = model.strip_prefix("models/").unwrap_or(model);
                let mut url = base.join(["models", &format!("{name}:streamGenerateContent")]);
                url.set_query(Some("alt=sse"));
                url
            }
            ProviderKind::Anthropic => base.join(["messages"]),
            ProviderKind::Openai | ProviderKind::OpenaiCompatible | ProviderKind::Demo => {
                base.join(["chat", "completions"])
            }
        };
        let body = Bytes::from(wire::ask(kind, &prompt, model).to_string());
        let reader = Reader::of_kind(kind);
        let request = ToProvider {
            provider,
            url,
            body,
            streamed: true,
            reader,
        };
        Ok(Way::Translated { request, writer })
    }

    fn pass(mut self, provider: Provider, model: &str) -> Way {
        let hide_usage = !self.wants_usage();
        self.fields.insert("model".to_owned(), json!(model));
        match self.api {
            Api::ChatCompletions => {
                if self.streamed {
                    let options = self.fields.entry("stream_options").or_insert_with(|| json!({}));
                    if !options.is_object() {
                        *options = json!({});
                    }
                    options["include_usage"] = json!(true);
                }
                // Nothing is kept at the provider for a sandbox.
                if self.fields.contains_key("store") {
                    self.fields.insert("store".to_owned(), json!(false));
                }
            }
            Api::Responses => {
                self.fields.insert("store".to_owned(), json!(false));
            }
            Api::Messages => {}
        }
        let base = &provider.base_url;
        let request = ToProvider {
            url: match self.api {
                Api::ChatCompletions => base.join(["chat", "completions"]),
                Api::Responses => base.join(["responses"]),
                Api::Messages => base.join(["messages"]),
            },
            body: Bytes::from(Value::Object(self.fields).to_string()),
            streamed: self.streamed,
            reader: Reader::of(self.api),
            provider,
        };
        Way::AsItIs { request, hide_usage }
    }
}
