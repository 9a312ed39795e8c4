//! The words a model says to the gateway and not to people: `NO_REPLY`, `HEARTBEAT_OK`, reply and
//! voice tags, `MEDIA:` lines.

/// Nothing is to be sent.
pub const SILENT: &str = "NO_REPLY";
/// Nothing needs attention.
pub const HEARTBEAT_OK: &str = "HEARTBEAT_OK";

/// Longest accepted media source, characters.
const MAX_SOURCE: usize = 4096;

/// Longest text of a tag, bytes: an id and a word.
const MAX_TAG: usize = 512;

/// A text without its directives, and what they said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    pub text: String,
    pub media: Vec<String>,
    pub reply_to: Option<String>,
    pub reply_to_current: bool,
    pub as_voice: bool,
}

/// `NO_REPLY` at the start or the end of the text, as a word of its own.
pub fn is_silent(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let trimmed = text.trim_start();
    if let Some(rest) = trimmed.strip_prefix(SILENT) {
        if !rest.chars().next().is_some_and(word) {
            return true;
        }
    }
    let tail = text.trim_end_matches(|c| !word(c));
    tail.strip_suffix(SILENT)
        .is_some_and(|head| !head.chars().next_back().is_some_and(word))
}

/// Could still become `NO_REPLY` when more arrives.
pub fn may_become_silent(partial: &str) -> bool {
    let text = partial.trim();
    !text.is_empty() && SILENT.starts_with(text)
}

/// The text without `HEARTBEAT_OK` at its start and end, also where markup surrounds it; `None`
/// when it stands at neither.
pub fn strip_heartbeat(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.contains(HEARTBEAT_OK) {
        return None;
    }
    let plain = without_markup(text);
    let (bare, inner) = (at_edges(text), at_edges(&plain));
    match (bare.len() < text.len() && !bare.is_empty(), inner) {
        (true, _) => Some(bare.to_string()),
        (false, inner) if inner.len() < plain.len() => Some(inner.to_string()),
        _ => None,
    }
}

/// Without tags, and without the signs of emphasis around it.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        out.push(' ');
        match after.split_once('>') {
            Some((_, next)) => rest = next,
            None => {
                rest = after;
                break;
            }
        }
    }
    out.push_str(rest);
    let edge = |c: char| c.is_whitespace() || "*`~_".contains(c);
    out.replace("&nbsp;", " ").trim_matches(edge).to_string()
}

fn at_edges(text: &str) -> &str {
    let mut rest = text.trim();
    loop {
        let next = rest
            .strip_prefix(HEARTBEAT_OK)
            .or_else(|| rest.strip_suffix(HEARTBEAT_OK));
        match next {
            Some(shorter) => rest = shorter.trim(),
            None => return rest,
        }
    }
}

/// Takes the directives out of a whole text.
pub fn parse(text: &str) -> Parsed {
    let mut out = Parsed::default();
    if !text.contains("[[") && !text.contains("MEDIA:") {
        out.text = text.trim().to_string();
        return out;
    }
    let tagless = take_tags(text, &mut out);
    let mut fence = false;
    let mut lines: Vec<&str> = Vec::new();
    for line in tagless.lines() {
        let start = line.trim_start();
        if start.starts_with("```") || start.starts_with("~~~") {
            fence = !fence;
        }
        match (!fence).then(|| media_line(start)).flatten() {
            Some(mut sources) => out.media.append(&mut sources),
            // Removing a line must not leave two blank ones.
            None if line.trim().is_empty()
                && !fence
                && lines.last().is_some_and(|l| l.trim().is_empty()) => {}
            None => lines.push(line),
        }
    }
    out.text = if out.media.is_empty() {
        tagless.trim().to_string()
    } else {
        lines.join("\n").trim().to_string()
    };
    out
}

/// The part of a growing text that can no longer turn into a directive.
pub fn settled(text: &str) -> &str {
    let mut end = text.len();
    if let Some(at) = text.rfind("[[") {
        if !text[at..].contains("]]") {
            end = at;
        }
    } else if text.ends_with('[') {
        end = text.len() - 1;
    }
    let line = text[..end].rfind('\n').map_or(0, |at| at + 1);
    if text[line..end].trim_start().starts_with("MEDIA:") {
        end = line;
    }
    &text[..end]
}

fn take_tags(text: &str, out: &mut Parsed) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("[[") {
        let after = &rest[at + 2..];
        let mut near = after.as_bytes().windows(2).take(MAX_TAG);
        let known = near
            .position(|two| two == b"]]")
            .filter(|end| take_tag(&after[..*end], out))
            .map(|end| &after[end + 2..]);
        match known {
            Some(next) => {
                kept.push_str(&rest[..at]);
                // The tag stood between two spaces: one is enough.
                let doubled = kept.is_empty() || kept.ends_with([' ', '\n']);
                rest = if doubled {
                    next.strip_prefix(' ').unwrap_or(next)
                } else {
                    next
                };
            }
            None => {
                kept.push_str(&rest[..at + 2]);
                rest = after;
            }
        }
    }
    kept.push_str(rest);
    kept
}

