//! The tar format, as much of it as an archive of files needs: ustar headers, and long names by
//! pax records (written and read) or in GNU's way (read).
//!
//! What is read may be anybody's: a name has a bound, an entry never gives more than its header
//! says, and what is neither file nor folder is named as such and carries no target.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
/// Longer than any path the kernel takes.
const MAX_NAME: u64 = 4096;
/// Of a block of pax records, which hold one name and some numbers.
const MAX_RECORDS: u64 = 64 * 1024;
/// Programs fill the last record of a tape up, to a MiB at most.
const MAX_TAIL: u64 = 4 * 1024 * 1024;
/// Names up to here go into the header itself.
const SHORT_NAME: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    /// Links, devices, pipes.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub size: u64,
    pub mode: u32,
}

pub struct Writer<W: Write> {
    to: W,
}

impl<W: Write> Writer<W> {
    pub fn new(to: W) -> Writer<W> {
        Writer { to }
    }

    /// A file of exactly `size` bytes; another length is an error.
    pub fn file(
        &mut self,
        name: &str,
        mode: u32,
        size: u64,
        from: &mut dyn Read,
    ) -> io::Result<()> {
        if name.len() > SHORT_NAME {
            let record = record("path", name);
            self.header("pax", b'x', 0o600, record.len() as u64)?;
            self.to.write_all(record.as_bytes())?;
            self.pad(record.len() as u64)?;
        }
        let short: String = name.chars().take(SHORT_NAME / 4).collect();
        let shown = if name.len() > SHORT_NAME {
            short.as_str()
        } else {
            name
        };
        self.header(shown, b'0', mode, size)?;
        let copied = io::copy(&mut from.take(size), &mut self.to)?;
        if copied != size {
            return Err(io::Error::other(format!(
                "became shorter while it was read ({name})"
            )));
        }
        self.pad(size)
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.to.write_all(&[0; 2 * BLOCK])?;
        Ok(self.to)
    }

    fn header(&mut self, name: &str, kind: u8, mode: u32, size: u64) -> io::Result<()> {
        let mut block = [0_u8; BLOCK];
        block[..name.len()].copy_from_slice(name.as_bytes());
        octal(&mut block[100..108], u64::from(mode & 0o777));
        octal(&mut block[108..116], 0);
        octal(&mut block[116..124], 0);
        octal(&mut block[124..136], size);
        octal(&mut block[136..148], 0);
        block[148..156].fill(b' ');
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        octal(&mut block[148..155], sum);
        self.to.write_all(&block)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        self.to.write_all(&vec![0; padding(size)])
    }
}

pub struct Reader<R: Read> {
    from: R,
    /// Of the entry of the moment, and of its padding.
    left: u64,
    pad: u64,
}

impl<R: Read> Reader<R> {
    pub fn new(from: R) -> Reader<R> {
        Reader {
            from,
            left: 0,
            pad: 0,
        }
    }

    /// The next entry, whose bytes `read` then gives. `None` at the end.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        let mut long: Option<String> = None;
        loop {
            self.skip()?;
            let mut block = [0_u8; BLOCK];
            if !fill(&mut self.from, &mut block)? {
                return Ok(None);
            }
            if block.iter().all(|byte| *byte == 0) {
                return self.end();
            }
            check(&block)?;
            let size = number(&block[124..136])?;
            self.left = size;
            self.pad = padding(size) as u64;
            match block[156] {
                b'L' => {
                    let text = self.text(MAX_NAME)?;
                    long = Some(text.trim_end_matches('\0').to_string());
                }
                b'x' => long = path_of(&self.text(MAX_RECORDS)?)?.or(long),
                b'g' | b'K' => {}
                kind => {
                    let name = match long {
                        Some(name) => name,
                        None => name_of(&block)?,
                    };
                    let kind = match kind {
                        b'0' | 0 | b'7' if name.ends_with('/') => Kind::Folder,
                        b'0' | 0 | b'7' => Kind::File,
                        b'5' => Kind::Folder,
                        _ => Kind::Other,
                    };
                    if name.len() as u64 > MAX_NAME {
                        return Err(bad("a name is too long"));
                    }
                    let mode = u32::try_from(number(&block[100..108])? & 0o777).unwrap_or(0o600);
                    return Ok(Some(Entry {
                        name,
                        kind,
                        size,
                        mode,
                    }));
                }
            }
        }
    }

    /// To the last byte: a compressed stream has its own checksum there.
    fn end(&mut self) -> io::Result<Option<Entry>> {
        let rest = io::copy(&mut (&mut self.from).take(MAX_TAIL), &mut io::sink())?;
        match rest < MAX_TAIL {
            true => Ok(None),
            false => Err(bad("it goes on after its end")),
        }
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.left + self.pad;
        (self.left, self.pad) = (0, 0);
        let skipped = io::copy(&mut (&mut self.from).take(rest), &mut io::sink())?;
        match skipped == rest {
            true => Ok(()),
            false => Err(cut()),
        }
    }

    fn text(&mut self, most: u64) -> io::Result<String> {
        if self.left > most {
            return Err(bad("a name is too long"));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| bad("a name is not UTF-8"))
    }
}

/// The bytes of the present entry.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.from.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(cut());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).expect("less than a block");
    (BLOCK - over) % BLOCK
}

