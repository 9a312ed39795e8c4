//! Text as a terminal shows it: what is safe to write there, how wide it is, and where it is cut
//! into rows.

use unicode_width::UnicodeWidthChar;

const TAB: &str = "    ";

/// Columns that `c` takes.
pub fn width_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

pub fn width(text: &str) -> usize {
    text.chars().map(width_of).sum()
}

/// Without anything a terminal would obey or that would turn the direction of what follows. Text of
/// models, tools and other people goes through here before it is shown.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => clean.push('\n'),
            '\t' => clean.push_str(TAB),
            // A colour or another command of a terminal: all of it, not only its first byte.
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            c if c.is_control() => {}
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c => clean.push(c),
        }
    }
    clean
}

/// `text` in rows of at most `columns`, broken at spaces where there are some. One row at least.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut rows = Vec::new();
    for line in text.split('\n') {
        wrap_line(line, columns, &mut rows);
    }
    rows
}

fn wrap_line(line: &str, columns: usize, rows: &mut Vec<String>) {
    let mut row = String::new();
    let mut used = 0;
    // Where the row could end: after the last space, in bytes.
    let mut space = None;
    for c in line.chars() {
        let wide = width_of(c);
        if used + wide > columns {
            match space {
                Some(at) if c != ' ' => {
                    let rest = row.split_off(at);
                    rows.push(std::mem::replace(&mut row, rest));
                }
                _ => rows.push(std::mem::take(&mut row)),
            }
            used = width(&row);
            space = None;
            if c == ' ' {
                continue;
            }
        }
        row.push(c);
        used += wide;
        if c == ' ' {
            space = Some(row.len());
        }
    }
    rows.push(row);
}

/// `text` cut to `columns`, with a sign that it was.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.into();
    }
    let mut used = 0;
    let mut short = String::new();
    for c in text.chars() {
        used += width_of(c);
        if used + 1 > columns {
            break;
        }
        short.push(c);
    }
    if columns > 0 {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_break_at_spaces_and_never_exceed_their_width() {
        assert_eq!(wrap("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrap("a\n\nb", 8), ["a", "", "b"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("界界界", 5), ["界界", "界"]);
        assert_eq!(wrap("", 5), [""]);
        for columns in 1..20 {
            let rows = wrap("the quick 界界 brown fox_jumps over-the lazy dog", columns);
            assert!(
                rows.iter().all(|row| width(row) <= columns.max(2)),
                "{columns}: {rows:?}"
            );
        }
    }

    #[test]
    fn nothing_a_terminal_obeys_is_left() {
        assert_eq!(
            clean("a\x1b[31mred\x1b[0m\x07\u{9b}2J\u{202e}b\tc\r\nd"),
            "ared2Jb    c\nd"
        );
        assert_eq!(clean("\x1b]0;title\x07x"), "]0;titlex");
        assert_eq!(clean("\x1b["), "");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("界界界", 4), "界…");
        assert_eq!(cut("x", 0), "");
    }
}