fn take_tag(inner: &str, out: &mut Parsed) -> bool {
    let inner = inner.trim();
    let lower = inner.to_ascii_lowercase();
    if lower == "audio_as_voice" {
        out.as_voice = true;
    } else if lower == "reply_to_current" {
        out.reply_to_current = true;
        out.reply_to = None;
    } else if let Some(id) = lower
        .strip_prefix("reply_to")
        .and_then(|rest| rest.trim_start().strip_prefix(':'))
    {
        // Ids may be case-sensitive: take it from the text as it was.
        let id = inner[inner.len() - id.len()..].trim();
        out.reply_to = (!id.is_empty()).then(|| id.to_string());
        out.reply_to_current = false;
    } else {
        return false;
    }
    true
}

/// The sources of a `MEDIA:` line; `None` when it is an ordinary line.
fn media_line(line: &str) -> Option<Vec<String>> {
    let rest = line.strip_prefix("MEDIA:")?.trim();
    let whole = rest.trim_matches(|c: char| "\"'`()[]<>{}".contains(c));
    let quoted = rest.starts_with(['"', '\'', '`']);
    if quoted && acceptable(whole) {
        return Some(vec![whole.to_string()]);
    }
    let sources: Vec<&str> = rest
        .split_whitespace()
        .map(|s| s.trim_matches(|c: char| "\"'`()[]<>{},".contains(c)))
        .collect();
    let good = !sources.is_empty()
        && sources
            .iter()
            .all(|s| acceptable(s) && !s.contains(char::is_whitespace));
    good.then(|| sources.into_iter().map(str::to_string).collect())
}

/// A web address, or a path inside the workspace: what a model names must not reach other files.
fn acceptable(source: &str) -> bool {
    if source.chars().count() > MAX_SOURCE {
        return false;
    }
    let lower = source.to_ascii_lowercase();
    lower.starts_with("http://")
        || lower.starts_with("https://")
        || (source.starts_with("./") && !source.contains(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_row_of_brackets_is_read_in_one_go() {
        let brackets = "[[".repeat(1024 * 1024);
        assert_eq!(parse(&brackets).text, brackets);
        let long = format!("[[reply_to: {}]]", "x".repeat(MAX_TAG));
        assert_eq!(parse(&long).reply_to, None);
    }

    #[test]
    fn silence_is_a_word_at_either_end() {
        for text in [
            "NO_REPLY",
            " NO_REPLY.",
            "NO_REPLY: nothing",
            "done. NO_REPLY",
        ] {
            assert!(is_silent(text), "{text}");
        }
        for text in ["NO_REPLYING", "a NO_REPLY b", "XNO_REPLY", ""] {
            assert!(!is_silent(text), "{text}");
        }
        assert!(may_become_silent("NO_RE"));
        assert!(!may_become_silent("No"));
    }

    #[test]
    fn tags_are_taken_out_and_the_last_one_wins() {
        let p = parse("[[ reply_to : 4Ab ]] hello [[audio_as_voice]] there [[other]]");
        assert_eq!(p.text, "hello there [[other]]");
        assert_eq!(p.reply_to.as_deref(), Some("4Ab"));
        assert!(p.as_voice);
        let p = parse("[[reply_to:1]][[REPLY_TO_CURRENT]]x");
        assert!(p.reply_to_current && p.reply_to.is_none());
        assert_eq!(p.text, "x");
    }

    #[test]
    fn media_lines_take_only_safe_sources() {
        let p = parse("see\n\nMEDIA:./a.png https://x/y.jpg\n\nend");
        assert_eq!(p.media, ["./a.png", "https://x/y.jpg"]);
        assert_eq!(p.text, "see\n\nend");
        for bad in [
            "MEDIA:/etc/passwd",
            "MEDIA:./../x",
            "MEDIA:~/x",
            "say MEDIA:./a",
        ] {
            assert_eq!(parse(bad).text, bad);
        }
        assert_eq!(
            parse("```\nMEDIA:./a.png\n```").text,
            "```\nMEDIA:./a.png\n```"
        );
    }

    #[test]
    fn an_unfinished_directive_is_not_settled() {
        assert_eq!(settled("hi [[reply"), "hi ");
        assert_eq!(settled("hi ["), "hi ");
        assert_eq!(settled("hi [[x]] a"), "hi [[x]] a");
        assert_eq!(settled("a\nMEDIA:./x"), "a\n");
    }

    #[test]
    fn heartbeat_words_go_from_both_ends() {
        let strip = |text| strip_heartbeat(text);
        assert_eq!(strip("HEARTBEAT_OK hi HEARTBEAT_OK").as_deref(), Some("hi"));
        for bare in [
            "HEARTBEAT_OK",
            "**HEARTBEAT_OK**",
            "<b>HEARTBEAT_OK</b>&nbsp;",
        ] {
            assert_eq!(strip(bare).as_deref(), Some(""), "{bare}");
        }
        assert_eq!(strip("a HEARTBEAT_OK b"), None);
        assert_eq!(strip("HEARTBEAT"), None);
    }
}
