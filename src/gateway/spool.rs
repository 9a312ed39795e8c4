//! Records that outlive a core: a folder with one JSON file each, named so that the order of the
//! names is the order of the records.

use crate::base::atomic::{self, Durability};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A record on disk. Dropping it leaves the file: only `done` removes it.
#[derive(Debug)]
pub struct Spooled(PathBuf);

impl Spooled {
    /// Writes the record down; it survives the death of the process when this returns.
    pub fn write(folder: &Path, record: &impl Serialize) -> io::Result<Spooled> {
        let spooled = Spooled::fresh(folder);
        spooled.replace(record)?;
        Ok(spooled)
    }

    /// The same, and it survives a power cut.
    pub fn write_firmly(folder: &Path, record: &impl Serialize) -> io::Result<Spooled> {
        let spooled = Spooled::fresh(folder);
        atomic::write(&spooled.0, &serde_json::to_vec(record)?)?;
        Ok(spooled)
    }

    fn fresh(folder: &Path) -> Spooled {
        /// Tells records of one millisecond apart.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "{:015}-{:06}-{}.json",
            crate::base::time::now_ms(),
            NEXT.fetch_add(1, Ordering::Relaxed) % 1_000_000,
            crate::base::id::short()
        );
        Spooled(folder.join(name))
    }

    pub fn replace(&self, record: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        atomic::write_with(&self.0, &bytes, atomic::PRIVATE_FILE, Durability::PageCache)
    }

    pub fn read<T: DeserializeOwned>(&self) -> io::Result<T> {
        Ok(serde_json::from_slice(&fs::read(&self.0)?)?)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn done(self) {
        if let Err(err) = fs::remove_file(&self.0) {
            log::warn!("cannot remove {}: {err}", self.0.display());
        }
    }
}

/// What an earlier core left there, oldest first.
pub fn left(folder: &Path) -> Vec<Spooled> {
    let Ok(folder) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = folder.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files.into_iter().map(Spooled).collect()
}
