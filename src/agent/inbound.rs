//! The user's words on their way to the model: the time stamp, the message id, pictures, stop words
//! and levels.

use crate::tool::picture;
use crate::wire::message::Block;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Whole messages (trimmed, any case) that stop the running turns of a session.
const STOP_WORDS: [&str; 7] = ["/stop", "stop", "esc", "abort", "wait", "exit", "interrupt"];

/// Largest picture, bytes; the original's limit.
const MAX_IMAGE: usize = 5_000_000;
/// Pictures in one message: far more than models take, few enough to hold.
const MAX_IMAGES: usize = 20;

pub fn is_stop(text: &str) -> bool {
    let text = text.trim();
    STOP_WORDS
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// What the model reads when a person asked for a new session and said no more.
pub const GREET: &str = "A new session begins because the person asked for it (/new or /reset). \
     Greet them in your own voice, in one to three sentences, and ask what they would like to do. \
     Say nothing of files, tools or how this works.";

/// What asks for a new session when the configuration does not say.
pub const RESETS: [&str; 2] = ["/new", "/reset"];

/// The rest of a message that asks for a new session: one of `triggers`, alone or before text.
pub fn reset<'t>(text: &'t str, triggers: &[&str]) -> Option<&'t str> {
    let text = text.trim();
    triggers
        .iter()
        .map(|trigger| trigger.trim())
        .find_map(|trigger| {
            let head = text.get(..trigger.len())?;
            let rest = &text[head.len()..];
            let whole = rest.is_empty() || rest.starts_with(char::is_whitespace);
            (!trigger.is_empty() && whole && head.eq_ignore_ascii_case(trigger))
                .then(|| rest.trim())
        })
}

/// Which of the two it was.
pub fn reset_word(text: &str) -> &'static str {
    let word = text.split_whitespace().next().unwrap_or_default();
    match word.eq_ignore_ascii_case("/reset") {
        true => "reset",
        false => "new",
    }
}

/// `[Sat 2026-11-21 04:50 UTC] text`, unless the text already says when it was sent.
pub fn stamped(text: &str, now_ms: u64, zone: Option<&str>) -> String {
    if text.trim().is_empty() || has_envelope(text) || text.contains("Current time: ") {
        return text.to_string();
    }
    let at = crate::base::time::in_zone(now_ms, zone);
    format!("[{}] {text}", at.strftime("%a %Y-%m-%d %H:%M %Z"))
}

/// What a person wrote: without the time before it and the message id behind it.
pub fn bare(text: &str) -> &str {
    let text = match text.rsplit_once("\n[message_id: ") {
        Some((before, _)) => before,
        None => text,
    };
    match text.split_once("] ") {
        Some((_, rest)) if has_envelope(text) => rest,
        _ => text,
    }
}

/// Starts with `[… 2026-11-21 04:50 …]`.
fn has_envelope(text: &str) -> bool {
    let Some(inner) = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(inner, _)| inner)
    else {
        return false;
    };
    let shape = |window: &[u8]| {
        window.iter().enumerate().all(|(i, b)| match i {
            4 | 7 => *b == b'-',
            10 => *b == b' ',
            13 => *b == b':',
            _ => b.is_ascii_digit(),
        })
    };
    inner.as_bytes().windows(16).any(shape)
}

/// What happened since the last turn, a line each, before the message.
pub fn with_events<'a>(
    events: impl Iterator<Item = (u64, &'a str)>,
    text: &str,
    zone: Option<&str>,
) -> String {
    let mut out = String::new();
    for (at_ms, event) in events {
        let Some(event) = without_noise(event) else {
            continue;
        };
        let at = crate::base::time::in_zone(at_ms, zone);
        let at = at.strftime("%Y-%m-%d %H:%M:%S %Z");
        out.push_str(&format!("System: [{at}] {event}\n"));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(text);
    out
}

/// What of a note is news: signs of life are not, nor is how long ago somebody touched a node.
fn without_noise(event: &str) -> Option<String> {
    let lower = event.to_lowercase();
    let noise = ["reason periodic", "heartbeat poll", "heartbeat wake"];
    if lower.starts_with("read heartbeat.md") || noise.iter().any(|n| lower.contains(n)) {
        return None;
    }
    if !event.starts_with("Node:") {
        return Some(event.to_string());
    }
    let parts = event.split(" · ").filter(|p| !p.starts_with("last input "));
    Some(parts.collect::<Vec<_>>().join(" · "))
}

/// The trailing line that names a message for the model.
pub fn with_message_id(text: &str, id: &str) -> String {
    format!("{text}\n[message_id: {id}]")
}

/// A level as people write it; `None` for words that are no level.
pub fn thinking_level(word: &str) -> Option<&'static str> {
    match word.trim().to_ascii_lowercase().as_str() {
        "off" => Some("off"),
        "minimal" | "min" | "think" => Some("minimal"),
        "low" | "on" | "enable" | "enabled" | "thinkhard" | "think-hard" | "think_hard" => {
            Some("low")
        }
        "medium" | "med" | "mid" | "harder" | "thinkharder" | "think-harder" => Some("medium"),
        "high" | "max" | "highest" | "ultra" | "ultrathink" | "thinkhardest" => Some("high"),
        "xhigh" | "x-high" | "x_high" => Some("xhigh"),
        _ => None,
    }
}

