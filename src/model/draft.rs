//! An answer while it arrives: parts in order, told to the caller as they grow, and turned into an
//! `Assistant` at the end.

use super::{Delta, Target};
use crate::base::time;
use crate::wire::message::{Assistant, Block, Cost, StopReason, Usage};

/// Parts of one answer; a stream that opens more is broken or hostile.
const MAX_PARTS: usize = 4096;

pub(super) struct Draft<'a> {
    target: &'a Target,
    on: &'a mut dyn FnMut(Delta),
    pub parts: Vec<Part>,
    /// Index of the part that is growing.
    open: Option<usize>,
    pub usage: Usage,
    /// Why the model stopped, once it has.
    pub stop: Option<StopReason>,
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

impl<'a> Draft<'a> {
    pub fn new(target: &'a Target, on: &'a mut dyn FnMut(Delta)) -> Draft<'a> {
        Draft {
            target,
            on,
            parts: Vec::new(),
            open: None,
            usage: Usage::default(),
            stop: None,
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

    /// Bytes of all that has come.
    pub fn size(&self) -> u64 {
        let size = |part: &Part| match part {
            Part::Text { text, .. } => text.len(),
            Part::Thinking { text, signature } => {
                text.len() + signature.as_ref().map_or(0, String::len)
            }
            Part::Tool { json, .. } => json.len(),
        };
        self.parts.iter().map(|part| size(part) as u64).sum()
    }

    pub fn has_tools(&self) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Tool { .. }))
    }

    /// The finished answer. Arguments that are no JSON object are mended as well as possible: the
    /// tool's own check tells the model what is missing, which it can put right, where a failed turn
    /// helps nobody.
    pub fn finish(mut self) -> Assistant {
        self.end();
        let stop = match self.stop {
            None | Some(StopReason::Stop) if self.has_tools() => StopReason::ToolUse,
            stop => stop.unwrap_or(StopReason::Stop),
        };
        let parts = std::mem::take(&mut self.parts).into_iter();
        let content = parts.map(|part| match part {
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
            } => Block::ToolCall {
                id,
                arguments: super::repair::arguments(&json),
                name,
                thought_signature: signature,
            },
        });
        let content = content.collect();
        self.assistant(content, stop)
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
