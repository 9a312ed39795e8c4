//! What people are told when a model call fails. The texts marked as constants are the original's:
//! clients and tests match them.

use super::inbound::cut;

pub const OVERFLOW: &str = "Context overflow: prompt too large for the model. Try again with less input or a larger-context model.";
pub const ORDERING: &str = "Message ordering conflict - please try again. If this persists, use /new to start a fresh session.";
pub const OVERLOADED: &str =
    "The AI service is temporarily overloaded. Please try again in a moment.";

/// Most characters of a raw provider error in a reply.
const MAX_RAW: usize = 600;

/// Words that make `NNN text` an HTTP error worth naming as one.
const HTTP_WORDS: [&str; 12] = [
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
    "too many requests",
];

/// The reply for a model's error.
pub fn reply(error: &str) -> String {
    let text = error.trim();
    let lower = text.to_ascii_lowercase();
    if is_overflow(&lower) {
        return OVERFLOW.into();
    }
    if is_ordering(&lower) {
        return ORDERING.into();
    }
    if lower.contains("tool_use.input: field required")
        || lower.contains("tool_use.input` missing")
        || (lower.contains("tool call") && lower.contains("input missing"))
    {
        return "The stored history of this session is damaged (a tool call lost its input). Use /new to start a fresh session.".into();
    }
    if lower.contains("overloaded") {
        return OVERLOADED.into();
    }
    if let Some(max) = image_limit(&lower) {
        return format!(
            "Image too large for the model (max {max}MB). Please compress or resize the image and try again."
        );
    }
    http_error(text, &lower).unwrap_or_else(|| {
        if text.is_empty() {
            "The model failed without saying why.".into()
        } else {
            cut(text, MAX_RAW)
        }
    })
}

/// The kind in a result's `meta.error`, for the failures that have one.
pub fn kind(error: &str) -> Option<&'static str> {
    let lower = error.to_ascii_lowercase();
    if is_overflow(&lower) {
        Some("context_overflow")
    } else if is_ordering(&lower) {
        Some("role_ordering")
    } else if image_limit(&lower).is_some() {
        Some("image_size")
    } else {
        None
    }
}

fn is_overflow(lower: &str) -> bool {
    [
        "request_too_large",
        "request exceeds the maximum size",
        "context length exceeded",
        "maximum context length",
        "prompt is too long",
        "exceeds model context window",
        "exceeds the context window",
        "context overflow",
        "context_length_exceeded",
        "exceeds the available context size",
        "greater than the context length",
    ]
    .iter()
    .any(|p| lower.contains(p))
        || (lower.contains("413") && lower.contains("too large"))
}

fn is_ordering(lower: &str) -> bool {
    lower.contains("incorrect role information") || lower.contains("roles must alternate")
}

fn image_limit(lower: &str) -> Option<String> {
    let rest = &lower[lower.find("image exceeds ")? + "image exceeds ".len()..];
    let number: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    (!number.is_empty() && rest[number.len()..].trim_start().starts_with("mb")).then_some(number)
}

/// `500 {json}`, `{json}` and `500 words` in the original's forms.
fn http_error(text: &str, lower: &str) -> Option<String> {
    let status: String = text.chars().take_while(char::is_ascii_digit).collect();
    let has_status = status.len() == 3 && text[3..].starts_with(char::is_whitespace);
    let body = if has_status { text[3..].trim() } else { text };
    if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(body) {
        let error = object.get("error").and_then(|e| e.as_object());
        let field = |name: &str| {
            error
                .and_then(|e| e.get(name))
                .or_else(|| object.get(name))
                .and_then(|v| v.as_str())
        };
        let message = field("message")?;
        let kind = field("type").filter(|kind| *kind != "error");
        if kind == Some("invalid_request_error") {
            return Some(format!("LLM request rejected: {message}"));
        }
        let kind = kind.map(|k| format!(" {k}")).unwrap_or_default();
        let id = field("request_id")
            .map(|id| format!(" (request_id: {id})"))
            .unwrap_or_default();
        let head = if has_status {
            format!("HTTP {status}")
        } else {
            "LLM error".to_string()
        };
        return Some(format!("{head}{kind}: {message}{id}"));
    }
    let named = has_status && HTTP_WORDS.iter().any(|word| lower.contains(word));
    named.then(|| format!("HTTP {status}: {}", cut(body, MAX_RAW)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_errors_are_told_in_the_original_words() {
        for (raw, told) in [
            (
                "401 Incorrect API key provided",
                "401 Incorrect API key provided",
            ),
            ("500 fake failure", "500 fake failure"),
            ("529 overloaded_error", OVERLOADED),
            ("503 Service Unavailable", "HTTP 503: Service Unavailable"),
            (
                r#"400 {"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#,
                "LLM request rejected: bad",
            ),
            (
                r#"401 {"type":"error","error":{"type":"authentication_error","message":"no"},"request_id":"r1"}"#,
                "HTTP 401 authentication_error: no (request_id: r1)",
            ),
            (
                r#"{"error":{"type":"api_error","message":"x"}}"#,
                "LLM error api_error: x",
            ),
            ("prompt is too long: 9 tokens", OVERFLOW),
            ("roles must alternate", ORDERING),
            (
                "image exceeds 5 MB maximum",
                "Image too large for the model (max 5MB). Please compress or resize the image and try again.",
            ),
        ] {
            assert_eq!(reply(raw), told, "{raw}");
        }
        let long = reply(&"x".repeat(700));
        assert_eq!(long.chars().count(), 601);
        assert_eq!(kind("prompt is too long"), Some("context_overflow"));
        assert_eq!(kind("401"), None);
    }
}
