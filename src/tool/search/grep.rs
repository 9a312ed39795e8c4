//! `grep`: lines of files that fit a pattern, with their surroundings.
//!
//! Files are streamed; a line longer than a bound is looked at only so far, and a file with a NUL
//! byte near its start is no text. Regular expressions are of the linear kind.

use super::super::files::{Files, Kind, Target};
use super::super::{Call, Context, Error, Output, Tool};
use super::walk::Walk;
use super::{Answer, glob, limit};
use regex_lite::{Regex, RegexBuilder};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};

const USUAL: usize = 100;
const MOST: usize = 5000;
/// Lines around a match.
const MAX_CONTEXT: usize = 100;
/// Characters of a line that are shown.
const MAX_SHOWN: usize = 500;
/// Bytes of a line that are searched.
const MAX_LINE: usize = 64 * 1024;
/// Bytes read in one search.
const MAX_READ: u64 = 1024 * 1024 * 1024;
/// Bytes at the start of a file in which a NUL says that it is no text.
const SNIFF: usize = 8 * 1024;
const MAX_PATTERN: usize = 10_000;
/// Compiled size of a pattern: some MB of memory.
const MAX_COMPILED: usize = 4 << 20;
/// Lines between two looks at the clock and the stop button.
const STRIDE: usize = 1000;

pub const TOOL: Tool = Tool {
    name: "grep",
    summary: "Search file contents for patterns",
    description: "Searches files for lines that fit a regular expression (or contain a literal \
        text) and gives them as path:line: text. What .gitignore names and what is not text is \
        passed over. Stops after 100 matches (see limit) or 50KB; lines are cut after 500 \
        characters.",
    parameters: r#"{"type":"object","required":["pattern"],"properties":{
        "pattern":{"description":"Regular expression, or text with literal","type":"string"},
        "path":{"description":"File or folder to search (default: the workspace)","type":"string"},
        "glob":{"description":"Only files whose name fits, e.g. '*.ts' or '**/*.spec.ts'","type":"string"},
        "ignoreCase":{"description":"Upper and lower case are the same (default false)","type":"boolean"},
        "literal":{"description":"The pattern is a text, not an expression (default false)","type":"boolean"},
        "context":{"description":"Lines shown before and after each match (default 0)","type":"number"},
        "limit":{"description":"Most matches (default 100)","type":"number"}}}"#,
    run,
};

/// What is looked for.
enum Needle {
    Text(String),
    Expression(Regex),
}

impl Needle {
    fn of(call: &Call) -> Result<Needle, Error> {
        let pattern = call.str("pattern").unwrap_or_default();
        if pattern.is_empty() || pattern.len() > MAX_PATTERN {
            return Err("The pattern is empty or too long".into());
        }
        let fold = call.flag("ignoreCase") == Some(true);
        let plain = regex_lite::escape(pattern);
        let literal = call.flag("literal") == Some(true) || plain == pattern;
        if literal && !fold {
            return Ok(Needle::Text(pattern.into()));
        }
        RegexBuilder::new(if literal { &plain } else { pattern })
            .case_insensitive(fold)
            .size_limit(MAX_COMPILED)
            .build()
            .map(Needle::Expression)
            .map_err(|err| {
                Error(format!(
                    "Not a usable regular expression: {err}. Use literal to search for the text \
                     itself."
                ))
            })
    }

    fn is_in(&self, line: &str) -> bool {
        match self {
            Needle::Text(text) => line.contains(text.as_str()),
            Needle::Expression(regex) => regex.is_match(line),
        }
    }
}