/// Digits with leading zeros and a NUL; sizes from 8 GiB on in GNU's binary form.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}");
    if text.len() == digits {
        field[..digits].copy_from_slice(text.as_bytes());
        return;
    }
    field.fill(0);
    let at = field.len() - 8;
    field[at..].copy_from_slice(&value.to_be_bytes());
    field[0] = 0x80;
}

fn number(field: &[u8]) -> io::Result<u64> {
    if field[0] & 0x80 != 0 {
        let (high, low) = field.split_at(field.len() - 8.min(field.len() - 1));
        let spare = high.iter().skip(1).any(|byte| *byte != 0) || high[0] & 0x7f != 0;
        return match spare {
            true => Err(bad("a number is too large")),
            false => Ok(low
                .iter()
                .fold(0, |all, byte| (all << 8) | u64::from(*byte))),
        };
    }
    let text = std::str::from_utf8(field).map_err(|_| bad("a number is none"))?;
    let text = text.trim_matches([' ', '\0']);
    match text.is_empty() {
        true => Ok(0),
        false => u64::from_str_radix(text, 8).map_err(|_| bad("a number is none")),
    }
}

fn check(block: &[u8; BLOCK]) -> io::Result<()> {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            u64::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    match number(&block[148..156])? == sum {
        true => Ok(()),
        false => Err(bad("a header is damaged")),
    }
}

fn name_of(block: &[u8; BLOCK]) -> io::Result<String> {
    let text = |field: &[u8]| {
        let end = field
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(field.len());
        let text = std::str::from_utf8(&field[..end]);
        text.map(str::to_string)
            .map_err(|_| bad("a name is not UTF-8"))
    };
    let name = text(&block[..100])?;
    let prefix = match &block[257..262] {
        b"ustar" if block[262] == 0 => text(&block[345..500])?,
        _ => String::new(),
    };
    Ok(match prefix.is_empty() {
        true => name,
        false => format!("{prefix}/{name}"),
    })
}

/// `LENGTH KEY=VALUE\n`, the length counting itself.
fn record(key: &str, value: &str) -> String {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n")
}

fn path_of(records: &str) -> io::Result<Option<String>> {
    let mut rest = records;
    let mut path = None;
    while !rest.is_empty() {
        let (length, _) = rest
            .split_once(' ')
            .ok_or_else(|| bad("a record is none"))?;
        let length: usize = length.parse().map_err(|_| bad("a record is none"))?;
        let line = rest
            .get(..length)
            .ok_or_else(|| bad("a record is cut off"))?;
        let pair = line.trim_end_matches('\n').split_once(' ');
        if let Some(("path", value)) = pair.and_then(|(_, pair)| pair.split_once('=')) {
            path = Some(value.to_string());
        }
        rest = &rest[length.max(1)..];
    }
    Ok(path)
}

/// False at a clean end.
fn fill(from: &mut impl Read, block: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(cut()),
            read => filled += read,
        }
    }
    Ok(true)
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn cut() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the archive ends in the middle",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (name, bytes) in files {
            writer
                .file(name, 0o600, bytes.len() as u64, &mut &bytes[..])
                .unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again_whatever_the_length_of_its_name() {
        let long = format!("{}/ü.txt", "folder/".repeat(60));
        let files: [(&str, &[u8]); 3] = [("a", b"one"), (&long, &[7; 512]), ("empty", b"")];
        let bytes = archive(&files);
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut reader = Reader::new(&bytes[..]);
        for (name, content) in files {
            let entry = reader.entry().unwrap().unwrap();
            assert_eq!(
                (entry.name.as_str(), entry.kind, entry.mode),
                (name, Kind::File, 0o600)
            );
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
        assert_eq!(reader.entry().unwrap(), None);
    }

    #[test]
    fn a_damaged_or_cut_archive_is_an_error_and_never_a_panic() {
        let whole = archive(&[("a", &[1; 2000]), (&"n".repeat(300), b"x")]);
        let walk = |bytes: &[u8]| -> io::Result<()> {
            let mut reader = Reader::new(bytes);
            while reader.entry()?.is_some() {
                io::copy(&mut reader, &mut io::sink())?;
            }
            Ok(())
        };
        walk(&whole).unwrap();
        for end in [1, 600, 1024, 3000, 3500] {
            assert!(walk(&whole[..end]).is_err(), "{end}");
        }
        for at in (0..BLOCK).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            assert!(walk(&bytes).is_err(), "{at}");
        }
    }

    #[test]
    fn a_name_without_end_and_a_number_without_bound_are_refused() {
        let mut writer = Writer::new(Vec::new());
        writer.header("x", b'L', 0, 1 << 40).unwrap();
        let bytes = writer.finish().unwrap();
        assert!(Reader::new(&bytes[..]).entry().is_err());
        assert!(number(&[0xff; 12]).is_err());
        assert!(path_of("99999 path=x\n").is_err());
        assert!(path_of("0 path=x\n").is_ok_and(|path| path.is_none()) || path_of("0 p").is_err());
    }

    #[test]
    fn a_large_size_keeps_its_value() {
        let mut field = [0; 12];
        octal(&mut field, 1 << 40);
        assert_eq!(number(&field).unwrap(), 1 << 40);
        octal(&mut field, 8 * 1024 * 1024);
        assert_eq!(number(&field).unwrap(), 8 * 1024 * 1024);
    }
}
