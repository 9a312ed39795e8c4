//! The workspace files that people see and edit through the gateway: the ones every prompt is made
//! of, by name, and no others.
//!
//! The model can write the workspace, so a name in it may be a link to anywhere: a link that leads
//! out of the workspace is neither read nor written. Files are replaced whole, by rename.

use super::workspace::{self, BOOTSTRAP};
use crate::base::atomic::{self, Durability};
use crate::base::sys::beneath::{self, How};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Largest file that is shown. The prompt uses some 20,000 characters of one.
const MAX_SHOWN: u64 = 2 * 1024 * 1024;
/// Mode of a new one, as the original's and an editor's.
const NEW_FILE: u32 = 0o644;
const MEMORY: [&str; 2] = ["MEMORY.md", "memory.md"];

/// A file as it stands on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub name: &'static str,
    pub path: PathBuf,
    /// `None` when there is no such file.
    pub state: Option<State>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    pub size: u64,
    pub updated_ms: u64,
}

#[derive(Debug)]
pub enum Error {
    /// Not one of the names.
    Unsupported(String),
    /// A link out of the workspace, a folder, a device.
    NotPlain(PathBuf),
    TooLarge(PathBuf),
    Io(&'static str, PathBuf, io::Error),
}

/// The names, in the order of the prompt, then what the agent remembers.
pub fn names() -> impl Iterator<Item = &'static str> {
    workspace::names().chain([BOOTSTRAP])
}

/// The known spelling of a name.
pub fn known(name: &str) -> Result<&'static str, Error> {
    let name = name.trim();
    names()
        .chain(MEMORY)
        .find(|known| *known == name)
        .ok_or_else(|| Error::Unsupported(name.into()))
}

/// Every file; of the two spellings of MEMORY.md the one that is there.
pub fn list(dir: &Path) -> Vec<Seen> {
    let mut seen: Vec<Seen> = names().map(|name| look(dir, name)).collect();
    let [upper, lower] = MEMORY.map(|name| look(dir, name));
    let memory = if upper.state.is_none() && lower.state.is_some() {
        lower
    } else {
        upper
    };
    seen.push(memory);
    seen
}

fn look(dir: &Path, name: &'static str) -> Seen {
    let path = dir.join(name);
    let state = fs::metadata(&path).ok().filter(Metadata::is_file);
    Seen {
        name,
        state: state.map(|meta| State::of(&meta)),
        path,
    }
}

/// A file with its text, and no text when there is no such file.
pub fn read(dir: &Path, name: &'static str) -> Result<(Seen, Option<String>), Error> {
    let path = dir.join(name);
    let Some(target) = inside(dir, &path)? else {
        let state = None;
        return Ok((Seen { name, path, state }, None));
    };
    let failed = |err| Error::Io("read", target.clone(), err);
    // From the folder, without links: what stands at the name now may be another than a moment ago.
    let root = dir.canonicalize().map_err(failed)?;
    let below = target.strip_prefix(&root).unwrap_or(&target);
    let file = File::open(&root).and_then(|root| beneath::open(&root, below, How::Read));
    let file = file.map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::NotPlain(path));
    }
    if meta.len() > MAX_SHOWN {
        return Err(Error::TooLarge(path));
    }
    let mut bytes = Vec::new();
    file.take(MAX_SHOWN)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let state = Some(State::of(&meta));
    Ok((Seen { name, path, state }, Some(text)))
}

/// Replaces a file, or makes it and the workspace; what was there before is gone.
pub fn write(dir: &Path, name: &'static str, text: &str) -> Result<Seen, Error> {
    fs::create_dir_all(dir).map_err(|err| Error::Io("create", dir.into(), err))?;
    let path = dir.join(name);
    let target = inside(dir, &path)?;
    let mode = match &target {
        None => NEW_FILE,
        Some(target) => {
            let meta =
                fs::metadata(target).map_err(|err| Error::Io("read", target.clone(), err))?;
            if !meta.is_file() {
                return Err(Error::NotPlain(path));
            }
            meta.permissions().mode() & 0o777
        }
    };
    let target = target.unwrap_or_else(|| path.clone());
    atomic::write_with(&target, text.as_bytes(), mode, Durability::Disk)
        .map_err(|err| Error::Io("write", target, err))?;
    Ok(look(dir, name))
}

