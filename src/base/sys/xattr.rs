//! Extended attributes of files.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest value that is read; what we look for has one byte.
const MOST: usize = 64;

/// `None`: it has none of that name, or the value is too long, or we may not see it.
#[cfg(target_os = "linux")]
pub fn get(path: &Path, name: &CStr) -> Option<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut value = [0u8; MOST];
    // SAFETY: the strings live during the call; the kernel writes at most the length it is given.
    let count = unsafe {
        libc::getxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let count = usize::try_from(count).ok()?;
    Some(value[..count].to_vec())
}

#[cfg(not(target_os = "linux"))]
pub fn get(_path: &Path, _name: &CStr) -> Option<Vec<u8>> {
    None
}
