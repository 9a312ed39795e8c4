//! Markdown as the HTML that Matrix clients show.
//!
//! Only the tags their specification allows, written from the parser's events, so they are always
//! balanced; HTML in the text itself stays words.

use super::ir::is_followed;
use super::marks::escape;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Clients refuse a tree deeper than a hundred; what nests deeper than this is shown flat.
const MAX_DEPTH: usize = 40;

/// None where the text has nothing that needs HTML.
pub fn write(markdown: &str) -> Option<String> {
    let options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TABLES;
    let mut out = Out {
        html: String::with_capacity(markdown.len() * 5 / 4),
        open: Vec::new(),
        marks: 0,
        in_head: false,
    };
    let mut events = Parser::new_ext(markdown, options).peekable();
    while let Some(event) = events.next() {
        let last = events.peek().is_none();
        out.event(event, last);
    }
    (out.marks > 0).then_some(out.html)
}

struct Out {
    html: String,
    /// What closes each tag of the parser.
    open: Vec<String>,
    /// How many were more than a paragraph.
    marks: usize,
    in_head: bool,
}

impl Out {
    fn event(&mut self, event: Event, last: bool) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => {
                let close = self.open.pop().unwrap_or_default();
                self.html.push_str(&close);
                match tag {
                    TagEnd::TableHead => {
                        self.in_head = false;
                        self.html.push_str("</tr></thead><tbody>");
                    }
                    TagEnd::Table => self.html.push_str("</tbody></table>"),
                    _ => {}
                }
                if last && self.html.ends_with('\n') {
                    self.html.pop();
                }
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                escape(&text, false, &mut self.html);
            }
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                escape(&text, false, &mut self.html);
            }
            Event::Code(code) => {
                self.marks += 1;
                self.html.push_str("<code>");
                escape(&code, false, &mut self.html);
                self.html.push_str("</code>");
            }
            Event::SoftBreak | Event::HardBreak => {
                self.marks += 1;
                self.html.push_str("<br>\n");
            }
            Event::Rule => {
                self.marks += 1;
                self.html.push_str("<hr>\n");
            }
            Event::TaskListMarker(done) => self.html.push_str(if done { "☑ " } else { "☐ " }),
        }
    }

    fn start(&mut self, tag: Tag) {
        if !matches!(tag, Tag::Paragraph | Tag::HtmlBlock) {
            self.marks += 1;
        }
        let deep = self.open.len() >= MAX_DEPTH;
        let (open, close) = match tag {
            // Tables have their ends written by hand, so they are never left out.
            Tag::Table(_) => ("<table><thead><tr>".into(), String::new()),
            Tag::TableHead => {
                self.in_head = true;
                (String::new(), String::new())
            }
            Tag::TableRow => ("<tr>".into(), "</tr>".into()),
            Tag::TableCell if self.in_head => ("<th>".into(), "</th>".into()),
            Tag::TableCell => ("<td>".into(), "</td>".into()),
            Tag::HtmlBlock => ("<p>".into(), "</p>\n".into()),
            _ if deep => (String::new(), String::new()),
            Tag::Paragraph => ("<p>".into(), "</p>\n".into()),
            Tag::Heading { level, .. } => heading(level),
            Tag::BlockQuote(_) => ("<blockquote>\n".into(), "</blockquote>\n".into()),
            Tag::CodeBlock(kind) => (code(&kind), "</code></pre>\n".into()),
            Tag::List(None) => ("<ul>\n".into(), "</ul>\n".into()),
            Tag::List(Some(1)) => ("<ol>\n".into(), "</ol>\n".into()),
            Tag::List(Some(n)) => (format!("<ol start=\"{n}\">\n"), "</ol>\n".into()),
            Tag::Item => ("<li>".into(), "</li>\n".into()),
            Tag::Emphasis => ("<em>".into(), "</em>".into()),
            Tag::Strong => ("<strong>".into(), "</strong>".into()),
            Tag::Strikethrough => ("<del>".into(), "</del>".into()),
            Tag::Link { dest_url, .. } if is_followed(&dest_url) && !dest_url.is_empty() => {
                let mut open = "<a href=\"".to_string();
                if dest_url.contains('@') && !dest_url.contains([':', '/']) {
                    open.push_str("mailto:");
                }
                escape(&dest_url, true, &mut open);
                (open + "\">", "</a>".into())
            }
            Tag::Link { dest_url, .. } => {
                let mut close = " (".to_string();
                escape(&dest_url, false, &mut close);
                (String::new(), close + ")")
            }
            _ => (String::new(), String::new()),
        };
        self.html.push_str(&open);
        self.open.push(close);
    }
}

fn heading(level: HeadingLevel) -> (String, String) {
    let level = level as usize;
    (format!("<h{level}>"), format!("</h{level}>\n"))
}

fn code(kind: &CodeBlockKind) -> String {
    let language = match kind {
        CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default(),
        CodeBlockKind::Indented => "",
    };
    if language.is_empty() {
        return "<pre><code>".to_string();
    }
    let mut open = "<pre><code class=\"language-".to_string();
    escape(language, true, &mut open);
    open + "\">"
}
