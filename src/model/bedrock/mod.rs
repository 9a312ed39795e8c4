//! Amazon Bedrock's ConverseStream: one JSON for the models of many vendors, answered in binary
//! frames. Signed with the account's keys, or sent with a bearer token.
//!
//! The service wants turns that alternate, no blank text, and tools declared wherever they occur.

mod stream;

use super::aws::{self, Signed};
use super::call::{self, Call, Framing, Manners};
use super::history::{self, Outcome, Said, Turn};
use super::json::Json;
use super::options;
use super::{Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::wire::message::{Assistant, Block, Content};
use serde_json::{Value, json};
use std::borrow::Cow;

const MAX_ID: usize = 64;
/// A conversation must not begin with the model's words.
const BEGINNING: &str = "(session bootstrap)";
/// Stands for what may not be blank.
const NOTHING: &str = "(no output)";
const BETA: &str = "interleaved-thinking-2025-05-14";
/// Left for the answer itself when the thinking budget would take everything.
const LEAST_ANSWER: u64 = 1024;

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let path = format!(
        "model/{}/converse-stream",
        aws::escape(&target.model, false)
    );
    let url = call::join(&target.base_url, &path);
    let body = body(target, request);
    let headers = match &target.aws {
        Some(credentials) => signed(credentials, &url, &body),
        None => options::bearer(target),
    };
    let call = Call {
        target,
        url,
        headers,
        body,
        manners: Manners::Asking,
        framing: Framing::Frames,
        error_text,
    };
    let mut blocks = Vec::new();
    call.run(cancel, on, &mut |data, draft| {
        stream::event(data, draft, &mut blocks)
    })
}

fn error_text(status: u16, body: &str) -> String {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    let message = parsed["message"].as_str().or(parsed["Message"].as_str());
    match message {
        Some(message) => format!("{status} {message}"),
        None if body.is_empty() => format!("{status} status code (no body)"),
        None => format!("{status} {body}"),
    }
}

fn signed(credentials: &aws::Credentials, url: &str, body: &[u8]) -> Vec<(String, String)> {
    let now = i64::try_from(now_ms()).unwrap_or_default();
    let now = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let mut headers = vec![
        ("content-type", "application/json"),
        ("host", host),
        ("x-amz-date", stamp.as_str()),
    ];
    if let Some(session) = &credentials.session {
        headers.push(("x-amz-security-token", session.expose()));
    }
    let request = Signed {
        method: "POST",
        path,
        service: "bedrock",
        headers: &headers,
        body,
    };
    let authorization = credentials.sign(&request, &stamp);
    let own = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
    // The host is the HTTP layer's to send.
    let sent = headers.iter().filter(|(name, _)| *name != "host").map(own);
    sent.chain([("authorization".to_string(), authorization)])
        .collect()
}

fn is_claude(target: &Target) -> bool {
    target.model.contains("anthropic.claude")
}

/// Whether the model keeps a prompt when asked; the catalogue has a price for it then.
fn keeps(target: &Target) -> bool {
    is_claude(target) && (target.cost[2] > 0.0 || target.cost[3] > 0.0)
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mut json = Json::with_capacity(options::guess_size(request));
    let turns = history::turns(target, request.messages);
    json.open(b'{').key("messages").open(b'[');
    messages(&mut json, target, &turns);
    json.close(b']');
    if !request.system.trim().is_empty() {
        json.key("system").open(b'[');
        text_block(&mut json, request.system);
        cache_point(&mut json, target);
        json.close(b']');
    }
    let (max_tokens, budget) = limits(target, request);
    json.key("inferenceConfig").open(b'{');
    json.key("maxTokens").value(&max_tokens);
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    json.close(b'}');
    tools(&mut json, request, &turns);
    if let Some(budget) = budget {
        json.key("additionalModelRequestFields").value(&json!({
            "thinking": {"type": "enabled", "budget_tokens": budget},
            "anthropic_beta": [BETA],
        }));
    }
    json.close(b'}');
    json.into_bytes()
}

