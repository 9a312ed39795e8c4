//! The gateway's words in the editor's, and the other way round.

use crate::wire::message::text_in;
use serde_json::{Value, json};

/// What of an argument a tool's title shows, characters.
const ARGUMENT: usize = 100;

/// Commands a person can type as a message.
const COMMANDS: [(&str, &str); 24] = [
    ("help", "What can be typed here."),
    ("commands", "All commands."),
    ("status", "How the session and its model are."),
    ("context", "What fills the context (list, detail, json)."),
    ("whoami", "Who the gateway takes you for."),
    ("id", "The same as /whoami."),
    ("subagents", "The sub-agents: list, stop, look at one."),
    ("config", "Read or change the configuration (owner)."),
    ("debug", "Settings until the gateway restarts (owner)."),
    (
        "usage",
        "A line about usage under replies (off, tokens, full).",
    ),
    ("stop", "Stop the run of the moment."),
    ("restart", "Restart the gateway, where that is allowed."),
    ("activation", "When groups are answered (mention, always)."),
    ("send", "Whether replies are sent (on, off, inherit)."),
    ("reset", "Begin the session anew."),
    ("new", "The same as /reset."),
    (
        "think",
        "How much it thinks (off, minimal, low, medium, high, xhigh).",
    ),
    ("verbose", "Whether tools are shown (on, full, off)."),
    (
        "reasoning",
        "Whether its reasoning is shown (on, off, stream).",
    ),
    ("elevated", "Whether commands leave the sandbox (on, off)."),
    ("model", "Choose a model (list, status, a name)."),
    ("queue", "What happens to messages during a run."),
    ("bash", "Run a command on the host, where that is allowed."),
    ("compact", "Summarise the session so far."),
];

pub fn commands() -> Value {
    let commands = COMMANDS.iter().map(|(name, description)| {
        let mut command = json!({"name": name, "description": description});
        if *name == "context" {
            command["input"] = json!({"hint": "list | detail | json"});
        }
        command
    });
    commands.collect()
}

/// What `_meta` of a request says, under any of its names.
pub fn meta<'a>(params: &'a Value, names: &[&str]) -> Option<&'a Value> {
    let meta = params.get("_meta")?;
    names.iter().find_map(|name| meta.get(*name))
}

pub fn meta_text<'a>(params: &'a Value, names: &[&str]) -> Option<&'a str> {
    let texts = names
        .iter()
        .filter_map(|name| meta(params, &[name])?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty())
}

pub fn meta_flag(params: &Value, names: &[&str]) -> Option<bool> {
    names
        .iter()
        .find_map(|name| meta(params, &[name])?.as_bool())
}

/// The text of a prompt's blocks.
pub fn text(prompt: &Value) -> String {
    let parts: Vec<String> = prompt
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|block| match block["type"].as_str()? {
            "text" => Some(block["text"].as_str()?.to_string()),
            "resource" => Some(block["resource"]["text"].as_str()?.to_string()),
            "resource_link" => {
                let title = block["title"].as_str();
                let title = title.map_or(String::new(), |title| format!(" ({title})"));
                let uri = block["uri"].as_str().unwrap_or_default();
                let line = format!("[Resource link{title}] {uri}");
                Some(line.trim_end().to_string())
            }
            _ => None,
        })
        .collect();
    parts.join("\n")
}

/// The pictures of a prompt, as `chat.send` takes them.
pub fn attachments(prompt: &Value) -> Vec<Value> {
    let blocks = prompt.as_array().into_iter().flatten();
    blocks
        .filter(|block| block["type"] == "image")
        .filter_map(|block| {
            let (data, kind) = (block["data"].as_str()?, block["mimeType"].as_str()?);
            (!data.is_empty() && !kind.is_empty())
                .then(|| json!({"type": "image", "mimeType": kind, "content": data}))
        })
        .collect()
}

pub fn title(name: &str, arguments: &Value) -> String {
    let arguments: Vec<String> = arguments
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            let raw = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_string);
            match raw.char_indices().nth(ARGUMENT) {
                Some((at, _)) => format!("{key}: {}...", &raw[..at]),
                None => format!("{key}: {raw}"),
            }
        })
        .collect();
    match arguments.is_empty() {
        true => name.to_string(),
        false => format!("{name}: {}", arguments.join(", ")),
    }
}

/// What kind of work a tool does, by its name.
pub fn kind(name: &str) -> &'static str {
    let name = name.to_lowercase();
    let kinds: [(&[&str], &str); 7] = [
        (&["read"], "read"),
        (&["write", "edit"], "edit"),
        (&["delete", "remove"], "delete"),
        (&["move", "rename"], "move"),
        (&["search", "find"], "search"),
        (&["exec", "run", "bash"], "execute"),
        (&["fetch", "http"], "fetch"),
    ];
    let mut kinds = kinds.iter();
    let found = kinds.find(|(parts, _)| parts.iter().any(|part| name.contains(part)));
    found.map_or("other", |(_, kind)| kind)
}

/// The text of a message of the gateway's.
pub fn said(message: &Value) -> String {
    text_in(&message["content"], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_its_texts_its_links_and_its_pictures() {
        let prompt = json!([
            {"type": "text", "text": "look"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource_link", "uri": "file:///b", "title": "B"},
            {"type": "image", "data": "AA==", "mimeType": "image/png"},
            {"type": "audio", "data": "AA=="},
        ]);
        assert_eq!(text(&prompt), "look\ninside\n[Resource link (B)] file:///b");
        let expected = json!({"type": "image", "mimeType": "image/png", "content": "AA=="});
        assert_eq!(attachments(&prompt), [expected]);
    }

    #[test]
    fn a_tool_has_a_title_and_a_kind() {
        let long = "x".repeat(120);
        let shown = title("exec", &json!({"command": long, "pty": true}));
        assert_eq!(
            shown,
            format!("exec: command: {}..., pty: true", "x".repeat(100))
        );
        assert_eq!((kind("web_fetch"), kind("apply_patch")), ("fetch", "other"));
        assert_eq!((kind("exec"), kind("Read")), ("execute", "read"));
    }
}
