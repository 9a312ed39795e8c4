//! Talking to language models: one file per wire format, one table of them, and the choice of a
//! model from configuration and credentials. Knows messages, not sessions or tools.

mod anthropic_messages;
pub mod aws;
mod bedrock;
mod call;
pub mod catalogue;
pub mod choose;
mod circuit;
pub mod credential;
mod draft;
pub mod echo;
pub mod embedding;
pub mod fault;
mod frames;
mod fuzzy;
mod google_generative_ai;
pub mod hear;
mod history;
mod json;
mod kept;
pub mod local;
pub mod name;
pub mod offer;
mod ollama;
mod openai_codex;
mod openai_completions;
mod openai_responses;
mod options;
mod repair;
pub mod schema;
pub mod see;
mod sse;
pub mod status;

pub use circuit::SHORT_WISH;

use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::wire::message::{Assistant, Message};
use serde_json::Value;
use std::time::Instant;

/// A model that can be called: where, how, with what credential. Written with `..Target::default()`
/// where only a few fields matter.
#[derive(Clone, Debug, Default)]
pub struct Target {
    pub provider: String,
    pub model: String,
    /// For people; the id when the catalogue has none.
    pub name: String,
    /// The wire format's row, as [`FORMATS`] names them.
    pub api: String,
    pub base_url: String,
    pub key: Option<Secret>,
    /// The key may have to be renewed or exchanged at the call.
    pub lease: Option<credential::Lease>,
    /// What signs the requests where no key is sent.
    pub aws: Option<aws::Credentials>,
    pub headers: Vec<(String, String)>,
    pub reasoning: bool,
    pub images: bool,
    /// Whether the model can use tools at all. A tiny local model cannot: its window is smaller than
    /// the tools' schemas. The agent then offers none and uses its shortest prompt.
    pub tools: bool,
    /// Tokens.
    pub context_window: u64,
    /// Tokens of one answer.
    pub max_tokens: u64,
    /// Dollars per million tokens: input, output, cache read, cache write.
    pub cost: [f64; 4],
    /// Deviations from the usual of the format: the config's `compat` object.
    pub compat: Value,
    /// `agents.defaults.models.<ref>.params`: temperature, maxTokens, cacheRetention.
    pub params: Value,
}

/// One call.
pub struct Request<'a> {
    pub system: &'a str,
    pub messages: &'a [Message],
    pub tools: &'a [ToolSpec],
    /// `off`, `minimal`, `low`, `medium`, `high`, `xhigh`.
    pub thinking: &'a str,
    pub session_id: &'a str,
    pub max_tokens: Option<u64>,
    /// The answer shall call one of the tools. Not every service can be told so.
    pub must_call: bool,
}

/// A tool as the model is told of it.
#[derive(Clone, Debug)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema.
    pub parameters: Value,
}

