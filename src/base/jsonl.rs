//! JSON lines on disk and on sockets: whole lines in one write, bounded lines on read, and the
//! repair of a torn last line.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads one line without its newline into `line`. `Ok(false)` at end of input. A line longer than
/// `max` bytes is an error: the peer is out of bounds and the stream can no longer be trusted.
pub fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>, max: usize) -> io::Result<bool> {
    line.clear();
    let mut bounded = reader.take(max as u64 + 1);
    bounded.read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
        return Ok(true);
    }
    if line.len() > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line longer than {max} bytes"),
        ));
    }
    Ok(!line.is_empty())
}

/// Serialises `value` and a newline into one buffer, for a single `write`.
pub fn line(value: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("wire types serialise to JSON");
    bytes.push(b'\n');
    bytes
}

/// Opens `path` for appending whole lines (mode 0600). A last line without a newline is what a
/// crash or a full disk left: it is cut off when `keep` says it is not a record, else completed.
pub fn open_append(path: &Path, keep: impl Fn(&[u8]) -> bool) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(super::atomic::PRIVATE_FILE)
        .open(path)?;
    let (start, tail) = torn_tail(&mut file)?;
    if !tail.is_empty() {
        if keep(&tail) {
            file.write_all(b"\n")?;
        } else {
            log::warn!(
                "{}: cut a torn last line of {} bytes",
                path.display(),
                tail.len()
            );
            file.set_len(start)?;
        }
    }
    Ok(file)
}

/// Appends `bytes` (whole lines) in one go; on failure the file is cut back to where it was, so a
/// full disk never leaves half a record.
pub fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    file.write_all(bytes).inspect_err(|_| {
        // Shrinking needs no space, so this works on the full disk that brought us here.
        let _ = file.set_len(end);
    })
}

/// The bytes after the last newline, and where they start.
fn torn_tail(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    const STEP: u64 = 64 * 1024;
    let len = file.metadata()?.len();
    let mut start = len;
    let mut tail = Vec::new();
    while start > 0 {
        let from = start.saturating_sub(STEP);
        let mut part = vec![0; (start - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            let mut found = part.split_off(at + 1);
            found.append(&mut tail);
            return Ok((from + at as u64 + 1, found));
        }
        part.append(&mut tail);
        tail = part;
        start = from;
    }
    Ok((0, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_cut_and_a_whole_one_completed() {
        let dir = super::super::id::temp_dir("jsonl");
        let path = dir.join("x.jsonl");
        let json = |b: &[u8]| serde_json::from_slice::<serde_json::Value>(b).is_ok();
        std::fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
        append(&mut open_append(&path, json).unwrap(), b"{\"c\":3}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"a\":1}\n{\"c\":3}\n");
        std::fs::write(&path, "{\"a\":1}\n{\"b\":2}").unwrap();
        append(&mut open_append(&path, json).unwrap(), b"{\"c\":3}\n").unwrap();
        assert_eq!(
            std::fs::read(&path).unwrap(),
            b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_line_over_the_bound_is_an_error() {
        let mut input = io::Cursor::new(b"12345\n123456\n".to_vec());
        let mut line = Vec::new();
        assert!(read_line(&mut input, &mut line, 5).unwrap());
        assert_eq!(line, b"12345");
        assert!(read_line(&mut input, &mut line, 5).is_err());
    }
}
