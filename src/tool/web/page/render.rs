//! A part of a page as Markdown, or as plain text with the same lines.

use super::super::address::Address;
use super::main_part::Part;
use super::tree::{Id, Tag, Tree};

/// Quotes and lists within each other that are still shown as such.
const MAX_NESTED: usize = 8;
const MAX_LANGUAGE: usize = 20;

struct Page<'a> {
    tree: &'a Tree,
    part: &'a Part,
    base: &'a Address,
    markdown: bool,
    out: String,
    /// Line ends due before the next word; 2 is an empty line.
    due: usize,
    /// What each line begins with, and what the last one began with.
    prefix: String,
    last_prefix: String,
    /// A list's mark for the next line, and where in the prefix it stands.
    mark: Option<(usize, String)>,
    /// Within what becomes one line.
    inline: usize,
    raw: bool,
    /// At the start of preformatted text, where one line end does not count.
    fresh: bool,
    max: usize,
}

/// The text, at most about `max` characters of it, and whether that was not enough.
pub fn render(
    tree: &Tree,
    part: &Part,
    base: &Address,
    markdown: bool,
    max: usize,
) -> (String, bool) {
    let mut page = Page {
        tree,
        part,
        base,
        markdown,
        out: String::new(),
        due: 0,
        prefix: String::new(),
        last_prefix: String::new(),
        inline: 0,
        mark: None,
        raw: false,
        fresh: false,
        // A character has up to four bytes.
        max: max.saturating_mul(4).saturating_add(1),
    };
    for root in &part.roots {
        page.node(*root);
        page.block(2);
    }
    let full = page.is_full();
    page.out.truncate(page.out.trim_end().len());
    (page.out, full)
}

