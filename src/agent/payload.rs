//! From what was said in a run to what is sent: the order and the rules of the final replies.

use super::{clean, directive};
use crate::model::fault;
use crate::wire::gateway::agent::Payload;

/// What a run produced.
#[derive(Debug, Default)]
pub struct Said {
    /// The error of the last model call, when it failed.
    pub error: Option<String>,
    /// What the last answer was thought out with, where people want to see it.
    pub reasoning: Option<String>,
    /// Raw texts of the assistant messages, in order.
    pub texts: Vec<String>,
    /// The last tool that failed: its summary and its error.
    pub failed_tool: Option<(String, String)>,
    /// The run ended with tool calls instead of words.
    pub ended_on_tool: bool,
    pub final_only: bool,
}

/// Errors of a tool that the model could mend by calling it differently; people need not know.
const RECOVERABLE: [&str; 7] = [
    "required",
    "missing",
    "invalid",
    "must be",
    "must have",
    "needs",
    "requires",
];

pub fn assemble(said: &Said) -> Vec<Payload> {
    let mut out = Vec::new();
    if let Some(error) = &said.error {
        out.push(Payload {
            text: fault::user_text(error),
            is_error: true,
            ..Payload::default()
        });
    }
    if let Some(text) = said.reasoning.as_deref().and_then(reasoning) {
        out.push(Payload {
            text,
            ..Payload::default()
        });
    }
    for raw in &said.texts {
        let parsed = clean::finished(raw, said.final_only);
        let text = directive::strip_heartbeat(&parsed.text).unwrap_or(parsed.text);
        let silent = directive::is_silent(&text);
        let text = if silent { String::new() } else { text };
        if text.is_empty() && parsed.media.is_empty() {
            continue;
        }
        out.push(Payload {
            text,
            media_url: parsed.media.first().cloned(),
            media_urls: parsed.media,
            as_voice: parsed.as_voice,
            reply_to: parsed.reply_to,
            answers_current: parsed.reply_to_current,
            is_error: false,
        });
    }
    if let Some((summary, error)) = &said.failed_tool {
        let lower = error.to_ascii_lowercase();
        let recoverable = RECOVERABLE.iter().any(|word| lower.contains(word));
        if !recoverable && (out.is_empty() || said.ended_on_tool) {
            out.push(Payload {
                text: format!("⚠️ {summary} failed: {error}"),
                is_error: true,
                ..Payload::default()
            });
        }
    }
    if out.iter().any(|p| p.as_voice) {
        for payload in &mut out {
            payload.as_voice = !payload.media_urls.is_empty();
        }
    }
    out
}

/// The model said that nothing needs attention.
pub fn is_acknowledgement(said: &Said) -> bool {
    said.texts.iter().any(|raw| {
        let text = clean::finished(raw, said.final_only).text;
        directive::strip_heartbeat(&text).is_some()
    })
}

/// Thinking as a message of its own, each line in italics; `None` when there was none.
fn reasoning(thinking: &str) -> Option<String> {
    let lines: Vec<String> = thinking
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("_{line}_"))
        .collect();
    (!lines.is_empty()).then(|| format!("Reasoning:\n{}", lines.join("\n")))
}

/// The kind in a result's `meta.error`, for the model errors that have one.
pub fn error_kind(error: &str) -> Option<&'static str> {
    match fault::user_text(error).as_str() {
        fault::OVERFLOW => Some("context_overflow"),
        fault::ORDERING => Some("role_ordering"),
        told if told.starts_with("Image too large ") => Some("image_size"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_comes_first_and_silence_is_not_sent() {
        let out = assemble(&Said {
            error: Some("401 Incorrect API key provided".into()),
            texts: vec!["NO_REPLY".into(), "hi".into(), " ".into()],
            ..Said::default()
        });
        let texts: Vec<&str> = out.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(texts, ["401 Incorrect API key provided", "hi"]);
        assert!(out[0].is_error && !out[1].is_error);
    }

    #[test]
    fn a_failed_tool_is_told_only_when_nothing_else_was_said() {
        let mut said = Said {
            failed_tool: Some(("exec".into(), "exit 3".into())),
            ..Said::default()
        };
        assert_eq!(assemble(&said)[0].text, "⚠️ exec failed: exit 3");
        said.texts.push("it did not work".into());
        assert_eq!(assemble(&said).len(), 1);
        said.texts.clear();
        said.failed_tool = Some(("read".into(), "path is required".into()));
        assert!(assemble(&said).is_empty());
    }

    #[test]
    fn reasoning_is_a_message_before_the_answer() {
        let out = assemble(&Said {
            reasoning: Some("first\n\n second ".into()),
            texts: vec!["hi".into()],
            ..Said::default()
        });
        let texts: Vec<&str> = out.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(texts, ["Reasoning:\n_first_\n_second_", "hi"]);
    }

    #[test]
    fn errors_of_the_request_have_a_kind() {
        assert_eq!(
            error_kind("prompt is too long: 9 tokens"),
            Some("context_overflow")
        );
        assert_eq!(error_kind("roles must alternate"), Some("role_ordering"));
        assert_eq!(error_kind("image exceeds 5 MB maximum"), Some("image_size"));
        assert_eq!(error_kind("401 no"), None);
    }

    #[test]
    fn media_and_voice_travel_with_the_payload() {
        let out = assemble(&Said {
            texts: vec!["[[audio_as_voice]]x\nMEDIA:./a.ogg".into()],
            ..Said::default()
        });
        assert_eq!(out[0].media_url.as_deref(), Some("./a.ogg"));
        assert!(out[0].as_voice);
        let json = serde_json::to_value(&out[0]).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"text":"x","mediaUrl":"./a.ogg","mediaUrls":["./a.ogg"]})
        );
    }
}
