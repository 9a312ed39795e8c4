//! Styles and links written as marks: Telegram's HTML, Slack's mrkdwn, Markdown, or as ranges.
//!
//! A part of a text is written for itself: what reaches beyond it is closed at its end, so every
//! message has balanced marks.

use super::cut::units;
use super::ir::Ir;
use crate::wire::channel::{Style, StyleKind};
use std::ops::Range;

pub trait Marks {
    fn open(&self, style: StyleKind, inner: &str, out: &mut String);
    fn close(&self, style: StyleKind, inner: &str, out: &mut String);
    fn open_link(&self, href: &str, label: &str, out: &mut String);
    fn close_link(&self, href: &str, label: &str, out: &mut String);
    fn text(&self, text: &str, out: &mut String);
}

pub struct Telegram;
pub struct Slack;
struct Markdown;

#[derive(Clone, Copy)]
pub enum What<'a> {
    Link(&'a str),
    Style(StyleKind),
}

/// A range that has a style or leads somewhere.
pub type Marked<'a> = (Range<usize>, What<'a>);

/// What is marked in one part of a text after the other; each is looked at once, and again in
/// every part it reaches into. Styles nest no deeper than there are kinds of them.
pub struct Parts<'a> {
    /// Outer ones first, links outside of styles.
    all: Vec<Marked<'a>>,
    next: usize,
    /// Began before the next part and may reach into it.
    open: Vec<Marked<'a>>,
}

impl<'a> Parts<'a> {
    pub fn of(ir: &'a Ir) -> Parts<'a> {
        let links = ir
            .links
            .iter()
            .map(|l| (l.range.clone(), What::Link(&l.href)));
        let spans = ir
            .spans
            .iter()
            .map(|s| (s.range.clone(), What::Style(s.style)));
        let mut all: Vec<_> = links.chain(spans).collect();
        all.sort_by_key(order);
        Parts {
            all,
            next: 0,
            open: Vec::new(),
        }
    }

    /// The parts are asked for in their order. Ranges are cut to the part.
    pub fn next(&mut self, part: &Range<usize>) -> Vec<Marked<'a>> {
        let begun = self.all[self.next..].iter();
        let begun = begun.take_while(|(range, _)| range.start < part.end);
        let before = self.open.len();
        self.open.extend(begun.cloned());
        self.next += self.open.len() - before;
        self.open.retain(|(range, _)| range.end > part.start);
        let cut = |range: &Range<usize>| range.start.max(part.start)..range.end.min(part.end);
        let open = self.open.iter();
        let mut marked: Vec<_> = open.map(|(range, what)| (cut(range), *what)).collect();
        marked.sort_by_key(order);
        marked
    }
}

fn order((range, what): &Marked) -> (usize, usize, Option<StyleKind>) {
    let rank = match what {
        What::Link(_) => None,
        What::Style(style) => Some(*style),
    };
    (range.start, usize::MAX - range.end, rank)
}

/// That part of the text with its marks.
pub fn write(ir: &Ir, part: Range<usize>, marked: &[Marked], marks: &dyn Marks) -> String {
    let mut out = String::with_capacity(part.len() + part.len() / 8);
    let mut open: Vec<Marked> = Vec::new();
    let mut at = part.start;
    for (range, what) in marked {
        let mut range = range.clone();
        while let Some((top, _)) = open.last() {
            if top.end > range.start {
                // Marks cannot cross.
                range.end = range.end.min(top.end);
                break;
            }
            at = close(ir, open.pop(), at, marks, &mut out);
        }
        marks.text(&ir.text[at..range.start], &mut out);
        at = range.start;
        let inner = &ir.text[range.clone()];
        match what {
            What::Link(href) => marks.open_link(href, inner, &mut out),
            What::Style(style) => marks.open(*style, inner, &mut out),
        }
        open.push((range, *what));
    }
    while !open.is_empty() {
        at = close(ir, open.pop(), at, marks, &mut out);
    }
    marks.text(&ir.text[at..part.end], &mut out);
    out
}

fn close(
    ir: &Ir,
    top: Option<(Range<usize>, What)>,
    at: usize,
    marks: &dyn Marks,
    out: &mut String,
) -> usize {
    let Some((range, what)) = top else { return at };
    marks.text(&ir.text[at..range.end], out);
    let inner = &ir.text[range.clone()];
    match what {
        What::Link(href) => marks.close_link(href, inner, out),
        What::Style(style) => marks.close(style, inner, out),
    }
    range.end
}

/// The styles of the part that begins there, in UTF-16 units from its start.
pub fn styles(ir: &Ir, start: usize, marked: &[Marked]) -> Vec<Style> {
    let mut seen = (start, 0);
    let mut styles = Vec::new();
    for (range, what) in marked {
        let What::Style(style) = *what else { continue };
        // Sorted by start, so each byte is counted once up to here.
        let start = seen.1 + units(&ir.text[seen.0..range.start]);
        seen = (range.start, start);
        styles.push(Style {
            start,
            length: units(&ir.text[range.clone()]),
            style,
        });
    }
    styles
}

pub fn markdown(ir: &Ir) -> String {
    let all = 0..ir.text.len();
    let marked = Parts::of(ir).next(&all);
    write(ir, all, &marked, &Markdown)
}