/// `maxTokens` and the part of it that is for thinking.
fn limits(target: &Target, request: &Request) -> (u64, Option<u64>) {
    let base = options::max_tokens(target, request);
    let budget = match options::thinking(target, request) {
        // Who must call a tool cannot think: the service refuses both together.
        Some(level) if is_claude(target) && !request.must_call => match level {
            "minimal" => 1024,
            "low" => 2048,
            "medium" => 8192,
            _ => 16384,
        },
        _ => return (base, None),
    };
    let max = (base + budget).min(target.max_tokens);
    let budget = match max <= budget {
        true => max.saturating_sub(LEAST_ANSWER),
        false => budget,
    };
    (max, Some(budget))
}

fn tools(json: &mut Json, request: &Request, turns: &[Turn]) {
    let mut declared: Vec<(&str, &str, Cow<Value>)> = request
        .tools
        .iter()
        .map(|t| {
            (
                t.name.as_str(),
                t.description.as_str(),
                Cow::Borrowed(&t.parameters),
            )
        })
        .collect();
    // What the conversation shows must be declared, even where nothing is offered.
    for turn in turns {
        let Turn::Assistant { said, .. } = turn else {
            continue;
        };
        for (_, name, _) in said.tool_calls() {
            if !declared.iter().any(|(known, ..)| *known == name) {
                let empty = json!({"type": "object", "properties": {}});
                declared.push((name, "No longer available.", Cow::Owned(empty)));
            }
        }
    }
    if declared.is_empty() {
        return;
    }
    json.key("toolConfig").open(b'{').key("tools").open(b'[');
    for (name, description, parameters) in declared {
        json.open(b'{').key("toolSpec").open(b'{');
        json.pair("name", name).pair("description", description);
        json.key("inputSchema").open(b'{').key("json");
        json.value(&*parameters).close(b'}').close(b'}').close(b'}');
    }
    json.close(b']');
    if request.must_call && !request.tools.is_empty() {
        json.raw_pair("toolChoice", r#"{"any":{}}"#);
    }
    json.close(b'}');
}

fn text_block(json: &mut Json, text: &str) {
    json.open(b'{').pair("text", text).close(b'}');
}

fn cache_point(json: &mut Json, target: &Target) {
    if keeps(target) {
        json.open(b'{');
        json.raw_pair("cachePoint", r#"{"type":"default"}"#);
        json.close(b'}');
    }
}

fn image(json: &mut Json, mime: &str, data: &str) {
    let format = match mime {
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        _ => "jpeg",
    };
    json.open(b'{')
        .key("image")
        .open(b'{')
        .pair("format", format);
    json.key("source").open(b'{').pair("bytes", data);
    json.close(b'}').close(b'}').close(b'}');
}

fn messages(json: &mut Json, target: &Target, turns: &[Turn]) {
    let shown: Vec<&Turn> = turns.iter().filter(|t| is_shown(t, target)).collect();
    let is_own = |turn: &&Turn| matches!(turn, Turn::Assistant { .. });
    if shown.first().is_some_and(is_own) {
        json.open(b'{').pair("role", "user");
        json.key("content").open(b'[');
        text_block(json, BEGINNING);
        json.close(b']').close(b'}');
    }
    let mut at = 0;
    while let Some(turn) = shown.get(at) {
        let own = is_own(turn);
        let row = shown[at..].iter().take_while(|t| is_own(t) == own).count();
        let group = &shown[at..at + row];
        at += row;
        let role = if own { "assistant" } else { "user" };
        json.open(b'{').pair("role", role);
        json.key("content").open(b'[');
        for turn in group {
            match turn {
                Turn::Assistant { said, own } => assistant(json, target, said, *own),
                Turn::Result(outcome) => result(json, target, outcome),
                Turn::User(content) => user(json, target, content),
            }
        }
        if !own && at == shown.len() {
            cache_point(json, target);
        }
        json.close(b']').close(b'}');
    }
}

/// Whether anything of the turn would be sent: an empty message is refused.
fn is_shown(turn: &Turn, target: &Target) -> bool {
    match turn {
        Turn::Result(_) => true,
        Turn::User(Content::Text(text)) => !text.trim().is_empty(),
        Turn::User(Content::Blocks(blocks)) => blocks.iter().any(|block| match block {
            Block::Text { text, .. } => !text.trim().is_empty(),
            Block::Image { .. } => target.images,
            _ => false,
        }),
        Turn::Assistant { said, own } => history::said(said, *own).any(|part| is_said(&part)),
    }
}

fn is_said(part: &Said) -> bool {
    match part {
        Said::Text(text, _) | Said::Thinking(text, _) => !text.trim().is_empty(),
        Said::Call { .. } => true,
    }
}

fn user(json: &mut Json, target: &Target, content: &Content) {
    match content {
        Content::Text(text) => text_block(json, text),
        Content::Blocks(blocks) => {
            for block in blocks {
                match block {
                    Block::Text { text, .. } if !text.trim().is_empty() => text_block(json, text),
                    Block::Image { data, mime_type } if target.images => {
                        image(json, mime_type, data);
                    }
                    _ => {}
                }
            }
        }
    }
}

fn assistant(json: &mut Json, target: &Target, said: &Assistant, own: bool) {
    for part in history::said(said, own).filter(is_said) {
        match part {
            Said::Thinking(text, Some(signature)) if is_claude(target) => {
                json.open(b'{').key("reasoningContent").open(b'{');
                json.key("reasoningText").open(b'{');
                json.pair("text", text).pair("signature", signature);
                json.close(b'}').close(b'}').close(b'}');
            }
            Said::Text(text, _) | Said::Thinking(text, _) => text_block(json, text),
            Said::Call {
                id,
                name,
                arguments,
                ..
            } => {
                json.open(b'{').key("toolUse").open(b'{');
                json.pair("toolUseId", &history::plain_id(id, MAX_ID));
                json.pair("name", name).key("input").value(arguments);
                json.close(b'}').close(b'}');
            }
        }
    }
}

fn result(json: &mut Json, target: &Target, outcome: &Outcome) {
    json.open(b'{').key("toolResult").open(b'{');
    json.pair("toolUseId", &history::plain_id(outcome.id, MAX_ID));
    json.key("content").open(b'[');
    let text = outcome.text();
    let pictures = target.images && outcome.images().next().is_some();
    if !text.trim().is_empty() {
        text_block(json, &text);
    } else if !pictures {
        text_block(json, NOTHING);
    }
    if pictures {
        for (mime, data) in outcome.images() {
            image(json, mime, data);
        }
    }
    let status = if outcome.failed { "error" } else { "success" };
    json.close(b']').pair("status", status);
    json.close(b'}').close(b'}');
}

#[cfg(test)]
mod tests {
    use super::stream::event;
    use super::*;
    use crate::base::secret::Secret;
    use crate::model::draft::Draft;
    use crate::model::frames::{Frames, tests::frame};
    use crate::wire::message::Message;
    use crate::wire::message::StopReason;

    fn claude() -> Target {
        Target {
            provider: "amazon-bedrock".into(),
            model: "anthropic.claude-x-v1:0".into(),
            api: "bedrock-converse-stream".into(),
            reasoning: true,
            images: true,
            max_tokens: 64_000,
            cost: [3.0, 15.0, 0.3, 3.75],
            ..Target::default()
        }
    }

    fn sent(target: &Target, messages: Value, thinking: &str) -> Value {
        let messages: Vec<Message> = serde_json::from_value(messages).unwrap();
        let request = Request {
            system: "s",
            messages: &messages,
            tools: &[],
            thinking,
            session_id: "",
            max_tokens: None,
            must_call: false,
        };
        serde_json::from_slice(&body(target, &request)).unwrap()
    }

    #[test]
    fn turns_alternate_and_nothing_is_blank() {
        let messages = json!([
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "thinkingSignature": "sig"},
                {"type": "text", "text": " "},
                {"type": "toolCall", "id": "c.1", "name": "t", "arguments": {"a": 1}}],
             "api": "bedrock-converse-stream", "provider": "amazon-bedrock",
             "model": "anthropic.claude-x-v1:0", "stopReason": "toolUse", "timestamp": 1},
            {"role": "toolResult", "toolCallId": "c.1", "toolName": "t", "isError": true,
             "content": [{"type": "text", "text": ""}], "timestamp": 1},
            {"role": "user", "content": "go on", "timestamp": 1},
        ]);
        let body = sent(&claude(), messages, "low");
        let point = json!({"cachePoint": {"type": "default"}});
        assert_eq!(
            body["messages"],
            json!([
                {"role": "user", "content": [{"text": "(session bootstrap)"}]},
                {"role": "assistant", "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
                    {"toolUse": {"toolUseId": "c_1", "name": "t", "input": {"a": 1}}}]},
                {"role": "user", "content": [
                    {"toolResult": {"toolUseId": "c_1", "content": [{"text": "(no output)"}],
                        "status": "error"}},
                    {"text": "go on"}, point]},
            ])
        );
        assert_eq!(body["system"], json!([{"text": "s"}, point]));
        assert_eq!(body["inferenceConfig"], json!({"maxTokens": 34048}));
        assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], "t");
        let extra = &body["additionalModelRequestFields"];
        assert_eq!(extra["thinking"]["budget_tokens"], 2048);
    }

    #[test]
    fn a_stream_of_frames_becomes_an_answer() {
        let event_frame = |name: &str, payload: Value| {
            let headers = [(":message-type", "event"), (":event-type", name)];
            frame(&headers, payload.to_string().as_bytes())
        };
        let delta = |index: u64, delta: Value| {
            event_frame(
                "contentBlockDelta",
                json!({"contentBlockIndex": index, "delta": delta}),
            )
        };
        let bytes = [
            event_frame("messageStart", json!({"role": "assistant"})),
            delta(0, json!({"reasoningContent": {"text": "hm"}})),
            delta(0, json!({"reasoningContent": {"signature": "sig"}})),
            event_frame("contentBlockStop", json!({"contentBlockIndex": 0})),
            delta(1, json!({"text": "Hi "})),
            delta(1, json!({"text": "you"})),
            event_frame(
                "contentBlockStart",
                json!({"contentBlockIndex": 2,
                    "start": {"toolUse": {"toolUseId": "u1", "name": "t"}}}),
            ),
            delta(2, json!({"toolUse": {"input": "{\"a\":"}})),
            delta(2, json!({"toolUse": {"input": "1}"}})),
            event_frame("messageStop", json!({"stopReason": "tool_use"})),
            event_frame(
                "metadata",
                json!({"usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 15}}),
            ),
        ]
        .concat();
        let target = claude();
        let mut on = |_: Delta| {};
        let mut draft = Draft::new(&target, &mut on);
        let mut frames = Frames::new(&bytes[..], std::time::Duration::MAX);
        let mut blocks = Vec::new();
        while let Some(data) = frames.next().unwrap() {
            event(data, &mut draft, &mut blocks).unwrap();
        }
        let answer = draft.finish();
        assert_eq!(answer.stop_reason, StopReason::ToolUse);
        assert_eq!(answer.text(), "Hi you");
        assert_eq!(answer.usage.total_tokens, 15);
        let thought = Block::Thinking {
            thinking: "hm".into(),
            thinking_signature: Some("sig".into()),
        };
        assert_eq!(answer.content[0], thought);
        let (id, name, arguments) = answer.tool_calls().next().unwrap();
        assert_eq!((id, name, &arguments["a"]), ("u1", "t", &json!(1)));
    }

    #[test]
    fn exceptions_say_their_class() {
        use crate::model::{Class, fault};
        let target = claude();
        let mut on = |_: Delta| {};
        let mut draft = Draft::new(&target, &mut on);
        for (name, class) in [
            ("throttlingException", Class::RateLimit),
            ("internalServerException", Class::Network),
            ("modelTimeoutException", Class::Timeout),
            ("validationException", Class::Unknown),
        ] {
            let data = json!({name: {"message": "m"}}).to_string();
            let why = event(&data, &mut draft, &mut Vec::new()).err().unwrap();
            assert_eq!(fault::classify(&why, None), class, "{why}");
        }
    }

    #[test]
    fn a_signed_request_names_its_headers_and_no_secret() {
        let credentials = aws::Credentials {
            id: "ID".into(),
            secret: Secret::new("very-secret"),
            session: Some(Secret::new("tok")),
            region: "eu-west-1".into(),
        };
        let headers = signed(
            &credentials,
            "https://h.example/model/a%3A0/converse-stream",
            b"{}",
        );
        let value = |name: &str| {
            let found = headers.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let authorization = value("authorization");
        assert!(authorization.contains("/eu-west-1/bedrock/aws4_request"));
        let names = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token";
        assert!(authorization.contains(names), "{authorization}");
        assert_eq!(value("x-amz-security-token"), "tok");
        assert_eq!(value("host"), "");
        assert!(!format!("{headers:?}").contains("very-secret"));
    }
}
