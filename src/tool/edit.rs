//! `edit`: replaces one exact, unique piece of text. When it is not found as given, it is looked for
//! again in a normal form (trailing spaces, typographic quotes, dashes and spaces), because models
//! retype those; the file is then written in that form. A byte order mark and CRLF survive.

use super::diff;
use super::files::Files;
use super::{Call, Context, Error, Output, Tool};
use serde_json::json;

pub const TOOL: Tool = Tool {
    name: "edit",
    summary: "Make precise edits to files",
    description: "Changes a file by replacing one piece of its text. oldText has to be in the file \
        exactly once, spaces and line breaks included.",
    parameters: r#"{"type":"object","required":[],"properties":{
        "path":{"description":"File to edit (relative or absolute)","type":"string"},
        "oldText":{"description":"The exact text to replace","type":"string"},
        "newText":{"description":"The text to put in its place","type":"string"},
        "file_path":{"description":"Same as path","type":"string"},
        "old_string":{"description":"Same as oldText","type":"string"},
        "new_string":{"description":"Same as newText","type":"string"}}}"#,
    run,
};

const MARK: &str = "\u{feff}";

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let files = Files::of(ctx)?;
    let target = files.target(call)?;
    let old = call
        .str("oldText")
        .or_else(|| call.str("old_string"))
        .filter(|text| !text.is_empty())
        .ok_or("Missing required parameter: oldText (oldText or old_string)")?;
    let new = call
        .str("newText")
        .or_else(|| call.str("new_string"))
        .ok_or("Missing required parameter: newText (newText or new_string)")?;
    let path = &target.given;
    let bytes = files.load(&target).map_err(|err| {
        if err.0.starts_with("ENOENT") {
            Error(format!("File not found: {path}"))
        } else {
            err
        }
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Error(format!("{path} is not UTF-8 text and is left as it is.")))?;
    let edited = replace(&text, old, new, path)?;
    files.save(&target, edited.text.as_bytes())?;
    Ok(
        Output::text(format!("Successfully replaced text in {path}.")).with_details(json!({
            "diff": edited.diff,
            "firstChangedLine": edited.first_line,
        })),
    )
}

struct Edited {
    text: String,
    diff: String,
    first_line: usize,
}

fn replace(file: &str, old: &str, new: &str, path: &str) -> Result<Edited, Error> {
    let (mark, body) = match file.strip_prefix(MARK) {
        Some(body) => (MARK, body),
        None => ("", file),
    };
    let crlf = body
        .find('\n')
        .is_some_and(|at| at > 0 && body.as_bytes()[at - 1] == b'\r');
    let (mut body, mut old, new) = (unix(body), unix(old), unix(new));
    let mut count = body.matches(old.as_str()).count();
    if count == 0 {
        (body, old) = (normal(&body), normal(&old));
        count = if old.is_empty() {
            0
        } else {
            body.matches(old.as_str()).count()
        };
    }
    match count {
        0 => {
            return Err(Error(format!(
                "Could not find the exact text in {path}. The old text must match exactly, spaces \
                 and line breaks included: read the file again."
            )));
        }
        1 => {}
        count => {
            return Err(Error(format!(
                "Found {count} occurrences of the text in {path}. The text must be unique. Give \
                 more of the lines around it."
            )));
        }
    }
    let edited = body.replacen(&old, &new, 1);
    if edited == body {
        return Err(Error(format!(
            "No changes made to {path}. The replacement gives the same content."
        )));
    }
    let diff = diff::lines(&body, &edited);
    let edited = if crlf {
        edited.replace('\n', "\r\n")
    } else {
        edited
    };
    Ok(Edited {
        text: format!("{mark}{edited}"),
        diff: diff.text,
        first_line: diff.first_line,
    })
}

fn unix(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Trailing spaces of each line gone; quotes, dashes and spaces in their ASCII form.
fn normal(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').map(str::trim_end).collect();
    lines.join("\n").chars().map(plain).collect()
}

/// A typographic mark in its ASCII form.
pub(super) fn plain(c: char) -> char {
    match c {
        '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &str, old: &str, new: &str) -> Result<String, String> {
        replace(file, old, new, "f")
            .map(|edited| edited.text)
            .map_err(|err| err.0)
    }

    #[test]
    fn one_exact_occurrence_is_replaced() {
        assert_eq!(text("a\nb\nc\n", "b", "B$1").unwrap(), "a\nB$1\nc\n");
        assert!(
            text("a\na\n", "a", "b")
                .unwrap_err()
                .starts_with("Found 2 occurrences of the text in f.")
        );
        assert!(
            text("a\n", "x", "b")
                .unwrap_err()
                .starts_with("Could not find the exact text in f.")
        );
        assert!(
            text("a\n", "a", "a")
                .unwrap_err()
                .starts_with("No changes made to f.")
        );
    }

    #[test]
    fn a_mark_and_crlf_survive() {
        assert_eq!(
            text("\u{feff}a\r\nb\r\n", "a\nb", "c\nd").unwrap(),
            "\u{feff}c\r\nd\r\n"
        );
    }

    #[test]
    fn typographic_marks_match_their_plain_form() {
        assert_eq!(
            text("say “hi”  \nx – y\n", "say \"hi\"\nx - y", "done").unwrap(),
            "done\n"
        );
    }
}
