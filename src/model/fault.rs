//! What a failed call means: the class that decides what happens next, and the sentence a person
//! reads. Both look at the text, as the original does, so that they also work on the error texts it
//! left in transcripts.

use super::{Class, Error, circuit};
use serde_json::Value;

/// Longest error text shown to a person.
const SHOWN: usize = 600;

pub const OVERFLOW: &str = "Context overflow: prompt too large for the model. Try again with less input or a larger-context model.";
pub const ORDERING: &str = "Message ordering conflict - please try again. If this persists, use /new to start a fresh session.";
pub const OVERLOADED: &str =
    "The AI service is temporarily overloaded. Please try again in a moment.";

impl Class {
    /// The name in `usageStats`, in fallback summaries and in logs; `None` when another model would
    /// not help.
    pub fn failover(self) -> Option<&'static str> {
        Some(match self {
            Class::Auth => "auth",
            Class::Billing => "billing",
            Class::RateLimit | Class::Overloaded | Class::Resting => "rate_limit",
            Class::Timeout => "timeout",
            Class::Format => "format",
            Class::ContextOverflow
            | Class::Network
            | Class::Aborted
            | Class::Untrusted
            | Class::Unknown => return None,
        })
    }

    /// Whether the agent may simply ask again after a pause.
    pub fn is_transient(self) -> bool {
        matches!(self, Class::RateLimit | Class::Overloaded | Class::Network)
    }
}

impl Error {
    /// The sentence for the chat.
    pub fn user_text(&self) -> String {
        user_text(&self.message)
    }
}

/// The class of an error text, with the HTTP status when there was one.
pub fn classify(message: &str, status: Option<u16>) -> Class {
    let text = message.to_lowercase();
    // "Too many tokens" in a minute is not too many in a prompt.
    if status != Some(429) && is_overflow(&text) {
        return Class::ContextOverflow;
    }
    let any = |patterns: &[&str]| patterns.iter().any(|p| text.contains(p));
    let number = |n: &str| has_word(&text, n);
    // Another model would refuse the same picture.
    if any(&["image dimensions exceed max allowed size", "image exceeds "]) {
        return Class::Unknown;
    }
    match status {
        Some(402) => return Class::Billing,
        Some(401 | 403) => return Class::Auth,
        Some(408) => return Class::Timeout,
        Some(529) => return Class::Overloaded,
        Some(429) if !any(&["overloaded"]) => return Class::RateLimit,
        _ => {}
    }
    if any(&["overloaded"]) {
        return Class::Overloaded;
    }
    if any(&[
        "rate_limit",
        "rate limit",
        "rate-limit",
        "ratelimit",
        "throttlingexception",
        "too many requests",
        "429",
        "exceeded your current quota",
        "resource has been exhausted",
        "quota exceeded",
        "resource_exhausted",
        "usage limit",
    ]) {
        return Class::RateLimit;
    }
    if any(&[
        "string should match pattern",
        "tool_use.id",
        "tool_use_id",
        "invalid request format",
    ]) {
        return Class::Format;
    }
    let billing = any(&["billing"]) && any(&["upgrade", "credits", "payment", "plan"]);
    if billing
        || number("402")
        || any(&[
            "payment required",
            "insufficient credits",
            "credit balance",
            "plans & billing",
        ])
    {
        return Class::Billing;
    }
    if any(&["timeout", "timed out", "deadline exceeded"]) {
        return Class::Timeout;
    }
    if number("401")
        || number("403")
        || any(&[
            "invalid api key",
            "invalid_api_key",
            "invalid x-api-key",
            "incorrect api key",
            "invalid token",
            "authentication",
            "re-authenticate",
            "oauth token refresh failed",
            "unauthorized",
            "forbidden",
            "access denied",
            "expired",
            "no credentials found",
            "no api key found",
        ])
    {
        return Class::Auth;
    }
    // Within a stream the status is in the text.
    let told = status.is_none() && ["500", "502", "503", "504"].into_iter().any(number);
    let server = told || status.is_some_and(|s| s >= 500);
    if server
        || any(&[
            "connection error",
            "connection_error",
            "connection refused",
            "service unavailable",
            "service_unavailable",
            "serviceunavailable",
            "server error",
            "server_error",
            "internal error",
            "internalserver",
            "other side closed",
            "fetch failed",
            "upstream connect",
            "reset before headers",
            "terminated",
            "retry delay",
        ])
    {
        return Class::Network;
    }
    Class::Unknown
}

/// Whether a lower-cased error text says that the prompt is larger than the model's window.
pub fn is_overflow(text: &str) -> bool {
    const SAYS: [&str; 19] = [
        "request_too_large",
        "request exceeds the maximum size",
        "context length exceeded",
        "context_length_exceeded",
        "maximum context length",
        "prompt is too long",
        "input is too long for requested model",
        "maximum prompt length is",
        "exceeds model context window",
        "exceeds the context window",
        "context window exceeds limit",
        "context overflow",
        "exceeds the available context size",
        "greater than the context length",
        "exceeded model token limit",
        "reduce the length of the messages",
        "too many tokens",
        "token limit exceeded",
        "exceed_context_size",
    ];
    let counted = text.contains("input token count") && text.contains("exceeds the maximum");
    let sized = text.contains("request size exceeds")
        && (text.contains("context window") || text.contains("context length"));
    let limit = text.split("exceeds the limit of ").nth(1);
    let limited = limit.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    SAYS.iter().any(|s| text.contains(s))
        || counted
        || sized
        || limited
        || (text.contains("413") && text.contains("too large"))
        || ["400 status code (no body)", "413 status code (no body)"].contains(&text)
}