/// The pictures among a request's attachments. What is no picture is left out with a line in the
/// log; what claims to be one and cannot be used is an error, in the original's words.
pub fn images(attachments: &[Value]) -> Result<Vec<Block>, String> {
    let mut out = Vec::new();
    for (i, attachment) in attachments.iter().enumerate() {
        let Some(content) = attachment["content"].as_str() else {
            continue;
        };
        let label = ["fileName", "type"]
            .iter()
            .find_map(|key| attachment[*key].as_str().filter(|s| !s.is_empty()))
            .map_or_else(|| format!("attachment-{}", i + 1), str::to_string);
        let (declared, data) = match content.strip_prefix("data:") {
            Some(url) => match url.split_once(";base64,") {
                Some((mime, data)) => (Some(mime), data),
                None => return Err(format!("attachment {label}: invalid base64 content")),
            },
            None => (attachment["mimeType"].as_str(), content),
        };
        // Checked before decoding: a string of 4/3 the limit already is too much.
        let size = data.len() / 4 * 3;
        if size > MAX_IMAGE + 2 {
            return Err(too_large(&label, size));
        }
        let bytes = STANDARD
            .decode(data.trim())
            .map_err(|_| format!("attachment {label}: invalid base64 content"))?;
        if bytes.is_empty() || bytes.len() > MAX_IMAGE {
            return Err(too_large(&label, bytes.len()));
        }
        let declared = declared.filter(|mime| mime.starts_with("image/"));
        let Some(mime) = picture::kind(&bytes).or(declared) else {
            log::warn!("attachment {label}: not an image, left out");
            continue;
        };
        if let Some(why) = picture::too_wide(&bytes) {
            return Err(format!("attachment {label}: {why}"));
        }
        if out.len() == MAX_IMAGES {
            return Err(format!(
                "attachment {label}: more than {MAX_IMAGES} images in one message"
            ));
        }
        out.push(Block::Image {
            data: STANDARD.encode(&bytes),
            mime_type: mime.to_string(),
        });
    }
    Ok(out)
}

fn too_large(label: &str, size: usize) -> String {
    format!("attachment {label}: exceeds size limit ({size} > {MAX_IMAGE} bytes)")
}

/// The first `max` characters, with `…` when something is missing.
pub fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_gets_the_time_once() {
        let at = 1_795_236_600_000;
        let stamped_once = stamped("hello", at, Some("UTC"));
        assert_eq!(stamped_once, "[Sat 2026-11-21 04:50 UTC] hello");
        assert_eq!(stamped(&stamped_once, at, Some("UTC")), stamped_once);
        for text in [
            "",
            "Current time: now",
            "[Telegram Ann 2026-11-21 05:42 UTC] x",
        ] {
            assert_eq!(stamped(text, at, Some("UTC")), text);
        }
        assert_ne!(stamped("[x] y", at, Some("UTC")), "[x] y");
    }

    #[test]
    fn events_stand_before_the_message() {
        let events = [(1_795_236_600_000, "one"), (1_795_236_601_000, "two")];
        let told = with_events(events.into_iter(), "hi", Some("UTC"));
        assert_eq!(
            told,
            "System: [2026-11-21 04:50:00 UTC] one\nSystem: [2026-11-21 04:50:01 UTC] two\n\nhi"
        );
        assert_eq!(with_events(std::iter::empty(), "hi", None), "hi");
        let noise = [(1_795_236_600_000, "Node: pi · reason periodic 3")];
        assert_eq!(with_events(noise.into_iter(), "hi", None), "hi");
        let node = [(
            1_795_236_600_000,
            "Node: pi · last input 3s ago · mode node",
        )];
        assert_eq!(
            with_events(node.into_iter(), "hi", Some("UTC")),
            "System: [2026-11-21 04:50:00 UTC] Node: pi · mode node\n\nhi"
        );
    }

    #[test]
    fn stop_words_are_whole_messages() {
        assert!(is_stop(" STOP \n") && is_stop("/stop"));
        assert!(!is_stop("stop it") && !is_stop(""));
    }

    #[test]
    fn a_new_session_is_asked_for_by_the_first_word() {
        let asks = |text| reset(text, &RESETS);
        assert_eq!(asks(" /NEW "), Some(""));
        assert_eq!(asks("/reset  hello there"), Some("hello there"));
        assert_eq!(asks("/newer"), None);
        assert_eq!(asks("say /new"), None);
        assert_eq!(
            reset("Fresh start please", &["fresh start"]),
            Some("please")
        );
        assert_eq!(reset("/new", &["", "fresh"]), None);
    }

    #[test]
    fn only_pictures_pass_and_bad_ones_are_named() {
        let png = STANDARD.encode(b"\x89PNG\r\n\x1a\n..");
        let out = images(&[
            json!({"mimeType":"image/jpeg","content":png}),
            json!({"content": STANDARD.encode("text"), "fileName":"a.txt"}),
            json!({"content": 5}),
        ])
        .unwrap();
        assert_eq!(
            out,
            [Block::Image {
                data: png.clone(),
                mime_type: "image/png".into()
            }]
        );
        let bad = images(&[json!({"fileName":"x.png","content":"%%%"})]).unwrap_err();
        assert_eq!(bad, "attachment x.png: invalid base64 content");
        let big = "A".repeat(8_000_000);
        assert!(
            images(&[json!({"content": big})])
                .unwrap_err()
                .contains("exceeds size limit (6000000 > 5000000 bytes)")
        );
        let url = format!("data:image/png;base64,{png}");
        assert_eq!(images(&[json!({"content": url})]).unwrap().len(), 1);
    }
}
