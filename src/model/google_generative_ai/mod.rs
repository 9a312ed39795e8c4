//! Gemini's generateContent.
//!
//! The service is strict about turns: a call is followed at once by its result, a conversation
//! begins with the user. Calls have no ids of their own; we make them up and send them only to the
//! models behind this API that know them.

mod stream;

use super::call::{self, Call, Framing, Manners};
use super::history::{self, Outcome, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::wire::message::{Assistant, Block, Content};
use serde_json::Value;
use std::borrow::Cow;

const MAX_ID: usize = 64;
/// A conversation must not begin with the model's words.
const BEGINNING: &str = "(session bootstrap)";

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let key = target.key.iter().filter(|key| !key.is_empty());
    let headers = key.map(|key| ("x-goog-api-key".to_string(), key.expose().to_string()));
    let path = format!("models/{}:streamGenerateContent?alt=sse", target.model);
    let call = Call {
        target,
        url: call::join(&target.base_url, &path),
        headers: headers.collect(),
        body: body(target, request),
        manners: Manners::Plain,
        framing: Framing::Events,
        error_text,
    };
    let mut calls = 0;
    call.run(cancel, on, &mut |data, draft| {
        stream::event(data, draft, &mut calls)
    })
}

/// Google's client shows the body as it is.
fn error_text(status: u16, body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(parsed) => parsed.to_string(),
        Err(_) if body.is_empty() => format!("{status} status code (no body)"),
        Err(_) => format!("{status} {body}"),
    }
}

/// Models of other vendors behind this API know calls by their ids.
fn has_ids(target: &Target) -> bool {
    target.model.starts_with("claude-") || target.model.starts_with("gpt-oss-")
}

fn is_gemini_3(target: &Target) -> bool {
    target.model.contains("gemini-3")
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').key("contents").open(b'[');
    contents(&mut json, target, request);
    json.close(b']');
    if !request.system.is_empty() {
        json.key("systemInstruction").open(b'{');
        json.key("parts").open(b'[');
        text_part(&mut json, request.system, None);
        json.close(b']').pair("role", "user").close(b'}');
    }
    if !request.tools.is_empty() {
        json.key("tools").open(b'[').open(b'{');
        json.key("functionDeclarations").open(b'[');
        for tool in request.tools {
            json.open(b'{').pair("name", &tool.name);
            json.pair("description", &tool.description);
            json.key("parameters").value(&upper(&tool.parameters));
            json.close(b'}');
        }
        json.close(b']').close(b'}').close(b']');
        if request.must_call {
            json.raw_pair("toolConfig", r#"{"functionCallingConfig":{"mode":"ANY"}}"#);
        }
    }
    json.key("generationConfig").open(b'{');
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    json.key("maxOutputTokens")
        .value(&options::max_tokens(target, request));
    if let Some(level) = options::thinking(target, request) {
        thinking(&mut json, &target.model, level);
    }
    json.close(b'}').close(b'}');
    json.into_bytes()
}

/// The schema with its types in the API's capitals.
fn upper(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let member = |(key, value): (&String, &Value)| {
                let value = match (key.as_str(), value) {
                    ("type", Value::String(name)) => Value::String(name.to_uppercase()),
                    // Names of properties are no keywords.
                    ("properties", Value::Object(all)) => {
                        all.iter().map(|(k, v)| (k.clone(), upper(v))).collect()
                    }
                    ("enum" | "required" | "default" | "description", value) => value.clone(),
                    (_, value) => upper(value),
                };
                (key.clone(), value)
            };
            Value::Object(map.iter().map(member).collect())
        }
        Value::Array(list) => list.iter().map(upper).collect(),
        other => other.clone(),
    }
}

/// How much a model may think, in the measure of its family.
fn thinking(json: &mut Json, model: &str, level: &str) {
    json.key("thinkingConfig").open(b'{');
    json.raw_pair("includeThoughts", "true");
    let step = match level {
        "minimal" => 0,
        "low" => 1,
        "medium" => 2,
        _ => 3,
    };
    let budgets = if model.contains("3-pro") {
        json.pair("thinkingLevel", ["LOW", "LOW", "HIGH", "HIGH"][step]);
        None
    } else if model.contains("3-flash") {
        let names = ["MINIMAL", "LOW", "MEDIUM", "HIGH"];
        json.pair("thinkingLevel", names[step]);
        None
    } else if model.contains("2.5-pro") {
        Some([128, 2048, 8192, 32768])
    } else if model.contains("2.5-flash") {
        Some([128, 2048, 8192, 24576])
    } else {
        // The model decides.
        Some([-1; 4])
    };
    if let Some(budgets) = budgets {
        json.key("thinkingBudget").value(&budgets[step]);
    }
    json.close(b'}');
}

