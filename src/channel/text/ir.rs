//! Markdown as plain text with ranges that have a style or lead somewhere.
//!
//! The text already is what a person would read without any marks: bullets, numbers, padded tables.
//! Ranges are in bytes of it, properly nested but for spoilers.

use super::Tables;
use super::table::Table;
use crate::wire::channel::{Format, StyleKind};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};
use std::ops::Range;

/// Two spaces for each level of a list, up to this: a hostile text nests without end.
const MAX_INDENT: usize = 12;
/// A longer address is looked at no further, characters: browsers take no longer ones either.
const MAX_ADDRESS: usize = 2048;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ir {
    pub text: String,
    pub spans: Vec<Span>,
    pub links: Vec<Link>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub range: Range<usize>,
    pub style: StyleKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub range: Range<usize>,
    pub href: String,
}

/// What formats differ in.
pub struct Taste {
    tables: Tables,
    /// An address that stands in the text leads to itself.
    linkify: bool,
    /// Where a link leads is written behind it in words.
    spell_links: bool,
    bold_headings: bool,
    quote_mark: bool,
    /// `||x||`.
    spoilers: bool,
}

impl Taste {
    pub fn of(format: Format, tables: Tables) -> Taste {
        let words = matches!(format, Format::Plain | Format::Styles);
        Taste {
            tables,
            linkify: format == Format::TelegramHtml,
            spell_links: words,
            bold_headings: format == Format::SlackMrkdwn,
            quote_mark: format == Format::SlackMrkdwn,
            spoilers: format == Format::Styles,
        }
    }

    /// For a table within Markdown.
    pub fn markdown(tables: Tables) -> Taste {
        Taste::of(Format::Markdown, tables)
    }
}

impl Ir {
    pub fn raw(text: &str) -> Ir {
        Ir {
            text: text.to_string(),
            ..Ir::default()
        }
    }

    /// The blocks of code, in order; they do not overlap.
    pub fn blocks(&self) -> Vec<Range<usize>> {
        let blocks = self.spans.iter();
        blocks
            .filter(|span| span.style == StyleKind::CodeBlock)
            .map(|span| span.range.clone())
            .collect()
    }

    fn sort(&mut self) {
        self.spans
            .sort_by_key(|span| (span.range.start, usize::MAX - span.range.end, span.style));
        self.links.sort_by_key(|link| link.range.start);
    }
}

pub fn options(tables: Tables) -> Options {
    let mut options = Options::ENABLE_STRIKETHROUGH;
    options.set(Options::ENABLE_TABLES, tables != Tables::Off);
    options
}

pub fn read(markdown: &str, taste: &Taste) -> Ir {
    let mut reader = Reader {
        taste,
        ir: Ir::default(),
        open: Vec::new(),
        lists: Vec::new(),
        quotes: 0,
        fresh: false,
        table: None,
        bars: Vec::new(),
        hidden: Vec::new(),
        in_link: 0,
        in_code: false,
        styles: [0; 3],
    };
    let events = Parser::new_ext(markdown, options(taste.tables));
    for event in TextMergeStream::new(events) {
        reader.event(event);
    }
    reader.end()
}

struct Reader<'a> {
    taste: &'a Taste,
    ir: Ir,
    /// Where the styles and links that are not closed yet began.
    open: Vec<usize>,
    /// The number of the next item; none: bullets.
    lists: Vec<Option<u64>>,
    quotes: usize,
    /// A list's item has begun and has no text yet.
    fresh: bool,
    table: Option<(Table, Ir)>,
    /// Where `||` stands in this paragraph.
    bars: Vec<usize>,
    /// Pairs of them.
    hidden: Vec<Range<usize>>,
    in_link: usize,
    in_code: bool,
    /// Bold, italic and struck out that are not closed yet: bold within bold is bold.
    styles: [usize; 3],
}

