//! Which files belong into an index: `MEMORY.md`, `memory.md` and `memory/**/*.md` of the workspace,
//! and the configured folders and files. No symlink is followed, not even one that takes a file's
//! place between the look and the reading; a file that has two names is indexed once.

use super::error::Error;
use crate::base::sys::beneath::{self, How};
use crate::wire::memory::Index;
use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of one index. A workspace with more is not made of notes.
const MAX_FILES: usize = 20_000;
/// Bytes of one file; a larger one is left out and named in the status.
pub const MAX_FILE: u64 = 8 * 1024 * 1024;
/// Folders in folders.
const MAX_DEPTH: usize = 16;

/// A file as it lies on the disk.
#[derive(Clone, Debug)]
pub struct Found {
    /// As the index names it.
    pub path: String,
    /// The folder it was found below, and its way from there.
    root: PathBuf,
    inside: PathBuf,
    /// Milliseconds since 1970, with their fraction, as the original writes them.
    pub mtime: f64,
    pub size: u64,
}

#[derive(Debug, Default)]
pub struct Listing {
    pub files: Vec<Found>,
    pub issues: Vec<String>,
    seen: HashSet<(u64, u64)>,
}

/// Everything of the source `memory`.
pub fn list(index: &Index) -> Listing {
    let mut listing = Listing::default();
    if !index.files {
        return listing;
    }
    let workspace = &index.workspace;
    for name in ["MEMORY.md", "memory.md"] {
        listing.file(index, workspace, PathBuf::from(name));
    }
    match fs::symlink_metadata(workspace.join("memory")) {
        Ok(meta) if meta.is_dir() => listing.folder(index, workspace, Path::new("memory"), 0),
        Ok(_) => {}
        Err(_) => {
            let dir = workspace.join("memory");
            let issue = format!("memory directory missing ({})", dir.display());
            listing.issues.push(issue);
        }
    }
    for extra in &index.extra {
        listing.extra(index, extra);
    }
    listing
}

impl Listing {
    fn extra(&mut self, index: &Index, path: &Path) {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => self.folder(index, path, Path::new(""), 0),
            Ok(meta) if meta.is_file() && is_markdown(path) => {
                if let (Some(dir), Some(name)) = (path.parent(), path.file_name()) {
                    self.file(index, dir, PathBuf::from(name));
                }
            }
            Ok(_) => {}
            Err(err) => {
                let issue = format!("additional memory path missing ({}): {err}", path.display());
                self.issues.push(issue);
            }
        }
    }

    fn folder(&mut self, index: &Index, root: &Path, inside: &Path, depth: usize) {
        let dir = root.join(inside);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(err) => {
                self.issues.push(format!("{}: {err}", dir.display()));
                return;
            }
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let below = inside.join(entry.file_name());
            // Says of a symlink that it is one.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                    self.folder(index, root, &below, depth + 1);
                }
                Ok(kind) if kind.is_file() && is_markdown(&below) => {
                    self.file(index, root, below);
                }
                _ => {}
            }
        }
    }

    fn file(&mut self, index: &Index, root: &Path, inside: PathBuf) {
        let whole = root.join(&inside);
        let Ok(meta) = fs::symlink_metadata(&whole) else {
            return;
        };
        if !meta.is_file() || !self.seen.insert((meta.dev(), meta.ino())) {
            return;
        }
        if meta.len() > MAX_FILE {
            let issue = format!("{}: larger than {MAX_FILE} bytes", whole.display());
            return self.issues.push(issue);
        }
        if self.files.len() == MAX_FILES {
            let issue = format!("more than {MAX_FILES} files: the rest is left out");
            if self.issues.last() != Some(&issue) {
                self.issues.push(issue);
            }
            return;
        }
        self.files.push(Found {
            path: relative(&index.workspace, &whole),
            root: root.to_path_buf(),
            inside,
            mtime: mtime(&meta),
            size: meta.len(),
        });
    }
}

impl Found {
    /// The text; bytes that are not UTF-8 are replaced.
    pub fn read(&self) -> Result<String, Error> {
        let whole = self.root.join(&self.inside);
        let read = || {
            let root = File::open(&self.root)?;
            let file = beneath::open(&root, &self.inside, How::Read)?;
            let mut bytes = Vec::new();
            file.take(MAX_FILE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(Error::io(whole))?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(err) => String::from_utf8_lossy(err.as_bytes()).into_owned(),
        })
    }
}

pub fn mtime(meta: &Metadata) -> f64 {
    meta.mtime() as f64 * 1000.0 + meta.mtime_nsec() as f64 / 1e6
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "md")
}

/// The way from the workspace, over `..` where it lies elsewhere.
fn relative(workspace: &Path, path: &Path) -> String {
    let mut from = workspace.components().peekable();
    let mut to = path.components().peekable();
    while from.peek().is_some() && from.peek() == to.peek() {
        from.next();
        to.next();
    }
    let mut way: PathBuf = from.map(|_| "..").collect();
    way.extend(to);
    way.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_not_followed_and_a_file_counts_once() {
        let dir = crate::base::id::temp_dir("memory-files");
        let ws = dir.join("ws");
        fs::create_dir_all(ws.join("memory/deep")).unwrap();
        fs::create_dir_all(dir.join("notes")).unwrap();
        fs::write(dir.join("secret.md"), "s").unwrap();
        fs::write(ws.join("MEMORY.md"), "m").unwrap();
        fs::hard_link(ws.join("MEMORY.md"), ws.join("memory.md")).unwrap();
        fs::write(ws.join("memory/b.md"), "b").unwrap();
        fs::write(ws.join("memory/deep/a.md"), [0xff, b'x']).unwrap();
        fs::write(ws.join("memory/c.txt"), "c").unwrap();
        fs::write(dir.join("notes/n.md"), "n").unwrap();
        symlink(dir.join("secret.md"), ws.join("memory/link.md")).unwrap();
        symlink(&dir, ws.join("memory/all")).unwrap();
        let index = Index {
            workspace: ws.clone(),
            files: true,
            extra: vec![dir.join("notes"), dir.join("notes/n.md"), dir.join("none")],
            ..Index::default()
        };
        let listing = list(&index);
        let paths: Vec<&str> = listing.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "MEMORY.md",
                "memory/b.md",
                "memory/deep/a.md",
                "../notes/n.md"
            ]
        );
        assert_eq!(listing.issues.len(), 1, "{:?}", listing.issues);
        assert_eq!(listing.files[2].read().unwrap(), "\u{fffd}x");
        // What was a file when we looked is a link now.
        fs::remove_file(ws.join("memory/b.md")).unwrap();
        symlink(dir.join("secret.md"), ws.join("memory/b.md")).unwrap();
        assert!(listing.files[1].read().is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
