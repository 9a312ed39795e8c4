//! What a command gives up for good between fork and exec, and that exec itself. Everything here
//! that runs after the fork is async-signal-safe: it was prepared before.

use super::limits::Limit;
use super::namespace::{self, Plan};
use super::{pty, signals};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

pub type Filter = Vec<seccompiler::sock_filter>;

/// What is done to a command before it runs.
pub struct Setup {
    /// Descriptor 0 is a terminal and becomes the controlling one.
    pub terminal: bool,
    pub limits: Vec<Limit>,
    /// `cgroup.procs` of the group it belongs to, open for writing.
    pub group: Option<OwnedFd>,
    pub cage: Option<Cage>,
}

/// The kernel's fences, made before the fork.
pub struct Cage {
    /// `None` where the kernel has none for us.
    pub namespaces: Option<Plan>,
    /// A Landlock ruleset.
    pub ruleset: OwnedFd,
    pub filter: Filter,
}

/// Version of Landlock in this kernel; 0: none.
pub fn landlock_version() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the call reads no memory and returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// Whether this kernel filters system calls.
pub fn has_seccomp() -> bool {
    const GET_ACTION_AVAIL: u32 = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads one number.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) };
    result == 0
}

/// Puts `setup` between fork and exec of `command`: signals as they are by default, a session of
/// its own, no descriptor but 0, 1 and 2, limits, and the cage last.
pub fn prepare(command: &mut Command, setup: Setup) {
    // SAFETY: the closure only makes system calls; what it needs was allocated before the fork.
    unsafe {
        command.pre_exec(move || {
            signals::fresh();
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            if setup.terminal {
                pty::take_control()?;
            }
            // The one descriptor std itself needs until the exec is closed by it, too.
            libc::syscall(
                libc::SYS_close_range,
                3,
                u32::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            if let Some(group) = &setup.group {
                // Zero is whoever writes it.
                let zero = b"0";
                if libc::write(group.as_raw_fd(), zero.as_ptr().cast(), zero.len()) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            namespace::go_first_when_memory_is_short();
            for limit in &setup.limits {
                limit.apply()?;
            }
            match &setup.cage {
                Some(cage) => cage.enter(),
                None => Ok(()),
            }
        });
    }
}

impl Cage {
    fn enter(&self) -> io::Result<()> {
        if let Some(plan) = &self.namespaces {
            plan.enter()?;
        }
        drop_capabilities()?;
        // SAFETY: system calls with numbers and a descriptor we own.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            let fd = self.ruleset.as_raw_fd();
            if libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let program = libc::sock_fprog {
            len: u16::try_from(self.filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            // The kernel only reads it; seccompiler's instruction has the kernel's layout.
            filter: self.filter.as_ptr().cast_mut().cast(),
        };
        // SAFETY: the program and its instructions live during the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                0,
                &raw const program,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

/// Gives up every capability, now and for what is executed later. Root without them is a user that
/// owns root's files.
fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    const LAST: libc::c_ulong = 63;
    // SAFETY: numbers only, then two structs of the layout capset(2) documents, which live during
    // the call.
    unsafe {
        for capability in 0..=LAST {
            // Fails for numbers the kernel does not know, and without CAP_SETPCAP, when there is
            // nothing to gain by exec either (no_new_privs).
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        let header = Header {
            version: VERSION_3,
            pid: 0,
        };
        let none = [0u32; 6];
        if libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}
