//! What people see: lines, JSON, tables, notes. Writing never panics: a reader that closes the
//! pipe ends the command quietly and with success, as `head` expects.

use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Width of tables when there is no terminal, and the least one.
const PLAIN_WIDTH: usize = 119;
const LEAST_WIDTH: usize = 60;

pub struct Out {
    to: io::BufWriter<io::Stdout>,
    colour: bool,
    terminal: bool,
}

/// What a command's work ends in, besides its own errors.
#[derive(Debug)]
pub enum Stopped {
    /// Nobody reads any more.
    PipeClosed,
    Failed(io::Error),
}

pub type Written = Result<(), Stopped>;

#[derive(Clone, Copy)]
pub enum Colour {
    Red,
    Green,
    Yellow,
    Cyan,
    Dim,
    Bold,
}

impl Out {
    pub fn new(no_color: bool) -> Out {
        let terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        Out {
            to: io::BufWriter::new(io::stdout()),
            colour: !no_color && !set("NO_COLOR") && (terminal || set("FORCE_COLOR")),
            terminal,
        }
    }

    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn line(&mut self, text: impl AsRef<str>) -> Written {
        self.text(text.as_ref())?;
        self.text("\n")
    }

    pub fn text(&mut self, text: &str) -> Written {
        self.to.write_all(text.as_bytes()).map_err(Stopped::from)
    }

    /// Two-space indent, one document.
    pub fn json(&mut self, value: &impl Serialize) -> Written {
        let text = serde_json::to_string_pretty(value).expect("wire types serialise to JSON");
        self.line(text)
    }

    /// One line.
    pub fn json_line(&mut self, value: &impl Serialize) -> Written {
        let text = serde_json::to_string(value).expect("wire types serialise to JSON");
        self.line(text)
    }

    pub fn flush(&mut self) -> Written {
        self.to.flush().map_err(Stopped::from)
    }

    pub fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colour {
            return text.to_string();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
            Colour::Dim => 2,
            Colour::Bold => 1,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A heading on a line of its own.
    pub fn title(&mut self, text: &str) -> Written {
        let text = self.paint(Colour::Bold, text);
        self.line(text)
    }

    pub fn table(&mut self, head: &[Column], rows: &[Vec<String>]) -> Written {
        let width = match self.terminal {
            true => columns().map_or(PLAIN_WIDTH, |n| n.saturating_sub(1).max(LEAST_WIDTH)),
            false => PLAIN_WIDTH,
        };
        let text = table(head, rows, width);
        self.text(&text)
    }
}

fn columns() -> Option<usize> {
    std::env::var("COLUMNS").ok()?.parse().ok()
}

#[derive(Clone, Copy)]
pub struct Column {
    pub title: &'static str,
    /// Shares what the others leave.
    pub flexible: bool,
    pub least: usize,
}

impl Column {
    pub const fn new(title: &'static str, least: usize) -> Column {
        Column {
            title,
            flexible: false,
            least,
        }
    }

    pub const fn flexible(title: &'static str, least: usize) -> Column {
        Column {
            title,
            flexible: true,
            least,
        }
    }
}

/// The whole table as text. Cells wrap at blanks, else anywhere.
fn table(head: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let widths = widths(head, rows, width);
    let rule = |left: &str, middle: &str, right: &str| {
        let parts: Vec<String> = widths.iter().map(|w| "─".repeat(w + 2)).collect();
        format!("{left}{}{right}\n", parts.join(middle))
    };
    let mut out = rule("┌", "┬", "┐");
    let titles: Vec<String> = head.iter().map(|c| c.title.to_string()).collect();
    row(&mut out, &titles, &widths);
    out.push_str(&rule("├", "┼", "┤"));
    for cells in rows {
        row(&mut out, cells, &widths);
    }
    out.push_str(&rule("└", "┴", "┘"));
    out
}

fn widths(head: &[Column], rows: &[Vec<String>], width: usize) -> Vec<usize> {
    let natural: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let cells = rows.iter().filter_map(|r| r.get(i)).map(|c| length(c));
            cells
                .chain([length(column.title), column.least])
                .max()
                .unwrap_or(0)
        })
        .collect();
    // Each column costs three characters of frame, and the last rule one.
    let room = width.saturating_sub(3 * head.len() + 1);
    let fixed: usize = head
        .iter()
        .zip(&natural)
        .filter(|(c, _)| !c.flexible)
        .map(|(_, n)| n)
        .sum();
    let flexible = head.iter().filter(|c| c.flexible).count();
    if flexible == 0 {
        return natural;
    }
    let mut left = room.saturating_sub(fixed);
    let mut open = flexible;
    head.iter()
        .zip(&natural)
        .map(|(column, natural)| {
            if !column.flexible {
                return *natural;
            }
            let share = (left / open).max(column.least).max(length(column.title));
            open -= 1;
            left = left.saturating_sub(share);
            share
        })
        .collect()
}

