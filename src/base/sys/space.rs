//! How much memory and how much of a disk is free.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// (free, all) memory of the machine, bytes: one cheap call. Free is what nobody uses, not even as a
/// cache.
pub fn memory() -> (u64, u64) {
    // SAFETY: plain numbers, all zero is a value; the kernel fills the struct.
    unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        libc::sysinfo(&raw mut info);
        let unit = wide(info.mem_unit);
        (wide(info.freeram) * unit, wide(info.totalram) * unit)
    }
}

/// The width of the kernel's numbers differs by platform.
fn wide(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Bytes that users without rights may still write to the file system `path` is on.
#[cfg(target_os = "linux")]
pub fn on_disk(path: &Path) -> Option<u64> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: plain numbers, all zero is a value; the kernel fills the struct, the string lives.
    unsafe {
        let mut info: libc::statvfs64 = std::mem::zeroed();
        if libc::statvfs64(path.as_ptr(), &raw mut info) != 0 {
            return None;
        }
        Some(wide(info.f_bavail).saturating_mul(wide(info.f_frsize)))
    }
}

#[cfg(not(target_os = "linux"))]
pub fn on_disk(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_of_it_is_free() {
        let (free, all) = super::memory();
        assert!(0 < free && free < all);
        assert!(super::on_disk(std::path::Path::new("/")).is_some());
        assert_eq!(super::on_disk(std::path::Path::new("/no/such")), None);
    }
}