impl Marks for Telegram {
    fn open(&self, style: StyleKind, _: &str, out: &mut String) {
        out.push_str(match style {
            StyleKind::CodeBlock => "<pre><code>",
            StyleKind::Code => "<code>",
            StyleKind::Bold => "<b>",
            StyleKind::Italic => "<i>",
            StyleKind::Strikethrough => "<s>",
            StyleKind::Spoiler => "",
        });
    }

    fn close(&self, style: StyleKind, _: &str, out: &mut String) {
        out.push_str(match style {
            StyleKind::CodeBlock => "</code></pre>",
            StyleKind::Code => "</code>",
            StyleKind::Bold => "</b>",
            StyleKind::Italic => "</i>",
            StyleKind::Strikethrough => "</s>",
            StyleKind::Spoiler => "",
        });
    }

    fn open_link(&self, href: &str, _: &str, out: &mut String) {
        out.push_str("<a href=\"");
        escape(href, true, out);
        out.push_str("\">");
    }

    fn close_link(&self, _: &str, _: &str, out: &mut String) {
        out.push_str("</a>");
    }

    fn text(&self, text: &str, out: &mut String) {
        escape(text, false, out);
    }
}

pub fn escape(text: &str, quotes: bool, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if quotes => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

impl Marks for Slack {
    fn open(&self, style: StyleKind, _: &str, out: &mut String) {
        out.push_str(match style {
            StyleKind::CodeBlock => "```\n",
            StyleKind::Code => "`",
            StyleKind::Bold => "*",
            StyleKind::Italic => "_",
            StyleKind::Strikethrough => "~",
            StyleKind::Spoiler => "",
        });
    }

    fn close(&self, style: StyleKind, inner: &str, out: &mut String) {
        match style {
            StyleKind::CodeBlock if inner.ends_with('\n') => out.push_str("```"),
            StyleKind::CodeBlock => out.push_str("\n```"),
            other => self.open(other, inner, out),
        }
    }

    fn open_link(&self, href: &str, label: &str, out: &mut String) {
        // A link whose words are its address is written without marks.
        if !is_said(href, label) {
            out.push('<');
            escape(&href.replace('|', "%7C"), false, out);
            out.push('|');
        }
    }

    fn close_link(&self, href: &str, label: &str, out: &mut String) {
        if !is_said(href, label) {
            out.push('>');
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        for line in text.split_inclusive('\n') {
            let begins = out.is_empty() || out.ends_with('\n');
            match line.strip_prefix("> ").filter(|_| begins) {
                Some(quoted) => {
                    out.push_str("> ");
                    escape_slack(quoted, out);
                }
                None => escape_slack(line, out),
            }
        }
    }
}

fn escape_slack(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        escape(&rest[..at], false, out);
        rest = &rest[at..];
        let end = rest[1..].find(['<', '>']).map(|end| end + 1);
        let token = end.filter(|end| rest.as_bytes()[*end] == b'>');
        let token = token.map(|end| &rest[..=end]);
        match token.filter(|token| is_token(token)) {
            Some(token) => {
                out.push_str(token);
                rest = &rest[token.len()..];
            }
            None => {
                out.push_str("&lt;");
                rest = &rest[1..];
            }
        }
    }
    escape(rest, false, out);
}

fn is_said(href: &str, label: &str) -> bool {
    href == label || href.strip_prefix("mailto:") == Some(label)
}

/// What Slack itself writes in angle brackets: somebody, a channel, everybody, an address.
fn is_token(token: &str) -> bool {
    const BEGINNINGS: [&str; 8] = [
        "@", "#", "!", "mailto:", "tel:", "http://", "https://", "slack://",
    ];
    let inner = &token[1..token.len() - 1];
    BEGINNINGS
        .iter()
        .any(|b| inner.starts_with(b) && inner.len() > b.len())
}

impl Marks for Markdown {
    fn open(&self, style: StyleKind, inner: &str, out: &mut String) {
        match style {
            StyleKind::CodeBlock => {
                out.push_str(&fence(inner));
                out.push('\n');
            }
            StyleKind::Code if inner.contains('`') => out.push_str("`` "),
            StyleKind::Code => out.push('`'),
            StyleKind::Bold => out.push_str("**"),
            StyleKind::Italic => out.push('_'),
            StyleKind::Strikethrough => out.push_str("~~"),
            StyleKind::Spoiler => {}
        }
    }

    fn close(&self, style: StyleKind, inner: &str, out: &mut String) {
        match style {
            StyleKind::CodeBlock => out.push_str(&fence(inner)),
            StyleKind::Code if inner.contains('`') => out.push_str(" ``"),
            other => self.open(other, inner, out),
        }
    }

    fn open_link(&self, _: &str, _: &str, out: &mut String) {
        out.push('[');
    }

    fn close_link(&self, href: &str, _: &str, out: &mut String) {
        let odd = href.contains([' ', '(', ')']);
        out.push_str(if odd { "](<" } else { "](" });
        out.push_str(href);
        out.push_str(if odd { ">)" } else { ")" });
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push_str(text);
    }
}

/// Longer than any run of backticks within.
fn fence(code: &str) -> String {
    let runs = code.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or(0).max(2) + 1)
}
