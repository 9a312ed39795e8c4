//! An answer while it arrives: parts in order, told to the caller as they grow, and turned into an
//! `Assistant` at the end.

use super::{Delta, Target};
use crate::base::time;
use crate::wire::message::{Assistant, Block, Cost, StopReason, Usage};
use serde_json::{Map, Value};

/// Parts of one answer; a stream that opens more is broken or hostile.
const MAX_PARTS: usize = 4096;

pub(super) struct Draft<'a> {
    target: &'a Target,
    on: &'a mut dyn FnMut(Delta),
    pub parts: Vec<Part>,
    /// Index of the part that is growing.
    open: Option<usize>,
    pub usage: Usage,
    pub stop: StopReason,
    /// Multiplies the cost (OpenAI's service tiers).
    pub cost_factor: f64,
}

pub(super) enum Part {
    Text {
        text: String,
        signature: Option<String>,
    },
    Thinking {
        text: String,
        signature: Option<String>,
    },
    Tool {
        id: String,
        name: String,
        json: String,
        signature: Option<String>,
    },
}

/// How tool arguments that are no JSON object are met.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Arguments {
    Strict,
    /// An unfinished text is completed as well as possible.
    Repaired,
}

impl<'a> Draft<'a> {
    pub fn new(target: &'a Target, on: &'a mut dyn FnMut(Delta)) -> Draft<'a> {
        Draft {
            target,
            on,
            parts: Vec::new(),
            open: None,
            usage: Usage::default(),
            stop: StopReason::Stop,
            cost_factor: 1.0,
        }
    }

    /// Ends the part that was growing and starts `part`. Returns its index.
    pub fn start(&mut self, part: Part) -> Result<usize, String> {
        self.end();
        if self.parts.len() >= MAX_PARTS {
            return Err(format!("The answer has more than {MAX_PARTS} parts"));
        }
        self.parts.push(part);
        self.open = Some(self.parts.len() - 1);
        Ok(self.parts.len() - 1)
    }

    /// The growing part.
    pub fn current(&mut self) -> Option<&mut Part> {
        self.parts.get_mut(self.open?)
    }

    pub fn text(&mut self, delta: &str) -> Result<(), String> {
        if !matches!(self.current(), Some(Part::Text { .. })) {
            self.start(Part::Text {
                text: String::new(),
                signature: None,
            })?;
        }
        if let Some(Part::Text { text, .. }) = self.current() {
            text.push_str(delta);
            (self.on)(Delta::Text(delta));
        }
        Ok(())
    }

    pub fn thinking(&mut self, delta: &str, signature: Option<&str>) -> Result<(), String> {
        if !matches!(self.current(), Some(Part::Thinking { .. })) {
            self.start(Part::Thinking {
                text: String::new(),
                signature: signature.map(str::to_string),
            })?;
        }
        if let Some(Part::Thinking { text, .. }) = self.current() {
            text.push_str(delta);
            (self.on)(Delta::Thinking(delta));
        }
        Ok(())
    }

    /// Makes an earlier part the growing one again.
    pub fn reopen(&mut self, at: usize) {
        if self.open != Some(at) && at < self.parts.len() {
            self.end();
            self.open = Some(at);
        }
    }

    /// Nothing more comes for the growing part.
    pub fn end(&mut self) {
        match self.open.take().map(|at| &self.parts[at]) {
            Some(Part::Text { .. }) => (self.on)(Delta::TextEnd),
            Some(Part::Tool { id, name, .. }) => (self.on)(Delta::ToolCall { id, name }),
            Some(Part::Thinking { .. }) | None => {}
        }
    }

    pub fn has_tools(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Tool { .. }))
    }

    /// The finished answer, or why its tool calls cannot be used.
    pub fn finish(mut self, arguments: Arguments) -> Result<Assistant, (String, Box<Assistant>)> {
        self.end();
        let stop = self.stop;
        let mut fault = None;
        let mut content = Vec::with_capacity(self.parts.len());
        for part in std::mem::take(&mut self.parts) {
            content.push(match part {
                Part::Text { text, signature } => Block::Text {
                    text,
                    text_signature: signature,
                },
                Part::Thinking { text, signature } => Block::Thinking {
                    thinking: text,
                    thinking_signature: signature,
                },
                Part::Tool {
                    id,
                    name,
                    json,
                    signature,
                } => {
                    let read = parse(&json, arguments);
                    if let Err(why) = &read {
                        fault = Some(format!("Arguments of the call of {name}: {why}"));
                        continue;
                    }
                    Block::ToolCall {
                        id,
                        name,
                        arguments: read.unwrap_or_default(),
                        thought_signature: signature,
                    }
                }
            });
        }
        let assistant = self.assistant(content, stop);
        match fault {
            None => Ok(assistant),
            Some(why) => Err((why, Box::new(assistant))),
        }
    }

    /// What had arrived when the call failed. Unfinished tool calls are of no use to anybody.
    pub fn fail(mut self, stop: StopReason, message: &str) -> Assistant {
        let parts = std::mem::take(&mut self.parts).into_iter();
        let content = parts.filter_map(|part| match part {
            Part::Text { text, .. } if !text.is_empty() => Some(Block::text(text)),
            Part::Thinking { text, .. } if !text.is_empty() => Some(Block::Thinking {
                thinking: text,
                thinking_signature: None,
            }),
            _ => None,
        });
        let content = content.collect();
        let mut assistant = self.assistant(content, stop);
        assistant.error_message = Some(message.to_string());
        assistant
    }

    fn assistant(&mut self, content: Vec<Block>, stop_reason: StopReason) -> Assistant {
        let mut usage = std::mem::take(&mut self.usage);
        usage.cost = cost(self.target, &usage, self.cost_factor);
        Assistant {
            content,
            api: self.target.api.clone(),
            provider: self.target.provider.clone(),
            model: self.target.model.clone(),
            usage,
            stop_reason,
            error_message: None,
            timestamp: time::now_ms(),
        }
    }
}

