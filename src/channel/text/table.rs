//! Tables for services that have none: as bullets, or as a padded block of code.

use super::ir::{self, Ir, Link, Span, Taste};
use super::{Tables, marks};
use crate::wire::channel::StyleKind;
use pulldown_cmark::{Event, Parser, Tag};
use unicode_width::UnicodeWidthStr;

/// Wider cells are not padded to: one long cell would make every row as long.
const MAX_COLUMN: usize = 60;
/// Blanks that make columns even, at most: a hostile head makes every row very wide.
const MAX_PADDED: usize = 64 * 1024;

pub type Cell = Ir;

/// The first row is the head.
#[derive(Default)]
pub struct Table {
    pub rows: Vec<Vec<Cell>>,
}

/// Markdown whose tables are made readable and that is left as it is otherwise; none where there
/// is no table. Tables within lists and quotations stay: their rows are readable as they are.
pub fn rewrite(markdown: &str, tables: Tables) -> Option<String> {
    if tables == Tables::Off || !markdown.contains('|') {
        return None;
    }
    let mut depth = 0usize;
    let mut done = 0;
    let mut text = String::new();
    for (event, range) in Parser::new_ext(markdown, ir::options(tables)).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 && matches!(tag, Tag::Table(_)) {
                    let table = ir::read(&markdown[range.clone()], &Taste::markdown(tables));
                    text.push_str(&markdown[done..range.start]);
                    text.push_str(&marks::markdown(&table));
                    text.push('\n');
                    done = range.end;
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    (done > 0).then(|| text + &markdown[done..])
}

impl Table {
    pub fn write(self, tables: Tables, to: &mut Ir) {
        match tables {
            Tables::Bullets => self.bullets(to),
            Tables::Code | Tables::Off => self.code(to),
        }
    }

    fn bullets(self, to: &mut Ir) {
        let mut rows = self.rows.into_iter();
        let head = rows.next().unwrap_or_default();
        let labelled = head.len() > 1;
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            for cell in head {
                bullet(to, None, cell);
            }
            return;
        }
        for row in rows {
            let mut cells = row.into_iter().enumerate();
            let first = if labelled { cells.next() } else { None };
            if let Some((_, first)) = first.filter(|(_, first)| !first.text.is_empty()) {
                let start = to.text.len();
                // Bold as a whole; bold within would be marked twice.
                let mut first = first;
                first.spans.retain(|span| span.style != StyleKind::Bold);
                append(to, first);
                to.spans.push(Span {
                    range: start..to.text.len(),
                    style: StyleKind::Bold,
                });
                to.text.push('\n');
            }
            for (at, cell) in cells {
                if !cell.text.is_empty() {
                    bullet(to, head.get(at), cell);
                }
            }
            if labelled {
                to.text.push('\n');
            }
        }
    }

    fn code(self, to: &mut Ir) {
        let columns = self.rows.first().map_or(0, Vec::len);
        let mut widths = vec![3; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.text.width().clamp(*width, MAX_COLUMN.max(*width));
            }
        }
        if widths.iter().sum::<usize>().saturating_mul(self.rows.len()) > MAX_PADDED {
            widths.fill(0);
        }
        let start = to.text.len();
        for (at, row) in self.rows.iter().enumerate() {
            for (column, width) in widths.iter().enumerate() {
                let text = row.get(column).map_or("", |cell| cell.text.as_str());
                let text = text.replace('\n', " ");
                let pad = width.saturating_sub(text.width());
                to.text.push_str("| ");
                to.text.push_str(&text);
                to.text.extend(std::iter::repeat_n(' ', pad + 1));
            }
            to.text.push_str("|\n");
            if at == 0 {
                for width in &widths {
                    to.text
                        .push_str(&format!("| {} ", "-".repeat((*width).max(3))));
                }
                to.text.push_str("|\n");
            }
        }
        to.spans.push(Span {
            range: start..to.text.len(),
            style: StyleKind::CodeBlock,
        });
    }
}

fn bullet(to: &mut Ir, head: Option<&Cell>, cell: Cell) {
    to.text.push_str("• ");
    if let Some(head) = head.filter(|head| !head.text.is_empty()) {
        to.text.push_str(&head.text);
        to.text.push_str(": ");
    }
    append(to, cell);
    to.text.push('\n');
}

fn append(to: &mut Ir, cell: Cell) {
    let by = to.text.len();
    to.text.push_str(&cell.text);
    to.spans.extend(cell.spans.into_iter().map(|span| Span {
        range: span.range.start + by..span.range.end + by,
        ..span
    }));
    to.links.extend(cell.links.into_iter().map(|link| Link {
        range: link.range.start + by..link.range.end + by,
        ..link
    }));
}