fn contents(json: &mut Json, target: &Target, request: &Request) {
    let turns = history::turns(target, request.messages);
    if let Some(Turn::Assistant { .. }) = turns.first() {
        open(json);
        text_part(json, BEGINNING, None);
        close(json, "user");
    }
    let mut at = 0;
    while let Some(turn) = turns.get(at) {
        let alike = |other: &&Turn| std::mem::discriminant(*other) == std::mem::discriminant(turn);
        let row = match turn {
            Turn::User(_) => 1,
            _ => turns[at..].iter().take_while(alike).count(),
        };
        let group = &turns[at..at + row];
        at += row;
        match turn {
            Turn::User(content) => user(json, target, content),
            Turn::Assistant { .. } => model(json, target, group),
            Turn::Result(_) => results(json, target, group),
        }
    }
}

fn open(json: &mut Json) {
    json.open(b'{').key("parts").open(b'[');
}

fn close(json: &mut Json, role: &str) {
    json.close(b']').pair("role", role).close(b'}');
}

fn text_part(json: &mut Json, text: &str, signature: Option<&str>) {
    json.open(b'{').pair("text", text);
    signed(json, signature);
}

/// Closes a part, with the service's own signature where it can be one.
fn signed(json: &mut Json, signature: Option<&str>) {
    if let Some(signature) = signature.filter(|s| is_base64(s)) {
        json.pair("thoughtSignature", signature);
    }
    json.close(b'}');
}

fn is_base64(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let body = text.trim_end_matches('=');
    !text.is_empty()
        && text.len() % 4 == 0
        && text.len() - body.len() <= 2
        && body.bytes().all(plain)
}

fn image_part(json: &mut Json, mime: &str, data: &str) {
    json.open(b'{').key("inlineData").open(b'{');
    json.pair("mimeType", mime).pair("data", data);
    json.close(b'}').close(b'}');
}

fn user(json: &mut Json, target: &Target, content: &Content) {
    let sent = |block: &Block| match block {
        Block::Text { text, .. } => !text.trim().is_empty(),
        Block::Image { .. } => target.images,
        _ => false,
    };
    match content {
        Content::Text(text) if text.trim().is_empty() => {}
        Content::Text(text) => {
            open(json);
            text_part(json, text, None);
            close(json, "user");
        }
        Content::Blocks(blocks) if !blocks.iter().any(sent) => {}
        Content::Blocks(blocks) => {
            open(json);
            for block in blocks.iter().filter(|b| sent(b)) {
                match block {
                    Block::Text { text, .. } => text_part(json, text, None),
                    Block::Image { data, mime_type } => image_part(json, mime_type, data),
                    _ => {}
                }
            }
            close(json, "user");
        }
    }
}

/// A call that the model would refuse to have made, as words.
fn is_told(target: &Target, signature: Option<&str>) -> bool {
    is_gemini_3(target) && !signature.is_some_and(is_base64)
}

/// Answers that follow each other are one turn.
fn model(json: &mut Json, target: &Target, group: &[Turn]) {
    let mut begun = false;
    for turn in group {
        let Turn::Assistant { said, own } = turn else {
            continue;
        };
        for part in history::said(said, *own) {
            let empty = match &part {
                Said::Text(text, signature) | Said::Thinking(text, signature) => {
                    text.trim().is_empty() && signature.is_none()
                }
                Said::Call { .. } => false,
            };
            if empty {
                continue;
            }
            if !begun {
                open(json);
                begun = true;
            }
            match part {
                Said::Text(text, signature) => text_part(json, text, signature),
                Said::Thinking(text, signature) => {
                    json.open(b'{').raw_pair("thought", "true");
                    json.pair("text", text);
                    signed(json, signature);
                }
                Said::Call {
                    name,
                    arguments,
                    signature,
                    ..
                } if is_told(target, signature) => {
                    let arguments =
                        serde_json::to_string(arguments).expect("a JSON object serialises");
                    let note = format!(
                        "(Earlier in this conversation the tool {name} was called with {arguments}. This line only records it; call tools as functions.)"
                    );
                    text_part(json, &note, None);
                }
                Said::Call {
                    id,
                    name,
                    arguments,
                    signature,
                } => {
                    json.open(b'{').key("functionCall").open(b'{');
                    json.key("args").value(arguments).pair("name", name);
                    if has_ids(target) {
                        json.pair("id", &call_id(id, *own));
                    }
                    json.close(b'}');
                    signed(json, signature);
                }
            }
        }
    }
    if begun {
        close(json, "model");
    }
}

