//! Command lines and environments of our children.
//!
//! The core inherits our environment, as model keys may be there, without what a service manager
//! put in for us alone. Every other child gets the few variables of `KEPT`: no secret of ours is
//! in its environment, and none ever is in its argv.

use super::listeners::Listeners;
use crate::base::sys::child::{self, Spawn};
use crate::base::sys::signals::Signal;
use crate::config::Paths;
use crate::wire::control::{FD_VARIABLE, Worker};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// The core's argv[0], as `ps` shows it.
pub const CORE: &str = "openclaw-gateway: core";
/// The worker that gets the `exec` listener.
pub const EXEC_ID: &str = "exec";
/// The name under which the core inherits the gateway lock.
pub const LOCK: &str = "lock";

/// For us alone: a child that believed these would speak in our name.
const OURS: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    FD_VARIABLE,
];

const KEPT: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NO_PROXY",
    "no_proxy",
    "JOURNAL_STREAM",
    "OPENCLAW_PROFILE",
    "OPENCLAW_CHANNEL_PATH",
    "OPENCLAW_CONFIG_PATH",
];

/// Proxies are kept unless they carry a password.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

const TUNABLES: &str = "GLIBC_TUNABLES";
const STACKS: &str = "glibc.pthread.stack_cache_size";

/// Where a package puts programs that people do not start, from the folder of our own.
const LIBEXEC: [&str; 2] = ["../libexec/openclaw", "../lib/openclaw"];

pub fn core(
    own: &Path,
    listeners: &Listeners,
    lock: Option<BorrowedFd>,
    link: impl AsFd,
) -> io::Result<u32> {
    let env = frugal(text_env().filter(|(name, _)| !OURS.contains(&name.as_str())));
    let mut handed = listeners.of_core();
    handed.extend(lock.map(|fd| (LOCK, fd)));
    child::spawn(&Spawn {
        program: own,
        argv: &[CORE.to_string()],
        env: &env,
        listeners: &handed,
        extra: Some((FD_VARIABLE, link.as_fd())),
        // Not TERM: without us its listeners are nobody's, and it can lose nothing.
        at_our_death: Some(Signal::Kill),
        memory: None,
        files: None,
    })
}

pub fn worker(
    own: &Path,
    worker: &Worker,
    listeners: &Listeners,
    paths: &Paths,
) -> io::Result<u32> {
    let name = worker.argv.first().map_or("", String::as_str);
    let program = find(own, name)?;
    let handed = match worker.id.as_str() {
        EXEC_ID => listeners.of_exec(),
        _ => Vec::new(),
    };
    child::spawn(&Spawn {
        program: &program,
        argv: &worker.argv,
        env: &scrubbed(text_env(), paths),
        listeners: &handed,
        extra: None,
        at_our_death: Some(Signal::Terminate),
        memory: worker.limits.memory,
        files: worker.limits.files,
    })
}

/// An absolute path, or a program beside our own or in the package's folder: never by `PATH`.
fn find(own: &Path, name: &str) -> io::Result<PathBuf> {
    if Path::new(name).is_absolute() {
        return Ok(name.into());
    }
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no program {name:?}"));
    // A role of a program is written behind it: `openclaw-gateway: core`.
    let name = name.split(": ").next().unwrap_or_default();
    if name.is_empty() || name.contains('/') {
        return Err(missing());
    }
    let beside = own.parent().unwrap_or(Path::new("/"));
    [beside.join(name)]
        .into_iter()
        .chain(LIBEXEC.map(|dir| beside.join(dir).join(name)))
        .find(|path| path.is_file())
        .ok_or_else(missing)
}

fn text_env() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

/// Has the C library give an ended thread's stack back at once: a core that served 200 clients would
/// keep some 3 MiB of stacks for the next ones. There is no call for this, only a variable that is
/// read as a program starts; what the administrator set in it comes first.
fn frugal(env: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = env.collect();
    let set = env.iter_mut().find(|(name, _)| name == TUNABLES);
    match set {
        Some((_, value)) if value.contains(STACKS) => {}
        Some((_, value)) => *value = format!("{value}:{STACKS}=0"),
        None => env.push((TUNABLES.into(), format!("{STACKS}=0"))),
    }
    env
}

fn scrubbed(env: impl Iterator<Item = (String, String)>, paths: &Paths) -> Vec<(String, String)> {
    let mut kept: Vec<(String, String)> = env
        .filter(|(name, value)| {
            KEPT.contains(&name.as_str())
                || name.starts_with("LC_")
                || (PROXIES.contains(&name.as_str()) && !value.contains('@'))
        })
        .collect();
    // As resolved by us: flags and `.env` files may have moved them.
    for (name, path) in [
        ("OPENCLAW_STATE_DIR", &paths.state),
        ("OPENCLAW_RUNTIME_DIR", &paths.runtime),
    ] {
        kept.push((name.into(), path.to_string_lossy().into_owned()));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_keeps_no_stacks_unless_the_administrator_says_so() {
        let with = |value: Option<&str>| {
            let env = value.map(|value| (TUNABLES.to_string(), value.to_string()));
            frugal(env.into_iter()).remove(0).1
        };
        assert_eq!(with(None), "glibc.pthread.stack_cache_size=0");
        let theirs = "glibc.malloc.check=1";
        assert_eq!(
            with(Some(theirs)),
            format!("{theirs}:glibc.pthread.stack_cache_size=0")
        );
        let larger = "glibc.pthread.stack_cache_size=99";
        assert_eq!(with(Some(larger)), larger);
    }

    #[test]
    fn a_workers_environment_holds_no_secret() {
        let paths = Paths {
            state: "/s".into(),
            runtime: "/r".into(),
            ..Paths::default()
        };
        let env = [
            ("PATH", "/bin"),
            ("OPENCLAW_GATEWAY_TOKEN", "t"),
            ("OPENAI_API_KEY", "k"),
            ("OPENCLAW_STATE_DIR", "/other"),
            ("NOTIFY_SOCKET", "/n"),
            ("LC_ALL", "C"),
            ("HTTPS_PROXY", "http://user:pw@proxy"),
            ("http_proxy", "http://proxy"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()));
        let kept = scrubbed(env.into_iter(), &paths);
        let names: Vec<&str> = kept.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(
            names,
            [
                "PATH",
                "LC_ALL",
                "http_proxy",
                "OPENCLAW_STATE_DIR",
                "OPENCLAW_RUNTIME_DIR"
            ]
        );
        assert_eq!(kept[3].1, "/s");
    }

    #[test]
    fn a_program_name_is_never_looked_up_elsewhere() {
        let own = Path::new("/nowhere/bin/openclaw-gateway");
        assert!(find(own, "sh").is_err());
        assert!(find(own, "../bin/sh").is_err());
        assert!(find(own, "").is_err());
        assert_eq!(find(own, "/bin/sh").unwrap(), Path::new("/bin/sh"));
    }
}
