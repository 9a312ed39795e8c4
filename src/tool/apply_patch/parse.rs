//! The patch's text, as its parts. Knows nothing of files.

use super::super::Error;

const BEGIN: &str = "*** Begin Patch";
const END: &str = "*** End Patch";
const ADD: &str = "*** Add File: ";
const DELETE: &str = "*** Delete File: ";
const UPDATE: &str = "*** Update File: ";
const MOVE: &str = "*** Move to: ";
const END_OF_FILE: &str = "*** End of File";

#[derive(Debug, PartialEq)]
pub enum Hunk<'a> {
    Add {
        path: &'a str,
        content: String,
    },
    Delete {
        path: &'a str,
    },
    Update {
        path: &'a str,
        to: Option<&'a str>,
        chunks: Vec<Chunk<'a>>,
    },
}

/// One place of a file.
#[derive(Debug, Default, PartialEq)]
pub struct Chunk<'a> {
    /// A line before the place, after `@@`.
    pub context: Option<&'a str>,
    pub old: Vec<&'a str>,
    pub new: Vec<&'a str>,
    /// The old lines are the file's last.
    pub at_end: bool,
}

/// The lines in hand, and where they are in the patch.
struct Lines<'a> {
    lines: Vec<&'a str>,
    at: usize,
    /// Lines of the input before the first.
    skipped: usize,
}

pub fn hunks(input: &str) -> Result<Vec<Hunk<'_>>, Error> {
    let mut lines = unwrap(input)?;
    let mut hunks = Vec::new();
    while let Some(line) = lines.peek() {
        let head = line.trim();
        if head.is_empty() {
            lines.at += 1;
        } else if let Some(path) = head.strip_prefix(ADD) {
            lines.at += 1;
            hunks.push(Hunk::Add {
                path: named(path, &lines)?,
                content: added(&mut lines),
            });
        } else if let Some(path) = head.strip_prefix(DELETE) {
            lines.at += 1;
            hunks.push(Hunk::Delete {
                path: named(path, &lines)?,
            });
        } else if let Some(path) = head.strip_prefix(UPDATE) {
            lines.at += 1;
            hunks.push(update(named(path, &lines)?, &mut lines)?);
        } else {
            return Err(lines.wrong(
                "starts no hunk; one of '*** Add File: path', '*** Delete File: path', \
                 '*** Update File: path' was expected",
            ));
        }
    }
    Ok(hunks)
}

/// The lines between the first and the last, without the here-document a shell would want.
fn unwrap(input: &str) -> Result<Lines<'_>, Error> {
    let mut lines: Vec<&str> = input.trim().split('\n').collect();
    for line in &mut lines {
        *line = line.strip_suffix('\r').unwrap_or(line);
    }
    let mut skipped = 1;
    let opening = lines[0].trim_start_matches("apply_patch").trim();
    let document = matches!(opening, "<<EOF" | "<<'EOF'" | "<<\"EOF\"");
    if document && lines.len() > 3 && lines.last().is_some_and(|line| line.trim() == "EOF") {
        lines.pop();
        lines.remove(0);
        skipped += 1;
    }
    if lines[0].trim() != BEGIN {
        return Err(Error(format!(
            "The first line of the patch must be '{BEGIN}'"
        )));
    }
    if lines.len() < 2 || lines[lines.len() - 1].trim() != END {
        return Err(Error(format!("The last line of the patch must be '{END}'")));
    }
    lines.pop();
    lines.remove(0);
    Ok(Lines {
        lines,
        at: 0,
        skipped,
    })
}

fn named<'a>(path: &'a str, lines: &Lines) -> Result<&'a str, Error> {
    let path = path.trim();
    if path.is_empty() {
        let line = lines.number() - 1;
        return Err(Error(format!("Invalid patch: line {line} names no file")));
    }
    Ok(path)
}

fn added(lines: &mut Lines) -> String {
    let mut content = String::new();
    while let Some(line) = lines.peek().and_then(|line| line.strip_prefix('+')) {
        content.push_str(line);
        content.push('\n');
        lines.at += 1;
    }
    content
}

fn update<'a>(path: &'a str, lines: &mut Lines<'a>) -> Result<Hunk<'a>, Error> {
    let to = lines.peek().and_then(|line| line.trim().strip_prefix(MOVE));
    if to.is_some() {
        lines.at += 1;
    }
    let to = to.map(|to| named(to, lines)).transpose()?;
    let mut chunks = Vec::new();
    while let Some(line) = lines.peek() {
        if line.trim().is_empty() {
            lines.at += 1;
        } else if line.starts_with("***") {
            break;
        } else {
            let chunk = chunk(lines, chunks.is_empty())?;
            chunks.push(chunk);
        }
    }
    // A move alone is a change, too.
    if chunks.is_empty() && to.is_none() {
        return Err(Error(format!(
            "Invalid patch: the update of '{path}' is empty"
        )));
    }
    Ok(Hunk::Update { path, to, chunks })
}

