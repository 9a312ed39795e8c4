//! How file tools reach files: as the user wrote the path (`~`, relative to the workspace), on the
//! whole host; or, in a sandboxed session, below its room only and through no symlink.

use super::confine::{self, Room, tidy};
use super::{Call, Context, Error};
use crate::base::sys::beneath::{self, How};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file `edit` takes whole into memory, bytes.
const MAX_WHOLE: u64 = 16 * 1024 * 1024;
/// Most entries of one folder that are looked at: some MB of names.
const MAX_ENTRIES: usize = 100_000;

pub struct Files {
    base: PathBuf,
    home: PathBuf,
    room: Option<Room>,
    workspace: PathBuf,
}

/// A path as a tool was given it, and what it means.
pub struct Target {
    /// As given, for messages.
    pub given: String,
    pub absolute: PathBuf,
}

/// An entry of a folder.
pub struct Entry {
    pub name: OsString,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File,
    Symlink,
    /// A FIFO, a socket, a device.
    Other,
}

impl Kind {
    fn of(kind: std::fs::FileType) -> Kind {
        match kind {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_file() => Kind::File,
            kind if kind.is_symlink() => Kind::Symlink,
            _ => Kind::Other,
        }
    }
}

impl Files {
    pub fn of(ctx: &Context) -> Result<Files, Error> {
        let room = confine::room(ctx)?;
        let base = match &room {
            Some(room) => room.root.clone(),
            None => ctx.workspace.clone(),
        };
        Ok(Files {
            base,
            home: ctx.processes.paths().home.clone(),
            room,
            workspace: ctx.workspace.clone(),
        })
    }

    /// The call's `path` (or `file_path`).
    pub fn target(&self, call: &Call) -> Result<Target, Error> {
        let given = call
            .first_of(&["path", "file_path"])
            .ok_or("Missing required parameter: path (path or file_path)")?;
        self.resolve(given)
    }

    /// Where relative paths start: the workspace, or the sandbox's room.
    pub fn base(&self) -> &Path {
        &self.base
    }

