//! One tool call in a turn: it runs, clients see it, its result is in the transcript.

use super::super::event::Event;
use super::super::inbound;
use super::{Call, MAX_TOOL_ERROR, Ran, Run, Stop};
use crate::base::time::now_ms;
use crate::tool::Output;
use crate::wire::message::{Message, ToolResult, text_of};
use serde_json::Value;

/// What the model reads of a call that its own token limit cut off.
const CUT_OFF: &str = "This call was cut off by the limit of tokens for one answer and did not run. \
    Make it again, shorter or in several steps.";

/// The result of a call that was not made any more.
const SKIPPED: &str = "Skipped due to queued user message.";

impl Run<'_, '_> {
    /// Says whether the turn ends with this answer. A call that is not whole does not run.
    pub(super) fn use_tool(&mut self, call: &Call, whole: bool) -> Result<bool, Stop> {
        let sink = self.parts.sink;
        let (id, name) = (call.id, call.name);
        sink.tell(Event::ToolStart {
            id,
            name,
            args: call.arguments,
        });
        let update = |partial: Output| {
            sink.tell(Event::ToolUpdate {
                id,
                name,
                partial: &partial,
            });
        };
        let ran = match whole {
            true => self.parts.tools.call(call, self.turn.cancel, &update),
            false => Ran {
                output: Output::text(CUT_OFF),
                refused: true,
                ..Ran::default()
            },
        };
        if self.turn.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let failed = ran.failed || ran.refused;
        let last = ran.last;
        let result = Message::ToolResult(ToolResult {
            tool_call_id: id.into(),
            tool_name: name.into(),
            content: ran.output.content,
            details: ran.output.details,
            is_error: ran.refused,
            timestamp: now_ms(),
        });
        // Kept before it is told: what clients have seen is never lost.
        self.parts.memory.append(&result).map_err(Stop::Broken)?;
        let Message::ToolResult(ToolResult {
            content, details, ..
        }) = result
        else {
            return Ok(last);
        };
        let output = Output { content, details };
        let meta = subject(call);
        sink.tell(Event::ToolResult {
            id,
            name,
            meta: meta.as_deref(),
            is_error: failed,
            result: &output,
        });
        self.said.failed_tool = failed.then(|| {
            let text = text_of(&output.content);
            let error = output
                .details
                .as_ref()
                .and_then(|d| d["error"].as_str())
                .unwrap_or(&text);
            let line = error.lines().next().unwrap_or_default();
            (name.to_string(), inbound::cut(line, MAX_TOOL_ERROR))
        });
        Ok(last)
    }

    /// The person has said something that may change what is to be done.
    pub(super) fn skip_tool(&mut self, call: &Call) -> Result<(), Stop> {
        let output = Output::text(SKIPPED);
        let (id, name) = (call.id, call.name);
        let result = Message::ToolResult(ToolResult {
            tool_call_id: id.into(),
            tool_name: name.into(),
            content: output.content.clone(),
            details: None,
            is_error: true,
            timestamp: now_ms(),
        });
        self.parts.memory.append(&result).map_err(Stop::Broken)?;
        let sink = self.parts.sink;
        sink.tell(Event::ToolStart {
            id,
            name,
            args: call.arguments,
        });
        sink.tell(Event::ToolResult {
            id,
            name,
            meta: subject(call).as_deref(),
            is_error: true,
            result: &output,
        });
        Ok(())
    }
}

/// What a call is about, for one line in a client.
fn subject(call: &Call) -> Option<String> {
    let text = |key: &str| call.arguments.get(key).and_then(Value::as_str);
    let subject = match call.name {
        "exec" => text("command").map(str::to_string),
        "process" => text("action").map(|action| match text("sessionId") {
            Some(id) => format!("{action} {id}"),
            None => action.to_string(),
        }),
        _ => ["path", "file_path", "url", "query"]
            .into_iter()
            .find_map(text)
            .map(str::to_string),
    };
    subject.map(|s| inbound::cut(&s, MAX_TOOL_ERROR))
}
