//! Starting a child with exactly the descriptors, environment and limits it should have, and
//! learning how it ended.
//!
//! The standard library's `Command` cannot tell a child its own pid before exec, which the
//! `LISTEN_PID` convention needs, and adds a stdio of its own; this is fork and exec for a
//! supervisor. After the fork only async-signal-safe calls are made, so a parent with threads may
//! use it too.

use super::signals::{self, Signal};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What to start. Standard input is empty, standard output goes where standard error goes.
pub struct Spawn<'a> {
    pub program: &'a Path,
    pub argv: &'a [String],
    /// The whole environment; nothing is inherited.
    pub env: &'a [(String, String)],
    /// Become 3, 4, … in the child, named by `LISTEN_FDS` and `LISTEN_FDNAMES`, which are added to
    /// the environment with the child's `LISTEN_PID` when there are any.
    pub listeners: &'a [(&'a str, BorrowedFd<'a>)],
    /// Follows the listeners; its number goes into the variable of that name.
    pub extra: Option<(&'a str, BorrowedFd<'a>)>,
    /// Sent to the child when we die.
    pub at_our_death: Option<Signal>,
    /// Address space, bytes.
    pub memory: Option<u64>,
    /// Open descriptors.
    pub files: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exit(i32),
    Signal(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    Child(u32, Ending),
    /// There are children, and none has ended.
    Nothing,
    NoChildren,
}

/// Starts it in a process group of its own and returns its pid. A program that cannot be executed
/// is an error here, not a child that ends.
pub fn spawn(what: &Spawn) -> io::Result<u32> {
    let program = c_string(what.program.as_os_str())?;
    let argv: Vec<CString> = what
        .argv
        .iter()
        .map(|arg| c_string(OsStr::new(arg)))
        .collect::<io::Result<_>>()?;
    let mut env: Vec<CString> = what
        .env
        .iter()
        .map(|(key, value)| c_string(OsStr::new(&format!("{key}={value}"))))
        .collect::<io::Result<_>>()?;
    let count = what.listeners.len() as RawFd;
    if let Some((name, _)) = what.extra {
        env.push(c_string(OsStr::new(&format!("{name}={}", 3 + count)))?);
    }
    // The child writes its pid, which has at most ten digits, and a NUL over the zeros.
    let mut listen_pid = *b"LISTEN_PID=00000000000";
    if count > 0 {
        let names: Vec<&str> = what.listeners.iter().map(|(name, _)| *name).collect();
        env.push(c_string(OsStr::new(&format!("LISTEN_FDS={count}")))?);
        env.push(c_string(OsStr::new(&format!(
            "LISTEN_FDNAMES={}",
            names.join(":")
        )))?);
    }
    let argv = pointers(&argv);
    let mut env = pointers(&env);
    if count > 0 {
        let end = env.len() - 1;
        env.insert(end, listen_pid.as_ptr().cast());
    }
    let fds: Vec<RawFd> = what
        .listeners
        .iter()
        .map(|(_, fd)| fd.as_raw_fd())
        .chain(what.extra.map(|(_, fd)| fd.as_raw_fd()))
        .collect();
    let mut moved = fds.clone();

    let null = File::open("/dev/null")?;
    let (mut failure, report) = pipe()?;
    let plan = Plan {
        program: program.as_ptr(),
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        null: null.as_raw_fd(),
        parent: std::process::id(),
        death_signal: what.at_our_death.map_or(0, Signal::number),
        memory: what.memory,
        files: what.files,
    };
    // SAFETY: the child only runs `become_child`, which allocates nothing and takes no lock.
    let pid = unsafe { libc::fork() };
    match pid {
        -1 => return Err(io::Error::last_os_error()),
        0 => {
            let mut report = report.as_raw_fd();
            let digits = &mut listen_pid["LISTEN_PID=".len()..];
            let err = become_child(&plan, &fds, &mut moved, &mut report, digits);
            let bytes = err.to_ne_bytes();
            // SAFETY: we are the forked child; write and _exit are async-signal-safe, and the
            // bytes are a live local.
            unsafe {
                libc::write(report, bytes.as_ptr().cast(), 4);
                libc::_exit(127)
            }
        }
        _ => {}
    }
    drop(report);
    let mut code = [0; 4];
    match failure.read(&mut code) {
        Ok(4) => {
            // SAFETY: our own child, which is about to end or has ended.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
            Err(io::Error::from_raw_os_error(i32::from_ne_bytes(code)))
        }
        // Closed by the exec.
        _ => Ok(pid as u32),
    }
}

/// Everything the child needs after the fork, as plain numbers and pointers into the parent's
/// memory, of which it has a copy.
struct Plan {
    program: *const libc::c_char,
    argv: *const *const libc::c_char,
    env: *const *const libc::c_char,
    null: RawFd,
    parent: u32,
    death_signal: i32,
    memory: Option<u64>,
    files: Option<u64>,
}

/// Above every number a child's descriptors may get.
const ABOVE: RawFd = 100;

