//! Where a text is cut into messages.
//!
//! Lengths are UTF-16 units, as the services count. A cut is made at the end of a line, else at a
//! blank, else anywhere but within what a person sees as one character.

use super::Breaks;
use std::ops::Range;

pub struct Limits {
    pub units: usize,
    pub lines: usize,
    pub breaks: Breaks,
}

pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Cuts plain text. Of the blocks of `code`, which are in order, blank lines and indents are kept.
pub fn plain(text: &str, limits: &Limits, code: &[Range<usize>]) -> Vec<Range<usize>> {
    let is_code = &|at| {
        let after = code.partition_point(|block| block.end <= at);
        code.get(after).is_some_and(|block| block.start <= at)
    };
    let mut ranges = Vec::new();
    for part in parts(text, limits, is_code) {
        let mut at = part.start;
        while at < part.end {
            let rest = &text[at..part.end];
            let room = fitting(rest, limits.units, limits.lines);
            let end = match room == rest.len() {
                true => room,
                false => break_before(rest, room, &|_| true),
            };
            push(text, at..at + end, is_code, &mut ranges);
            at += end;
            at += skipped(&text[at..part.end], is_code(at));
        }
    }
    ranges
}

/// Without the blanks at its ends, and only if there is something else.
fn push(
    text: &str,
    range: Range<usize>,
    is_code: &dyn Fn(usize) -> bool,
    ranges: &mut Vec<Range<usize>>,
) {
    let inner = &text[range.clone()];
    if inner.trim().is_empty() {
        return;
    }
    let kept = inner.trim_end();
    let code = is_code(range.start + inner.len() - 1) && kept.len() < inner.len();
    let end = match code {
        true => range.end,
        false => range.start + kept.len(),
    };
    let indent = match is_code(range.start) {
        true => 0,
        false => inner.len() - inner.trim_start_matches('\n').len(),
    };
    ranges.push(range.start + indent..end);
}

/// What stands between two pieces: one line's end within code, else all blanks up to the next line
/// with words, whose indent is kept if it begins one.
fn skipped(rest: &str, code: bool) -> usize {
    if code {
        return usize::from(rest.starts_with('\n'));
    }
    let blank = rest.len() - rest.trim_start().len();
    match rest[..blank].rfind('\n') {
        Some(newline) => newline + 1,
        None => blank,
    }
}

/// Paragraphs, where those are wanted.
fn parts(text: &str, limits: &Limits, is_code: &dyn Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = 0;
    if limits.breaks == Breaks::Paragraph {
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if line.trim().is_empty() && !is_code(at) {
                parts.push(start..at);
                start = at + line.len();
            }
            at += line.len();
        }
    }
    parts.push(start..text.len());
    parts.retain(|part| !part.is_empty());
    parts
}

/// How many bytes of the text fit.
fn fitting(text: &str, limit: usize, lines: usize) -> usize {
    let mut count = 0;
    let mut line = 1;
    for (at, c) in text.char_indices() {
        count += c.len_utf16();
        if count > limit {
            return whole(text, at);
        }
        if c == '\n' {
            line += 1;
            if line > lines {
                return at;
            }
        }
    }
    text.len()
}

/// Back to where no character is taken apart that consists of several.
fn whole(text: &str, at: usize) -> usize {
    /// A flag, a family; a longer one is no character but an attack.
    const LONGEST: usize = 12;
    let joins = |c: char| {
        matches!(c, '\u{200d}' | '\u{fe0f}' | '\u{20e3}' | '\u{300}'..='\u{36f}'
            | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}')
    };
    let mut end = at;
    for _ in 0..LONGEST {
        let Some(before) = text[..end].chars().next_back() else {
            return at;
        };
        let after = text[end..].chars().next();
        if before != '\u{200d}' && !after.is_some_and(joins) {
            return end;
        }
        end -= before.len_utf8();
    }
    at
}

/// The best place to end a piece of at most `room` bytes; at least one character.
fn break_before(text: &str, room: usize, allowed: &dyn Fn(usize) -> bool) -> usize {
    soft_break(text, room, allowed).unwrap_or_else(|| room.max(first(text)))
}