impl Reader<'_> {
    fn event(&mut self, event: Event) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.close(tag),
            Event::Text(text) => self.words(&text),
            Event::Code(code) => {
                let start = self.ir.text.len();
                self.push(&code);
                self.span(start, StyleKind::Code);
            }
            Event::Html(text) | Event::InlineHtml(text) => self.push(&text),
            Event::SoftBreak | Event::HardBreak => {
                self.push("\n");
                self.quote_mark();
            }
            Event::Rule => {
                self.new_line();
                self.ir.text.push('\n');
            }
            // Not switched on.
            Event::InlineMath(text) | Event::DisplayMath(text) => self.push(&text),
            Event::FootnoteReference(text) => self.push(&text),
            Event::TaskListMarker(done) => self.push(if done { "[x] " } else { "[ ] " }),
        }
    }

    fn start(&mut self, tag: Tag) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => {
                self.new_line();
                self.quote_mark();
            }
            Tag::Heading { .. } => {
                self.new_line();
                self.quote_mark();
                match self.taste.bold_headings {
                    true => self.style(0),
                    false => self.open.push(self.ir.text.len()),
                }
            }
            Tag::BlockQuote(_) => {
                self.new_line();
                self.quotes += 1;
            }
            Tag::CodeBlock(_) => {
                self.new_line();
                self.in_code = true;
                self.open.push(self.ir.text.len());
            }
            Tag::List(first) => {
                self.new_line();
                self.lists.push(first);
            }
            Tag::Item => self.item(),
            Tag::Table(_) => {
                self.new_line();
                let outer = std::mem::take(&mut self.ir);
                self.table = Some((Table::default(), outer));
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some((table, _)) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            Tag::TableCell => self.ir = Ir::default(),
            Tag::Strong => self.style(0),
            Tag::Emphasis => self.style(1),
            Tag::Strikethrough => self.style(2),
            Tag::Link {
                dest_url,
                link_type,
                ..
            } => {
                let scheme = match link_type {
                    LinkType::Email => "mailto:",
                    _ => "",
                };
                let start = self.ir.text.len();
                self.in_link += 1;
                self.open.push(start);
                // The end is set when the link closes.
                self.ir.links.push(Link {
                    range: start..usize::MAX,
                    href: format!("{scheme}{dest_url}"),
                });
            }
            _ => {}
        }
    }

    fn close(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.separate(),
            TagEnd::Heading(_) => {
                match self.taste.bold_headings {
                    true => self.styled(0, StyleKind::Bold),
                    false => drop(self.open.pop()),
                }
                self.separate();
            }
            TagEnd::BlockQuote(_) => {
                self.quotes = self.quotes.saturating_sub(1);
                self.separate();
            }
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::List(_) => {
                self.lists.pop();
                self.fresh = false;
                if self.lists.is_empty() {
                    self.separate();
                }
            }
            TagEnd::Item => {
                self.pair_bars();
                if !self.ir.text.ends_with('\n') {
                    self.ir.text.push('\n');
                }
            }
            TagEnd::TableRow => {
                // The parser fills rows up to the head; a hostile head is very wide.
                if let Some(row) = self.row() {
                    while row.last().is_some_and(|cell| cell.text.is_empty()) {
                        row.pop();
                    }
                }
            }
            TagEnd::TableCell => {
                self.pair_bars();
                let cell = std::mem::take(&mut self.ir);
                if let Some(row) = self.row() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                if let Some((table, outer)) = self.table.take() {
                    self.ir = outer;
                    table.write(self.taste.tables, &mut self.ir);
                    self.separate();
                }
            }
            TagEnd::Strong => self.styled(0, StyleKind::Bold),
            TagEnd::Emphasis => self.styled(1, StyleKind::Italic),
            TagEnd::Strikethrough => self.styled(2, StyleKind::Strikethrough),
            TagEnd::Link => self.link(),
            _ => {}
        }
    }

    /// The row of a table that is being read.
    fn row(&mut self) -> Option<&mut Vec<Ir>> {
        self.table.as_mut()?.0.rows.last_mut()
    }

    fn style(&mut self, which: usize) {
        self.styles[which] += 1;
        self.open.push(self.ir.text.len());
    }

    fn styled(&mut self, which: usize, style: StyleKind) {
        let start = self.open.pop().unwrap_or(0);
        self.styles[which] = self.styles[which].saturating_sub(1);
        if self.styles[which] == 0 {
            self.span(start, style);
        }
    }

    fn span(&mut self, start: usize, style: StyleKind) {
        let range = start..self.ir.text.len();
        if !range.is_empty() {
            self.ir.spans.push(Span { range, style });
        }
    }

    fn link(&mut self) {
        self.in_link = self.in_link.saturating_sub(1);
        let start = self.open.pop().unwrap_or(0);
        let end = self.ir.text.len();
        let mut links = self.ir.links.iter();
        let Some(at) = links.rposition(|link| link.range.end == usize::MAX) else {
            return;
        };
        let label = self.ir.text[start..end].trim().to_string();
        let link = &mut self.ir.links[at];
        link.range.end = end;
        let href = link.href.clone();
        let bare = href.trim_start_matches("mailto:");
        let leads = is_followed(&href);
        // A table in a block of code has no links either.
        let spell = self.taste.spell_links
            || (self.table.is_some() && self.taste.tables != Tables::Bullets);
        if href.is_empty() || start == end || !leads || spell {
            self.ir.links.remove(at);
        }
        let said = bare.trim() == label || format!("http://{label}") == bare;
        if (spell || !leads) && !said && !bare.is_empty() {
            match label.is_empty() {
                true => self.push(bare),
                false => self.push(&format!(" ({bare})")),
            }
        }
    }

    fn code_block(&mut self) {
        self.in_code = false;
        if !self.ir.text.ends_with('\n') {
            self.ir.text.push('\n');
        }
        let start = self.open.pop().unwrap_or(0);
        self.span(start, StyleKind::CodeBlock);
        // The block ends its line; outside of lists a blank one follows.
        if self.lists.is_empty() {
            self.ir.text.push('\n');
        }
    }

    fn item(&mut self) {
        self.new_line();
        let depth = self.lists.len().saturating_sub(1).min(MAX_INDENT);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                let mark = format!("{number}. ");
                *number = number.saturating_add(1);
                mark
            }
            _ => "• ".to_string(),
        };
        self.quote_mark();
        self.push(&format!("{}{mark}", "  ".repeat(depth)));
        self.fresh = true;
    }

    /// What follows begins a line, unless it is the first of an item.
    fn new_line(&mut self) {
        self.pair_bars();
        if !self.fresh && !self.ir.text.is_empty() && !self.ir.text.ends_with('\n') {
            self.ir.text.push('\n');
        }
        self.fresh = false;
    }

    /// A blank line after a block; within lists the next thing begins its own line anyway.
    fn separate(&mut self) {
        self.pair_bars();
        if !self.lists.is_empty() {
            return;
        }
        while !self.ir.text.is_empty() && !self.ir.text.ends_with("\n\n") {
            self.ir.text.push('\n');
        }
    }

    fn push(&mut self, text: &str) {
        self.fresh = false;
        for line in text.split_inclusive('\n') {
            self.quote_mark();
            self.ir.text.push_str(line);
        }
    }

    /// Each line of a quotation has its mark; code is left alone, its copy would have them too.
    fn quote_mark(&mut self) {
        let quoted = self.quotes > 0 && self.taste.quote_mark;
        let at_start = self.ir.text.is_empty() || self.ir.text.ends_with('\n');
        if quoted && at_start && self.table.is_none() && !self.in_code {
            self.ir.text.push_str("> ");
        }
    }

    fn words(&mut self, text: &str) {
        let start = self.ir.text.len();
        self.push(text);
        if self.in_code {
            return;
        }
        if self.taste.spoilers && self.table.is_none() {
            let bars = text.match_indices("||").map(|(at, _)| start + at);
            self.bars.extend(bars);
        }
        if !self.taste.linkify || self.in_link > 0 {
            return;
        }
        // Quotes have no mark in formats that look for addresses or spoilers, so the text went in
        // unchanged.
        for range in addresses(text) {
            self.ir.links.push(Link {
                href: text[range.clone()].to_string(),
                range: start + range.start..start + range.end,
            });
        }
    }

    fn pair_bars(&mut self) {
        for pair in self.bars.chunks_exact(2) {
            if pair[1] > pair[0] + 2 {
                self.hidden.push(pair[0]..pair[1]);
            }
        }
        self.bars.clear();
    }

    fn end(mut self) -> Ir {
        self.pair_bars();
        let mut ir = self.ir;
        ir.sort();
        if !self.hidden.is_empty() {
            ir = uncover(ir, &self.hidden);
        }
        // What a code block ends with is its own.
        let blocks = ir.spans.iter().filter(|s| s.style == StyleKind::CodeBlock);
        let code = blocks.map(|span| span.range.end).max().unwrap_or(0);
        let kept = ir.text.trim_end().len().max(code);
        ir.text.truncate(kept);
        for span in &mut ir.spans {
            span.range.end = span.range.end.min(kept);
        }
        ir.spans.retain(|span| span.range.start < span.range.end);
        for link in &mut ir.links {
            link.range.end = link.range.end.min(kept);
        }
        ir.links.retain(|link| link.range.start < link.range.end);
        ir
    }
}

