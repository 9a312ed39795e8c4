//! Whole runs in which nothing unusual happens but what the model wants: answers, tool calls,
//! refusals.

use super::{is_counted, play, roles};

#[test]
fn recorded_answers_in_words_are_asked_for_as_the_original_does() {
    for name in [
        "anthropic-text",
        "anthropic-thinking",
        "google-text",
        "openai-completions-image-input",
        "openai-completions-text",
        "openai-responses-text",
    ] {
        let Some((last, stored)) = play(name) else {
            return;
        };
        let payloads = &last["payload"]["result"]["payloads"];
        assert!(payloads[0]["text"].as_str().is_some_and(|t| !t.is_empty()));
        assert_eq!(roles(&stored), ["user", "assistant"], "{name}");
        is_counted(name, &stored[1]);
        assert_eq!(stored[1]["stopReason"], "stop", "{name}");
    }
}

#[test]
fn recorded_tool_calls_run_and_are_answered_as_the_original_does() {
    for (name, results) in [
        ("anthropic-exec", 1),
        ("google-exec", 1),
        ("openai-completions-bad-args", 1),
        ("openai-completions-bad-tool", 1),
        ("openai-completions-exec", 1),
        ("openai-completions-multi-tool", 2),
        ("openai-completions-read-truncated", 1),
        ("openai-completions-text-plus-tool", 1),
        ("openai-responses-exec", 1),
        ("openai-responses-multi-tool", 2),
    ] {
        let Some((last, stored)) = play(name) else {
            return;
        };
        let payloads = last["payload"]["result"]["payloads"].as_array();
        let told = &payloads.and_then(|p| p.last()).expect("an answer")["text"];
        let spoken = &stored.last().expect("an answer")["content"][0]["text"];
        assert_eq!(told, spoken, "{name}: {last}");
        let mut expected = vec!["user", "assistant"];
        expected.extend(vec!["toolResult"; results]);
        expected.push("assistant");
        assert_eq!(roles(&stored), expected, "{name}");
        is_counted(name, &stored[1]);
        assert_eq!(stored[1]["stopReason"], "toolUse", "{name}");
        let call = stored[1]["content"].as_array().expect("blocks").last();
        assert_eq!(
            stored.iter().filter(|m| m["role"] == "toolResult").count(),
            results
        );
        assert_eq!(call.expect("a call")["type"], "toolCall", "{name}");
    }
}

#[test]
fn recorded_refusals_are_told_as_the_original_does() {
    for (name, told) in [
        (
            "openai-completions-error-401",
            "401 Incorrect API key provided",
        ),
        (
            "anthropic-error-401",
            "HTTP 401 authentication_error: invalid x-api-key",
        ),
    ] {
        let Some((last, stored)) = play(name) else {
            return;
        };
        let payloads = &last["payload"]["result"]["payloads"];
        assert_eq!(payloads[0]["text"], told, "{name}");
        assert_eq!(stored[1]["stopReason"], "error", "{name}");
        assert!(stored[1]["errorMessage"].as_str().is_some(), "{name}");
    }
}
