//! The line a person writes: several rows if need be, a cursor, and what was written before.

use super::keys::Key;
use super::text::{clean, width, wrap};

/// More than a message may be long is not taken.
const MAX_TEXT: usize = 400_000;
const MAX_HISTORY: usize = 100;

#[derive(Default)]
pub struct Editor {
    text: String,
    /// In bytes, at a character's start.
    cursor: usize,
    history: Vec<String>,
    /// The entry shown now, and what was written before going back.
    back: Option<(usize, String)>,
}

impl Editor {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn set(&mut self, text: &str) {
        self.text = text.into();
        self.cursor = self.text.len();
    }

    /// What was written; it is remembered.
    pub fn take(&mut self) -> String {
        self.back = None;
        self.cursor = 0;
        let text = std::mem::take(&mut self.text);
        if !text.trim().is_empty() && self.history.last() != Some(&text) {
            if self.history.len() == MAX_HISTORY {
                self.history.remove(0);
            }
            self.history.push(text.clone());
        }
        text
    }

    pub fn clear(&mut self) {
        self.back = None;
        self.set("");
    }

    /// Whether the key was one for writing.
    pub fn press(&mut self, key: &Key) -> bool {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Paste(text) => self.insert(&clean(text)),
            Key::NewLine => self.insert("\n"),
            Key::Backspace => {
                let to = self.cursor;
                self.cursor = self.before();
                self.text.replace_range(self.cursor..to, "");
            }
            Key::Delete => {
                let to = self.after();
                self.text.replace_range(self.cursor..to, "");
            }
            Key::Left | Key::Ctrl('b') => self.cursor = self.before(),
            Key::Right | Key::Ctrl('f') => self.cursor = self.after(),
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Home | Key::Ctrl('a') => self.cursor = self.line_start(),
            Key::End | Key::Ctrl('e') => self.cursor = self.line_end(),
            Key::Ctrl('u') => {
                let from = self.line_start();
                self.text.replace_range(from..self.cursor, "");
                self.cursor = from;
            }
            Key::Ctrl('k') => {
                let to = self.line_end();
                self.text.replace_range(self.cursor..to, "");
            }
            Key::Ctrl('w') => {
                let from = self.word_before();
                self.text.replace_range(from..self.cursor, "");
                self.cursor = from;
            }
            Key::Up => self.up(),
            Key::Down => self.down(),
            _ => return false,
        }
        true
    }

    /// The rows as shown in `columns`, and the cursor's row and column among them.
    pub fn rows(&self, columns: usize) -> (Vec<String>, usize, usize) {
        let rows = wrap(&self.text, columns);
        // A cell more shows on which row the cursor is: a space at a row's end is swallowed.
        let upto = wrap(&format!("{}_", &self.text[..self.cursor]), columns);
        let row = upto.len() - 1;
        let column = upto.last().map_or(0, |last| width(last).saturating_sub(1));
        let mut rows = rows;
        while rows.len() <= row {
            rows.push(String::new());
        }
        (rows, row, column)
    }

    fn insert(&mut self, text: &str) {
        if self.text.len() + text.len() > MAX_TEXT {
            return;
        }
        self.text.insert_str(self.cursor, text);
        self.cursor += text.len();
    }

    fn before(&self) -> usize {
        let last = self.text[..self.cursor].chars().next_back();
        self.cursor - last.map_or(0, char::len_utf8)
    }

    fn after(&self) -> usize {
        let next = self.text[self.cursor..].chars().next();
        self.cursor + next.map_or(0, char::len_utf8)
    }

    fn word_before(&self) -> usize {
        let before = self.text[..self.cursor].trim_end();
        before.rfind(char::is_whitespace).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        })
    }

    fn word_after(&self) -> usize {
        let rest = &self.text[self.cursor..];
        let word = rest.len() - rest.trim_start().len();
        let end = rest[word..].find(char::is_whitespace);
        end.map_or(self.text.len(), |end| self.cursor + word + end)
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].rfind('\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        let rest = self.text[self.cursor..].find('\n');
        rest.map_or(self.text.len(), |at| self.cursor + at)
    }

    /// A line up; from the first one to what was written before.
    fn up(&mut self) {
        let start = self.line_start();
        if start > 0 {
            let column = self.text[start..self.cursor].chars().count();
            self.cursor = start - 1;
            self.move_to_column(column);
            return;
        }
        let at = self.back.as_ref().map_or(self.history.len(), |(at, _)| *at);
        let Some(earlier) = at.checked_sub(1) else {
            return;
        };
        let written = match self.back.take() {
            Some((_, written)) => written,
            None => self.text.clone(),
        };
        self.set(&self.history[earlier].clone());
        self.back = Some((earlier, written));
    }

    fn down(&mut self) {
        let end = self.line_end();
        if end < self.text.len() {
            let column = self.text[self.line_start()..self.cursor].chars().count();
            self.cursor = end + 1;
            self.move_to_column(column);
            return;
        }
        let Some((at, written)) = self.back.take() else {
            return;
        };
        match self.history.get(at + 1) {
            Some(later) => {
                self.set(&later.clone());
                self.back = Some((at + 1, written));
            }
            None => self.set(&written),
        }
    }

    /// To that character of the cursor's line, or its end.
    fn move_to_column(&mut self, column: usize) {
        let start = self.line_start();
        let line = &self.text[start..self.line_end()];
        let at = line
            .char_indices()
            .nth(column)
            .map_or(line.len(), |(at, _)| at);
        self.cursor = start + at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[Key]) -> Editor {
        let mut editor = Editor::default();
        for key in keys {
            editor.press(key);
        }
        editor
    }

    fn chars(text: &str) -> Vec<Key> {
        text.chars().map(Key::Char).collect()
    }

    #[test]
    fn text_is_changed_where_the_cursor_is() {
        let mut editor = typed(&chars("héllo wörld"));
        for key in [
            Key::WordLeft,
            Key::Backspace,
            Key::Char('_'),
            Key::End,
            Key::Char('!'),
        ] {
            editor.press(&key);
        }
        assert_eq!(editor.text(), "héllo_wörld!");
        for key in [Key::Home, Key::Delete, Key::Ctrl('k')] {
            editor.press(&key);
        }
        assert_eq!(editor.text(), "");
        editor.press(&Key::Backspace);
        editor.press(&Key::Delete);
        editor.press(&Key::Paste("a\tb\x1b[2J\nc".into()));
        assert_eq!(editor.text(), "a    b\nc");
        editor.press(&Key::Ctrl('w'));
        editor.press(&Key::Ctrl('u'));
        assert_eq!(editor.text(), "a    b\n");
    }

    #[test]
    fn what_was_written_comes_back_and_the_draft_too() {
        let mut editor = Editor::default();
        for text in ["first", "second", "second", " "] {
            editor.set(text);
            editor.take();
        }
        editor.set("draft");
        for (key, shown) in [
            (Key::Up, "second"),
            (Key::Up, "first"),
            (Key::Up, "first"),
            (Key::Down, "second"),
            (Key::Down, "draft"),
            (Key::Down, "draft"),
        ] {
            editor.press(&key);
            assert_eq!(editor.text(), shown, "{key:?}");
        }
    }

    #[test]
    fn up_and_down_keep_the_column_between_lines() {
        let mut editor = typed(&chars("abcd"));
        editor.press(&Key::NewLine);
        editor.press(&Key::Char('x'));
        editor.press(&Key::Up);
        editor.press(&Key::Char('|'));
        assert_eq!(editor.text(), "a|bcd\nx");
        editor.press(&Key::Down);
        editor.press(&Key::Char('y'));
        assert_eq!(editor.text(), "a|bcd\nxy");
    }

    #[test]
    fn the_cursor_is_shown_where_the_next_character_goes() {
        let editor = typed(&chars("abcd"));
        assert_eq!(editor.rows(4), (vec!["abcd".into(), String::new()], 1, 0));
        assert_eq!(editor.rows(10), (vec!["abcd".into()], 0, 4));
        let editor = typed(&[Key::Char('界'), Key::NewLine]);
        assert_eq!(editor.rows(10), (vec!["界".into(), String::new()], 1, 0));
    }
}