fn first(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// The last end of a line, else the last blank outside of parentheses, else the last blank.
fn soft_break(text: &str, room: usize, allowed: &dyn Fn(usize) -> bool) -> Option<usize> {
    let (mut newline, mut outside, mut blank) = (None, None, None);
    let mut depth = 0usize;
    // A piece that just fits may end where a blank follows.
    let next = text[room..].chars().next().map_or(0, char::len_utf8);
    let mut words = false;
    for (at, c) in text[..room + next].char_indices() {
        match c {
            '\n' => {
                depth = 0;
                if words && allowed(at) {
                    newline = Some(at);
                }
            }
            c if c.is_whitespace() && words && allowed(at) => {
                blank = Some(at);
                if depth == 0 {
                    outside = blank;
                }
            }
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        words |= !c.is_whitespace();
    }
    newline.or(outside).or(blank)
}

/// A fenced block of code in Markdown.
struct Fence {
    /// Without the end of its last line.
    range: Range<usize>,
    /// Where the line after the one that opens it begins, and where the one that closes it does.
    body: Range<usize>,
    opening: String,
    closing: String,
}

impl Fence {
    /// Its own lines leave room for some code; else it is cut like any text.
    fn reopens(&self, limits: &Limits) -> bool {
        units(&self.opening).saturating_mul(4) < limits.units
    }
}

/// Cuts Markdown: a block of code that is cut is closed and opened again.
pub fn markdown(text: &str, limits: &Limits) -> Vec<String> {
    let fences = fences(text);
    let mut pieces = Vec::new();
    for part in parts(text, limits, &|at| around(&fences, at).is_some()) {
        cut_part(text, part, limits, &fences, &mut pieces);
    }
    pieces
}

/// The block that place is in, its first byte not taken for within.
fn around(fences: &[Fence], at: usize) -> Option<&Fence> {
    let after = fences.partition_point(|fence| fence.range.end <= at);
    fences.get(after).filter(|fence| fence.range.start < at)
}

fn cut_part(
    text: &str,
    part: Range<usize>,
    limits: &Limits,
    fences: &[Fence],
    pieces: &mut Vec<String>,
) {
    let mut at = part.start;
    while at < part.end {
        let within = around(fences, at)
            .filter(|fence| fence.body.start <= at && at <= fence.body.end)
            .filter(|fence| fence.reopens(limits));
        let spent = within.filter(|fence| text[at..fence.body.end].trim().is_empty());
        if let Some(fence) = spent {
            // All of its code is said, and its end with it.
            at = fence.range.end.max(at + 1);
            continue;
        }
        let head = within.map_or(String::new(), |fence| format!("{}\n", fence.opening));
        let rest = &text[at..part.end];
        let lines = limits.lines - usize::from(!head.is_empty());
        let left = limits.units - units(&head);
        let room = fitting(rest, left, lines);
        if room == rest.len() {
            keep(&head, rest, "", pieces);
            return;
        }
        let allowed = |offset: usize| around(fences, at + offset).is_none();
        if let Some(end) = soft_break(rest, room, &allowed) {
            keep(&head, &rest[..end], "", pieces);
            at += end;
            at += skipped(&text[at..part.end], false);
            continue;
        }
        let closed = around(fences, at + room)
            .filter(|fence| fence.reopens(limits))
            .and_then(|fence| {
                let left = left.saturating_sub(units(&fence.closing) + 1);
                let room = fitting(rest, left, lines - 1);
                let body = fence.body.start.saturating_sub(at);
                // The line that closes it stays whole.
                let room = room.min(fence.body.end.saturating_sub(at));
                (room > body).then_some((fence, body, room))
            });
        let end = match closed {
            Some((fence, body, room)) => {
                let line = rest[body..room].rfind('\n').filter(|newline| *newline > 0);
                let end = line.map_or(room, |newline| body + newline);
                keep(&head, &rest[..end], &fence.closing, pieces);
                end
            }
            None => {
                let end = room.max(first(rest));
                keep(&head, &rest[..end], "", pieces);
                end
            }
        };
        at += end;
        at += usize::from(text[at..part.end].starts_with('\n'));
    }
}

fn keep(head: &str, piece: &str, closing: &str, pieces: &mut Vec<String>) {
    if piece.trim().is_empty() {
        return;
    }
    let piece = match head.is_empty() {
        true => piece.trim_start_matches('\n').trim_end(),
        false => piece.trim_end(),
    };
    let end = if closing.is_empty() { "" } else { "\n" };
    pieces.push(format!("{head}{piece}{end}{closing}"));
}

fn fences(text: &str) -> Vec<Fence> {
    let mut fences = Vec::new();
    let mut open: Option<(Fence, char, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let bare = line.trim_start_matches(' ');
        let indent = line.len() - bare.len();
        let mark = bare.chars().next().filter(|c| matches!(c, '`' | '~'));
        let run = mark.map_or(0, |mark| bare.chars().take_while(|c| *c == mark).count());
        let rest = bare[run..].trim();
        match open.take() {
            None if run >= 3 && indent <= 3 && !(mark == Some('`') && rest.contains('`')) => {
                let fence = Fence {
                    range: at..text.len(),
                    body: end..text.len(),
                    opening: line.trim_end().to_string(),
                    closing: line[..indent + run].to_string(),
                };
                open = mark.map(|mark| (fence, mark, run));
            }
            None => {}
            Some((mut fence, of, opened)) => {
                match run >= opened && mark == Some(of) && rest.is_empty() && indent <= 3 {
                    true => {
                        fence.range.end = at + line.trim_end_matches('\n').len();
                        fence.body.end = at;
                        fences.push(fence);
                    }
                    false => open = Some((fence, of, opened)),
                }
            }
        }
        at = end;
    }
    fences.extend(open.map(|(fence, _, _)| fence));
    fences
}
