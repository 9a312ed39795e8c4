//! The lines of a transcript, spelled and ordered as the original writes them.

use crate::base::{jsonl, time};
use crate::wire::message::Message;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// The version this program writes; older ones are migrated when opened.
pub const VERSION: u64 = 3;

/// What a line is to the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message,
    CustomMessage,
    BranchSummary,
    Compaction,
    ModelSnapshot,
    ThinkingLevel,
    /// In the chain, but nothing a model or we read.
    Other,
}

/// The part of any line that decides its place.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    #[serde(rename = "type", default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub id: Option<String>,
    /// Absent (a line of chat.inject), null (a root) or an id.
    #[serde(default, deserialize_with = "present")]
    pub parent_id: Option<Option<String>>,
    #[serde(default)]
    pub custom_type: Option<String>,
    #[serde(default)]
    pub first_kept_entry_id: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(from).map(Some)
}

impl Place {
    pub fn kind(&self) -> Kind {
        match self.kind.as_deref() {
            Some("message") => Kind::Message,
            Some("custom_message") => Kind::CustomMessage,
            Some("branch_summary") => Kind::BranchSummary,
            Some("compaction") => Kind::Compaction,
            Some("thinking_level_change") => Kind::ThinkingLevel,
            Some("custom") if self.custom_type.as_deref() == Some(MODEL_SNAPSHOT) => {
                Kind::ModelSnapshot
            }
            _ => Kind::Other,
        }
    }
}

/// `custom` record that says which model spoke last.
pub const MODEL_SNAPSHOT: &str = "model-snapshot";

/// A compaction as it is appended.
#[derive(Clone, Debug, Default)]
pub struct Compaction<'a> {
    pub summary: &'a str,
    /// The first entry that stays in the context.
    pub first_kept: &'a str,
    pub tokens_before: u64,
    pub read_files: &'a [String],
    pub modified_files: &'a [String],
}

pub fn header(id: &str, cwd: &Path, parent_session: Option<&str>) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        r#type: &'static str,
        version: u64,
        id: &'a str,
        timestamp: String,
        cwd: std::borrow::Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        parent_session: Option<&'a str>,
    }
    jsonl::line(&Line {
        r#type: "session",
        version: VERSION,
        id,
        timestamp: time::now_iso(),
        cwd: cwd.to_string_lossy(),
        parent_session,
    })
}

/// Where a new line hangs.
#[derive(Clone, Copy)]
pub struct Spot<'a> {
    pub id: &'a str,
    pub parent: Option<&'a str>,
}

/// Who said it stands a second time at the end of the line: scripts that watch a deployment look
/// for it there, and the original passes over a key it does not know.
pub fn message(spot: Spot, message: &Message) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        message: &'a Message,
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<&'static str>,
    }
    let role = message.role();
    linked("message", spot, &Body { message, role })
}

pub fn model_change(spot: Spot, provider: &str, model: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        provider: &'a str,
        model_id: &'a str,
    }
    let model_id = model;
    linked("model_change", spot, &Body { provider, model_id })
}

pub fn thinking_level(spot: Spot, level: &str) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        thinking_level: &'a str,
    }
    let thinking_level = level;
    linked("thinking_level_change", spot, &Body { thinking_level })
}

pub fn compaction(spot: Spot, compaction: &Compaction) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Details<'a> {
        read_files: &'a [String],
        modified_files: &'a [String],
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        summary: &'a str,
        first_kept_entry_id: &'a str,
        tokens_before: u64,
        details: Details<'a>,
        from_hook: bool,
    }
    let body = Body {
        summary: compaction.summary,
        first_kept_entry_id: compaction.first_kept,
        tokens_before: compaction.tokens_before,
        details: Details {
            read_files: compaction.read_files,
            modified_files: compaction.modified_files,
        },
        from_hook: false,
    };
    linked("compaction", spot, &body)
}

/// `custom` records carry their content before the chain fields.
pub fn custom(spot: Spot, custom_type: &str, data: &Value) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a> {
        r#type: &'static str,
        custom_type: &'a str,
        data: &'a Value,
        id: &'a str,
        parent_id: Option<&'a str>,
        timestamp: String,
    }
    jsonl::line(&Line {
        r#type: "custom",
        custom_type,
        data,
        id: spot.id,
        parent_id: spot.parent,
        timestamp: time::now_iso(),
    })
}

fn linked(kind: &'static str, spot: Spot, body: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Line<'a, B> {
        r#type: &'static str,
        id: &'a str,
        parent_id: Option<&'a str>,
        timestamp: String,
        #[serde(flatten)]
        body: &'a B,
    }
    jsonl::line(&Line {
        r#type: kind,
        id: spot.id,
        parent_id: spot.parent,
        timestamp: time::now_iso(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::{Block, Content, User};

    fn keys(line: &[u8]) -> Vec<String> {
        let value: Value = serde_json::from_slice(line).unwrap();
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn lines_have_the_original_key_order() {
        let spot = Spot {
            id: "0badcafe",
            parent: None,
        };
        let user = Message::User(User {
            content: Content::Blocks(vec![Block::text("hi")]),
            timestamp: 5,
        });
        for (line, want) in [
            (
                header("s", Path::new("/w"), None),
                "type version id timestamp cwd",
            ),
            (
                message(spot, &user),
                "type id parentId timestamp message role",
            ),
            (
                model_change(spot, "p", "m"),
                "type id parentId timestamp provider modelId",
            ),
            (
                thinking_level(spot, "low"),
                "type id parentId timestamp thinkingLevel",
            ),
            (
                custom(spot, MODEL_SNAPSHOT, &Value::Null),
                "type customType data id parentId timestamp",
            ),
            (
                compaction(spot, &Compaction::default()),
                "type id parentId timestamp summary firstKeptEntryId tokensBefore details fromHook",
            ),
        ] {
            assert_eq!(keys(&line).join(" "), want);
            assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        }
    }

    #[test]
    fn an_absent_parent_is_not_a_null_one() {
        let place = |text: &str| serde_json::from_str::<Place>(text).unwrap().parent_id;
        assert_eq!(place(r#"{"type":"message"}"#), None);
        assert_eq!(place(r#"{"parentId":null}"#), Some(None));
        assert_eq!(place(r#"{"parentId":"a"}"#), Some(Some("a".into())));
    }
}