fn chunk<'a>(lines: &mut Lines<'a>, first: bool) -> Result<Chunk<'a>, Error> {
    let mut chunk = Chunk::default();
    let head = lines.peek().unwrap_or_default();
    if head.trim_end() == "@@" {
        lines.at += 1;
    } else if let Some(context) = head.strip_prefix("@@ ") {
        chunk.context = Some(context);
        lines.at += 1;
    } else if !first {
        return Err(lines.wrong("was expected to start with '@@'"));
    }
    let start = lines.at;
    while let Some(line) = lines.peek() {
        if line == END_OF_FILE && lines.at > start {
            lines.at += 1;
            chunk.at_end = true;
            break;
        }
        match line.split_at_checked(1) {
            // Models leave the space of an empty line out.
            None => {
                chunk.old.push("");
                chunk.new.push("");
            }
            Some((" ", text)) => {
                chunk.old.push(text);
                chunk.new.push(text);
            }
            Some(("+", text)) => chunk.new.push(text),
            Some(("-", text)) => chunk.old.push(text),
            Some(_) if lines.at > start => break,
            Some(_) => {
                return Err(
                    lines.wrong("should start with ' ' (stays), '+' (added) or '-' (removed)")
                );
            }
        }
        lines.at += 1;
    }
    if lines.at == start {
        return Err(lines.wrong("was expected to be a line of the change"));
    }
    Ok(chunk)
}

impl<'a> Lines<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.lines.get(self.at).copied()
    }

    /// Of the line in hand, counted from 1 in the input.
    fn number(&self) -> usize {
        self.at + self.skipped + 1
    }

    fn wrong(&self, why: &str) -> Error {
        let (number, line) = (self.number(), self.peek().unwrap_or("*** End Patch"));
        Error(format!("Invalid patch: line {number} '{line}' {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_a_patch_are_understood() {
        let patch = "*** Begin Patch\n*** Add File: new.txt\n+one\n+\n*** Delete File: old.txt\n\
            *** Update File: a.txt\n*** Move to: b.txt\n@@ fn x\n keep\n-out\n+in\n\n@@\n+end\n\
            *** End of File\n*** End Patch";
        let wrapped = format!("<<'EOF'\r\n{}\nEOF\n", patch.replace('\n', "\r\n"));
        for input in [patch, &wrapped] {
            let hunks = hunks(input).unwrap();
            assert_eq!(
                hunks[0],
                Hunk::Add {
                    path: "new.txt",
                    content: "one\n\n".into()
                }
            );
            assert_eq!(hunks[1], Hunk::Delete { path: "old.txt" });
            let Hunk::Update { path, to, chunks } = &hunks[2] else {
                panic!("{hunks:?}");
            };
            assert_eq!((*path, *to), ("a.txt", Some("b.txt")));
            assert_eq!(chunks[0].context, Some("fn x"));
            assert_eq!(chunks[0].old, ["keep", "out", ""]);
            assert_eq!(chunks[0].new, ["keep", "in", ""]);
            assert!(chunks[1].at_end && chunks[1].old.is_empty());
        }
    }

    #[test]
    fn a_broken_patch_is_refused_with_its_line() {
        for (patch, said) in [
            ("nothing", "The first line"),
            ("*** Begin Patch\n*** Add File: a\n+x", "The last line"),
            ("*** Begin Patch", "The last line"),
            (
                "*** Begin Patch\nhello\n*** End Patch",
                "line 2 'hello' starts no hunk",
            ),
            (
                "*** Begin Patch\n*** Update File: a\n*** End Patch",
                "is empty",
            ),
            (
                "*** Begin Patch\n*** Update File: a\nxyz\n*** End Patch",
                "line 3 'xyz' should",
            ),
            (
                "*** Begin Patch\n*** Update File: a\n@@\n*** End Patch",
                "line 4",
            ),
            (
                "*** Begin Patch\n*** Delete File: \n*** End Patch",
                "starts no hunk",
            ),
        ] {
            let Err(Error(err)) = hunks(patch) else {
                panic!("{patch}");
            };
            assert!(err.contains(said), "{err}");
        }
    }
}
