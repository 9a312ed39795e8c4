//! The kernel's name for this machine.

use std::ffi::CStr;

pub fn hostname() -> String {
    field(|name| name.nodename.as_ptr()).unwrap_or_else(|| "localhost".into())
}

/// Kernel release, such as `6.1.0-18-amd64`.
pub fn release() -> String {
    field(|name| name.release.as_ptr()).unwrap_or_else(|| "unknown".into())
}

fn field(pick: impl Fn(&libc::utsname) -> *const libc::c_char) -> Option<String> {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: uname fills the whole struct when it returns 0, each field as a C string.
    let text = unsafe {
        if libc::uname(name.as_mut_ptr()) != 0 {
            return None;
        }
        CStr::from_ptr(pick(name.assume_init_ref()))
            .to_string_lossy()
            .into_owned()
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_has_a_name_and_a_kernel() {
        assert!(!super::hostname().is_empty());
        assert!(super::release().starts_with(|c: char| c.is_ascii_digit()));
    }
}