/// The results of a row of calls are one turn; pictures that have no place in it follow.
fn results(json: &mut Json, target: &Target, group: &[Turn]) {
    let outcomes = || {
        group.iter().filter_map(|turn| match turn {
            Turn::Result(outcome) => Some(outcome),
            _ => None,
        })
    };
    open(json);
    for outcome in outcomes() {
        result(json, target, outcome);
    }
    close(json, "user");
    if !target.images || is_gemini_3(target) {
        return;
    }
    for outcome in outcomes().filter(|o| o.images().next().is_some()) {
        open(json);
        text_part(json, "Tool result image:", None);
        for (mime, data) in outcome.images() {
            image_part(json, mime, data);
        }
        close(json, "user");
    }
}

fn result(json: &mut Json, target: &Target, outcome: &Outcome) {
    let text = outcome.text();
    let pictures = target.images && outcome.images().next().is_some();
    let shown = if text.is_empty() && pictures {
        "(see attached image)"
    } else {
        text.as_ref()
    };
    // Its call went as words, so the result must, too.
    if is_told(target, outcome.signature) {
        let note = format!("(The tool {} answered: {shown})", outcome.tool);
        text_part(json, &note, None);
        return;
    }
    json.open(b'{').key("functionResponse").open(b'{');
    json.pair("name", outcome.tool);
    let field = if outcome.failed { "error" } else { "output" };
    json.key("response").open(b'{').pair(field, shown);
    json.close(b'}');
    if pictures && is_gemini_3(target) {
        json.key("parts").open(b'[');
        for (mime, data) in outcome.images() {
            image_part(json, mime, data);
        }
        json.close(b']');
    }
    if has_ids(target) {
        json.pair("id", &call_id(outcome.id, outcome.own));
    }
    json.close(b'}').close(b'}');
}

fn call_id(id: &str, own: bool) -> Cow<'_, str> {
    match own {
        true => Cow::Borrowed(id),
        false => history::plain_id(id, MAX_ID),
    }
}

#[cfg(test)]
mod tests {
    use super::stream::event;
    use super::*;
    use crate::model::ToolSpec;
    use crate::model::draft::Draft;
    use crate::wire::message::Message;
    use crate::wire::message::StopReason;
    use serde_json::json;

    fn target(model: &str) -> Target {
        Target {
            provider: "google".into(),
            model: model.into(),
            api: "google-generative-ai".into(),
            reasoning: true,
            images: true,
            max_tokens: 64_000,
            ..Target::default()
        }
    }

    fn sent(target: &Target, messages: Value, thinking: &str) -> Value {
        let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
        let tools = [ToolSpec {
            name: "t".into(),
            description: "d".into(),
            parameters: json!({"type": "object", "properties": {"type": {"type": "array",
                "items": {"type": "string", "enum": ["type"]}}}}),
        }];
        let request = Request {
            system: "s",
            messages: &messages,
            tools: &tools,
            thinking,
            session_id: "",
            max_tokens: None,
            must_call: false,
        };
        serde_json::from_slice(&body(target, &request)).unwrap()
    }

    fn conversation(model: &str, signature: Option<&str>) -> Value {
        json!([
            {"role": "assistant", "content": [
                {"type": "toolCall", "id": "c.1", "name": "t", "arguments": {"a": 1},
                 "thoughtSignature": signature}],
             "api": "google-generative-ai", "provider": "google", "model": model,
             "stopReason": "toolUse", "timestamp": 1},
            {"role": "toolResult", "toolCallId": "c.1", "toolName": "t", "isError": true,
             "content": [{"type": "text", "text": "no"},
                         {"type": "image", "data": "AAAA", "mimeType": "image/png"}], "timestamp": 1},
        ])
    }