/// Where a name really leads, `None` when to nothing; an error when that is out of the workspace.
fn inside(dir: &Path, path: &Path) -> Result<Option<PathBuf>, Error> {
    match fs::symlink_metadata(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(Error::Io("read", path.into(), err)),
        Ok(_) => {}
    }
    let real = |path: &Path| path.canonicalize();
    match (real(dir), real(path)) {
        (Ok(dir), Ok(target)) if target.starts_with(&dir) => Ok(Some(target)),
        // Also a link to nothing: writing through it would make a file somewhere.
        _ => Err(Error::NotPlain(path.into())),
    }
}

impl State {
    fn of(meta: &Metadata) -> State {
        let since = meta
            .modified()
            .ok()
            .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        State {
            size: meta.len(),
            updated_ms: since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(0)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unsupported(name) => write!(f, "unsupported file \"{name}\""),
            Error::NotPlain(path) => write!(
                f,
                "{} is not a file of the workspace (a link out of it, or no plain file)",
                path.display()
            ),
            Error::TooLarge(path) => {
                write!(f, "{} is larger than {MAX_SHOWN} bytes", path.display())
            }
            Error::Io(action, path, err) => write!(f, "cannot {action} {}: {err}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_listed_read_and_replaced_by_their_names() {
        let dir = id::temp_dir("files").join("ws");
        let soul = known(" SOUL.md ").unwrap();
        assert!(known("../x").is_err() && known("soul.md").is_err());
        let all: Vec<&str> = list(&dir).iter().map(|seen| seen.name).collect();
        assert_eq!(
            all,
            [
                "AGENTS.md",
                "SOUL.md",
                "TOOLS.md",
                "IDENTITY.md",
                "USER.md",
                "HEARTBEAT.md",
                "BOOTSTRAP.md",
                "MEMORY.md"
            ]
        );
        assert_eq!(read(&dir, soul).unwrap().1, None);
        let seen = write(&dir, soul, "be kind").unwrap();
        assert_eq!(seen.state.unwrap().size, 7);
        assert_eq!(read(&dir, soul).unwrap().1.as_deref(), Some("be kind"));
        fs::set_permissions(dir.join("SOUL.md"), fs::Permissions::from_mode(0o600)).unwrap();
        write(&dir, soul, "x").unwrap();
        let mode = fs::metadata(dir.join("SOUL.md"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        write(&dir, known("memory.md").unwrap(), "m").unwrap();
        assert_eq!(list(&dir).last().unwrap().name, "memory.md");
        fs::remove_dir_all(dir.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_link_out_of_the_workspace_is_neither_read_nor_written() {
        let base = id::temp_dir("files");
        let dir = base.join("ws");
        fs::create_dir(&dir).unwrap();
        fs::write(base.join("secret"), "s").unwrap();
        symlink("../secret", dir.join("SOUL.md")).unwrap();
        symlink("../nothing", dir.join("USER.md")).unwrap();
        fs::create_dir(dir.join("TOOLS.md")).unwrap();
        for name in ["SOUL.md", "USER.md", "TOOLS.md"] {
            assert!(read(&dir, name).is_err(), "{name}");
            assert!(write(&dir, name, "x").is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(base.join("secret")).unwrap(), "s");
        assert!(!base.join("nothing").exists());
        // One within it is written through.
        fs::write(dir.join("real.md"), "old").unwrap();
        symlink("real.md", dir.join("AGENTS.md")).unwrap();
        write(&dir, "AGENTS.md", "new").unwrap();
        assert_eq!(fs::read_to_string(dir.join("real.md")).unwrap(), "new");
        assert!(
            fs::symlink_metadata(dir.join("AGENTS.md"))
                .unwrap()
                .is_symlink()
        );
        fs::remove_dir_all(base).unwrap();
    }
}
