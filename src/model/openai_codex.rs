//! OpenAI's Responses as a ChatGPT subscription gets them: the prompt is `instructions`, the token
//! names the account, and what a subscription has no say in (the answer's length) must not be sent.

use super::call::{self, Call, Framing, Manners};
use super::history;
use super::json::Json;
use super::openai_responses as responses;
use super::options;
use super::{Class, Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::wire::message::Assistant;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Where the token says whose it is.
const CLAIM: &str = "https://api.openai.com/auth";
/// The service refuses a request without any.
const INSTRUCTIONS: &str = "You are a helpful assistant.";

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    let token = target.key.as_ref().map_or("", |key| key.expose());
    let Some(account) = account(token) else {
        return Err(Error {
            class: Class::Auth,
            status: None,
            message: format!(
                "The token of {} names no ChatGPT account: invalid token. Sign in again with \
                 openclaw models auth login --provider {}.",
                target.provider, target.provider
            ),
            retry_after_ms: None,
            partial: None,
        });
    };
    let mut headers = options::bearer(target);
    let mut header = |name: &str, value: &str| headers.push((name.into(), value.into()));
    header("accept", "text/event-stream");
    header("chatgpt-account-id", &account);
    header("openai-beta", "responses=experimental");
    header("originator", "pi");
    if !request.session_id.is_empty() {
        header("session_id", request.session_id);
    }
    let call = Call {
        target,
        url: call::join(&target.base_url, "codex/responses"),
        headers,
        body: body(target, request),
        manners: Manners::Asking,
        framing: Framing::Events,
        error_text,
    };
    let mut part_open = false;
    call.run(cancel, on, &mut |data, draft| {
        responses::event(data, draft, &mut part_open)
    })
}

/// The account in a token's claims. The service checks the signature, not we.
fn account(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?.trim_end_matches('=');
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let account = claims.get(CLAIM)?.get("chatgpt_account_id")?.as_str()?;
    (!account.is_empty()).then(|| account.to_string())
}

pub(super) fn body(target: &Target, request: &Request) -> Vec<u8> {
    let mut json = Json::with_capacity(options::guess_size(request));
    json.open(b'{').pair("model", &target.model);
    json.raw_pair("store", "false").raw_pair("stream", "true");
    let instructions = match request.system {
        "" => INSTRUCTIONS,
        system => system,
    };
    json.pair("instructions", instructions);
    json.key("input").open(b'[');
    let turns = history::turns(target, request.messages);
    responses::conversation(&mut json, target, &turns);
    json.close(b']');
    json.raw_pair("text", r#"{"verbosity":"medium"}"#);
    json.raw_pair("include", r#"["reasoning.encrypted_content"]"#);
    if !request.session_id.is_empty() {
        json.pair("prompt_cache_key", request.session_id);
    }
    let choice = match request.must_call && !request.tools.is_empty() {
        true => "required",
        false => "auto",
    };
    json.pair("tool_choice", choice);
    json.raw_pair("parallel_tool_calls", "true");
    if let Some(temperature) = options::temperature(target) {
        json.key("temperature").value(&temperature);
    }
    if !request.tools.is_empty() {
        responses::tools(&mut json, request.tools);
    }
    if let Some(level) = options::thinking(target, request) {
        json.key("reasoning").open(b'{');
        json.pair("effort", effort(&target.model, level));
        json.pair("summary", "auto").close(b'}');
    }
    json.close(b'}');
    json.into_bytes()
}

/// The nearest level that these models know.
fn effort<'l>(model: &str, level: &'l str) -> &'l str {
    match level {
        "minimal" | "low" if model.ends_with("-mini") => "medium",
        "minimal" => "low",
        level => level,
    }
}

/// A plan that is used up says until when.
fn error_text(status: u16, body: &str) -> String {
    let parsed: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(detail) = parsed["detail"].as_str() {
        return format!("{status} {detail}");
    }
    let error = &parsed["error"];
    let kind = error["type"].as_str().or(error["code"].as_str());
    if !matches!(kind, Some("usage_limit_reached" | "usage_not_included")) {
        return call::openai_error(status, body);
    }
    let plan = error["plan_type"].as_str().unwrap_or("your");
    let seconds = error["resets_in_seconds"].as_u64();
    let when = seconds.map_or(String::new(), |seconds| {
        format!(" It is free again in {} min.", seconds.div_ceil(60))
    });
    format!("{status} The usage limit of the ChatGPT plan ({plan}) is reached.{when}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ToolSpec;
    use serde_json::json;

    #[test]
    fn the_account_is_in_the_token() {
        let token = |claims: Value| format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let good = token(json!({CLAIM: {"chatgpt_account_id": "acc"}}));
        assert_eq!(account(&good).as_deref(), Some("acc"));
        for bad in ["", "sk-key", "a.!.c", &token(json!({"sub": "x"}))] {
            assert_eq!(account(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_prompt_is_instructions_and_no_length_is_asked_for() {
        let target = Target {
            model: "gpt-5.1-codex-mini".into(),
            reasoning: true,
            ..Target::default()
        };
        let tools = [ToolSpec {
            name: "t".into(),
            description: "d".into(),
            parameters: json!({"type": "object", "properties": {}}),
        }];
        let request = Request {
            system: "Be brief.",
            messages: &[],
            tools: &tools,
            thinking: "low",
            session_id: "s1",
            max_tokens: Some(7),
            must_call: false,
        };
        let sent: Value = serde_json::from_slice(&body(&target, &request)).unwrap();
        assert_eq!(
            sent,
            json!({
                "model": "gpt-5.1-codex-mini", "store": false, "stream": true,
                "instructions": "Be brief.", "input": [], "text": {"verbosity": "medium"},
                "include": ["reasoning.encrypted_content"], "prompt_cache_key": "s1",
                "tool_choice": "auto", "parallel_tool_calls": true,
                "tools": [{"type": "function", "name": "t", "description": "d",
                    "parameters": {"type": "object", "properties": {}}, "strict": false}],
                "reasoning": {"effort": "medium", "summary": "auto"},
            })
        );
        assert_eq!(effort("gpt-5.2", "minimal"), "low");
        assert_eq!(effort("gpt-5.2", "xhigh"), "xhigh");
    }

    #[test]
    fn a_plan_that_is_used_up_says_until_when() {
        let body =
            r#"{"error":{"type":"usage_limit_reached","plan_type":"plus","resets_in_seconds":90}}"#;
        let text = error_text(429, body);
        assert_eq!(
            text,
            "429 The usage limit of the ChatGPT plan (plus) is reached. It is free again in 2 min."
        );
        assert_eq!(
            crate::model::fault::classify(&text, Some(429)),
            Class::RateLimit
        );
        assert_eq!(error_text(400, r#"{"detail":"no"}"#), "400 no");
    }
}
