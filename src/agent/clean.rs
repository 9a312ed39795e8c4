//! What of a model's words people see. Models that think aloud in tags, or write tool calls as
//! text, are common; none of that is shown, neither at the end nor while the text still grows.

use super::directive;
use std::time::{Duration, Instant};

/// Tags whose content is hidden.
const THINKING: [&str; 4] = ["think", "thinking", "thought", "antthinking"];
const FINAL: &str = "final";
/// An open `<` further back than this is text, not a tag that is still arriving.
const LONGEST_TAG: usize = 64;

/// Until a text is this long, each piece is shown as it comes.
const SHORT: usize = 16 * 1024;
/// A longer one is looked at once in `PAUSE` for each `STEP` of its length: each look takes as long
/// as the text is, and all of it is sent to those who follow.
const STEP: usize = 32 * 1024;
const PAUSE: Duration = Duration::from_millis(150);

/// Providers whose models wrap thinking and answer in tags.
pub fn wants_final_tag(provider: &str) -> bool {
    matches!(
        provider,
        "ollama" | "google-gemini-cli" | "google-generative-ai"
    ) || provider.contains("google-antigravity")
        || provider.contains("minimax")
}

/// One assistant message while it arrives.
#[derive(Default)]
pub struct Stream {
    raw: String,
    shown: directive::Parsed,
    final_only: bool,
    /// A block ended: the next text starts a line of its own.
    break_before_next: bool,
    looked_at: Option<Instant>,
}

/// The text grew: all of it, and the new part.
#[derive(Debug, PartialEq)]
pub struct Grown<'a> {
    pub text: &'a str,
    pub delta: &'a str,
    pub media: &'a [String],
}

impl Stream {
    pub fn new(final_only: bool) -> Stream {
        Stream {
            final_only,
            ..Stream::default()
        }
    }

    /// Adds what arrived. `None` when nothing new may be shown yet.
    pub fn push(&mut self, delta: &str) -> Option<Grown<'_>> {
        if std::mem::take(&mut self.break_before_next) && !self.raw.is_empty() {
            self.raw.push('\n');
        }
        self.raw.push_str(delta);
        if !self.is_due() {
            return None;
        }
        let cleaned = visible(&self.raw, self.final_only, true);
        let parsed = directive::parse(directive::settled(&cleaned));
        if directive::may_become_silent(&parsed.text) {
            return None;
        }
        self.grow(parsed)
    }

    fn is_due(&mut self) -> bool {
        if self.raw.len() < SHORT {
            return true;
        }
        let steps = u32::try_from(self.raw.len() / STEP + 1).unwrap_or(u32::MAX);
        let pause = PAUSE.saturating_mul(steps);
        let due = self.looked_at.is_none_or(|at| at.elapsed() >= pause);
        if due {
            self.looked_at = Some(Instant::now());
        }
        due
    }

    pub fn end_block(&mut self) {
        self.break_before_next = true;
    }

    /// Shows what was held back, now that nothing more comes.
    pub fn finish(&mut self) -> Option<Grown<'_>> {
        let parsed = directive::parse(&visible(&self.raw, self.final_only, false));
        self.grow(parsed)
    }

    fn grow(&mut self, parsed: directive::Parsed) -> Option<Grown<'_>> {
        if directive::is_silent(&parsed.text) {
            return None;
        }
        let old = self.shown.text.len();
        let longer = parsed.text.len() > old && parsed.text.starts_with(&self.shown.text);
        let more_media = parsed.media.len() > self.shown.media.len();
        let same = parsed.text == self.shown.text;
        if !(longer || same && more_media) {
            return None;
        }
        self.shown = parsed;
        Some(Grown {
            text: &self.shown.text,
            delta: &self.shown.text[old..],
            media: &self.shown.media,
        })
    }
}

/// A finished message's text for people, directives taken out.
pub fn finished(raw: &str, final_only: bool) -> directive::Parsed {
    let mut parsed = directive::parse(&visible(raw, final_only, false));
    parsed.text = without_repeats(&parsed.text);
    parsed
}

/// A text that begins with a thinking tag, as (thinking, text).
pub fn split_thinking(text: &str) -> Option<(String, String)> {
    let start = text.trim_start();
    let tag = Tag::at(start)?;
    if tag.closing || tag.is_final {
        return None;
    }
    let inside = &start[tag.len..];
    let mut from = 0;
    while let Some(at) = inside[from..].find('<').map(|i| i + from) {
        match Tag::at(&inside[at..]) {
            Some(end) if end.closing && !end.is_final => {
                return Some((
                    inside[..at].trim().to_string(),
                    inside[at + end.len..].trim().to_string(),
                ));
            }
            _ => from = at + 1,
        }
    }
    None
}