/// What arrives while the model speaks.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta<'a> {
    Text(&'a str),
    Thinking(&'a str),
    /// A text block ended (a further one is a new paragraph of its own).
    TextEnd,
    ToolCall {
        id: &'a str,
        name: &'a str,
    },
}

/// Why a call failed, in the classes that decide what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Auth,
    Billing,
    RateLimit,
    Timeout,
    Overloaded,
    ContextOverflow,
    Format,
    Network,
    Aborted,
    /// Not asked: it failed too often a moment ago.
    Resting,
    /// The service is not who it should be, or cannot be spoken to in private.
    Untrusted,
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Error {
    pub class: Class,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// As the original shows it; never contains a credential.
    pub message: String,
    pub retry_after_ms: Option<u64>,
    /// What had arrived before the failure.
    pub partial: Option<Box<Assistant>>,
}

/// The agent's view of a model.
pub trait Client: Send + Sync {
    /// Streams one answer. `on` is called on this thread as parts arrive. Cancelling closes the
    /// connection to the provider and returns `Class::Aborted` at once.
    fn stream(
        &self,
        target: &Target,
        request: &Request,
        cancel: &Cancel,
        on: &mut dyn FnMut(Delta),
    ) -> Result<Assistant, Error>;
}

/// A wire format.
struct Format {
    /// Its name in the configuration and in transcripts.
    api: &'static str,
    stream: Stream,
}

type Stream = fn(&Target, &Request, &Cancel, &mut dyn FnMut(Delta)) -> Result<Assistant, Error>;

const FORMATS: &[Format] = &[
    Format {
        api: "anthropic-messages",
        stream: anthropic_messages::stream,
    },
    Format {
        api: openai_responses::AZURE,
        stream: openai_responses::stream,
    },
    Format {
        api: "bedrock-converse-stream",
        stream: bedrock::stream,
    },
    Format {
        api: "echo",
        stream: echo::stream,
    },
    Format {
        api: "google-generative-ai",
        stream: google_generative_ai::stream,
    },
    Format {
        api: "ollama",
        stream: ollama::stream,
    },
    Format {
        api: "openai-codex-responses",
        stream: openai_codex::stream,
    },
    Format {
        api: "openai-completions",
        stream: openai_completions::stream,
    },
    Format {
        api: "openai-responses",
        stream: openai_responses::stream,
    },
];

/// The real models.
#[derive(Debug, Default)]
pub struct Live {
    circuits: circuit::Circuits,
}

impl Client for Live {
    fn stream(
        &self,
        target: &Target,
        request: &Request,
        cancel: &Cancel,
        on: &mut dyn FnMut(Delta),
    ) -> Result<Assistant, Error> {
        let renewed;
        let target = match &target.lease {
            Some(lease) => {
                renewed = lease.open(target, cancel)?;
                &renewed
            }
            None => target,
        };
        let format = FORMATS.iter().find(|format| format.api == target.api);
        match format.map(|format| format.stream) {
            Some(stream) => {
                let pass = self.circuits.enter(target, Instant::now())?;
                let result = stream(target, request, cancel, on);
                pass.end(&result, Instant::now());
                result
            }
            None => Err(Error {
                class: Class::Format,
                status: None,
                message: format!(
                    "{}/{}: the wire format \"{}\" is not supported",
                    target.provider, target.model, target.api
                ),
                retry_after_ms: None,
                partial: None,
            }),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_that_shall_call_a_tool_is_asked_for_in_each_formats_own_words() {
        let tools = [ToolSpec {
            name: "time".into(),
            description: "Tells it.".into(),
            parameters: json!({"type": "object", "properties": {}}),
        }];
        let mut request = Request {
            system: "s",
            messages: &[],
            tools: &tools,
            thinking: "high",
            session_id: "",
            max_tokens: None,
            must_call: true,
        };
        let target = Target {
            reasoning: true,
            max_tokens: 64_000,
            ..Target::default()
        };
        let required = json!("required");
        type Body = fn(&Target, &Request) -> Vec<u8>;
        let cases: [(Body, &str, Value); 5] = [
            (openai_completions::body, "/tool_choice", required.clone()),
            (openai_responses::body, "/tool_choice", required),
            (
                anthropic_messages::body,
                "/tool_choice",
                json!({"type": "any"}),
            ),
            (bedrock::body, "/toolConfig/toolChoice", json!({"any": {}})),
            (
                google_generative_ai::body,
                "/toolConfig",
                json!({"functionCallingConfig": {"mode": "ANY"}}),
            ),
        ];
        for (body, place, choice) in cases {
            request.must_call = true;
            let sent: Value = serde_json::from_slice(&body(&target, &request)).unwrap();
            assert_eq!(sent.pointer(place), Some(&choice), "{sent}");
            // Anthropic's models refuse to think and be forced.
            assert_eq!(sent.get("thinking"), None);
            request.must_call = false;
            let sent: Value = serde_json::from_slice(&body(&target, &request)).unwrap();
            assert_eq!(sent.pointer(place), None, "{sent}");
        }
    }
}
