//! A text of the agent as a service wants it: Markdown read, written in the service's own marks and
//! cut into messages.
//!
//! Pure: runs on the caller's thread, reads nothing, cannot fail. The text comes from a model and
//! may hold anything; what it costs grows with its length only. Text is never lost: what a service
//! cannot show stays as words.

mod cut;
mod html;
mod ir;
mod marks;
mod table;

use crate::wire::channel::{Format, Style};
use std::ops::Range;

/// Longer texts are written as they are, without a look at their Markdown: no person reads one, and
/// the parser's memory is ten times its input.
const MAX_PARSED: usize = 256 * 1024;
/// A cut must leave room for the marks of a code block around at least some words.
const LEAST_LIMIT: usize = 32;
const LEAST_LINES: usize = 4;

/// How a text is to be written and cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub format: Format,
    /// Longest piece, UTF-16 units of the text without a format's own escapes; 0: no limit.
    pub limit: usize,
    pub lines: Option<usize>,
    pub tables: Tables,
    pub breaks: Breaks,
}

/// `markdown.tables`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tables {
    Off,
    Bullets,
    #[default]
    Code,
}

/// `chunkMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breaks {
    /// As few pieces as the limit allows.
    #[default]
    Length,
    /// Every paragraph is a piece.
    Paragraph,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// The same without marks, where `text` has some that a service may refuse.
    pub plain: Option<String>,
    pub html: Option<String>,
    pub styles: Vec<Style>,
}

/// `text`, written and cut. Nothing but blanks makes no piece.
pub fn pieces(text: &str, layout: &Layout) -> Vec<Piece> {
    let text = &*text.replace("\r\n", "\n");
    let limits = cut::Limits {
        units: match layout.limit {
            0 => usize::MAX,
            limit => limit.max(LEAST_LIMIT),
        },
        lines: layout
            .lines
            .map_or(usize::MAX, |lines| lines.max(LEAST_LINES)),
        breaks: layout.breaks,
    };
    let parsed = text.len() <= MAX_PARSED;
    match layout.format {
        Format::Markdown | Format::Html => {
            let again = match parsed {
                true => table::rewrite(text, layout.tables),
                false => None,
            };
            let text = again.as_deref().unwrap_or(text);
            let pieces = cut::markdown(text, &limits).into_iter();
            pieces
                .map(|text| Piece {
                    html: match layout.format == Format::Html && parsed {
                        true => html::write(&text),
                        false => None,
                    },
                    text,
                    ..Piece::default()
                })
                .collect()
        }
        format => {
            let ir = match parsed {
                true => ir::read(text, &ir::Taste::of(format, layout.tables)),
                false => ir::Ir::raw(text),
            };
            let ranges = cut::plain(&ir.text, &limits, &ir.blocks());
            let mut marked = marks::Parts::of(&ir);
            let pieces = ranges.into_iter();
            pieces
                .map(|range| piece(&ir, &mut marked, range, format))
                .collect()
        }
    }
}

fn piece(ir: &ir::Ir, marked: &mut marks::Parts, range: Range<usize>, format: Format) -> Piece {
    let plain = ir.text[range.clone()].to_string();
    let marked = marked.next(&range);
    let mut piece = Piece::default();
    match format {
        Format::TelegramHtml => {
            piece.text = marks::write(ir, range, &marked, &marks::Telegram);
            piece.plain = Some(plain);
        }
        Format::SlackMrkdwn => piece.text = marks::write(ir, range, &marked, &marks::Slack),
        Format::Styles => {
            piece.styles = marks::styles(ir, range.start, &marked);
            piece.text = plain;
        }
        Format::Plain | Format::Markdown | Format::Html => piece.text = plain,
    }
    piece
}

#[cfg(test)]
mod tests;
