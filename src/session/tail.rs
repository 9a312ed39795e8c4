//! The last lines of a file, read backwards in growing steps, so that the cost follows what is
//! wanted and not what is stored.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// First step; holds about a hundred ordinary lines.
const STEP: u64 = 32 * 1024;
const MAX_STEP: u64 = 4 * 1024 * 1024;

/// Lines of a file from the last to the first. An unfinished last line is passed over: its writer
/// has not returned yet.
pub struct Tail {
    file: File,
    /// Bytes before this offset have not been read.
    start: u64,
    /// Where reading stops.
    floor: u64,
    step: u64,
    /// Unconsumed bytes from `start` on; ends with a newline unless empty.
    buffer: Vec<u8>,
}

impl Tail {
    /// Reads at most `max_bytes` back from the end.
    pub fn open(file: File, max_bytes: u64) -> io::Result<Tail> {
        let end = file.metadata()?.len();
        let mut tail = Tail {
            file,
            start: end,
            floor: end.saturating_sub(max_bytes),
            step: STEP,
            buffer: Vec::new(),
        };
        while !tail.buffer.contains(&b'\n') && tail.more()? {}
        let whole = tail.buffer.iter().rposition(|b| *b == b'\n');
        tail.buffer.truncate(whole.map_or(0, |at| at + 1));
        Ok(tail)
    }

    /// Calls `each` with every line, last first, until it returns false or the file begins.
    pub fn each(&mut self, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        while !self.buffer.is_empty() {
            let end = self.buffer.len() - 1;
            match self.buffer[..end].iter().rposition(|b| *b == b'\n') {
                Some(at) => {
                    let go_on = each(&self.buffer[at + 1..end]);
                    self.buffer.truncate(at + 1);
                    if !go_on {
                        return Ok(());
                    }
                }
                None if self.start > self.floor => {
                    self.more()?;
                }
                None => {
                    // Cut by the bound, the first line is only a part of one.
                    if self.start == 0 {
                        each(&self.buffer[..end]);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Reads one step further back; false at the floor.
    fn more(&mut self) -> io::Result<bool> {
        let from = self.start.saturating_sub(self.step).max(self.floor);
        if from == self.start {
            return Ok(false);
        }
        let mut part = vec![0; (self.start - from) as usize];
        self.file.read_exact_at(&mut part, from)?;
        part.append(&mut self.buffer);
        self.buffer = part;
        self.start = from;
        self.step = (self.step * 2).min(MAX_STEP);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;

    fn lines(text: &str, max: u64) -> Vec<String> {
        let dir = id::temp_dir("tail");
        std::fs::write(dir.join("x"), text).unwrap();
        let mut found = Vec::new();
        Tail::open(File::open(dir.join("x")).unwrap(), max)
            .unwrap()
            .each(|line| {
                found.push(String::from_utf8(line.to_vec()).unwrap());
                true
            })
            .unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        found
    }

    #[test]
    fn lines_come_last_first_and_torn_ones_not_at_all() {
        assert_eq!(lines("a\nbc\n\nd\n", 1000), ["d", "", "bc", "a"]);
        assert_eq!(lines("a\nbc\n{\"torn", 1000), ["bc", "a"]);
        assert_eq!(lines("a\nbcd\ne\n", 5), ["e"]);
        assert!(lines("", 10).is_empty());
        assert!(lines("torn", 10).is_empty());
    }

    #[test]
    fn lines_longer_than_a_step_are_whole() {
        let long = "x".repeat(400_000);
        assert_eq!(
            lines(&format!("first\n{long}\nlast\n"), u64::MAX),
            ["last", long.as_str(), "first"]
        );
    }
}