fn cost(target: &Target, usage: &Usage, factor: f64) -> Cost {
    let [input, output, read, write] = target.cost;
    let price = |dollars: f64, tokens: u64| dollars / 1e6 * tokens as f64 * factor;
    let mut cost = Cost {
        input: price(input, usage.input),
        output: price(output, usage.output),
        cache_read: price(read, usage.cache_read),
        cache_write: price(write, usage.cache_write),
        total: 0.0,
    };
    cost.total = cost.input + cost.output + cost.cache_read + cost.cache_write;
    cost
}

fn parse(json: &str, arguments: Arguments) -> Result<Map<String, Value>, String> {
    if json.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => Ok(map),
        _ if arguments == Arguments::Repaired => Ok(repaired(json)),
        Ok(_) => Err("a JSON object is wanted".to_string()),
        Err(err) => Err(err.to_string()),
    }
}

/// Completes a JSON text that stops in the middle: closes what is open, and failing that leaves
/// out the last, unfinished member.
fn repaired(json: &str) -> Map<String, Value> {
    /// Commas that are tried as the place to cut.
    const TRIES: usize = 8;
    let mut end = json.len();
    for _ in 0..TRIES {
        if let Ok(Value::Object(map)) = serde_json::from_str(&closed(&json[..end])) {
            return map;
        }
        match json[..end].rfind(',') {
            Some(comma) => end = comma,
            None => break,
        }
    }
    Map::new()
}

fn closed(json: &str) -> String {
    let mut open = Vec::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => open.push('}'),
            '[' if !quoted => open.push(']'),
            '}' | ']' if !quoted => {
                open.pop();
            }
            _ => {}
        }
    }
    let mut text = json
        .strip_suffix('\\')
        .filter(|_| escaped)
        .unwrap_or(json)
        .to_string();
    if quoted {
        text.push('"');
    }
    text.extend(open.iter().rev());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_arguments_are_completed_or_cut() {
        let repaired = |json| serde_json::to_string(&repaired(json)).unwrap();
        assert_eq!(repaired(r#"{"a":"x","b":"y"#), r#"{"a":"x","b":"y"}"#);
        assert_eq!(repaired(r#"{"a":[1,{"b":2"#), r#"{"a":[1,{"b":2}]}"#);
        assert_eq!(repaired(r#"{"a":1,"b":"#), r#"{"a":1}"#);
        assert_eq!(repaired(r#"{"a":"x\"#), r#"{"a":"x"}"#);
        assert_eq!(repaired("nonsense"), "{}");
    }

    #[test]
    fn broken_arguments_fail_an_answer_that_must_be_exact() {
        assert!(parse("{\"a\":", Arguments::Strict).is_err());
        assert!(parse("[1]", Arguments::Strict).is_err());
        assert!(parse(" ", Arguments::Strict).unwrap().is_empty());
    }
}
