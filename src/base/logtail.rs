//! The end of a growing log file by byte cursor, as `logs.tail` and the local fallback of
//! `openclaw logs` show it.

use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tail {
    pub file: String,
    /// Where to go on: the size at the time of reading.
    pub cursor: u64,
    pub size: u64,
    pub lines: Vec<String>,
    /// Lines before these were left out.
    pub truncated: bool,
    /// The cursor lay beyond the file: it was rotated.
    pub reset: bool,
}

/// Reads from `cursor` (or the last `max_bytes`) and keeps the last `limit` whole lines. A missing
/// file is an empty tail.
pub fn read(path: &Path, cursor: Option<u64>, limit: usize, max_bytes: u64) -> io::Result<Tail> {
    let path = newest(path);
    let mut tail = Tail {
        file: path.to_string_lossy().into_owned(),
        cursor: 0,
        size: 0,
        lines: Vec::new(),
        truncated: false,
        reset: false,
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(tail),
        Err(err) => return Err(err),
    };
    let size = file.metadata()?.len();
    tail.cursor = size;
    tail.size = size;
    let last = size.saturating_sub(max_bytes);
    let mut start = match cursor {
        Some(at) if at > size => {
            tail.reset = true;
            last
        }
        Some(at) if at < last => {
            tail.reset = true;
            tail.truncated = true;
            last
        }
        Some(at) => at,
        None => {
            tail.truncated = last > 0;
            last
        }
    };
    // One byte earlier tells whether the window starts at a line's start.
    let peek = u64::from(start > 0);
    start -= peek;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(size - start).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut text: &str = &text;
    if peek == 1 {
        text = match text.strip_prefix('\n') {
            Some(rest) => rest,
            None => text.split_once('\n').map_or("", |(_, rest)| rest),
        };
    }
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    if lines.len() > limit {
        tail.truncated = true;
        lines.drain(..lines.len() - limit);
    }
    tail.lines = lines;
    Ok(tail)
}

/// A dated default file (`openclaw-2026-11-21.log`) that does not exist stands for the newest of
/// its kind beside it.
fn newest(path: &Path) -> PathBuf {
    let dated = |p: &Path| {
        p.file_name()
            .and_then(|n| n.to_str())
            .and_then(|n| n.strip_prefix("openclaw-")?.strip_suffix(".log"))
            .is_some_and(|date| date.len() == 10)
    };
    if path.exists() || !dated(path) {
        return path.to_path_buf();
    }
    let Some(dir) = path.parent() else {
        return path.to_path_buf();
    };
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| dated(p))
        .max_by_key(|p| fs::metadata(p).and_then(|m| m.modified()).ok())
        .unwrap_or_else(|| path.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_gives_only_what_came_after_it() {
        let dir = super::super::id::temp_dir("logtail");
        let path = dir.join("x.log");
        fs::write(&path, "one\ntwo\n").unwrap();
        let first = read(&path, None, 10, 1000).unwrap();
        assert_eq!(first.lines, ["one", "two"]);
        fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let next = read(&path, Some(first.cursor), 10, 1000).unwrap();
        assert_eq!(next.lines, ["three"]);
        assert!(!next.reset && !next.truncated);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_window_in_mid_line_drops_the_part_and_a_rotated_file_resets() {
        let dir = super::super::id::temp_dir("logtail");
        let path = dir.join("x.log");
        fs::write(&path, "aaaa\nbbbb\ncccc\n").unwrap();
        let tail = read(&path, None, 10, 7).unwrap();
        assert_eq!(tail.lines, ["cccc"]);
        assert!(tail.truncated);
        assert_eq!(read(&path, None, 10, 10).unwrap().lines, ["bbbb", "cccc"]);
        let rotated = read(&path, Some(999), 1, 1000).unwrap();
        assert!(rotated.reset && rotated.truncated);
        assert_eq!(rotated.lines, ["cccc"]);
        assert_eq!(read(&dir.join("none"), None, 1, 1).unwrap().size, 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
