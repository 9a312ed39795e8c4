//! Namespaces of a command's own, entered between fork and exec: a user, a mount, an IPC and
//! perhaps a network namespace. In them it has temp folders nobody else sees and, without a network,
//! a loopback that leads nowhere.
//!
//! A user without rights may do this where the kernel lets users make user namespaces; where not
//! (`probe`), the caller does without. Everything `enter` does is async-signal-safe: what it needs
//! was prepared by `Plan::new`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the new namespaces look like.
pub struct Plan {
    /// `UID UID 1`: the command stays who it is.
    users: String,
    groups: String,
    /// (source, target): each target shows the source.
    binds: Vec<(CString, CString)>,
    /// A network of its own, with nothing but a loopback.
    own_network: bool,
}

impl Plan {
    pub fn new<'a>(
        binds: impl IntoIterator<Item = (&'a Path, &'a Path)>,
        own_network: bool,
    ) -> io::Result<Plan> {
        // SAFETY: these take nothing and cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        let text = |path: &Path| CString::new(path.as_os_str().as_bytes());
        let binds = binds
            .into_iter()
            .map(|(from, to)| Ok((text(from)?, text(to)?)))
            .collect::<io::Result<_>>()?;
        Ok(Plan {
            users: format!("{uid} {uid} 1"),
            groups: format!("{gid} {gid} 1"),
            binds,
            own_network,
        })
    }

    /// Moves this process, which must have one thread, into new namespaces. Async-signal-safe.
    pub fn enter(&self) -> io::Result<()> {
        let mut what = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWIPC;
        if self.own_network {
            what |= libc::CLONE_NEWNET;
        }
        // SAFETY: system calls with numbers and strings that live during the call.
        unsafe {
            // Else /proc/self belongs to root, and the maps cannot be written. The exec that follows
            // does the same.
            libc::prctl(libc::PR_SET_DUMPABLE, 1);
            check(libc::unshare(what))?;
            write(c"/proc/self/setgroups", b"deny")?;
            write(c"/proc/self/uid_map", self.users.as_bytes())?;
            write(c"/proc/self/gid_map", self.groups.as_bytes())?;
            let none = std::ptr::null();
            let private = libc::MS_REC | libc::MS_PRIVATE;
            check(libc::mount(
                none,
                c"/".as_ptr(),
                none,
                private,
                std::ptr::null(),
            ))?;
            for (from, to) in &self.binds {
                check(libc::mount(
                    from.as_ptr(),
                    to.as_ptr(),
                    none,
                    libc::MS_BIND,
                    std::ptr::null(),
                ))?;
            }
        }
        if self.own_network {
            loopback_up()?;
        }
        Ok(())
    }
}

/// Whether this kernel lets us, tried in a process of its own. Only for a process with one thread.
pub fn probe() -> bool {
    let Ok(plan) = Plan::new([(Path::new("/tmp"), Path::new("/tmp"))], true) else {
        return false;
    };
    // SAFETY: with one thread the child may run any code; it makes a few system calls and ends. The
    // status is a live local, and the child is ours to wait for.
    unsafe {
        match libc::fork() {
            -1 => false,
            0 => libc::_exit(i32::from(plan.enter().is_err())),
            child => {
                let mut status = 0;
                libc::waitpid(child, &raw mut status, 0) == child && status == 0
            }
        }
    }
}

/// The first thing the kernel's out-of-memory killer takes. Async-signal-safe; a kernel without the
/// file has no such killer.
pub fn go_first_when_memory_is_short() {
    // SAFETY: one number. /proc/self is root's without it, see `Plan::enter`.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
    let _ = write(c"/proc/self/oom_score_adj", b"1000");
}

/// Writes `text` to the existing file `path`.
fn write(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: the string and the bytes live during the calls; the descriptor is ours until closed.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(fd)?;
        let count = libc::write(fd, text.as_ptr().cast(), text.len());
        let failure = io::Error::last_os_error();
        libc::close(fd);
        if count < 0 { Err(failure) } else { Ok(()) }
    }
}

fn loopback_up() -> io::Result<()> {
    // SAFETY: the struct is plain bytes, zero is a value of each; the name fits with its end; the
    // descriptor is ours until closed.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
            *to = *from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        check(fd)?;
        let done = libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw const request);
        let failure = io::Error::last_os_error();
        libc::close(fd);
        if done < 0 { Err(failure) } else { Ok(()) }
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