/// Takes the marks of spoilers out of the text and makes spans of them.
fn uncover(ir: Ir, hidden: &[Range<usize>]) -> Ir {
    let mut gone: Vec<usize> = hidden.iter().flat_map(|h| [h.start, h.end]).collect();
    gone.sort_unstable();
    let mut text = String::with_capacity(ir.text.len());
    let mut from = 0;
    for &at in &gone {
        text.push_str(&ir.text[from..at]);
        from = at + 2;
    }
    text.push_str(&ir.text[from..]);
    let moved = |at: usize| at - 2 * gone.partition_point(|&bar| bar < at);
    let spans = ir.spans.into_iter().map(|span| Span {
        range: moved(span.range.start)..moved(span.range.end),
        ..span
    });
    let spoilers = hidden.iter().map(|h| Span {
        range: moved(h.start + 2)..moved(h.end),
        style: StyleKind::Spoiler,
    });
    let links = ir.links.into_iter().map(|link| Link {
        range: moved(link.range.start)..moved(link.range.end),
        ..link
    });
    let mut ir = Ir {
        text,
        spans: spans.chain(spoilers).collect(),
        links: links.collect(),
    };
    ir.sort();
    ir
}

/// A scheme that does something on the reader's machine is written out and not made a link.
pub fn is_followed(href: &str) -> bool {
    let scheme = href.split_once(':').map(|(scheme, _)| scheme.trim());
    let refused = ["javascript", "vbscript", "file", "data"];
    !scheme.is_some_and(|scheme| refused.iter().any(|r| scheme.eq_ignore_ascii_case(r)))
}

