//! What happens in a run, told as it happens. The gateway numbers the events and sends them on.

use crate::tool::Output;
use crate::wire::message::Block;
use serde_json::{Map, Value, json};

/// Most characters of a text block in a tool event; a client that wants more reads the history.
const MAX_TOOL_TEXT: usize = 8000;

#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The user's words are in the transcript; not for clients.
    Stored,
    Started {
        at: u64,
    },
    Ended {
        at: u64,
        aborted: bool,
    },
    /// The run itself failed; a model's error is not that.
    Failed {
        started: u64,
        at: u64,
        error: &'a str,
    },
    Text {
        text: &'a str,
        delta: &'a str,
        media: &'a [String],
    },
    /// The older part of the conversation is being summarised.
    Compacting,
    Compacted {
        /// The call that did not fit is made again.
        will_retry: bool,
    },
    ToolStart {
        id: &'a str,
        name: &'a str,
        args: &'a Map<String, Value>,
    },
    ToolUpdate {
        id: &'a str,
        name: &'a str,
        partial: &'a Output,
    },
    ToolResult {
        id: &'a str,
        name: &'a str,
        meta: Option<&'a str>,
        is_error: bool,
        result: &'a Output,
    },
}

/// Called on the run's thread and, for `ToolUpdate`, on a tool's; must not block for long.
pub trait Sink: Sync {
    fn tell(&self, event: Event);
}

impl Event<'_> {
    pub fn stream(&self) -> &'static str {
        match self {
            Event::Stored | Event::Started { .. } | Event::Ended { .. } | Event::Failed { .. } => {
                "lifecycle"
            }
            Event::Text { .. } => "assistant",
            Event::Compacting | Event::Compacted { .. } => "compaction",
            Event::ToolStart { .. } | Event::ToolUpdate { .. } | Event::ToolResult { .. } => "tool",
        }
    }

    /// The event's `data`. Tool output only when `full`.
    pub fn data(&self, full: bool) -> Value {
        match self {
            Event::Stored => json!({"phase": "stored"}),
            Event::Started { at } => json!({"phase": "start", "startedAt": at}),
            Event::Ended { at, aborted } => {
                let mut data = json!({"phase": "end", "endedAt": at});
                if *aborted {
                    data["aborted"] = true.into();
                }
                data
            }
            Event::Failed { started, at, error } => {
                json!({"phase": "error", "startedAt": started, "endedAt": at, "error": error})
            }
            Event::Text { text, delta, media } => {
                let mut data = json!({"text": text, "delta": delta});
                if !media.is_empty() {
                    data["mediaUrls"] = json!(media);
                }
                data
            }
            Event::Compacting => json!({"phase": "start"}),
            Event::Compacted { will_retry } => json!({"phase": "end", "willRetry": will_retry}),
            Event::ToolStart { id, name, args } => {
                json!({"phase": "start", "name": name, "toolCallId": id, "args": args})
            }
            Event::ToolUpdate { id, name, partial } => {
                let mut data = json!({"phase": "update", "name": name, "toolCallId": id});
                if full {
                    data["partialResult"] = output(partial);
                }
                data
            }
            Event::ToolResult {
                id,
                name,
                meta,
                is_error,
                result,
            } => {
                let mut data = json!({"phase": "result", "name": name, "toolCallId": id});
                if let Some(meta) = meta {
                    data["meta"] = (*meta).into();
                }
                data["isError"] = (*is_error).into();
                if full {
                    data["result"] = output(result);
                }
                data
            }
        }
    }
}

/// A tool's output with long texts cut and pictures left out.
fn output(output: &Output) -> Value {
    let content: Vec<Value> = output.content.iter().filter_map(block).collect();
    let mut value = json!({ "content": content });
    if let Some(details) = &output.details {
        value["details"] = details.clone();
    }
    value
}

fn block(block: &Block) -> Option<Value> {
    match block {
        Block::Text { text, .. } => {
            let text = match text.char_indices().nth(MAX_TOOL_TEXT) {
                Some((end, _)) => format!("{}\n…(truncated)…", &text[..end]),
                None => text.clone(),
            };
            Some(json!({"type": "text", "text": text}))
        }
        Block::Image { data, mime_type } => Some(json!({
            "type": "image",
            "mimeType": mime_type,
            "bytes": data.len() / 4 * 3,
            "omitted": true,
        })),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_only_in_full_events_and_bounded() {
        let long = Output {
            content: vec![
                Block::text("é".repeat(MAX_TOOL_TEXT + 1)),
                Block::Image {
                    data: "AAAA".into(),
                    mime_type: "image/png".into(),
                },
            ],
            details: None,
        };
        let event = Event::ToolResult {
            id: "c",
            name: "exec",
            meta: Some("ls"),
            is_error: false,
            result: &long,
        };
        assert!(event.data(false).get("result").is_none());
        let data = event.data(true);
        let text = data["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.ends_with("…(truncated)…"));
        assert_eq!(data["result"]["content"][1]["omitted"], true);
        assert!(data["result"]["content"][1].get("data").is_none());
    }
}
