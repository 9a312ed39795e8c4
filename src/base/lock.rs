//! Advisory file locks. `flock` alone decides who holds one; the text in the file only names the
//! holder for people. A file that nobody flocks is no lock, however old it is.

use fs2::FileExt;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who holds a lock, written into the lock file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub pid: u32,
    pub started_at: String,
    pub version: String,
    pub role: String,
}

/// A held lock; dropping it (or dying) releases it. The file stays.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
pub enum Error {
    /// Somebody else holds it.
    Held {
        path: PathBuf,
        holder: Option<Holder>,
    },
    Io {
        path: PathBuf,
        err: io::Error,
    },
}

/// Takes the lock at `path` or says who has it. `role` is written for people: `supervisor`, `core`.
pub fn try_take(path: &Path, role: &str) -> Result<Lock, Error> {
    let fail = |err| Error::Io {
        path: path.to_path_buf(),
        err,
    };
    if let Some(dir) = path.parent() {
        super::atomic::create_private_dir(dir).map_err(fail)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(super::atomic::PRIVATE_FILE)
        .open(path)
        .map_err(fail)?;
    if let Err(err) = FileExt::try_lock_exclusive(&file) {
        if err.kind() == fs2::lock_contended_error().kind() {
            return Err(Error::Held {
                path: path.to_path_buf(),
                holder: read_holder(&mut file),
            });
        }
        return Err(fail(err));
    }
    let holder = Holder {
        pid: std::process::id(),
        started_at: super::time::now_iso(),
        version: env!("CARGO_PKG_VERSION").into(),
        role: role.into(),
    };
    let text = serde_json::to_vec(&holder).expect("a holder is plain data");
    file.set_len(0).map_err(fail)?;
    file.rewind().map_err(fail)?;
    file.write_all(&text).map_err(fail)?;
    Ok(Lock {
        file,
        path: path.to_path_buf(),
    })
}

/// `try_take`, repeated every 25 ms for `patience`.
pub fn take(path: &Path, role: &str, patience: Duration) -> Result<Lock, Error> {
    let start = Instant::now();
    loop {
        match try_take(path, role) {
            Err(Error::Held { .. }) if start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(25));
            }
            other => return other,
        }
    }
}

/// Who holds `path` now, without taking it: `None` when it is free.
pub fn holder(path: &Path) -> Option<Holder> {
    let mut file = File::open(path).ok()?;
    match FileExt::try_lock_shared(&file) {
        Ok(()) => None,
        Err(_) => read_holder(&mut file),
    }
}

/// Creates a lock file of the kind whose mere existence keeps others out, as the original uses them;
/// `false` when somebody has it.
pub fn create_file(path: &Path, content: &[u8]) -> io::Result<bool> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(super::atomic::PRIVATE_FILE)
        .open(path);
    let mut file = match file {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(err) => return Err(err),
    };
    if let Err(err) = file.write_all(content) {
        // Without its content it would keep out everybody, us included.
        let _ = std::fs::remove_file(path);
        return Err(err);
    }
    Ok(true)
}

/// The original's lock for files that several programs rewrite: a folder beside the file, which is
/// there while somebody holds it. It says nothing of who that is, so one that nobody has touched
/// for [`ABANDONED`] is taken away, as the original does.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// Holders of a folder lock renew its time every half of this.
const ABANDONED: Duration = Duration::from_secs(30);

/// Takes the folder lock of `file` within `patience`. Hold it for far less than [`ABANDONED`].
pub fn take_folder(file: &Path, patience: Duration) -> Result<Folder, Error> {
    let mut name = file.as_os_str().to_os_string();
    name.push(".lock");
    let path = PathBuf::from(name);
    let start = Instant::now();
    loop {
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(Folder(path)),
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::Io { path, err });
            }
            Err(_) => {}
        }
        let touched = std::fs::metadata(&path).and_then(|meta| meta.modified());
        let age = touched.ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            // Somebody else may be quicker; the next round sees who has it.
            let _ = std::fs::remove_dir(&path);
        } else if start.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(25));
        } else {
            return Err(Error::Held { path, holder: None });
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Taken away by somebody who thought it abandoned: then it is not ours to remove.
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Lock {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A child that inherits the descriptor shares the lock: it is free when both have gone.
impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Held {
                path,
                holder: Some(h),
            } => write!(
                f,
                "{} is held by pid {} ({}, since {})",
                path.display(),
                h.pid,
                h.role,
                h.started_at
            ),
            Error::Held { path, holder: None } => write!(f, "{} is held", path.display()),
            Error::Io { path, err } => write!(f, "cannot lock {}: {err}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_learns_who_holds_it_and_a_stale_file_is_no_lock() {
        let dir = super::super::id::temp_dir("lock");
        let path = dir.join("x.lock");
        let held = try_take(&path, "core").unwrap();
        match try_take(&path, "core") {
            Err(Error::Held {
                holder: Some(h), ..
            }) => assert_eq!(h.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        assert_eq!(holder(&path).unwrap().role, "core");
        drop(held);
        assert!(holder(&path).is_none());
        try_take(&path, "core").unwrap();
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_keeps_the_other_program_out_and_an_old_one_keeps_nobody_out() {
        let dir = super::super::id::temp_dir("lock-folder");
        let file = dir.join("a.json");
        let held = take_folder(&file, Duration::ZERO).unwrap();
        assert!(matches!(
            take_folder(&file, Duration::ZERO),
            Err(Error::Held { .. })
        ));
        let hour = Duration::from_secs(3600);
        let old = std::time::SystemTime::now() - hour;
        File::open(dir.join("a.json.lock"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        drop(take_folder(&file, Duration::ZERO).unwrap());
        drop(held);
        assert!(!dir.join("a.json.lock").exists());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
