//! `sessions_history`: what was said in another session.

use super::{Requester, count, messages, refusal, spoken};
use crate::tool::{Call, Context, Error, Output, Tool};
use serde_json::{Value, json};

/// Messages when the model names no limit.
const DEFAULT_LIMIT: u64 = 50;
/// Bytes of JSON a model gets of a session at most; the original sends megabytes, which no
/// context holds.
const MAX_BYTES: usize = 80 * 1024;
/// Characters of one text within a message.
const MAX_TEXT: usize = 4_000;
/// Nesting that is looked at; messages have three or four levels.
const MAX_DEPTH: usize = 16;

pub const TOOL: Tool = Tool {
    name: "sessions_history",
    summary: "Read what was said in another session or sub-agent",
    description: "Shows the last messages of a session. includeTools adds the results of tools. \
        Long texts and long histories are shortened (truncated: true).",
    parameters: r#"{"type":"object","required":["sessionKey"],"properties":{
        "sessionKey":{"description":"From sessions_list; main and session ids are understood too","type":"string"},
        "limit":{"type":"number","minimum":1},
        "includeTools":{"type":"boolean"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let named = call
        .first_of(&["sessionKey"])
        .map(str::trim)
        .ok_or("sessionKey required")?;
    let session = match Requester::of(ctx).reach(named, "history") {
        Ok(session) => session,
        Err(refused) => return Ok(refusal(refused)),
    };
    let limit = count(call.arguments, "limit").unwrap_or(DEFAULT_LIMIT);
    let said = match call.flag("includeTools") {
        Some(true) => messages(ctx, &session.key, limit)?,
        _ => spoken(ctx, &session.key, limit)?,
    };
    let (said, cut) = bounded(said);
    let mut answer = json!({"sessionKey": session.key, "messages": said});
    if cut {
        answer["truncated"] = true.into();
    }
    Ok(Output::json(answer))
}

/// The newest messages that fit, with long texts cut; and whether anything is missing. What no
/// model can read (pictures, what providers sign) is left out.
pub fn bounded(messages: Vec<Value>) -> (Vec<Value>, bool) {
    let mut cut = false;
    let mut bytes = 0;
    let mut kept = Vec::new();
    for mut message in messages.into_iter().rev() {
        shorten(&mut message, 0, &mut cut);
        bytes += message.to_string().len();
        if bytes > MAX_BYTES && !kept.is_empty() {
            cut = true;
            break;
        }
        kept.push(message);
    }
    kept.reverse();
    (kept, cut)
}

fn shorten(value: &mut Value, depth: usize, cut: &mut bool) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
                text.truncate(end);
                text.push_str("\n…(truncated)…");
                *cut = true;
            }
        }
        Value::Array(items) if depth < MAX_DEPTH => {
            items
                .iter_mut()
                .for_each(|item| shorten(item, depth + 1, cut));
        }
        Value::Object(map) if depth < MAX_DEPTH => {
            for gone in [
                "thinkingSignature",
                "textSignature",
                "thoughtSignature",
                "details",
            ] {
                map.shift_remove(gone);
            }
            if map.get("type").is_some_and(|kind| kind == "image") {
                if let Some(Value::String(data)) = map.shift_remove("data") {
                    map.insert("bytes".into(), data.len().into());
                    map.insert("omitted".into(), true.into());
                }
            }
            map.values_mut()
                .for_each(|item| shorten(item, depth + 1, cut));
        }
        Value::Array(_) | Value::Object(_) => {
            *value = Value::Null;
            *cut = true;
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_history_is_shortened_from_its_beginning() {
        let long = "x".repeat(MAX_TEXT + 1);
        let message = |n: usize| {
            json!({"role": "user", "n": n, "content": [
            {"type": "text", "text": long},
            {"type": "image", "data": "AAAA", "mimeType": "image/png"}]})
        };
        let (kept, cut) = bounded((0..100).map(message).collect());
        assert!(cut && kept.len() < 100 && kept.len() > 10);
        assert_eq!(kept.last().unwrap()["n"], 99);
        assert_eq!(kept[0]["content"][1]["bytes"], 4);
        assert!(json!(kept).to_string().len() < MAX_BYTES + 10_000);
        let (one, cut) = bounded(vec![json!({"role": "user", "content": "short"})]);
        assert!(!cut && one[0]["content"] == "short");
    }
}