/// `raw` without tags, their hidden content and text that imitates tool calls.
fn visible(raw: &str, final_only: bool, partial: bool) -> String {
    // Nearly every text: nothing to look for.
    if !final_only && !raw.contains(['<', '[']) {
        return raw.to_string();
    }
    let text = without_imitations(raw);
    let mut out = String::with_capacity(text.len());
    let code = code_spans(&text);
    let mut spans = code.iter().peekable();
    let mut hidden = false;
    let mut in_final = !final_only;
    let mut tagged = false;
    let mut at = 0;
    while let Some(next) = text[at..].find('<').map(|i| i + at) {
        if !hidden && in_final {
            out.push_str(&text[at..next]);
        }
        while spans.next_if(|(_, to)| *to <= next).is_some() {}
        let in_code = spans.peek().is_some_and(|(from, _)| *from <= next);
        match (!in_code).then(|| Tag::at(&text[next..])).flatten() {
            Some(tag) if tag.is_final => {
                tagged = true;
                in_final = !final_only || !tag.closing;
                at = next + tag.len;
            }
            Some(tag) => {
                hidden = !tag.closing;
                at = next + tag.len;
            }
            None if partial && !in_code && may_become_tag(&text[next..]) => return out,
            None => {
                if !hidden && in_final {
                    out.push('<');
                }
                at = next + 1;
            }
        }
    }
    if final_only && !tagged && !partial {
        // A model that does not keep to the tags has still said something.
        return visible(raw, false, false);
    }
    if !hidden && in_final {
        out.push_str(&text[at..]);
    }
    out
}

struct Tag {
    len: usize,
    closing: bool,
    is_final: bool,
}

impl Tag {
    /// The tag `text` starts with: `< /think attr >`, any case, spaces allowed.
    fn at(text: &str) -> Option<Tag> {
        let inner = text.strip_prefix('<')?;
        let end = inner
            .find(['>', '<'])
            .filter(|i| inner[*i..].starts_with('>'))?;
        let body = inner[..end].trim_start();
        let (closing, body) = match body.strip_prefix('/') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, body),
        };
        let name_end = body
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(body.len());
        let name = body[..name_end].to_ascii_lowercase();
        let is_final = name == FINAL;
        (is_final || THINKING.contains(&name.as_str())).then_some(Tag {
            len: end + 2,
            closing,
            is_final,
        })
    }
}

/// An open `<…` at the very end that more text could make a tag.
fn may_become_tag(tail: &str) -> bool {
    if tail.len() > LONGEST_TAG || tail[1..].contains(['<', '>', '\n']) {
        return false;
    }
    let body = tail[1..].trim_start();
    let body = body.strip_prefix('/').unwrap_or(body).trim_start();
    let name: String = body
        .chars()
        .take_while(char::is_ascii_alphanumeric)
        .collect();
    let lower = name.to_ascii_lowercase();
    let names = THINKING.iter().chain([&FINAL]);
    if name.len() == body.len() {
        names.into_iter().any(|n| n.starts_with(&lower))
    } else {
        names.into_iter().any(|n| **n == lower)
    }
}

/// Byte ranges of fenced blocks and of closed inline code.
fn code_spans(text: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    if !text.contains('`') && !text.contains("~~~") {
        return spans;
    }
    let mut fence: Option<(usize, &str)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|m| start.starts_with(m));
        match (fence, marker) {
            (None, Some(marker)) => fence = Some((at, marker)),
            (Some((from, open)), Some(marker)) if open == marker => {
                spans.push((from, at + line.len()));
                fence = None;
            }
            (None, None) => inline_spans(line, at, &mut spans),
            _ => {}
        }
        at += line.len();
    }
    if let Some((from, _)) = fence {
        spans.push((from, text.len()));
    }
    spans
}

fn inline_spans(line: &str, base: usize, spans: &mut Vec<(usize, usize)>) {
    let ticks = |s: &str| s.bytes().take_while(|b| *b == b'`').count();
    let mut at = 0;
    while let Some(open) = line[at..].find('`').map(|i| i + at) {
        let width = ticks(&line[open..]);
        let mut from = open + width;
        let mut close = None;
        while let Some(next) = line[from..].find('`').map(|i| i + from) {
            let run = ticks(&line[next..]);
            if run == width {
                close = Some(next + run);
                break;
            }
            from = next + run;
        }
        match close {
            Some(end) => {
                spans.push((base + open, base + end));
                at = end;
            }
            None => at = open + width,
        }
    }
}

/// Takes out tool calls that a model wrote as text instead of making them.
fn without_imitations(text: &str) -> std::borrow::Cow<'_, str> {
    let mut out = std::borrow::Cow::Borrowed(text);
    if out.contains("minimax:tool_call") {
        let mut plain = cut_all(&out, "<invoke", "</invoke>");
        for tag in ["<minimax:tool_call>", "</minimax:tool_call>"] {
            plain = plain.replace(tag, "");
        }
        out = plain.into();
    }
    if out.contains("[Tool Call:") || out.contains("[Tool Result for ID") {
        let kept: Vec<&str> = out
            .split("\n\n")
            .filter(|part| {
                let start = part.trim_start();
                !start.starts_with("[Tool Call:") && !start.starts_with("[Tool Result for ID")
            })
            .collect();
        out = kept.join("\n\n").into();
    }
    out
}