/// Turns the forked process into the program; returns only with an errno.
fn become_child(
    plan: &Plan,
    fds: &[RawFd],
    moved: &mut [RawFd],
    report: &mut RawFd,
    digits: &mut [u8],
) -> i32 {
    let pid = std::process::id();
    let width = pid.ilog10() as usize + 1;
    let mut rest = pid;
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits[width] = 0;
    // SAFETY: all of these are async-signal-safe system calls on numbers and on memory that lives
    // as long as this process.
    unsafe {
        // First: later failures are reported through it.
        let high = libc::fcntl(*report, libc::F_DUPFD_CLOEXEC, ABOVE);
        if high < 0 {
            return errno();
        }
        *report = high;
        libc::setpgid(0, 0);
        signals::fresh();
        #[cfg(target_os = "linux")]
        if plan.death_signal != 0 {
            libc::prctl(libc::PR_SET_PDEATHSIG, plan.death_signal);
            // Had the parent died before that call, no signal would come.
            if libc::getppid() as u32 != plan.parent {
                libc::_exit(1);
            }
        }
        for (resource, limit) in [
            (libc::RLIMIT_AS, plan.memory),
            (libc::RLIMIT_NOFILE, plan.files),
        ] {
            if let Some(limit) = limit {
                let both = libc::rlimit {
                    rlim_cur: limit as libc::rlim_t,
                    rlim_max: limit as libc::rlim_t,
                };
                if libc::setrlimit(resource, &both) != 0 {
                    return errno();
                }
            }
        }
        // Out of the way first, as a source may have a number that is another's target.
        for (at, fd) in fds.iter().enumerate() {
            moved[at] = libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, ABOVE);
            if moved[at] < 0 {
                return errno();
            }
        }
        if libc::dup2(plan.null, 0) < 0 || libc::dup2(2, 1) < 0 {
            return errno();
        }
        for (at, fd) in moved.iter().enumerate() {
            if libc::dup2(*fd, 3 + at as RawFd) < 0 {
                return errno();
            }
        }
        libc::execve(plan.program, plan.argv, plan.env);
        errno()
    }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Both ends close on exec.
fn pipe() -> io::Result<(File, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors into a live array of two.
    #[cfg(target_os = "linux")]
    let done = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    // SAFETY: as above; the flag is set next, and a supervisor has no thread that execs meanwhile.
    #[cfg(not(target_os = "linux"))]
    let done = unsafe { libc::pipe(ends.as_mut_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both numbers were opened just now and have no other owner.
    unsafe {
        libc::fcntl(ends[0], libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(ends[1], libc::F_SETFD, libc::FD_CLOEXEC);
        Ok((File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "a NUL byte in an argument or variable",
        )
    })
}

/// Null-terminated, as exec wants it.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// Takes one child of ours (or an orphan given to us) that has ended, whichever.
pub fn reap() -> Reaped {
    let mut status = 0;
    // SAFETY: the kernel writes the status into a live local; WNOHANG never blocks, and is
    // therefore never interrupted.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    match pid {
        0 => Reaped::Nothing,
        ..0 => Reaped::NoChildren,
        pid => {
            let ending = match libc::WIFSIGNALED(status) {
                true => Ending::Signal(libc::WTERMSIG(status)),
                false => Ending::Exit(libc::WEXITSTATUS(status)),
            };
            Reaped::Child(pid.unsigned_abs(), ending)
        }
    }
}

/// Sends to one process. Gone already is fine.
pub fn send(pid: u32, signal: Signal) {
    super::reaper::send(pid, signal.number());
}

/// Sends to the process group that `spawn` made for it.
pub fn send_group(pid: u32, signal: Signal) {
    if let Ok(pid @ 2..) = libc::pid_t::try_from(pid) {
        // SAFETY: kill takes two integers.
        unsafe { libc::kill(-pid, signal.number()) };
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ending::Exit(code) => write!(f, "exit {code}"),
            Ending::Signal(number) => write!(f, "signal {number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn wait(pid: u32) -> i32 {
        let mut status = 0;
        // SAFETY: a child of this test and a live local.
        unsafe { libc::waitpid(pid as i32, &mut status, 0) };
        libc::WEXITSTATUS(status)
    }

    fn shell<'a>(argv: &'a [String], env: &'a [(String, String)]) -> Spawn<'a> {
        Spawn {
            program: Path::new("/bin/sh"),
            argv,
            env,
            listeners: &[],
            extra: None,
            at_our_death: Some(Signal::Kill),
            memory: None,
            files: None,
        }
    }

    #[test]
    fn a_child_gets_its_descriptors_its_pid_and_nothing_else() {
        // What the test runner leaked to us would be counted below.
        super::super::fds::close_all_on_exec();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (_other, second) = UnixStream::pair().unwrap();
        let script = "[ $LISTEN_PID = $$ ] || exit 9; read line <&3; \
            echo \"$line $LISTEN_FDS $LISTEN_FDNAMES $LINK $A $(echo /proc/$$/fd/*)\" >&3";
        let argv = ["sh", "-c", script].map(String::from);
        let env = [("A", "b"), ("PATH", "/bin:/usr/bin")].map(|(k, v)| (k.into(), v.into()));
        let mut what = shell(&argv, &env);
        let listeners = [("one", theirs.as_fd())];
        what.listeners = &listeners;
        what.extra = Some(("LINK", second.as_fd()));
        let pid = spawn(&what).unwrap();
        drop(theirs);
        ours.write_all(b"hello\n").unwrap();
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(wait(pid), 0);
        // 5 is the folder the shell reads to answer.
        let fds = [0, 1, 2, 3, 4, 5].map(|fd| format!("/proc/{pid}/fd/{fd}"));
        assert_eq!(said, format!("hello 1 one 4 b {}\n", fds.join(" ")));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_and_not_a_child() {
        let argv = ["x".to_string()];
        let mut what = shell(&argv, &[]);
        what.program = Path::new("/nowhere/x");
        assert_eq!(spawn(&what).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