/// The text of a failed call as a person should read it.
pub fn user_text(raw: &str) -> String {
    let text = raw.trim();
    if text.contains(circuit::MARK) {
        return cut(text, SHOWN);
    }
    let lower = text.to_lowercase();
    if is_overflow(&lower) {
        return OVERFLOW.to_string();
    }
    if lower.contains("incorrect role information") || lower.contains("roles must alternate") {
        return ORDERING.to_string();
    }
    if lower.contains("tool_use.input") && lower.contains("required")
        || lower.contains("tool call input missing")
    {
        return "The session's history is damaged (a tool call lost its input). Use /new to start a fresh session.".to_string();
    }
    if let Some(limit) = image_limit(&lower) {
        return format!(
            "Image too large for the model (max {limit}MB). Please compress or resize the image and try again."
        );
    }
    if lower.contains("overloaded") {
        return OVERLOADED.to_string();
    }
    let (status, rest) = split_status(text);
    if let Ok(body @ Value::Object(_)) = serde_json::from_str(rest) {
        let error = body.get("error").unwrap_or(&body);
        let field = |from: &Value, key| from.get(key).and_then(Value::as_str).map(str::to_string);
        let kind = field(error, "type");
        if let Some(message) = field(error, "message") {
            if kind.as_deref() == Some("invalid_request_error") {
                return format!("LLM request rejected: {message}");
            }
            let kind = kind.map_or(String::new(), |kind| format!(" {kind}"));
            let id = field(&body, "request_id")
                .map_or(String::new(), |id| format!(" (request_id: {id})"));
            return match status {
                Some(status) => format!("HTTP {status}{kind}: {message}{id}"),
                None => format!("LLM error{kind}: {message}{id}"),
            };
        }
    }
    if let Some(status) = status {
        const WORDS: [&str; 13] = [
            "error",
            "bad request",
            "not found",
            "unauthorized",
            "forbidden",
            "internal server",
            "service unavailable",
            "gateway",
            "rate limit",
            "overloaded",
            "timeout",
            "timed out",
            "too many requests",
        ];
        if WORDS.iter().any(|w| lower.contains(w)) {
            return format!("HTTP {status}: {rest}");
        }
    }
    cut(text, SHOWN)
}

/// `image exceeds 5 MB maximum` → `5`.
fn image_limit(lower: &str) -> Option<String> {
    let after = lower.split("image exceeds ").nth(1)?;
    let digits: String = after
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let unit = after[digits.len()..].trim_start();
    (!digits.is_empty() && unit.starts_with("mb")).then_some(digits)
}

/// `401 text` → `(Some("401"), "text")`.
fn split_status(text: &str) -> (Option<&str>, &str) {
    match text.split_once(char::is_whitespace) {
        Some((n, rest)) if n.len() == 3 && n.bytes().all(|b| b.is_ascii_digit()) => {
            (Some(n), rest.trim())
        }
        _ => (None, text),
    }
}

fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        edge(text[..at].chars().next_back()) && edge(text[at + word.len()..].chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_classified_as_the_original_does() {
        let cases = [
            (
                "429 Rate limit reached for requests",
                Some(429),
                Class::RateLimit,
            ),
            (
                "529 {\"type\":\"overloaded_error\"}",
                Some(529),
                Class::Overloaded,
            ),
            ("401 Incorrect API key provided", Some(401), Class::Auth),
            ("402 Payment Required", Some(402), Class::Billing),
            ("Your credit balance is too low", Some(400), Class::Billing),
            ("Request timed out.", None, Class::Timeout),
            (
                "400 This model's maximum context length is 128000 tokens.",
                Some(400),
                Class::ContextOverflow,
            ),
            (
                "400 messages.1: tool_use_id is unknown",
                Some(400),
                Class::Format,
            ),
            (
                "Connection error. 127.0.0.1:1: Connection refused",
                None,
                Class::Network,
            ),
            ("503 no backend", Some(503), Class::Network),
            ("image exceeds 5 MB maximum", Some(400), Class::Unknown),
            ("something else 14290x", None, Class::RateLimit),
            ("something else", None, Class::Unknown),
            (
                "429 Too many tokens, please wait",
                Some(429),
                Class::RateLimit,
            ),
            ("too many tokens", Some(400), Class::ContextOverflow),
            (
                "prompt token count of 9 exceeds the limit of 8",
                Some(400),
                Class::ContextOverflow,
            ),
            ("502 Provider returned error", None, Class::Network),
            ("at most 500 tools", Some(400), Class::Unknown),
            ("ServiceUnavailableException", None, Class::Network),
            ("ThrottlingException: slow down", None, Class::RateLimit),
        ];
        for (text, status, class) in cases {
            assert_eq!(classify(text, status), class, "{text}");
        }
    }

    #[test]
    fn people_read_sentences() {
        assert_eq!(user_text("400 maximum context length is 8"), OVERFLOW);
        assert_eq!(
            user_text("401 Incorrect API key provided"),
            "401 Incorrect API key provided"
        );
        assert_eq!(
            user_text("500 Internal Server Error"),
            "HTTP 500: Internal Server Error"
        );
        let body = r#"401 {"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"r1"}"#;
        assert_eq!(
            user_text(body),
            "HTTP 401 authentication_error: invalid x-api-key (request_id: r1)"
        );
        let rejected =
            r#"400 {"type":"error","error":{"type":"invalid_request_error","message":"no"}}"#;
        assert_eq!(user_text(rejected), "LLM request rejected: no");
        assert_eq!(
            user_text("image exceeds 5 MB maximum"),
            "Image too large for the model (max 5MB). Please compress or resize the image and try again."
        );
        assert_eq!(user_text(&"x".repeat(700)).chars().count(), 601);
    }
}
