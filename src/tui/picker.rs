//! A list to choose from, laid over the conversation: type to narrow it, arrows, Enter, Escape.

use super::keys::Key;
use super::screen::{Row, Style};
use super::text::clean;

/// Entries kept; a list of models or sessions may be long.
const MAX_ITEMS: usize = 2000;

pub struct Item {
    /// What choosing it means.
    pub value: String,
    pub text: String,
}

impl Item {
    pub fn new(value: &str, text: &str) -> Item {
        Item {
            value: value.into(),
            text: clean(text).replace('\n', " "),
        }
    }
}

pub struct Picker {
    title: String,
    items: Vec<Item>,
    filter: String,
    chosen: usize,
}

pub enum Answer {
    Open,
    Chosen(String),
    Left,
}

impl Picker {
    pub fn new(title: &str, mut items: Vec<Item>) -> Picker {
        items.truncate(MAX_ITEMS);
        Picker {
            title: title.into(),
            items,
            filter: String::new(),
            chosen: 0,
        }
    }

    pub fn press(&mut self, key: &Key) -> Answer {
        let count = self.fitting().count();
        match key {
            Key::Escape | Key::Ctrl('c') => return Answer::Left,
            Key::Enter => {
                return match self.fitting().nth(self.chosen) {
                    Some(item) => Answer::Chosen(item.value.clone()),
                    None => Answer::Open,
                };
            }
            Key::Up => self.chosen = self.chosen.saturating_sub(1),
            Key::Down => self.chosen = (self.chosen + 1).min(count.saturating_sub(1)),
            Key::PageUp => self.chosen = self.chosen.saturating_sub(10),
            Key::PageDown => self.chosen = (self.chosen + 10).min(count.saturating_sub(1)),
            Key::Backspace => {
                self.filter.pop();
                self.chosen = 0;
            }
            Key::Char(c) => {
                self.filter.push(*c);
                self.chosen = 0;
            }
            _ => {}
        }
        Answer::Open
    }

    pub fn rows(&self, wanted: usize) -> Vec<Row> {
        let mut rows = vec![Row::new(
            Style::Accent,
            format!("{}: {}_", self.title, self.filter),
        )];
        let room = wanted.saturating_sub(2);
        let from = self.chosen.saturating_sub(room.saturating_sub(1));
        for (at, item) in self.fitting().enumerate().skip(from).take(room) {
            let style = match at == self.chosen {
                true => Style::Reverse,
                false => Style::Plain,
            };
            rows.push(Row::new(style, format!("  {}", item.text)));
        }
        if rows.len() == 1 {
            rows.push(Row::new(Style::Dim, "  nothing fits".into()));
        }
        rows.resize(
            wanted.saturating_sub(1),
            Row::new(Style::Plain, String::new()),
        );
        let help = "  type to narrow · Enter chooses · Escape leaves";
        rows.push(Row::new(Style::Dim, help.into()));
        rows
    }

    fn fitting(&self) -> impl Iterator<Item = &Item> {
        let words: Vec<String> = self
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        self.items.iter().filter(move |item| {
            let text = item.text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_narrows_the_list_and_enter_takes_the_chosen() {
        let items = [
            "openai/gpt",
            "anthropic/claude opus",
            "anthropic/claude haiku",
        ];
        let items = items
            .iter()
            .map(|text| Item::new(&format!("v {text}"), text));
        let mut picker = Picker::new("Model", items.collect());
        for c in "haiku ant".chars() {
            picker.press(&Key::Char(c));
        }
        assert!(
            matches!(picker.press(&Key::Enter), Answer::Chosen(v) if v == "v anthropic/claude haiku")
        );
        picker.press(&Key::Char('x'));
        assert!(matches!(picker.press(&Key::Enter), Answer::Open));
        assert!(picker.rows(6)[1].text.contains("nothing fits"));
        for _ in 0..10 {
            picker.press(&Key::Backspace);
            picker.press(&Key::Down);
        }
        assert!(matches!(picker.press(&Key::Escape), Answer::Left));
        assert_eq!(picker.rows(6).len(), 6);
    }
}
