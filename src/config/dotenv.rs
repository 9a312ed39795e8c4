//! `.env` files: `NAME=value` lines, an optional `export`, `#` comments, single, double and back
//! quotes (which may span lines), `\n` and `\r` in double quotes. Lines that are none of this are
//! skipped, as the original does; a file that cannot be read counts as empty, with a warning.

use crate::base::atomic;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// More than any list of variables; a larger file is not one.
const MAX_BYTES: u64 = 256 * 1024;

pub fn read(path: &Path) -> BTreeMap<String, String> {
    let mut text = String::new();
    let result = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text));
    match result {
        Ok(n) if n as u64 > MAX_BYTES => {
            log::warn!(
                "{}: larger than {MAX_BYTES} bytes, not read",
                path.display()
            );
            BTreeMap::new()
        }
        Ok(_) => parse(&text),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(err) => {
            log::warn!("{}: not read: {err}", path.display());
            BTreeMap::new()
        }
    }
}

/// Puts an assignment in the place of the ones of that name, or at the end; everything else in the
/// file stays as it is.
pub fn set(path: &Path, name: &str, value: &str) -> io::Result<()> {
    let refused = |why: &str| io::Error::new(ErrorKind::InvalidInput, why.to_string());
    let text = match std::fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_BYTES => return Err(refused("it is too long to be read")),
        Ok(_) => std::fs::read_to_string(path)?,
        Err(err) if err.kind() == ErrorKind::NotFound => String::new(),
        Err(err) => return Err(err),
    };
    let value = quoted(value).ok_or_else(|| refused("the value cannot stand in a .env file"))?;
    atomic::write(
        path,
        with(&text, name, &format!("{name}={value}")).as_bytes(),
    )
}

fn with(text: &str, name: &str, line: &str) -> String {
    let (mut out, mut rest, mut placed) = (String::new(), text, false);
    while !rest.is_empty() {
        let first = rest.split('\n').next().unwrap_or_default();
        let found = assignment(first).map(|(found, at)| (found, at + value(&rest[at..]).1));
        let ours = found.is_some_and(|(found, _)| found == name);
        let end = found.map_or(0, |(_, end)| end);
        let end = rest[end..].find('\n').map_or(rest.len(), |n| end + n + 1);
        match (ours, placed) {
            (false, _) => out.push_str(&rest[..end]),
            (true, false) => {
                out.push_str(line);
                out.push('\n');
                placed = true;
            }
            (true, true) => {}
        }
        rest = &rest[end..];
    }
    if !placed {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// As `parse` reads it back. `None`: no form does.
fn quoted(value: &str) -> Option<String> {
    if value.contains(char::is_control) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+=:@,%".contains(c);
    if value.chars().all(plain) {
        return Some(value.to_string());
    }
    let quote = ['\'', '`']
        .into_iter()
        .find(|quote| !value.contains(*quote))?;
    (!value.ends_with('\\')).then(|| format!("{quote}{value}{quote}"))
}

/// The last assignment of a name wins.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = text.replace("\r\n", "\n");
    let mut found = BTreeMap::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_once('\n').unwrap_or((rest, ""));
        match assignment(line) {
            Some((name, at)) => {
                let (value, used) = value(&rest[at..]);
                found.insert(name.to_string(), value);
                let after = &rest[at + used..];
                rest = after.split_once('\n').map_or("", |(_, next)| next);
            }
            None => rest = next,
        }
    }
    found
}

/// The name, and where the value starts in the line.
fn assignment(line: &str) -> Option<(&str, usize)> {
    let start = line.trim_start();
    let start = match start.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => start,
    };
    let end = start
        .find(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .unwrap_or(start.len());
    let (name, rest) = start.split_at(end);
    let rest = rest.trim_start();
    // `NAME: value` is accepted too, when a blank follows the colon.
    let value = rest.strip_prefix('=').or_else(|| {
        rest.strip_prefix(':')
            .filter(|v| v.starts_with([' ', '\t']))
    })?;
    (!name.is_empty()).then_some((name, line.len() - value.len()))
}

/// The value at the start of `text`, and how many bytes it took.
fn value(text: &str) -> (String, usize) {
    let line = text.split('\n').next().unwrap_or_default();
    let start = line.len() - line.trim_start().len();
    let body = &text[start..];
    if let Some(quote) = body.chars().next().filter(|c| "'\"`".contains(*c)) {
        if let Some(end) = closing(&body[1..], quote) {
            let inner = &body[1..1 + end];
            let value = match quote {
                '"' => inner.replace("\\n", "\n").replace("\\r", "\r"),
                _ => inner.to_string(),
            };
            return (value, start + end + 2);
        }
    }
    let plain = line.split('#').next().unwrap_or_default();
    (plain.trim().to_string(), line.len())
}

/// Where `quote` closes: the first one that no backslash precedes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_put_in_its_place_and_the_rest_of_the_file_stays() {
        let dir = crate::base::id::temp_dir("dotenv");
        let path = dir.join(".env");
        let put = |name: &str, value: &str| {
            set(&path, name, value).unwrap();
            std::fs::read_to_string(&path).unwrap()
        };
        assert_eq!(put("A", "sk-1"), "A=sk-1\n");
        let text = "# mine\nB=\"two\nA=no\"\nexport A=1 # old\nA=2\nC=3";
        std::fs::write(&path, text).unwrap();
        let after = put("A", "a 'b' # c");
        assert_eq!(after, "# mine\nB=\"two\nA=no\"\nA=`a 'b' # c`\nC=3");
        assert_eq!(parse(&after)["A"], "a 'b' # c");
        assert_eq!(put("D", "4").lines().last(), Some("D=4"));
        assert_eq!(read(&path)["C"], "3");
        assert!(set(&path, "E", "x\ny").is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn every_form_of_a_line_is_read() {
        let vars = parse(
            "# note\nA=1\n export B = two words # tail\nC='a # b\\n'\nD=\"x\\ny\"\nE=`it's \"q\"`\nF=\n\
             not a line\nG: yes\nH=\"two\nlines\" # tail\nA=2\nI=\"open\nJ=3\r\n",
        );
        let want = [
            ("A", "2"),
            ("B", "two words"),
            ("C", "a # b\\n"),
            ("D", "x\ny"),
            ("E", "it's \"q\""),
            ("F", ""),
            ("G", "yes"),
            ("H", "two\nlines"),
            ("I", "\"open"),
            ("J", "3"),
        ];
        let want = want.map(|(k, v)| (k.to_string(), v.to_string()));
        assert_eq!(vars, BTreeMap::from(want));
    }
}
