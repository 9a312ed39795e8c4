//! Whether a file is still the one we read: its size, time and inode.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub size: u64,
    modified: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// `None` when there is no file.
    pub fn of(path: &Path) -> io::Result<Option<Stamp>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Stamp::from(&meta))),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// When the file was written last, milliseconds since 1970.
    pub fn modified_ms(&self) -> u64 {
        let (seconds, nanos) = self.modified;
        u64::try_from(seconds * 1000 + nanos / 1_000_000).unwrap_or(0)
    }

    pub fn of_file(file: &File) -> io::Result<Stamp> {
        Ok(Stamp::from(&file.metadata()?))
    }
}

impl From<&Metadata> for Stamp {
    fn from(meta: &Metadata) -> Stamp {
        Stamp {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            inode: meta.ino(),
        }
    }
}
