//! One call of the model in a turn: what is sent, what is told while the answer grows, and the
//! trace a failed call leaves.

use super::super::clean::{self, Stream};
use super::super::event::Event;
use super::super::prompt::Prompt;
use super::super::trim;
use super::{Run, Stop, Toolbox};
use crate::base::time::now_ms;
use crate::model::{Class, Delta, Error, Request, Target, ToolSpec};
use crate::wire::message::{Assistant, Block, Message, StopReason, Usage};
use std::borrow::Cow;

impl Run<'_, '_> {
    pub(super) fn ask(&mut self, target: &Target, prompt: &Prompt) -> Result<Assistant, Stop> {
        if self.turn.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let (budget, force) = self.allowance(target, prompt);
        let mut total = self.shown_chars();
        let shown = &self.parts.memory.messages()[self.shown..];
        let mut pruned = Cow::Borrowed(shown);
        for (at, message) in &self.pruned {
            let old = &mut pruned.to_mut()[at - self.shown];
            total = total.saturating_sub(old.chars()) + message.chars();
            old.clone_from(message);
        }
        let messages = trim::fit(&pruned, total, budget, force);
        let request = Request {
            system: &prompt.text,
            messages: &messages,
            tools: offered(self.parts.tools, self.owes, prompt),
            thinking: self.thinking,
            session_id: self.turn.session_id,
            max_tokens: self.turn.max_tokens,
            must_call: self.owes,
        };
        let sink = self.parts.sink;
        let mut stream = Stream::new(self.said.final_only);
        let tell = |grown: Option<clean::Grown>| {
            if let Some(grown) = grown {
                sink.tell(Event::Text {
                    text: grown.text,
                    delta: grown.delta,
                    media: grown.media,
                });
            }
        };
        let result =
            self.parts.model.stream(
                target,
                &request,
                self.turn.cancel,
                &mut |delta| match delta {
                    Delta::Text(text) => tell(stream.push(text)),
                    Delta::TextEnd => stream.end_block(),
                    Delta::Thinking(_) | Delta::ToolCall { .. } => {}
                },
            );
        self.asking = self.turn.cancel.is_cancelled();
        if self.asking {
            return Err(Stop::Cancelled);
        }
        match result {
            Ok(mut answer) if answer.stop_reason != StopReason::Error => {
                tell(stream.finish());
                think_in_blocks(&mut answer);
                Ok(answer)
            }
            Ok(answer) => {
                let message = answer.error_message.clone().unwrap_or_default();
                Err(self.failed_call(
                    target,
                    Error {
                        class: Class::Unknown,
                        status: None,
                        message,
                        retry_after_ms: None,
                        partial: Some(Box::new(answer)),
                    },
                ))
            }
            Err(error) if error.class == Class::Aborted => Err(Stop::Cancelled),
            Err(error) => Err(self.failed_call(target, error)),
        }
    }

    /// Leaves a trace of a failed call in the transcript; it is never sent to a model.
    fn failed_call(&mut self, target: &Target, error: Error) -> Stop {
        self.usage = Usage::default();
        let (content, usage) = match &error.partial {
            Some(partial) => (partial.content.clone(), partial.usage.clone()),
            None => (Vec::new(), Usage::default()),
        };
        let trace = Message::Assistant(Assistant {
            content,
            api: target.api.clone(),
            provider: target.provider.clone(),
            model: target.model.clone(),
            usage,
            stop_reason: StopReason::Error,
            error_message: Some(error.message.clone()),
            timestamp: now_ms(),
        });
        match self.parts.memory.append(&trace) {
            Ok(()) => Stop::Model(error),
            Err(why) => Stop::Broken(why),
        }
    }
}

/// The tools that a call is told of.
pub(super) fn offered<'t>(tools: &'t dyn Toolbox, owes: bool, prompt: &Prompt) -> &'t [ToolSpec] {
    match prompt.reduced {
        _ if owes => tools.callers(),
        true => &[],
        false => tools.specs(),
    }
}

/// A text that begins with a thinking tag becomes a real thinking block.
fn think_in_blocks(answer: &mut Assistant) {
    let Some(Block::Text { text, .. }) = answer.content.first() else {
        return;
    };
    let Some((thinking, rest)) = clean::split_thinking(text) else {
        return;
    };
    let thought = Block::Thinking {
        thinking,
        thinking_signature: None,
    };
    answer.content.splice(..1, [thought, Block::text(rest)]);
}

pub(super) fn thinking_of(blocks: &[Block]) -> String {
    let thought: Vec<&str> = blocks
        .iter()
        .filter_map(|block| match block {
            Block::Thinking { thinking, .. } => Some(thinking.as_str()),
            _ => None,
        })
        .collect();
    thought.join("\n")
}