struct Search {
    needle: Needle,
    context: usize,
    limit: usize,
    count: usize,
    read: u64,
    cut: bool,
    more: bool,
    answer: Answer,
}

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let target = files.resolve(call.first_of(&["path"]).unwrap_or("."))?;
    let mut search = Search {
        needle: Needle::of(call)?,
        context: (call.number("context").unwrap_or_default().max(0.0) as usize).min(MAX_CONTEXT),
        limit: limit(call, USUAL, MOST),
        count: 0,
        read: 0,
        cut: false,
        more: false,
        answer: Answer::default(),
    };
    let mut walk = Walk::new(&files, ctx);
    if files.kind(&target)? == Kind::Folder {
        let names = match call.first_of(&["glob"]) {
            Some(glob) => Some((
                glob.contains('/'),
                glob::compile(glob.trim_start_matches('/'))
                    .ok_or_else(|| Error(format!("Not a usable glob pattern: {glob}")))?,
            )),
            None => None,
        };
        walk.run(&target, &mut |walk, found| {
            let name = found.inside.rsplit('/').next().unwrap_or_default();
            let wanted = names.as_ref().is_none_or(|(whole, pattern)| {
                pattern.is_match(if *whole { found.inside } else { name })
            });
            if found.folder || !wanted {
                return Ok(true);
            }
            search.file(&files, found.target, found.inside, walk)
        })?;
    } else {
        // Asked for by name: a file that cannot be read is an error.
        files.open(&target)?;
        let name = target.absolute.file_name().unwrap_or_default();
        search.file(&files, &target, &name.to_string_lossy(), &mut walk)?;
    }
    let mut answer = search.answer;
    if search.more {
        answer.notices.push(format!(
            "{0} matches limit reached. Use limit={1} for more, or refine pattern",
            search.limit,
            search.limit * 2
        ));
    }
    if search.cut {
        answer
            .notices
            .push("Some lines truncated to 500 chars. Use read tool to see full lines".into());
    }
    answer.notices.extend(walk.stopped.map(str::to_string));
    Ok(answer.finish("No matches found"))
}

impl Search {
    /// False when the search is over.
    fn file(
        &mut self,
        files: &Files,
        target: &Target,
        name: &str,
        walk: &mut Walk,
    ) -> Result<bool, Error> {
        // What vanished or may not be read is passed over, as grep does.
        let Ok(file) = files.open(target) else {
            return Ok(true);
        };
        let mut lines = BufReader::with_capacity(SNIFF, file);
        let head = lines.fill_buf().unwrap_or_default();
        if head.contains(&0) {
            return Ok(true);
        }
        let mut line = Vec::new();
        let mut number = 0;
        let mut before: VecDeque<(usize, String)> = VecDeque::new();
        let mut shown = 0;
        let mut after = 0;
        loop {
            if number % STRIDE == 0 && !walk.goes_on()? {
                return Ok(false);
            }
            let Some(length) = next_line(&mut lines, &mut line) else {
                return Ok(true);
            };
            number += 1;
            self.read += length;
            if self.read > MAX_READ {
                walk.stopped = Some("Stopped after reading 1 GiB: search a smaller folder");
                return Ok(false);
            }
            let text = String::from_utf8_lossy(&line);
            if self.needle.is_in(&text) {
                if self.count == self.limit {
                    self.more = true;
                    return Ok(false);
                }
                self.count += 1;
                let first = before.front().map_or(number, |(number, _)| *number);
                if self.context > 0 && shown > 0 && first > shown + 1 {
                    self.answer.line("--");
                }
                for (number, line) in before.drain(..) {
                    self.show(name, number, &line, '-');
                }
                self.show(name, number, &text, ':');
                (shown, after) = (number, self.context);
            } else if after > 0 {
                self.show(name, number, &text, '-');
                (shown, after) = (number, after - 1);
            } else if self.context > 0 {
                if before.len() == self.context {
                    before.pop_front();
                }
                before.push_back((number, text.chars().take(MAX_SHOWN + 1).collect()));
            }
            if self.answer.full {
                return Ok(false);
            }
        }
    }

    fn show(&mut self, name: &str, number: usize, text: &str, mark: char) {
        let text = text.trim_end_matches('\r');
        let shown = match text.char_indices().nth(MAX_SHOWN) {
            Some((end, _)) => {
                self.cut = true;
                &text[..end]
            }
            None => text,
        };
        let dots = if shown.len() < text.len() { "..." } else { "" };
        self.answer
            .line(&format!("{name}{mark}{number}{mark} {shown}{dots}"));
    }
}

/// The next line without its end, cut after [`MAX_LINE`] bytes; how many bytes it took.
fn next_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> Option<u64> {
    line.clear();
    let mut length = from
        .by_ref()
        .take(MAX_LINE as u64)
        .read_until(b'\n', line)
        .ok()? as u64;
    if length == 0 {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if length == MAX_LINE as u64 {
        length += from.skip_until(b'\n').ok()? as u64;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_and_the_next_one_whole() {
        let mut text = vec![b'x'; MAX_LINE * 3];
        text.extend_from_slice(b"\nsecond\n\nlast");
        let mut from = text.as_slice();
        let mut line = Vec::new();
        assert_eq!(
            next_line(&mut from, &mut line),
            Some(MAX_LINE as u64 * 3 + 1)
        );
        assert_eq!(line.len(), MAX_LINE);
        let mut rest = Vec::new();
        while next_line(&mut from, &mut line).is_some() {
            rest.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(rest, ["second", "", "last"]);
    }
}
