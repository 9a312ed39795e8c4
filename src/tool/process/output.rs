//! What a command printed: the last part of it, cleaned for a model and a log.

/// Most characters kept; older ones fall off the front.
pub const MAX_CHARS: usize = 200_000;
/// Characters that may gather beyond it before the front is cut: the cut moves the whole text.
const SLACK: usize = 16_384;

#[derive(Debug)]
pub struct Output {
    text: String,
    chars: usize,
    /// Characters ever taken, and how many of them were handed out by `unread`.
    total: u64,
    read: u64,
    limit: usize,
    /// The start of a character whose rest has not come yet.
    partial: Vec<u8>,
}

impl Output {
    pub fn new(limit: usize) -> Output {
        Output {
            text: String::new(),
            chars: 0,
            total: 0,
            read: 0,
            limit: limit.clamp(1000, MAX_CHARS),
            partial: Vec::new(),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let joined;
        let mut rest = if self.partial.is_empty() {
            bytes
        } else {
            self.partial.extend_from_slice(bytes);
            joined = std::mem::take(&mut self.partial);
            &joined
        };
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => break self.add(text),
                Err(err) => {
                    let (good, bad) = rest.split_at(err.valid_up_to());
                    self.add(&String::from_utf8_lossy(good));
                    match err.error_len() {
                        Some(length) => {
                            self.add("\u{fffd}");
                            rest = &bad[length..];
                        }
                        None => break self.partial = bad.to_vec(),
                    }
                }
            }
        }
        if self.chars > self.limit + SLACK {
            self.trim();
        }
    }

    /// Nothing more comes: gives back what growing took.
    pub fn close(&mut self) {
        if !std::mem::take(&mut self.partial).is_empty() {
            self.add("\u{fffd}");
        }
        self.trim();
        self.text.shrink_to_fit();
    }

    fn add(&mut self, text: &str) {
        for c in text.chars().filter(|c| shown(*c)) {
            self.text.push(c);
            self.chars += 1;
            self.total += 1;
        }
    }

    fn trim(&mut self) {
        let extra = self.chars.saturating_sub(self.limit);
        if extra > 0 {
            self.text.drain(..offset(&self.text, extra));
            self.chars -= extra;
        }
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn kept_bytes(&self) -> usize {
        self.text.capacity()
    }

    /// Whether the front was cut.
    pub fn truncated(&self) -> bool {
        self.total > self.limit as u64
    }

    pub fn all(&self) -> &str {
        self.last(self.limit)
    }

    pub fn last(&self, chars: usize) -> &str {
        &self.text[offset(&self.text, self.chars.saturating_sub(chars))..]
    }

    /// What was printed since the last call.
    pub fn unread(&mut self) -> String {
        let fresh = usize::try_from(self.total - self.read).unwrap_or(usize::MAX);
        self.read = self.total;
        self.last(fresh.min(self.limit)).to_string()
    }
}

/// Where the character number `index` begins.
fn offset(text: &str, index: usize) -> usize {
    if index == 0 {
        return 0;
    }
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(at, _)| at)
}

/// Control and invisible formatting characters confuse terminals, logs and models alike.
fn shown(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => true,
        '\0'..='\u{1f}' => false,
        '\u{ad}'
        | '\u{600}'..='\u{605}'
        | '\u{61c}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}' => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_characters_are_kept_and_memory_stays_bounded() {
        let mut output = Output::new(MAX_CHARS);
        for n in 0..100_000 {
            output.push(format!("{n:09}\n").as_bytes());
        }
        assert!(output.kept_bytes() < 2 * (MAX_CHARS + SLACK));
        assert_eq!(output.all().len(), MAX_CHARS);
        assert!(output.all().ends_with("000099999\n"));
        assert!(output.truncated());
        output.close();
        assert_eq!(output.all().len(), MAX_CHARS);
    }

    #[test]
    fn a_character_split_between_chunks_is_whole_and_controls_are_dropped() {
        let mut output = Output::new(MAX_CHARS);
        output.push(b"gr\xc3");
        output.push(b"\xbc\x1b[1mn\x00\xff\n");
        assert_eq!(output.all(), "grü[1mn\u{fffd}\n");
    }

    #[test]
    fn each_character_is_unread_once() {
        let mut output = Output::new(MAX_CHARS);
        output.push(b"one");
        assert_eq!(output.unread(), "one");
        output.push(b"two");
        assert_eq!(output.unread(), "two");
        assert_eq!(output.unread(), "");
    }
}
