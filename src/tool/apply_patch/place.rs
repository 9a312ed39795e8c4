//! Finding the lines a chunk speaks of and putting its own in their place. Lines are compared as
//! they are, then without trailing spaces, then without any around them, then with typographic
//! marks in their plain form.

use super::super::Error;
use super::super::edit::plain;
use super::parse::Chunk;

const MARK: &str = "\u{feff}";
/// Lines compared for one file: seconds of work at most, whatever the lines are.
const MAX_COMPARED: usize = 20_000_000;

/// `old` with all chunks applied, one after the other from the top. Line ends and a byte order mark
/// stay what they were; the last line gets its end.
pub fn apply(old: &str, chunks: &[Chunk], path: &str) -> Result<String, Error> {
    let (mark, body) = match old.strip_prefix(MARK) {
        Some(body) => (MARK, body),
        None => ("", old),
    };
    if chunks.is_empty() {
        return Ok(old.to_string());
    }
    let crlf = body
        .find('\n')
        .is_some_and(|at| at > 0 && body.as_bytes()[at - 1] == b'\r');
    let end = if crlf { "\r\n" } else { "\n" };
    let mut lines: Vec<&str> = body.split('\n').collect();
    if lines.last() == Some(&"") {
        lines.pop();
    }
    let mut page = Page {
        lines: lines
            .iter()
            .map(|line| match crlf {
                true => line.strip_suffix('\r').unwrap_or(line),
                false => line,
            })
            .collect(),
        compared: 0,
    };
    let mut out = String::from(mark);
    let mut push = |lines: &[&str]| {
        for line in lines {
            out.push_str(line);
            out.push_str(end);
        }
    };
    let mut at = 0;
    for chunk in chunks {
        let (from, until, new) = page.locate(chunk, at, path)?;
        push(&page.lines[at..from]);
        push(new);
        at = until;
    }
    push(&page.lines[at..]);
    Ok(out)
}

struct Page<'a> {
    lines: Vec<&'a str>,
    compared: usize,
}

impl<'a> Page<'a> {
    /// Which lines go, and which come: from, until, the new ones.
    fn locate<'c>(
        &mut self,
        chunk: &'c Chunk<'c>,
        mut at: usize,
        path: &str,
    ) -> Result<(usize, usize, &'c [&'c str]), Error> {
        if let Some(context) = chunk.context {
            let found = self
                .find(&[context], at, false)?
                .ok_or_else(|| Error(format!("Could not find the line '{context}' in {path}")))?;
            at = found + 1;
        }
        if chunk.old.is_empty() {
            // Only new lines: behind the line that was named, else at the end.
            let end = match chunk.context {
                Some(_) if !chunk.at_end => at,
                _ => self.lines.len(),
            };
            return Ok((end, end, &chunk.new));
        }
        let (mut old, mut new) = (chunk.old.as_slice(), chunk.new.as_slice());
        let mut found = self.find(old, at, chunk.at_end)?;
        if let (None, Some((&"", less))) = (found, old.split_last()) {
            // The empty line behind the change was the patch's, not the file's.
            old = less;
            if let Some((&"", less)) = new.split_last() {
                new = less;
            }
            found = self.find(old, at, chunk.at_end)?;
        }
        match found {
            Some(from) => Ok((from, from + old.len(), new)),
            None => Err(Error(format!(
                "Could not find these lines in {path}; read it again:\n{}",
                chunk.old.join("\n")
            ))),
        }
    }

    fn find(&mut self, wanted: &[&str], from: usize, at_end: bool) -> Result<Option<usize>, Error> {
        let Some(last) = self.lines.len().checked_sub(wanted.len()) else {
            return Ok(None);
        };
        let ways: [fn(&str, &str) -> bool; 4] = [
            |a, b| a == b,
            |a, b| a.trim_end() == b.trim_end(),
            |a, b| a.trim() == b.trim(),
            |a, b| a.trim().chars().map(plain).eq(b.trim().chars().map(plain)),
        ];
        for same in ways {
            let end = at_end.then_some(last).filter(|last| *last >= from);
            for start in end.into_iter().chain(from..=last) {
                if self.fits(wanted, start, same)? {
                    return Ok(Some(start));
                }
            }
        }
        Ok(None)
    }

    fn fits(
        &mut self,
        wanted: &[&str],
        start: usize,
        same: fn(&str, &str) -> bool,
    ) -> Result<bool, Error> {
        for (offset, line) in wanted.iter().enumerate() {
            self.compared += 1;
            if self.compared > MAX_COMPARED {
                return Err("The file is too long for this patch. Change it with exec.".into());
            }
            if !same(self.lines[start + offset], line) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::{Hunk, hunks};
    use super::*;

    fn changed(old: &str, change: &str) -> Result<String, String> {
        let patch = format!("*** Begin Patch\n*** Update File: f\n{change}\n*** End Patch");
        let hunks = hunks(&patch).unwrap();
        let Hunk::Update { chunks, .. } = &hunks[0] else {
            panic!("an update");
        };
        apply(old, chunks, "f").map_err(|err| err.0)
    }

    #[test]
    fn chunks_are_applied_from_the_top() {
        assert_eq!(
            changed("a\nb\nc\nb\n", "@@\n a\n-b\n+B\n@@\n-b\n+X").unwrap(),
            "a\nB\nc\nX\n"
        );
        assert_eq!(
            changed("fn a\n x\nfn b\n x\n", "@@ fn b\n- x\n+ y").unwrap(),
            "fn a\n x\nfn b\n y\n",
            "the context says which of two"
        );
        assert_eq!(
            changed("x\ny\nx\n", "@@\n-x\n+z\n*** End of File").unwrap(),
            "x\ny\nz\n"
        );
        assert!(
            changed("a\n", "@@ nowhere\n-a")
                .unwrap_err()
                .contains("'nowhere'")
        );
        assert!(
            changed("a\n", "-b")
                .unwrap_err()
                .contains("read it again:\nb")
        );
    }

    #[test]
    fn new_lines_alone_go_behind_the_named_line_or_to_the_end() {
        assert_eq!(changed("a\nb\n", "@@ a\n+x").unwrap(), "a\nx\nb\n");
        assert_eq!(changed("a\nb\n", "@@\n+x").unwrap(), "a\nb\nx\n");
        assert_eq!(changed("", "+x").unwrap(), "x\n");
    }

    #[test]
    fn spaces_typography_marks_and_line_ends_are_forgiven_and_kept() {
        assert_eq!(changed("a  \n  b\n", "@@\n-a\n-b\n+c").unwrap(), "c\n");
        assert_eq!(changed("say “hi”\n", "-say \"hi\"\n+x").unwrap(), "x\n");
        assert_eq!(
            changed("\u{feff}a\r\nb\r\nc", "@@\n-b\n+x\n+y").unwrap(),
            "\u{feff}a\r\nx\r\ny\r\nc\r\n"
        );
        assert_eq!(changed("a\nb\n", "@@\n-a\n+x\n").unwrap(), "x\nb\n");
    }

    #[test]
    fn a_file_of_equal_lines_is_not_searched_for_ever() {
        let old = "a\n".repeat(100_000);
        let change = format!("@@\n{}-b", "-a\n".repeat(5000));
        assert!(changed(&old, &change).unwrap_err().contains("too long"));
    }
}
