//! The conversation as shown: entries, each a few rows, the latest at the bottom.

use super::screen::{Row, Style};
use super::text::{clean, cut, wrap};
use serde_json::Value;

/// Older entries are let go; the gateway has them.
const MAX_ENTRIES: usize = 1000;
/// Of one entry; a longer answer is in the transcript.
const MAX_TEXT: usize = 200_000;
/// Rows of a tool's result that show while it is folded.
const FOLDED: usize = 12;

pub enum Entry {
    Person(String),
    Agent {
        run: String,
        thoughts: String,
        text: String,
    },
    Tool {
        id: String,
        name: String,
        args: String,
        result: String,
        state: ToolState,
    },
    Note(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolState {
    Running,
    Done,
    Failed,
}

/// What of the entries is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub columns: usize,
    /// Whole results of tools.
    pub unfolded: bool,
    pub thoughts: bool,
}

#[derive(Default)]
pub struct Log {
    entries: Vec<Shown>,
}

/// An entry with its rows, as long as neither changes.
struct Shown {
    entry: Entry,
    rows: Option<(View, Vec<Row>)>,
}

impl Log {
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    pub fn note(&mut self, text: &str) {
        self.push(Entry::Note(bounded(text)));
    }

    pub fn person(&mut self, text: &str) {
        self.push(Entry::Person(bounded(text)));
    }

    /// The answer of `run` so far, which is what was said until now and more.
    pub fn agent(&mut self, run: &str, thoughts: &str, text: &str) {
        let (new_thoughts, new_text) = (bounded(thoughts), bounded(text));
        // A run that called a tool goes on below the tool.
        let last = self
            .entries
            .last_mut()
            .filter(|shown| matches!(&shown.entry, Entry::Agent { run: of, .. } if of == run));
        match last {
            Some(shown) => {
                shown.rows = None;
                if let Entry::Agent { thoughts, text, .. } = &mut shown.entry {
                    *text = new_text;
                    if !new_thoughts.is_empty() {
                        *thoughts = new_thoughts;
                    }
                }
            }
            None => self.push(Entry::Agent {
                run: run.into(),
                thoughts: new_thoughts,
                text: new_text,
            }),
        }
    }

    /// Whether the run has said anything since its last tool.
    pub fn has_said(&self, run: &str) -> bool {
        self.entries.last().is_some_and(|shown| {
            matches!(&shown.entry, Entry::Agent { run: of, text, .. } if of == run && !text.is_empty())
        })
    }

    pub fn tool(&mut self, id: &str, name: &str, args: &Value) {
        let args = match args {
            Value::Null => String::new(),
            // One argument says more without its braces.
            Value::Object(map) if map.len() == 1 => {
                let (key, value) = map.iter().next().expect("one");
                format!("{key}: {}", plain(value))
            }
            args => args.to_string(),
        };
        self.push(Entry::Tool {
            id: id.into(),
            name: bounded(name),
            args: bounded(&args),
            result: String::new(),
            state: ToolState::Running,
        });
    }

    pub fn tool_result(&mut self, id: &str, new: &str, now: ToolState) {
        let found = self
            .entries
            .iter_mut()
            .rev()
            .find(|shown| matches!(&shown.entry, Entry::Tool { id: of, .. } if of == id));
        let Some(shown) = found else {
            return;
        };
        shown.rows = None;
        if let Entry::Tool { result, state, .. } = &mut shown.entry {
            *state = now;
            if !new.is_empty() {
                *result = bounded(new.trim_end());
            }
        }
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.remove(0);
        }
        self.entries.push(Shown { entry, rows: None });
    }

    /// The rows of all entries, the last `wanted` of them before the last `skip`; and whether there
    /// are any above.
    pub fn rows(&mut self, view: View, wanted: usize, skip: usize) -> (Vec<Row>, bool) {
        let mut rows: Vec<Row> = Vec::new();
        for shown in self.entries.iter_mut().rev() {
            if rows.len() > wanted + skip {
                break;
            }
            if shown.rows.as_ref().is_none_or(|(of, _)| *of != view) {
                shown.rows = Some((view, entry_rows(&shown.entry, view)));
            }
            let own = shown.rows.as_ref().map_or(&[][..], |(_, rows)| rows);
            rows.extend(own.iter().rev().cloned());
        }
        let more = rows.len() > wanted + skip;
        let skip = skip.min(rows.len().saturating_sub(wanted));
        let mut seen: Vec<Row> = rows.drain(skip..).take(wanted).collect();
        seen.reverse();
        (seen, more)
    }
}

/// Safe to show, and of a length that can be kept.
fn bounded(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    clean(&text[..end])
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), String::from)
}