    #[test]
    fn turns_are_in_the_order_the_service_wants() {
        let body = sent(
            &target("gemini-2.5-pro"),
            conversation("gemini-2.5-pro", None),
            "high",
        );
        assert_eq!(
            body["contents"],
            json!([
                {"parts": [{"text": "(session bootstrap)"}], "role": "user"},
                {"parts": [{"functionCall": {"args": {"a": 1}, "name": "t"}}], "role": "model"},
                {"parts": [{"functionResponse": {"name": "t", "response": {"error": "no"}}}],
                 "role": "user"},
                {"parts": [{"text": "Tool result image:"},
                           {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                 "role": "user"},
            ])
        );
        let declared = &body["tools"][0]["functionDeclarations"][0]["parameters"];
        let items = json!({"type": "STRING", "enum": ["type"]});
        assert_eq!(declared["properties"]["type"]["items"], items);
        let config = json!({"maxOutputTokens": 32000,
            "thinkingConfig": {"includeThoughts": true, "thinkingBudget": 32768}});
        assert_eq!(body["generationConfig"], config);
    }

    #[test]
    fn gemini_3_gets_signed_calls_and_words_for_the_others() {
        let model = "gemini-3-pro-preview";
        let body = sent(&target(model), conversation(model, Some("c2ln")), "low");
        let call = &body["contents"][1]["parts"][0];
        assert_eq!(call["thoughtSignature"], "c2ln");
        let result = &body["contents"][2]["parts"][0]["functionResponse"];
        assert_eq!(result["parts"][0]["inlineData"]["data"], "AAAA");
        let thinking = json!({"includeThoughts": true, "thinkingLevel": "LOW"});
        assert_eq!(body["generationConfig"]["thinkingConfig"], thinking);
        for signature in [None, Some("no base64!")] {
            let body = sent(&target(model), conversation(model, signature), "off");
            let text = body["contents"].to_string();
            assert!(!text.contains("functionCall") && !text.contains("functionResponse"));
            assert!(text.contains("The tool t answered: no"), "{text}");
            assert!(body["generationConfig"].get("thinkingConfig").is_none());
        }
    }

    #[test]
    fn models_that_know_ids_are_sent_them_plain() {
        let other = conversation("gemini-2.5-pro", None);
        let body = sent(&target("claude-x"), other, "off");
        assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["id"], "c_1");
        let result = &body["contents"][2]["parts"][0]["functionResponse"];
        assert_eq!(result["id"], "c_1");
    }

    #[test]
    fn a_stream_is_read_with_its_thoughts_calls_and_counts() {
        let target = target("gemini-3-pro-preview");
        let mut heard = String::new();
        let mut on = |delta: Delta| {
            if let Delta::Text(text) = delta {
                heard.push_str(text);
            }
        };
        let mut draft = Draft::new(&target, &mut on);
        let mut calls = 0;
        for data in [
            json!({"candidates": [{"content": {"parts": [{"text": "hm", "thought": true}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "Hi "}, {"text": "you"}]}}]}),
            json!({"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "AAAA"}]}}]}),
            json!({"candidates": [{"content": {"parts": [
                {"functionCall": {"name": "t", "args": {"a": 1}}, "thoughtSignature": "BBBB"},
                {"functionCall": {"name": "t"}}]}, "finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 12, "cachedContentTokenCount": 2,
                    "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 19}}),
        ] {
            event(&data.to_string(), &mut draft, &mut calls).unwrap();
        }
        let answer = draft.finish();
        assert_eq!(heard, "Hi you");
        assert_eq!(answer.stop_reason, StopReason::ToolUse);
        assert_eq!((answer.usage.input, answer.usage.output), (12, 7));
        assert_eq!(
            (answer.usage.cache_read, answer.usage.total_tokens),
            (2, 19)
        );
        let ids: Vec<&str> = answer.tool_calls().map(|(id, ..)| id).collect();
        assert!(ids[0].starts_with("t_") && ids[0] != ids[1], "{ids:?}");
        let signed = |block: &Block| match block {
            Block::Text { text_signature, .. } => text_signature.clone(),
            Block::ToolCall {
                thought_signature, ..
            } => thought_signature.clone(),
            _ => None,
        };
        let signatures: Vec<_> = answer.content.iter().map(signed).collect();
        let expected = [None, Some("AAAA".into()), Some("BBBB".into()), None];
        assert_eq!(signatures, expected);
    }

    #[test]
    fn a_refused_prompt_and_an_early_end_say_so() {
        let target = target("gemini-2.5-pro");
        let mut on = |_: Delta| {};
        let mut draft = Draft::new(&target, &mut on);
        let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}}).to_string();
        let why = event(&blocked, &mut draft, &mut 0).err().unwrap();
        assert!(why.contains("SAFETY"), "{why}");
        let ended = json!({"candidates": [{"finishReason": "RECITATION"}]}).to_string();
        let why = event(&ended, &mut draft, &mut 0).err().unwrap();
        assert!(why.contains("RECITATION"), "{why}");
    }
}
