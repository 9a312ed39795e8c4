//! Reading a file that somebody edits: bounded, and only when it is a file.

use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The largest configuration file; real ones are some tens of KiB.
pub const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The text, `None` when there is no file, or why it cannot be had.
pub fn read(path: &Path) -> Result<Option<String>, String> {
    // Looked at before it is opened: opening a named pipe would wait for somebody to write.
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(said(path, &err)),
    };
    if !meta.is_file() {
        let kind = meta.file_type();
        let name = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a named pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(format!("{} is {name}, not a file", path.display()));
    }
    if meta.len() > MAX_BYTES {
        return Err(too_large(path, meta.len()));
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|err| said(path, &err))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large(path, bytes.len() as u64));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(err) => Err(format!(
            "{} is not UTF-8 text (byte {})",
            path.display(),
            err.utf8_error().valid_up_to()
        )),
    }
}

fn too_large(path: &Path, len: u64) -> String {
    format!(
        "{} has {len} bytes, at most {MAX_BYTES} are read",
        path.display()
    )
}

fn said(path: &Path, err: &io::Error) -> String {
    match err.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{}: permission denied (it must be readable by the user the program runs as)",
            path.display()
        ),
        _ => format!("{}: {err}", path.display()),
    }
}