fn row(out: &mut String, cells: &[String], widths: &[usize]) {
    let folded: Vec<Vec<String>> = widths
        .iter()
        .enumerate()
        .map(|(i, width)| fold(cells.get(i).map_or("", String::as_str), *width))
        .collect();
    let height = folded.iter().map(Vec::len).max().unwrap_or(1);
    for line in 0..height {
        for (cell, width) in folded.iter().zip(widths) {
            let text = cell.get(line).map_or("", String::as_str);
            let pad = " ".repeat(width.saturating_sub(length(text)));
            out.push_str(&format!("│ {text}{pad} "));
        }
        out.push_str("│\n");
    }
}

/// `text` in lines of at most `width` characters.
pub fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: String = word.to_string();
        let last = &lines[lines.len() - 1];
        let room = width.saturating_sub(length(last) + usize::from(!last.is_empty()));
        if !last.is_empty() && length(&word) > room {
            lines.push(String::new());
        }
        while length(&word) > width && width > 0 {
            let at = word
                .char_indices()
                .nth(width)
                .map_or(word.len(), |(i, _)| i);
            let rest = word.split_off(at);
            let end = lines.len() - 1;
            lines[end].push_str(&word);
            lines.push(String::new());
            word = rest;
        }
        let end = lines.len() - 1;
        if !lines[end].is_empty() {
            lines[end].push(' ');
        }
        lines[end].push_str(&word);
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// `just now`, `5m ago`, `3h ago`, `4d ago`.
pub fn age(ms: Option<u64>) -> String {
    let Some(ms) = ms else {
        return "unknown".into();
    };
    // Rounded, as the original does: 90 seconds are two minutes.
    let minutes = (ms + 30_000) / 60_000;
    if minutes < 1 {
        return "just now".into();
    }
    if minutes < 60 {
        return format!("{minutes}m ago");
    }
    let hours = (minutes + 30) / 60;
    if hours < 48 {
        return format!("{hours}h ago");
    }
    format!("{}d ago", (hours + 12) / 24)
}

impl From<io::Error> for Stopped {
    fn from(err: io::Error) -> Stopped {
        match err.kind() {
            io::ErrorKind::BrokenPipe => Stopped::PipeClosed,
            _ => Stopped::Failed(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_as_wide_as_asked_and_wraps_in_its_flexible_column() {
        let head = [Column::new("Item", 4), Column::flexible("Value", 10)];
        let rows = vec![vec!["Gateway".to_string(), "word ".repeat(30)]];
        let text = table(&head, &rows, 60);
        assert!(text.lines().all(|l| l.chars().count() == 60), "{text}");
        assert!(text.lines().count() > 5);
        assert!(text.starts_with("┌─────────┬"));
    }

    #[test]
    fn a_word_longer_than_the_cell_is_broken() {
        assert_eq!(fold("abcdef gh", 4), ["abcd", "ef", "gh"]);
        assert_eq!(fold("ab cd", 10), ["ab cd"]);
        assert_eq!(fold("", 4), [""]);
    }

    #[test]
    fn ages_are_rounded_as_the_original_rounds_them() {
        assert_eq!(age(Some(0)), "just now");
        assert_eq!(age(Some(120_000)), "2m ago");
        assert_eq!(age(Some(2 * 3_600_000)), "2h ago");
        assert_eq!(age(Some(25 * 3_600_000)), "25h ago");
        assert_eq!(age(Some(72 * 3_600_000)), "3d ago");
        assert_eq!(age(None), "unknown");
    }
}
