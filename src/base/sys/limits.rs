//! Resource limits of a command, applied between fork and exec.

use std::io;

/// One limit the kernel enforces: which, and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    resource: Resource,
    most: u64,
}

/// `setrlimit` wants another type on musl than on glibc.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

impl Limit {
    /// Memory of a process that is its own and writable, bytes. Address space that is only reserved
    /// does not count: runtimes reserve far more than they use.
    pub fn memory(most: u64) -> Limit {
        Limit::new(libc::RLIMIT_DATA, most)
    }

    /// The largest file written, bytes.
    pub fn file_size(most: u64) -> Limit {
        Limit::new(libc::RLIMIT_FSIZE, most)
    }

    pub fn open_files(most: u64) -> Limit {
        Limit::new(libc::RLIMIT_NOFILE, most)
    }

    /// Processes and threads of the whole user; root is exempt.
    pub fn user_processes(most: u64) -> Limit {
        Limit::new(libc::RLIMIT_NPROC, most)
    }

    pub fn cpu_seconds(most: u64) -> Limit {
        Limit::new(libc::RLIMIT_CPU, most)
    }

    pub fn no_core() -> Limit {
        Limit::new(libc::RLIMIT_CORE, 0)
    }

    fn new(resource: Resource, most: u64) -> Limit {
        Limit { resource, most }
    }

    /// Soft and hard, never above the hard limit that is in force. Async-signal-safe.
    pub fn apply(&self) -> io::Result<()> {
        let mut now = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: the kernel fills the struct.
        if unsafe { libc::getrlimit(self.resource, &raw mut now) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let most = (self.most as libc::rlim_t).min(now.rlim_max);
        let new = libc::rlimit {
            rlim_cur: most,
            rlim_max: most,
        };
        // SAFETY: the struct lives during the call.
        match unsafe { libc::setrlimit(self.resource, &raw const new) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