    pub fn resolve(&self, given: &str) -> Result<Target, Error> {
        let absolute = match given.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(&rest[1..]),
            _ => self.base.join(given),
        };
        let mut absolute = tidy(&absolute);
        if let Some(room) = &self.room {
            if let Some(meant) = room.outside(&self.workspace, &absolute) {
                absolute = meant;
            }
            if room.holder(&absolute).is_none() {
                // By another name, as the prompt may have a skill's.
                let real = absolute.canonicalize().ok();
                let Some(real) = real.filter(|real| room.holder(real).is_some()) else {
                    let root = room.root.display();
                    return Err(Error(format!(
                        "Path escapes sandbox root ({root}): {given}"
                    )));
                };
                absolute = real;
            }
        }
        Ok(Target {
            given: given.to_string(),
            absolute,
        })
    }

    /// Opens a regular file for reading.
    pub fn open(&self, target: &Target) -> Result<File, Error> {
        let file = match &self.room {
            Some(room) => self.beneath(room, target, How::Read),
            // Not blocking: opening a FIFO nobody writes to would hang the run.
            None => OpenOptions::new()
                .read(true)
                .custom_flags(beneath::NONBLOCK)
                .open(&target.absolute),
        };
        let file = file.map_err(|err| fault(&err, "access", target))?;
        let kind = file.metadata().map_err(|err| fault(&err, "stat", target))?;
        if kind.is_dir() {
            return Err("EISDIR: illegal operation on a directory, read".into());
        }
        if !kind.is_file() {
            return Err(Error(format!("Not a regular file: {}", target.given)));
        }
        Ok(file)
    }

    /// The whole of a file.
    pub fn load(&self, target: &Target) -> Result<Vec<u8>, Error> {
        let file = self.open(target)?;
        let mut bytes = Vec::new();
        file.take(MAX_WHOLE + 1)
            .read_to_end(&mut bytes)
            .map_err(|err| fault(&err, "read", target))?;
        if bytes.len() as u64 > MAX_WHOLE {
            let limit = MAX_WHOLE / (1024 * 1024);
            let given = &target.given;
            return Err(Error(format!(
                "{given} is larger than {limit} MiB. Change it with exec (sed, awk) instead."
            )));
        }
        Ok(bytes)
    }

    /// Replaces the content, making the file and its folders when missing.
    pub fn save(&self, target: &Target, content: &[u8]) -> Result<(), Error> {
        let file = match &self.room {
            Some(room) if !target.absolute.starts_with(&room.root) => {
                return Err(read_only(target));
            }
            Some(room) => self.create_beneath(room, target),
            None => create(&target.absolute),
        };
        let mut file = file.map_err(|err| fault(&err, "open", target))?;
        file.write_all(content)
            .map_err(|err| fault(&err, "write", target))
    }

    /// Removes a file; of a symlink the link.
    pub fn remove(&self, target: &Target) -> Result<(), Error> {
        match &self.room {
            Some(room) if !target.absolute.starts_with(&room.root) => {
                return Err(read_only(target));
            }
            Some(room) => {
                let (folder, path) = relative(room, target);
                File::open(folder).and_then(|root| beneath::remove(&root, path))
            }
            None => std::fs::remove_file(&target.absolute),
        }
        .map_err(|err| fault(&err, "unlink", target))
    }

    /// What is there. Outside a sandbox symlinks are followed; inside they are an error.
    pub fn kind(&self, target: &Target) -> Result<Kind, Error> {
        let meta = match &self.room {
            Some(room) => self
                .beneath(room, target, How::Any)
                .and_then(|file| file.metadata()),
            None => std::fs::metadata(&target.absolute),
        };
        let meta = meta.map_err(|err| fault(&err, "stat", target))?;
        Ok(Kind::of(meta.file_type()))
    }

    /// The entries of a folder, sorted by name without regard to case, and whether there are more
    /// than are looked at.
    pub fn list(&self, target: &Target) -> Result<(Vec<Entry>, bool), Error> {
        let entries = match &self.room {
            Some(room) => self
                .beneath(room, target, How::List)
                .and_then(|folder| beneath::entries(&folder)),
            None => std::fs::read_dir(&target.absolute),
        };
        let entries = entries.map_err(|err| fault(&err, "scandir", target))?;
        let mut found = Vec::new();
        let mut more = false;
        for entry in entries {
            let entry = entry.map_err(|err| fault(&err, "scandir", target))?;
            if found.len() == MAX_ENTRIES {
                more = true;
                break;
            }
            found.push(Entry {
                name: entry.file_name(),
                kind: entry.file_type().map_or(Kind::Other, Kind::of),
            });
        }
        found.sort_by_cached_key(|entry| {
            let name = entry.name.to_string_lossy();
            (name.to_lowercase(), name.into_owned())
        });
        Ok((found, more))
    }

    /// A path below the base without it, any other one whole.
    pub fn shown(&self, target: &Target) -> String {
        match target.absolute.strip_prefix(&self.base) {
            Ok(inside) if !inside.as_os_str().is_empty() => inside.display().to_string(),
            _ => target.absolute.display().to_string(),
        }
    }

    fn create_beneath(&self, room: &Room, target: &Target) -> io::Result<File> {
        let (folder, path) = relative(room, target);
        if let Some(parent) = path.parent() {
            beneath::create_folders(&File::open(folder)?, parent)?;
        }
        self.beneath(room, target, How::Write)
    }

    fn beneath(&self, room: &Room, target: &Target, how: How) -> io::Result<File> {
        let (folder, path) = relative(room, target);
        beneath::open(&File::open(folder)?, path, how)
    }
}

fn read_only(target: &Target) -> Error {
    Error(format!(
        "{} can only be read in this sandbox.",
        target.given
    ))
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(beneath::NONBLOCK)
        .open(path)
}

/// The folder of the room a target lies in, and its path from there.
fn relative<'a>(room: &'a Room, target: &'a Target) -> (&'a Path, &'a Path) {
    let folder = room.holder(&target.absolute);
    let folder = folder.expect("a target lies in its room, see Files::target");
    let path = target.absolute.strip_prefix(folder);
    (folder, path.expect("its holder is what it starts with"))
}

/// The words of a system error as Node.js says them: models know them well.
fn fault(err: &io::Error, call: &str, target: &Target) -> Error {
    let path = target.absolute.display();
    let said = match err.kind() {
        io::ErrorKind::NotFound => "ENOENT: no such file or directory",
        io::ErrorKind::PermissionDenied => "EACCES: permission denied",
        io::ErrorKind::IsADirectory => "EISDIR: illegal operation on a directory",
        io::ErrorKind::NotADirectory => "ENOTDIR: not a directory",
        io::ErrorKind::StorageFull => "ENOSPC: no space left on device",
        io::ErrorKind::ReadOnlyFilesystem => "EROFS: read-only file system",
        io::ErrorKind::InvalidInput => "EINVAL: invalid argument",
        _ if beneath::is_symlink(err) => {
            return Error(format!("Symlink not allowed in sandbox path: {path}"));
        }
        _ => return Error(format!("{err}, {call} '{path}'")),
    };
    Error(format!("{said}, {call} '{path}'"))
}