fn cut_all(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(from) {
        out.push_str(&rest[..start]);
        match rest[start..].find(to) {
            Some(end) => rest = &rest[start + end + to.len()..],
            None => return out,
        }
    }
    out.push_str(rest);
    out
}

/// Small models say a paragraph twice; once is enough. Code is left alone.
fn without_repeats(text: &str) -> String {
    if !text.contains("\n\n") || text.contains("```") {
        return text.to_string();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split("\n\n") {
        let same = !part.trim().is_empty() && parts.last().is_some_and(|l| l.trim() == part.trim());
        if !same {
            parts.push(part);
        }
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str) -> String {
        finished(raw, false).text
    }

    /// What each growth showed when the text came byte by byte.
    fn streamed(raw: &str) -> Vec<String> {
        let mut stream = Stream::new(false);
        let mut seen = Vec::new();
        for c in raw.chars() {
            let piece = c.to_string();
            if let Some(grown) = stream.push(&piece) {
                assert!(grown.text.ends_with(grown.delta));
                seen.push(grown.text.to_string());
            }
        }
        if let Some(grown) = stream.finish() {
            seen.push(grown.text.to_string());
        }
        seen
    }

    #[test]
    fn thinking_is_hidden_and_final_tags_go() {
        assert_eq!(shown("<think>secret</think>Hello"), "Hello");
        assert_eq!(shown("a < THOUGHT >x</ thought > b"), "a  b");
        assert_eq!(shown("<final>Hi</final>"), "Hi");
        assert_eq!(shown("open <thinking>never closed"), "open");
        assert_eq!(shown("1 < 2 and <b>bold</b>"), "1 < 2 and <b>bold</b>");
    }

    #[test]
    fn tags_in_code_are_text() {
        assert_eq!(shown("use `<think>` here"), "use `<think>` here");
        let fenced = "```\n<think>x</think>\n```";
        assert_eq!(shown(fenced), fenced);
    }

    #[test]
    fn only_final_is_shown_where_the_provider_wants_it() {
        assert_eq!(
            finished("plan <final>answer</final> rest", true).text,
            "answer"
        );
        let untagged = finished("<think>plan</think>answer", true).text;
        assert_eq!(untagged, "answer");
        let mut stream = Stream::new(true);
        assert_eq!(stream.push("plan <fin"), None);
        assert_eq!(
            stream.push("al>answer").map(|grown| grown.text),
            Some("answer")
        );
        assert!(wants_final_tag("ollama"));
        assert!(!wants_final_tag("openai"));
    }

    #[test]
    fn a_long_text_is_shown_in_few_steps_and_whole() {
        let piece = "some words of `code` [x] <b> and more of them, [[half a tag\n";
        let mut stream = Stream::new(false);
        let (mut whole, mut shown, mut told) = (String::new(), String::new(), 0);
        while whole.len() < 1024 * 1024 {
            whole.push_str(piece);
            if let Some(grown) = stream.push(piece) {
                shown.push_str(grown.delta);
                told += grown.text.len();
            }
        }
        if let Some(grown) = stream.finish() {
            shown.push_str(grown.delta);
            told += grown.text.len();
        }
        assert_eq!(shown, whole.trim());
        assert!(told < 32 * whole.len(), "{told} bytes in all");
    }

    #[test]
    fn a_growing_text_never_shrinks_and_never_shows_half_a_tag() {
        for raw in [
            "Hello <think>no</think>world",
            "[[reply_to_current]] Hi [x] there",
            "a\nMEDIA:./p.png",
            "x < y <final>z</final>",
        ] {
            let seen = streamed(raw);
            for pair in seen.windows(2) {
                assert!(pair[1].starts_with(&pair[0]), "{pair:?}");
            }
            assert!(seen.iter().all(|s| !s.contains("<th") && !s.contains("[[")));
        }
        assert_eq!(
            streamed("Hello <think>no</think>world").last().unwrap(),
            "Hello world"
        );
        assert!(streamed("NO_REPLY").is_empty());
        assert_eq!(streamed("N"), ["N"]);
    }

    #[test]
    fn a_message_that_starts_with_thinking_is_split() {
        assert_eq!(
            split_thinking("<think>a</think>\n\nb"),
            Some(("a".into(), "b".into()))
        );
        assert_eq!(split_thinking("b <think>a</think>"), None);
        assert_eq!(split_thinking("<think>a"), None);
    }

    #[test]
    fn imitated_tool_calls_and_repeated_paragraphs_go() {
        assert_eq!(
            shown("Hi\n\n[Tool Call: exec (ID: 1)]\nArguments: {}\n\nbye"),
            "Hi\n\nbye"
        );
        assert_eq!(
            shown("a<minimax:tool_call><invoke name=\"x\">y</invoke></minimax:tool_call>b"),
            "ab"
        );
        assert_eq!(shown("one\n\none\n\ntwo"), "one\n\ntwo");
    }
}
