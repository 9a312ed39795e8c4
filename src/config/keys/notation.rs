//! Keys written as a text: a name and a kind, many to a line. `channels.txt` says how.

use super::kind::{ANY, BOOL, Form, INTEGER, Key, Kind, Mark, NUMBER, Range, TEXT};

pub fn key(name: &'static str, kind: Kind, required: bool) -> Key {
    Key {
        text: name,
        kind,
        mark: match required {
            true => Mark::Required,
            false => Mark::Optional,
        },
    }
}

/// Reads the table, which is ours: what it cannot read is a mistake the tests find. What it makes
/// lives as long as the process, once.
pub struct Reader {
    text: &'static str,
}

impl Reader {
    /// All that a table holds: names with the keys of each.
    pub fn blocks(text: &'static str) -> Vec<Key> {
        let mut reader = Reader { text };
        let mut keys = Vec::new();
        while let Some(name) = reader.name() {
            keys.push(key(name, Kind::Object(reader.block()), false));
        }
        keys
    }

    /// The next word that is a name; `None` at the end of a block or of the table.
    fn name(&mut self) -> Option<&'static str> {
        loop {
            self.text = self.text.trim_start();
            match self.text.starts_with(['#', ':']) {
                true => self.text = self.text.split_once('\n').map_or("", |(_, rest)| rest),
                false => break,
            }
        }
        let end = self.text.find(char::is_whitespace)?;
        match self.text.starts_with('}') {
            true => None,
            false => Some(self.cut(end)),
        }
    }

    fn cut(&mut self, at: usize) -> &'static str {
        let (head, rest) = self.text.split_at(at);
        self.text = rest;
        head
    }

    fn eat(&mut self, what: &str) -> bool {
        match self.text.strip_prefix(what) {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, what: &str) {
        assert!(self.eat(what), "{what} expected before {:.40}", self.text);
    }

    /// `{ name kind … }`.
    fn block(&mut self) -> &'static [Key] {
        self.text = self.text.trim_start();
        self.expect("{");
        let mut keys: Vec<Key> = Vec::new();
        loop {
            self.text = self.text.trim_start();
            if self.eat("}") {
                return keys.leak();
            }
            let Some(name) = self.name() else {
                panic!("a name expected before {:.40}", self.text);
            };
            self.text = self.text.trim_start();
            let kind = self.kind(&keys);
            let bare = name.trim_end_matches('!');
            keys.push(key(bare, kind, bare.len() < name.len()));
        }
    }

    /// `above` are the settings an `@` repeats.
    fn kind(&mut self, above: &[Key]) -> Kind {
        let first = self.one(above);
        if !self.text.starts_with('/') {
            return first;
        }
        let mut all = vec![first];
        while self.eat("/") {
            all.push(self.one(above));
        }
        Kind::Union(all.leak())
    }

    fn one(&mut self, above: &[Key]) -> Kind {
        let leak = |kind: Kind| -> &'static Kind { Box::leak(Box::new(kind)) };
        if self.text.starts_with('{') {
            return Kind::Object(self.block());
        }
        if self.eat("[") {
            let item = self.kind(above);
            self.expect("]");
            return Kind::List(leak(item));
        }
        if self.eat("<") {
            let item = self.kind(above);
            self.expect(">");
            return Kind::Map(leak(item));
        }
        if self.eat("@") {
            return Kind::Object(self.again(above));
        }
        let word = self.word();
        let choices = |words: &'static str| words.split('|').collect::<Vec<_>>().leak();
        if let Some(words) = word.strip_prefix('=') {
            return Kind::Choice(choices(words));
        }
        if let Some(words) = word.strip_prefix('\'') {
            return Kind::Literals(choices(words));
        }
        match word {
            "b" => BOOL,
            "s" => TEXT,
            "s1" => super::kind::NON_EMPTY,
            "n" => NUMBER,
            "i" => INTEGER,
            "?" => ANY,
            "tel" => Kind::Form(Form::E164),
            "exe" => Kind::Form(Form::Executable),
            bounded => match bounded.split_at(1) {
                ("n", range) => Kind::Number(bounds(range)),
                ("i", range) => Kind::Int(bounds(range)),
                _ => panic!("no kind: {bounded}"),
            },
        }
    }

    fn again(&mut self, above: &[Key]) -> &'static [Key] {
        let without: Vec<&str> = match self.eat("-") {
            true => self.word_until(&['+', '>']).split(',').collect(),
            false => Vec::new(),
        };
        let stays = |key: &&Key| !without.contains(&key.name());
        let mut keys: Vec<Key> = above.iter().filter(stays).copied().collect();
        if self.eat("+") {
            keys.extend(self.block());
        }
        keys.leak()
    }

    fn word(&mut self) -> &'static str {
        // A bound has a `>` of its own.
        let skip = if self.text.starts_with(['n', 'i']) {
            3
        } else {
            0
        };
        let end = self
            .text
            .char_indices()
            .find(|(at, c)| c.is_whitespace() || "]}/".contains(*c) || (*c == '>' && *at >= skip))
            .map_or(self.text.len(), |(at, _)| at);
        self.cut(end)
    }

    fn word_until(&mut self, ends: &[char]) -> &'static str {
        let end = self.text.find(ends).unwrap_or(self.text.len());
        self.cut(end)
    }
}

fn bounds(range: &str) -> Range {
    let number = |text: &str| -> f64 { text.parse().expect("a bound is a number") };
    if let Some(min) = range.strip_prefix(">=") {
        return Range::From(number(min));
    }
    if let Some(above) = range.strip_prefix('>') {
        return Range::Above(number(above));
    }
    let (min, max) = range.split_once("..").expect("a range has two ends");
    Range::Between(number(min), number(max))
}
