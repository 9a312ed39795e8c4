//! File name patterns: `*` and `?` stay within a folder, `**` does not, `[a-z]`, `{one,two}`.
//!
//! They become regular expressions of the linear kind, so no pattern makes a match slow.

use regex_lite::{Regex, RegexBuilder};
use std::fmt::Write;

/// Longest pattern, bytes.
const MAX_PATTERN: usize = 1024;
/// Compiled size; far more than a pattern of that length needs without nested braces.
const MAX_COMPILED: usize = 1 << 20;

/// Fits the whole of a path whose parts are separated by `/`. `None`: not a usable pattern.
pub fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > MAX_PATTERN {
        return None;
    }
    let mut out = String::from("^");
    let mut chars = pattern.chars().peekable();
    let mut open = 0;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek() == Some(&'*') => {
                while chars.peek() == Some(&'*') {
                    chars.next();
                }
                if chars.peek() == Some(&'/') {
                    chars.next();
                    out.push_str("(?:.*/)?");
                } else {
                    out.push_str(".*");
                }
            }
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => class(&mut chars, &mut out),
            '{' => {
                open += 1;
                out.push_str("(?:");
            }
            '}' if open > 0 => {
                open -= 1;
                out.push(')');
            }
            ',' if open > 0 => out.push('|'),
            '\\' => literal(chars.next().unwrap_or('\\'), &mut out),
            c => literal(c, &mut out),
        }
    }
    for _ in 0..open {
        out.push(')');
    }
    out.push('$');
    RegexBuilder::new(&out)
        .dot_matches_new_line(true)
        .size_limit(MAX_COMPILED)
        .build()
        .ok()
}

fn literal(c: char, out: &mut String) {
    let mut buffer = [0; 4];
    out.push_str(&regex_lite::escape(c.encode_utf8(&mut buffer)));
}

/// After a `[`. Without its end it is an ordinary character.
fn class(chars: &mut std::iter::Peekable<std::str::Chars>, out: &mut String) {
    let rest: String = chars.clone().collect();
    let (not, body) = match rest.strip_prefix(['!', '^']) {
        Some(body) => ("^/", body),
        None => ("", rest.as_str()),
    };
    // A `]` right at the start stands for itself.
    let end = body.char_indices().skip(1).find(|(_, c)| *c == ']');
    let Some((end, _)) = end else {
        out.push_str("\\[");
        return;
    };
    let inside = &body[..end];
    let _ = write!(out, "[{not}");
    for c in inside.chars() {
        if matches!(c, '\\' | '[' | ']' | '^' | '&' | '~') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(']');
    let used = rest.len() - body.len() + end + 1;
    let count = rest[..used].chars().count();
    for _ in 0..count {
        chars.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stop_at_folders_and_double_stars_do_not() {
        let fits = |pattern: &str, path: &str| compile(pattern).unwrap().is_match(path);
        assert!(fits("*.rs", "main.rs") && !fits("*.rs", "src/main.rs"));
        assert!(fits("**/*.rs", "main.rs") && fits("**/*.rs", "a/b/main.rs"));
        assert!(fits("src/**", "src/a/b") && !fits("src/**", "lib/a"));
        assert!(fits("a?c.{ts,tsx}", "abc.tsx") && !fits("a?c.{ts,tsx}", "abc.js"));
        assert!(fits("[!a-c]x", "dx") && !fits("[!a-c]x", "ax"));
        assert!(fits("[]]x", "]x") && fits("a[b", "a[b") && fits("a.b+(c)", "a.b+(c)"));
        assert!(!fits("a.b", "axb"));
        assert!(compile(&"x".repeat(2000)).is_none());
    }

    #[test]
    fn no_pattern_of_any_bytes_panics() {
        let parts = ["[", "]", "{", "}", "*", "\\", "!", "-", "é", "&&", "a", "/"];
        for a in parts {
            for b in parts {
                for c in parts {
                    for d in parts {
                        let _ = compile(&format!("{a}{b}{c}{d}"));
                    }
                }
            }
        }
    }
}
