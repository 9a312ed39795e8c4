//! The terminal as rows: what changed since the last picture is written, nothing else.

use super::text::cut;
use std::io::{self, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Accent,
    Good,
    Bad,
    /// The chosen row of a list, and the bars.
    Reverse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub style: Style,
    pub text: String,
}

impl Row {
    pub fn new(style: Style, text: String) -> Row {
        Row { style, text }
    }
}

/// A whole picture, and where the cursor stands in it (row, column).
pub struct Picture {
    pub rows: Vec<Row>,
    pub cursor: (usize, usize),
}

const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[2J";
const LEAVE: &str = "\x1b[?2004l\x1b[?1049l\x1b[?25h";

pub struct Screen<W: Write> {
    out: W,
    colours: bool,
    pub columns: usize,
    shown: Vec<Row>,
}

impl<W: Write> Screen<W> {
    /// A page of its own: what was on the terminal comes back at the end.
    pub fn open(mut out: W, colours: bool, columns: usize) -> io::Result<Screen<W>> {
        out.write_all(ENTER.as_bytes())?;
        out.flush()?;
        Ok(Screen {
            out,
            colours,
            columns,
            shown: Vec::new(),
        })
    }

    /// Everything is drawn anew: the size changed, or somebody else has written.
    pub fn forget(&mut self, columns: usize) -> io::Result<()> {
        self.columns = columns;
        self.shown.clear();
        self.out.write_all(b"\x1b[2J")
    }

    pub fn show(&mut self, picture: Picture) -> io::Result<()> {
        // Hidden while it moves about.
        self.out.write_all(b"\x1b[?25l")?;
        for (at, row) in picture.rows.iter().enumerate() {
            if self.shown.get(at) == Some(row) {
                continue;
            }
            let text = cut(&row.text, self.columns);
            let (on, off) = self.signs(row.style);
            write!(self.out, "\x1b[{};1H\x1b[2K{on}{text}{off}", at + 1)?;
        }
        let (row, column) = picture.cursor;
        write!(self.out, "\x1b[{};{}H\x1b[?25h", row + 1, column + 1)?;
        self.shown = picture.rows;
        self.out.flush()
    }

    fn signs(&self, style: Style) -> (&'static str, &'static str) {
        const OFF: &str = "\x1b[0m";
        match (style, self.colours) {
            (Style::Plain, _) => ("", ""),
            (Style::Bold, _) => ("\x1b[1m", OFF),
            (Style::Reverse, _) => ("\x1b[7m", OFF),
            (Style::Dim, true) => ("\x1b[2m", OFF),
            (Style::Accent, true) => ("\x1b[36m", OFF),
            (Style::Good, true) => ("\x1b[32m", OFF),
            (Style::Bad, true) => ("\x1b[31m", OFF),
            (_, false) => ("", ""),
        }
    }
}

impl<W: Write> Drop for Screen<W> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = self.out.write_all(LEAVE.as_bytes());
        let _ = self.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(words: &[&str]) -> Picture {
        let row = |word: &&str| Row::new(Style::Plain, word.to_string());
        Picture {
            rows: words.iter().map(row).collect(),
            cursor: (0, 0),
        }
    }

    #[test]
    fn only_what_changed_is_written() {
        let mut written = Vec::new();
        let mut screen = Screen::open(&mut written, true, 10).unwrap();
        screen.show(picture(&["one", "two"])).unwrap();
        screen.show(picture(&["one", "three"])).unwrap();
        screen.forget(3).unwrap();
        screen.show(picture(&["one", "three"])).unwrap();
        drop(screen);
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text.matches("one").count(), 2);
        assert!(text.contains("\x1b[2;1H\x1b[2Kthree"));
        assert!(text.contains("\x1b[2;1H\x1b[2Kth…"));
        assert!(text.ends_with(LEAVE));
    }
}