fn entry_rows(entry: &Entry, view: View) -> Vec<Row> {
    let columns = view.columns;
    let mut rows = Vec::new();
    let mut add = |style: Style, mark: &str, text: &str| {
        let inside = columns.saturating_sub(2);
        for (at, row) in wrap(text, inside).into_iter().enumerate() {
            let mark = if at == 0 { mark } else { "  " };
            rows.push(Row::new(style, format!("{mark}{row}")));
        }
    };
    match entry {
        Entry::Person(text) => add(Style::Bold, "> ", text),
        Entry::Note(text) => add(Style::Dim, "· ", text),
        Entry::Agent { thoughts, text, .. } => {
            if view.thoughts && !thoughts.is_empty() {
                add(Style::Dim, "~ ", thoughts);
            }
            if !text.is_empty() {
                add(Style::Plain, "  ", text);
            }
        }
        Entry::Tool {
            name,
            args,
            result,
            state,
            ..
        } => {
            let (style, word) = match state {
                ToolState::Running => (Style::Accent, "…"),
                ToolState::Done => (Style::Good, "done"),
                ToolState::Failed => (Style::Bad, "failed"),
            };
            let first = args.lines().next().unwrap_or_default();
            let args = if view.unfolded { args } else { first };
            add(style, "* ", &format!("{name} {args} ({word})"));
            let lines: Vec<&str> = result.lines().collect();
            let shown = if view.unfolded { lines.len() } else { FOLDED };
            for line in lines.iter().take(shown) {
                match view.unfolded {
                    true => add(Style::Dim, "  ", line),
                    false => add(Style::Dim, "  ", &cut(line, columns.saturating_sub(2))),
                }
            }
            if lines.len() > shown {
                let more = lines.len() - shown;
                add(Style::Dim, "  ", &format!("({more} lines more: Ctrl-O)"));
            }
        }
    }
    rows.push(Row::new(Style::Plain, String::new()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const VIEW: View = View {
        columns: 20,
        unfolded: false,
        thoughts: false,
    };

    fn text(log: &mut Log, view: View) -> String {
        let (rows, _) = log.rows(view, 1000, 0);
        rows.iter().map(|row| format!("{}\n", row.text)).collect()
    }

    #[test]
    fn an_answer_grows_in_place_and_goes_on_below_its_tools() {
        let mut log = Log::default();
        log.person("hi");
        log.agent("r", "", "Let me");
        log.agent("r", "", "Let me look");
        log.tool("t", "exec", &json!({"command": "ls"}));
        log.tool_result("t", "a\nb\n", ToolState::Done);
        log.tool_result("unknown", "x", ToolState::Done);
        assert!(!log.has_said("r"));
        log.agent("r", "hm", "Two files");
        assert!(log.has_said("r"));
        assert_eq!(
            text(&mut log, VIEW),
            "> hi\n\n  Let me look\n\n* exec command: ls \n  (done)\n  a\n  b\n\n  Two files\n\n"
        );
        let thinking = View {
            thoughts: true,
            ..VIEW
        };
        assert!(text(&mut log, thinking).contains("~ hm\n"));
    }

    #[test]
    fn a_long_result_is_folded_until_asked_for() {
        let mut log = Log::default();
        log.tool("t", "read", &Value::Null);
        let lines: Vec<String> = (0..40).map(|n| format!("line {n}")).collect();
        log.tool_result("t", &lines.join("\n"), ToolState::Done);
        let folded = text(&mut log, VIEW);
        assert!(folded.contains("line 11\n") && !folded.contains("line 12\n"));
        assert!(folded.contains("(28 lines more:"), "{folded}");
        let unfolded = View {
            unfolded: true,
            ..VIEW
        };
        assert!(text(&mut log, unfolded).contains("line 39\n"));
    }

    #[test]
    fn the_window_is_the_last_rows_or_further_up() {
        let mut log = Log::default();
        for n in 0..30 {
            log.note(&format!("n{n}"));
        }
        let (rows, more) = log.rows(VIEW, 4, 0);
        let words: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!((words, more), (vec!["· n28", "", "· n29", ""], true));
        let (rows, more) = log.rows(VIEW, 4, 1_000);
        let words: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!((words, more), (vec!["· n0", "", "· n1", ""], false));
    }

    #[test]
    fn what_it_keeps_is_bounded() {
        let mut log = Log::default();
        for n in 0..MAX_ENTRIES + 5 {
            log.note(&n.to_string());
        }
        assert_eq!(log.entries.len(), MAX_ENTRIES);
        log.agent("r", "", &"é".repeat(MAX_TEXT));
        log.agent("r", "", "\x1b[2Jx");
        assert!(text(&mut log, VIEW).ends_with("  x\n\n"));
    }
}