impl Page<'_> {
    fn is_full(&self) -> bool {
        self.out.len() >= self.max
    }

    fn children(&mut self, id: Id) {
        let mut next = self.tree.nodes[id].first;
        while let Some(id) = next {
            self.node(id);
            next = self.tree.nodes[id].next;
        }
    }

    fn node(&mut self, id: Id) {
        if self.part.skipped[id] || self.is_full() {
            return;
        }
        match self.tree.nodes[id].tag {
            Tag::Text => self.text(self.tree.value(id)),
            Tag::Hidden => {}
            Tag::Root | Tag::Inline => self.children(id),
            Tag::Break if self.raw => self.text("\n"),
            Tag::Break => self.block(1),
            Tag::Rule => {
                self.block(2);
                self.word(if self.markdown { "---" } else { "" });
                self.block(2);
            }
            Tag::Heading(level) => {
                self.block(2);
                let marks = format!("{} ", "#".repeat(usize::from(level)));
                self.line(id, &marks);
                self.block(2);
            }
            Tag::Strong => self.marked(id, "**"),
            Tag::Emphasis => self.marked(id, "*"),
            Tag::Code if self.raw => self.children(id),
            Tag::Code => self.code(id),
            Tag::Link => self.link(id),
            Tag::Image => self.image(id),
            Tag::Pre if self.inline > 0 && !self.raw => self.code(id),
            Tag::Pre => self.pre(id),
            Tag::Quote => {
                self.block(2);
                self.within(id, if self.markdown { "> " } else { "" });
                self.block(2);
            }
            Tag::List | Tag::Ordered => self.list(id),
            Tag::Item => {
                self.block(1);
                self.item(id, "- ");
            }
            Tag::Term => {
                self.block(1);
                self.marked(id, "**");
                self.block(1);
            }
            Tag::Table => {
                self.block(2);
                self.children(id);
                self.block(2);
            }
            Tag::Row => self.row(id),
            Tag::Cell | Tag::HeadCell => {
                self.block(1);
                self.children(id);
                self.block(1);
            }
            Tag::Paragraph | Tag::Article | Tag::Around | Tag::Block => {
                self.block(2);
                self.children(id);
                self.block(2);
            }
        }
    }

    /// The next word begins a line, after an empty one for 2.
    fn block(&mut self, lines: usize) {
        self.due = self.due.max(lines);
    }

    fn break_line(&mut self) {
        if self.due > 0 && !self.out.is_empty() {
            self.out
                .truncate(self.out.trim_end_matches([' ', '\t']).len());
            self.out.push('\n');
            if self.due > 1 {
                // What both sides have stands before the empty line, too.
                let pairs = self.prefix.bytes().zip(self.last_prefix.bytes());
                let shared = pairs.take_while(|(a, b)| a == b).count();
                self.out.push_str(self.prefix[..shared].trim_end());
                self.out.push('\n');
            }
        }
        if self.due > 0 || self.out.is_empty() {
            self.out.push_str(&self.prefix);
            self.last_prefix.clone_from(&self.prefix);
        }
        self.due = 0;
        if let Some((at, mark)) = self.mark.take() {
            let at = self.out.len() - self.prefix.len() + at;
            self.out.replace_range(at..at + mark.len(), &mark);
        }
    }

    fn word(&mut self, word: &str) {
        if !word.is_empty() {
            self.break_line();
            let room = self.max.saturating_sub(self.out.len());
            let mut end = (0..=room.min(word.len())).rev();
            let end = end.find(|at| word.is_char_boundary(*at));
            self.out.push_str(&word[..end.unwrap_or(0)]);
        }
    }

    fn text(&mut self, text: &str) {
        if self.raw {
            let text = match std::mem::take(&mut self.fresh) {
                true => text.strip_prefix('\n').unwrap_or(text),
                false => text,
            };
            // The prefix goes before each line of it.
            for (n, line) in text.split('\n').enumerate() {
                if n > 0 {
                    self.break_line();
                    self.due = 1;
                    if self.is_full() {
                        return;
                    }
                }
                let line = line.trim_end_matches('\r');
                self.word(line);
            }
            return;
        }
        if text.starts_with(is_space) {
            self.space();
        }
        for (n, word) in text.split(is_space).filter(|w| !w.is_empty()).enumerate() {
            if self.is_full() {
                return;
            }
            if n > 0 {
                self.space();
            }
            self.word(word);
        }
        if text.ends_with(is_space) {
            self.space();
        }
    }

    fn space(&mut self) {
        if self.due == 0 && !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
            self.out.push(' ');
        }
    }

    /// What `show` writes, taken back out of the page: on one line, without space around it; and
    /// whether there was a space behind.
    fn taken(&mut self, show: impl FnOnce(&mut Self)) -> (String, bool) {
        let due = std::mem::take(&mut self.due);
        let mark = self.mark.take();
        let prefix = std::mem::take(&mut self.prefix);
        let last_prefix = std::mem::take(&mut self.last_prefix);
        let outer = std::mem::take(&mut self.out);
        let max = self.max;
        self.max = max.saturating_sub(outer.len());
        self.inline += 1;
        show(self);
        self.inline -= 1;
        self.max = max;
        let inner = std::mem::replace(&mut self.out, outer);
        self.prefix = prefix;
        self.last_prefix = last_prefix;
        self.mark = mark;
        self.due = due;
        let words: Vec<&str> = inner.split_whitespace().collect();
        (words.join(" "), inner.ends_with(is_space))
    }

    fn line(&mut self, id: Id, mark: &str) {
        let (text, _) = self.taken(|page| page.children(id));
        if !text.is_empty() {
            let mark = if self.markdown && self.inline == 0 {
                mark
            } else {
                ""
            };
            self.word(&format!("{mark}{text}"));
        }
    }

    /// Inline: the words of `id`, as `wrap` makes them. Blanks before the first word and behind the
    /// last are no part of what is wrapped.
    fn wrapped(&mut self, id: Id, wrap: impl FnOnce(String) -> String) {
        let leading = self.starts_with_space(id);
        let (text, behind) = self.taken(|page| page.children(id));
        if leading {
            self.space();
        }
        if text.is_empty() {
            return;
        }
        self.word(&wrap(text));
        if behind {
            self.space();
        }
    }

    /// Inline: `mark` on both sides.
    fn marked(&mut self, id: Id, mark: &str) {
        if !self.markdown || self.raw {
            return self.children(id);
        }
        self.wrapped(id, |text| {
            let bare = text.contains('*') || text.contains("](");
            let mark = if bare { "" } else { mark };
            format!("{mark}{text}{mark}")
        });
    }

    fn starts_with_space(&self, id: Id) -> bool {
        let first = self.tree.nodes[id].first;
        first.is_some_and(|id| {
            self.tree.nodes[id].tag == Tag::Text && self.tree.value(id).starts_with(is_space)
        })
    }

    fn code(&mut self, id: Id) {
        let markdown = self.markdown;
        self.wrapped(id, |text| {
            let mark = match markdown {
                false => "",
                true if text.contains('`') => "``",
                true => "`",
            };
            format!("{mark}{text}{mark}")
        });
    }

    fn link(&mut self, id: Id) {
        let target = self.tree.value(id);
        let here = target.is_empty() || target.starts_with('#');
        let leads = match self.markdown && !self.raw && !here {
            true => self.base.join(target),
            false => None,
        };
        let Some(leads) = leads else {
            return self.children(id);
        };
        self.wrapped(id, |text| {
            let leads = leads.to_string().replace('(', "%28").replace(')', "%29");
            format!("[{text}]({leads})")
        });
    }

    fn image(&mut self, id: Id) {
        let about: Vec<&str> = self.tree.about(id).split_whitespace().collect();
        if about.is_empty() || self.raw || !self.markdown {
            return;
        }
        if let Some(from) = self.base.join(self.tree.value(id)) {
            self.word(&format!("![{}]({from})", about.join(" ")));
        }
    }

    fn pre(&mut self, id: Id) {
        self.block(2);
        if self.raw {
            return self.children(id);
        }
        let inner = self.tree.nodes[id].first;
        let language = [Some(id), inner]
            .into_iter()
            .flatten()
            .filter(|id| matches!(self.tree.nodes[*id].tag, Tag::Pre | Tag::Code))
            .map(|id| self.tree.value(id))
            .find(|language| !language.is_empty())
            .unwrap_or_default();
        let language: String = language
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "+-#_.".contains(*c))
            .take(MAX_LANGUAGE)
            .collect();
        if self.markdown {
            self.word(&format!("```{language}"));
            self.block(1);
        }
        (self.raw, self.fresh) = (true, true);
        self.children(id);
        (self.raw, self.fresh) = (false, false);
        if self.markdown {
            self.due = 1;
            self.word("```");
        }
        self.block(2);
    }

    fn within(&mut self, id: Id, prefix: &str) {
        let length = self.prefix.len();
        if self.prefix.len() < MAX_NESTED * 3 {
            self.prefix.push_str(prefix);
        }
        self.children(id);
        self.prefix.truncate(length);
    }

    fn list(&mut self, id: Id) {
        // A list within an item stands right below its words.
        self.block(if self.prefix.is_empty() { 2 } else { 1 });
        let ordered = self.tree.nodes[id].tag == Tag::Ordered;
        let mut number = 0;
        let mut next = self.tree.nodes[id].first;
        while let Some(child) = next {
            next = self.tree.nodes[child].next;
            if self.part.skipped[child] || self.is_full() {
                continue;
            }
            if self.tree.nodes[child].tag != Tag::Item {
                self.node(child);
                continue;
            }
            number += 1;
            let mark = match ordered {
                true => format!("{number}. "),
                false => "- ".into(),
            };
            self.block(1);
            self.item(child, &mark);
        }
        self.block(if self.prefix.is_empty() { 2 } else { 1 });
    }

    fn item(&mut self, id: Id, mark: &str) {
        let length = self.prefix.len();
        if length < MAX_NESTED * 3 {
            self.prefix.push_str(&" ".repeat(mark.len()));
            self.mark = Some((length, mark.into()));
        }
        // Paragraphs of an item stand close together.
        let before = self.out.len();
        self.children(id);
        if self.out.len() == before {
            self.mark = None;
        }
        self.prefix.truncate(length);
        self.due = 1;
    }

    fn row(&mut self, id: Id) {
        let cells: Vec<Id> = self
            .tree
            .children(id)
            .filter(|id| {
                matches!(self.tree.nodes[*id].tag, Tag::Cell | Tag::HeadCell)
                    && !self.part.skipped[*id]
            })
            .collect();
        self.block(1);
        // One cell is layout, and so is one that holds whole blocks.
        let layout = cells.iter().any(|cell| {
            self.tree.children(*cell).any(|id| {
                matches!(
                    self.tree.nodes[id].tag,
                    Tag::Table | Tag::List | Tag::Ordered | Tag::Pre | Tag::Heading(_)
                )
            })
        });
        if cells.len() < 2 || layout {
            self.children(id);
            self.block(1);
            return;
        }
        let texts: Vec<String> = cells
            .iter()
            .map(|cell| self.taken(|page| page.children(*cell)).0)
            .collect();
        if texts.iter().all(String::is_empty) {
            return;
        }
        if !self.markdown {
            self.word(&texts.join("\t"));
            self.block(1);
            return;
        }
        let escaped: Vec<String> = texts.iter().map(|text| text.replace('|', "\\|")).collect();
        self.word(&format!("| {} |", escaped.join(" | ")));
        self.block(1);
        if cells
            .iter()
            .all(|id| self.tree.nodes[*id].tag == Tag::HeadCell)
        {
            self.word(&format!("|{}", " --- |".repeat(cells.len())));
            self.block(1);
        }
    }
}

/// Blanks that HTML joins, and invisible ones.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\n' | '\t' | '\r' | '\u{c}' | '\u{a0}')
}