/// `http://` and `https://` as they stand in running text.
fn addresses(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (colon, _) in text.match_indices("://") {
        let scheme = ["https", "http"].into_iter().find(|scheme| {
            let before = &text.as_bytes()[..colon];
            before.len() >= scheme.len()
                && before[before.len() - scheme.len()..].eq_ignore_ascii_case(scheme.as_bytes())
        });
        let Some(scheme) = scheme else { continue };
        let start = colon - scheme.len();
        let glued = text[..start].chars().next_back();
        let inside = found.last().is_some_and(|last| start < last.end);
        if inside || glued.is_some_and(char::is_alphanumeric) {
            continue;
        }
        let rest = &text[colon + 3..];
        let mut looked_at = rest.char_indices().take(MAX_ADDRESS);
        let mut opened = 0u32;
        let mut ends = |c: char| match c {
            '(' => {
                opened += 1;
                false
            }
            // It belongs to the sentence around the address.
            ')' if opened == 0 => true,
            ')' => {
                opened -= 1;
                false
            }
            c => c.is_whitespace() || c.is_control() || "<>\"`|".contains(c),
        };
        let len = match looked_at.find(|(_, c)| ends(*c)) {
            Some((end, _)) => end,
            None => {
                let further = rest.char_indices().nth(MAX_ADDRESS);
                further.map_or(rest.len(), |(end, _)| end)
            }
        };
        let end = colon + 3 + trimmed(&rest[..len]);
        if end > colon + 3 {
            found.push(start..end);
        }
    }
    found
}

/// Without what more likely belongs to the sentence than to the address.
fn trimmed(address: &str) -> usize {
    let marks = ['.', ',', ';', ':', '!', '?', '\'', '*', '~', ']', '_'];
    address.trim_end_matches(marks).len()
}
