//! How file tools reach files: as the user wrote the path (`~`, relative to the workspace), on the
//! whole host; or, in a sandboxed session, below its room only and through no symlink.

use super::confine::{self, Room, tidy};
use super::{Call, Context, Error};
use crate::base::sys::beneath::{self, How};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file `edit` takes whole into memory, bytes.
const MAX_WHOLE: u64 = 16 * 1024 * 1024;

pub struct Files {
    base: PathBuf,
    home: PathBuf,
    room: Option<Room>,
}

/// A path as a tool was given it, and what it means.
pub struct Target {
    /// As given, for messages.
    pub given: String,
    pub absolute: PathBuf,
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
        })
    }

    /// The call's `path` (or `file_path`).
    pub fn target(&self, call: &Call) -> Result<Target, Error> {
        let given = call
            .first_of(&["path", "file_path"])
            .ok_or("Missing required parameter: path (path or file_path)")?;
        let absolute = match given.strip_prefix('~') {
            Some("") => self.home.clone(),
            Some(rest) if rest.starts_with('/') => self.home.join(&rest[1..]),
            _ => self.base.join(given),
        };
        let mut absolute = tidy(&absolute);
        if let Some(room) = &self.room {
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
                let given = &target.given;
                return Err(Error(format!("{given} can only be read in this sandbox.")));
            }
            Some(room) => self.create_beneath(room, target),
            None => create(&target.absolute),
        };
        let mut file = file.map_err(|err| fault(&err, "open", target))?;
        file.write_all(content)
            .map_err(|err| fault(&err, "write", target))
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
