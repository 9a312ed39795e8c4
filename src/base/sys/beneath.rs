//! Opening files below a folder without ever leaving it: no `..` above it, no symlink at all on the
//! way, whoever renames what meanwhile (openat2(2), Linux 5.6).

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// For `OpenOptionsExt::custom_flags`: opening a FIFO does not wait for its other end.
pub const NONBLOCK: i32 = libc::O_NONBLOCK;

/// For the same: the descriptor only names the file, which is not opened.
pub const NAME_ONLY: i32 = libc::O_PATH;

/// Whether an open failed because there was a symlink on the way.
pub fn is_symlink(err: &io::Error) -> bool {
    err.raw_os_error() == Some(libc::ELOOP)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Read,
    /// Created when missing (mode 0666 less the umask), emptied otherwise.
    Write,
    Folder,
    /// Whatever it is, to be named by the descriptor and nothing more.
    Any,
    /// A folder whose entries are going to be read.
    List,
}

/// Opens `path`, relative to the folder `root`. A symlink on the way is `ELOOP`, an escape `EXDEV`.
/// Never blocks on a FIFO; the caller checks what kind of file it got.
pub fn open(root: &File, path: &Path, how: How) -> io::Result<File> {
    let flags = match how {
        How::Read => libc::O_RDONLY,
        How::Write => libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC,
        How::Folder => libc::O_PATH | libc::O_DIRECTORY,
        How::Any => libc::O_PATH,
        How::List => libc::O_RDONLY | libc::O_DIRECTORY,
    };
    let text = if path.as_os_str().is_empty() {
        c".".to_owned()
    } else {
        CString::new(path.as_os_str().as_bytes())?
    };
    // SAFETY: open_how is plain numbers; zero is a valid value of each.
    let mut open_how: libc::open_how = unsafe { std::mem::zeroed() };
    let mut flags = flags | libc::O_CLOEXEC;
    if matches!(how, How::Read | How::Write) {
        flags |= libc::O_NONBLOCK | libc::O_NOCTTY;
    }
    open_how.flags = flags as u64;
    if how == How::Write {
        open_how.mode = 0o666;
    }
    open_how.resolve =
        libc::RESOLVE_BENEATH | libc::RESOLVE_NO_SYMLINKS | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: the descriptor, the terminated string and the struct live during the call; the size
    // is the struct's.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            text.as_ptr(),
            &raw const open_how,
            size_of::<libc::open_how>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just gave us this descriptor and nobody else knows it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// The entries of a folder opened with [`How::List`]: of the very folder, whatever its path leads to
/// by now.
pub fn entries(folder: &File) -> io::Result<std::fs::ReadDir> {
    std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

/// Removes the file `path`, relative to `root`, following no symlink on the way. A symlink itself is
/// removed, not what it points to; a folder is `EISDIR`.
pub fn remove(root: &File, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = open(root, path.parent().unwrap_or(Path::new("")), How::Folder)?;
    let text = CString::new(name.as_bytes())?;
    // SAFETY: the descriptor and the terminated string live during the call.
    if unsafe { libc::unlinkat(parent.as_raw_fd(), text.as_ptr(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Makes the folder `path` and its parents, relative to `root`, following no symlink.
pub fn create_folders(root: &File, path: &Path) -> io::Result<()> {
    let mut here = open(root, Path::new(""), How::Folder)?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        let text = CString::new(name.as_bytes())?;
        // SAFETY: the descriptor and the terminated string live during the call.
        if unsafe { libc::mkdirat(here.as_raw_fd(), text.as_ptr(), 0o777) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
        }
        here = open(&here, Path::new(name), How::Folder)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_the_folder_can_be_opened() {
        let dir = crate::base::id::temp_dir("beneath");
        std::fs::create_dir(dir.join("root")).unwrap();
        std::fs::write(dir.join("secret"), "s").unwrap();
        std::fs::write(dir.join("root/file"), "f").unwrap();
        symlink("../secret", dir.join("root/link")).unwrap();
        symlink("/", dir.join("root/all")).unwrap();
        let root = File::open(dir.join("root")).unwrap();
        for path in [
            "../secret",
            "link",
            "all/etc/passwd",
            "/etc/passwd",
            "x/../../secret",
        ] {
            for how in [How::Read, How::Write] {
                assert!(open(&root, Path::new(path), how).is_err(), "{path}");
            }
        }
        assert!(create_folders(&root, Path::new("all/tmp/x")).is_err());
        create_folders(&root, Path::new("a/b")).unwrap();
        create_folders(&root, Path::new("a/b")).unwrap();
        assert!(dir.join("root/a/b").is_dir());
        let mut text = String::new();
        open(&root, Path::new("file"), How::Read)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "f");
        let names: Vec<_> = entries(&open(&root, Path::new("a"), How::List).unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["b"]);
        assert!(open(&root, Path::new("all"), How::List).is_err());
        for path in ["all/etc/passwd", "../secret", "a/b", ""] {
            assert!(remove(&root, Path::new(path)).is_err(), "{path}");
        }
        remove(&root, Path::new("link")).unwrap();
        remove(&root, Path::new("file")).unwrap();
        assert!(!dir.join("root/file").exists());
        assert_eq!(std::fs::read(dir.join("secret")).unwrap(), b"s");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
