//! The log file of a day: `openclaw-YYYY-MM-DD.log` (local date) in a private folder, or one fixed
//! file. Several of our processes append to it at once, whole lines in one write each.
//!
//! A full disk or a lost folder costs one line on stderr, never a panic and never the caller's
//! time: what cannot be written is dropped until writing works again.

use super::atomic::{PRIVATE_FILE, create_private_dir};
use super::time;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Bytes of one file. A full one is renamed to `….1.log` and a fresh one begun, so a day takes at
/// most twice this.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Older `openclaw-*.log` files are removed when a day's file is opened.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two tries to open a file that could not be opened.
const RETRY_MS: u64 = 30_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `logging.file`.
    Fixed(PathBuf),
    /// A folder with a file for each day.
    Daily(PathBuf),
}

impl Place {
    /// The file that a line written at `ms` goes to.
    pub fn file(&self, ms: u64) -> PathBuf {
        match self {
            Place::Fixed(file) => file.clone(),
            Place::Daily(dir) => dir.join(format!(
                "openclaw-{}.log",
                time::local(ms).strftime("%Y-%m-%d")
            )),
        }
    }
}

#[derive(Debug)]
pub struct DayFile {
    place: Place,
    open: Option<Open>,
    /// Lines before this moment are dropped: opening has just failed.
    retry_ms: u64,
    complained: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    /// The local midnight that ends its day.
    until_ms: u64,
    size: u64,
}

impl DayFile {
    /// Opens nothing yet: a process that logs nothing has no file.
    pub fn new(place: Place) -> DayFile {
        DayFile {
            place,
            open: None,
            retry_ms: 0,
            complained: false,
        }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Appends one line, which ends in a newline, said at `now_ms`.
    pub fn append(&mut self, line: &[u8], now_ms: u64) {
        if now_ms < self.retry_ms {
            return;
        }
        match self.write(line, now_ms) {
            Ok(()) => self.complained = false,
            Err(err) => {
                self.open = None;
                self.retry_ms = now_ms + RETRY_MS;
                if !std::mem::replace(&mut self.complained, true) {
                    let path = self.place.file(now_ms);
                    eprintln!("log file {}: {err}", path.display());
                }
            }
        }
    }

    fn write(&mut self, line: &[u8], now_ms: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|o| now_ms >= o.until_ms) {
            self.open = None;
        }
        if self.open.as_ref().is_some_and(|o| o.size >= MAX_BYTES) {
            self.rotate()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(open(&self.place, now_ms)?),
        };
        open.size += line.len() as u64;
        open.file.write_all(line)
    }

    /// Another process may have rotated already: then only our descriptor is old.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let ours = open.file.metadata()?;
        if fs::metadata(&open.path).is_ok_and(|m| m.is_file() && m.ino() == ours.ino()) {
            fs::rename(&open.path, open.path.with_extension("1.log"))?;
        }
        Ok(())
    }
}

fn open(place: &Place, now_ms: u64) -> io::Result<Open> {
    let path = place.file(now_ms);
    if let Some(dir) = path.parent() {
        create_private_dir(dir)?;
    }
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(PRIVATE_FILE)
        .open(&path)?;
    let until_ms = match place {
        Place::Fixed(_) => u64::MAX,
        Place::Daily(dir) => {
            remove_old(dir, &path);
            midnight_after(now_ms)
        }
    };
    Ok(Open {
        size: file.metadata()?.len(),
        file,
        path,
        until_ms,
    })
}

fn midnight_after(ms: u64) -> u64 {
    let now = time::local(ms);
    now.tomorrow()
        .and_then(|day| day.start_of_day())
        .ok()
        .and_then(|midnight| u64::try_from(midnight.timestamp().as_millisecond()).ok())
        .unwrap_or(ms + 60_000)
}

fn remove_old(dir: &Path, current: &Path) {
    let now = SystemTime::now();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|n| n.starts_with("openclaw-") && n.ends_with(".log"));
        let old = || {
            let modified = entry.metadata().and_then(|m| m.modified()).ok()?;
            now.duration_since(modified).ok().filter(|age| *age > KEEP)
        };
        if ours && entry.path() != current && old().is_some() {
            // Another process may have been quicker.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;
    use std::fs::FileTimes;

    #[test]
    fn a_new_day_begins_a_new_file_and_old_ones_go() {
        let dir = temp_dir("dayfile");
        let old = dir.join("openclaw-2001-01-01.log");
        let other = dir.join("notes.log");
        for path in [&old, &other] {
            let long_ago = SystemTime::now() - 2 * KEEP;
            let file = File::create(path).unwrap();
            file.set_times(FileTimes::new().set_modified(long_ago))
                .unwrap();
        }
        let mut log = DayFile::new(Place::Daily(dir.join("")));
        let today = time::now_ms();
        log.append(b"a\n", today);
        log.append(b"b\n", today);
        let next = midnight_after(today);
        log.append(b"c\n", next);
        let read = |ms| fs::read_to_string(log.place().file(ms)).unwrap();
        assert_eq!(read(today), "a\nb\n");
        assert_eq!(read(next), "c\n");
        assert!(!old.exists() && other.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_full_file_is_put_aside_once_whoever_notices() {
        let dir = temp_dir("dayfile");
        let place = Place::Fixed(dir.join("x.log"));
        let now = time::now_ms();
        let (mut one, mut two) = (DayFile::new(place.clone()), DayFile::new(place.clone()));
        one.append(b"1\n", now);
        two.append(b"2\n", now);
        for log in [&mut one, &mut two] {
            log.open.as_mut().unwrap().size = MAX_BYTES;
        }
        one.append(b"3\n", now);
        two.append(b"4\n", now);
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!(read("x.1.log"), "1\n2\n");
        assert_eq!(read("x.log"), "3\n4\n");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_nothing() {
        let mut log = DayFile::new(Place::Fixed("/dev/full".into()));
        log.append(b"x\n", 1);
        assert!(log.complained);
        assert_eq!(log.retry_ms, 1 + RETRY_MS);
        let mut lost = DayFile::new(Place::Daily("/proc/nowhere".into()));
        lost.append(b"x\n", 1);
        lost.append(b"x\n", 2);
        assert!(lost.complained);
    }
}
