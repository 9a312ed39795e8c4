//! Cutting a text into pieces of some hundred words that overlap, at the ends of lines. Lengths are
//! counted as JavaScript counts them, so that both programs cut alike and find each other's pieces
//! in their caches.

/// A piece, and the lines it is from, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    pub start: u64,
    pub end: u64,
    pub text: String,
}

/// Characters of a token, by rule of thumb.
const PER_TOKEN: usize = 4;
/// No smaller piece is cut, whatever the configuration says.
const LEAST: usize = 32;

struct Line<'t> {
    number: u64,
    text: &'t str,
    /// With its line end.
    units: usize,
}

/// The pieces of `text`; those that are blank are left out.
pub fn cut(text: &str, tokens: usize, overlap: usize) -> Vec<Chunk> {
    let size = tokens.saturating_mul(PER_TOKEN).max(LEAST);
    let repeat = overlap.saturating_mul(PER_TOKEN);
    let mut chunks = Vec::new();
    let mut open: Vec<Line> = Vec::new();
    let mut units = 0;
    for (at, line) in text.split('\n').enumerate() {
        for part in (Parts {
            rest: Some(line),
            size,
        }) {
            let line = Line {
                number: at as u64 + 1,
                text: part,
                units: length(part) + 1,
            };
            if units + line.units > size && !open.is_empty() {
                close(&open, &mut chunks);
                keep_tail(&mut open, repeat);
                units = open.iter().map(|line| line.units).sum();
            }
            units += line.units;
            open.push(line);
        }
    }
    close(&open, &mut chunks);
    chunks
}

fn close(open: &[Line], chunks: &mut Vec<Chunk>) {
    let (Some(first), Some(last)) = (open.first(), open.last()) else {
        return;
    };
    let texts: Vec<&str> = open.iter().map(|line| line.text).collect();
    let text = texts.join("\n");
    if !text.trim().is_empty() {
        chunks.push(Chunk {
            start: first.number,
            end: last.number,
            text,
        });
    }
}

/// Leaves the last whole lines that together have `repeat` characters.
fn keep_tail(open: &mut Vec<Line>, repeat: usize) {
    let mut have = 0;
    let mut keep = 0;
    for line in open.iter().rev() {
        if have >= repeat {
            break;
        }
        have += line.units;
        keep += 1;
    }
    open.drain(..open.len() - keep);
}

/// JavaScript's length.
fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// A line in parts of at most `size`; an empty one is one empty part.
struct Parts<'t> {
    rest: Option<&'t str>,
    size: usize,
}

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest.take()?;
        let (part, after) = rest.split_at(prefix(rest, self.size).len());
        if !after.is_empty() {
            self.rest = Some(after);
        }
        Some(part)
    }
}

/// The longest beginning that has at most `units`. A character is never cut in two.
pub fn prefix(text: &str, units: usize) -> &str {
    let mut left = units;
    for (at, c) in text.char_indices() {
        match left.checked_sub(c.len_utf16()) {
            Some(now) => left = now,
            None => return &text[..at],
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(text: &str, tokens: usize, overlap: usize) -> Vec<(u64, u64, usize)> {
        cut(text, tokens, overlap)
            .iter()
            .map(|c| (c.start, c.end, length(&c.text)))
            .collect()
    }

    #[test]
    fn whole_lines_are_gathered_and_the_last_ones_repeated() {
        let line = "0123456789\n";
        // 32 characters: two lines of 11 and no third; the second is repeated.
        assert_eq!(
            places(&line.repeat(4), 8, 2),
            [(1, 2, 21), (2, 3, 21), (3, 5, 22)]
        );
        assert_eq!(places(&line.repeat(3), 8, 0), [(1, 2, 21), (3, 4, 11)]);
        assert_eq!(places("a\r\nb\r\n", 400, 80), [(1, 3, 6)]);
        assert_eq!(places("", 400, 80), []);
        assert_eq!(places(" \n\n ", 400, 80), []);
    }

    #[test]
    fn a_long_line_is_cut_and_no_character_is() {
        // The part that is kept for repetition is a whole one.
        let long = "L".repeat(80);
        assert_eq!(places(&long, 8, 2), [(1, 1, 32), (1, 1, 65), (1, 1, 49)]);
        assert_eq!(prefix("a😀b", 2), "a");
        assert_eq!(prefix("a😀b", 3), "a😀");
        assert_eq!(prefix("ab", 3), "ab");
    }
}
