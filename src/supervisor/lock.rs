//! One gateway per state folder: our `flock` on `<state>/rs/gateway.lock`, and the original's lock
//! file, so that the two programs keep each other out.
//!
//! The original's file lies in the temp folder, is named after the config path, and counts only
//! while the process it names lives: pid and start time together. It survives a clean stop there;
//! we remove ours. Ours, the `flock`, is inherited by the core, so it is free only when neither
//! lives.

use crate::base::sys::{peer, process};
use crate::base::{atomic, exit, hex, lock, time};
use crate::config::{Env, Paths};
use ring::digest;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// How long a start waits for the former gateway to go, as in the original.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);
/// An unreadable file of the original is nobody's after this long.
const STALE: Duration = Duration::from_secs(30);
/// Longest lock file that is read, bytes.
const MAX_FILE: u64 = 16 * 1024;

#[derive(Debug)]
pub struct GatewayLock {
    /// Absent with `OPENCLAW_ALLOW_MULTI_GATEWAY`.
    held: Option<(lock::Lock, PathBuf)>,
}

/// The original's file, as it writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Foreign {
    pid: u32,
    created_at: String,
    config_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
}

#[derive(Debug)]
pub enum Error {
    Running { pid: Option<u32> },
    Io { path: PathBuf, err: io::Error },
}

pub fn take(paths: &Paths, env: &Env) -> Result<GatewayLock, Error> {
    take_within(paths, env, PATIENCE)
}

/// The gateway that has this state, ours or the original's; its pid.
pub fn holder(paths: &Paths, env: &Env) -> Option<u32> {
    if let Some(holder) = lock::holder(&paths.ours().join("gateway.lock")) {
        return Some(holder.pid);
    }
    match owner(&foreign_path(&paths.config, env)) {
        Owner::Alive(pid) => Some(pid),
        _ => None,
    }
}

fn take_within(paths: &Paths, env: &Env, patience: Duration) -> Result<GatewayLock, Error> {
    if env.raw("OPENCLAW_ALLOW_MULTI_GATEWAY") == Some("1") {
        return Ok(GatewayLock { held: None });
    }
    let start = Instant::now();
    let ours = paths.ours().join("gateway.lock");
    let lock = lock::take(&ours, "supervisor", patience).map_err(|err| match err {
        lock::Error::Held { holder, .. } => Error::Running {
            pid: holder.map(|h| h.pid),
        },
        lock::Error::Io { path, err } => Error::Io { path, err },
    })?;
    let file = foreign_path(&paths.config, env);
    let me = Foreign {
        pid: std::process::id(),
        created_at: time::now_iso(),
        config_path: paths.config.to_string_lossy().into_owned(),
        start_time: process::start_time(std::process::id()),
    };
    loop {
        match create(&file, &me) {
            Ok(true) => break,
            Ok(false) => {}
            Err(err) => return Err(Error::Io { path: file, err }),
        }
        match owner(&file) {
            Owner::Dead => match fs::remove_file(&file) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::Io { path: file, err });
                }
                _ => {}
            },
            Owner::Gone => {}
            _ if start.elapsed() < patience => std::thread::sleep(POLL),
            Owner::Alive(pid) => return Err(Error::Running { pid: Some(pid) }),
            Owner::Unknown => return Err(Error::Running { pid: None }),
        }
    }
    Ok(GatewayLock {
        held: Some((lock, file)),
    })
}

/// `<tmp>/openclaw-<uid>/gateway.<8 hex of SHA-1 of the config path>.lock`.
fn foreign_path(config: &Path, env: &Env) -> PathBuf {
    let tmp = env.first(&["TMPDIR", "TMP", "TEMP"]).unwrap_or("/tmp");
    let name = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        config.as_os_str().as_encoded_bytes(),
    );
    Path::new(tmp)
        .join(format!("openclaw-{}", peer::own_uid()))
        .join(format!("gateway.{}.lock", &hex::encode(name.as_ref())[..8]))
}

fn create(path: &Path, me: &Foreign) -> io::Result<bool> {
    if let Some(dir) = path.parent() {
        atomic::create_private_dir(dir)?;
    }
    lock::create_file(path, &serde_json::to_vec(me).expect("a lock is plain data"))
}

#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Alive(u32),
    Dead,
    /// The file has just been removed.
    Gone,
    Unknown,
}

fn owner(path: &Path) -> Owner {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Owner::Gone,
        Err(_) => return Owner::Unknown,
    };
    let text = match meta.len() {
        0..=MAX_FILE => fs::read(path).unwrap_or_default(),
        _ => Vec::new(),
    };
    match serde_json::from_slice::<Foreign>(&text) {
        Ok(holder) if lives(&holder) => Owner::Alive(holder.pid),
        Ok(_) => Owner::Dead,
        Err(_) => {
            let age = meta
                .modified()
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            match age {
                Some(age) if age > STALE => Owner::Dead,
                _ => Owner::Unknown,
            }
        }
    }
}

/// The original's rule: the start time decides where there is one, else the command line must be
/// an OpenClaw gateway's.
fn lives(holder: &Foreign) -> bool {
    if !process::exists(holder.pid) {
        return false;
    }
    match (holder.start_time, process::start_time(holder.pid)) {
        (Some(then), Some(now)) => then == now,
        (Some(_), None) => true,
        (None, _) => match fs::read(format!("/proc/{}/cmdline", holder.pid)) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line).to_lowercase();
                line.contains("gateway") && line.contains("openclaw")
            }
            // Not Linux: a pid that exists is all there is to know.
            Err(_) => !Path::new("/proc/self").exists(),
        },
    }
}

impl GatewayLock {
    /// Our lock, to be inherited by the core.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.held.as_ref().map(|(lock, _)| lock.as_fd())
    }
}

impl Drop for GatewayLock {
    fn drop(&mut self) {
        if let Some((_, file)) = &self.held {
            let ours = fs::read(file)
                .ok()
                .and_then(|text| serde_json::from_slice::<Foreign>(&text).ok())
                .is_some_and(|holder| holder.pid == std::process::id());
            if ours {
                // Left behind it would be taken over by the dead-owner rule.
                let _ = fs::remove_file(file);
            }
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Running { pid } => {
                f.write_str("Gateway failed to start: gateway already running")?;
                if let Some(pid) = pid {
                    write!(f, " (pid {pid})")?;
                }
                write!(
                    f,
                    "; lock timeout after {}ms\n\
                     If the gateway is supervised, stop it with: openclaw gateway stop",
                    PATIENCE.as_millis()
                )
            }
            Error::Io { path, err } => write!(
                f,
                "Gateway failed to start: failed to acquire gateway lock at {}: {err}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}

impl exit::Report for Error {
    fn exit(&self) -> exit::Exit {
        match self {
            Error::Running { .. } => exit::Exit::TryAgain,
            Error::Io { .. } => exit::Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Running { .. } => None,
            Error::Io { err, .. } => exit::writing_hint(err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    fn place() -> (PathBuf, Paths, Env) {
        let dir = temp_dir("gwlock");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("TMPDIR", d), ("OPENCLAW_STATE_DIR", d)]);
        let paths = Paths::resolve(&env, None);
        (dir, paths, env)
    }

    #[test]
    fn the_file_is_the_originals_and_goes_with_the_lock() {
        let (dir, paths, env) = place();
        let lock = take(&paths, &env).unwrap();
        let file = foreign_path(&paths.config, &env);
        let text = fs::read_to_string(&file).unwrap();
        let me = std::process::id();
        assert!(text.starts_with(&format!("{{\"pid\":{me},\"createdAt\":\"")));
        assert_eq!(owner(&file), Owner::Alive(me));
        drop(lock);
        assert!(!file.exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_live_foreign_owner_keeps_us_out_and_a_dead_one_does_not() {
        let (dir, paths, env) = place();
        let file = foreign_path(&paths.config, &env);
        let parent = std::os::unix::process::parent_id();
        let mut holder = Foreign {
            pid: parent,
            created_at: time::now_iso(),
            config_path: "x".into(),
            start_time: process::start_time(parent),
        };
        assert!(create(&file, &holder).unwrap());
        let err = take_within(&paths, &env, Duration::ZERO).unwrap_err();
        assert_eq!(
            err.to_string().lines().next().unwrap(),
            format!(
                "Gateway failed to start: gateway already running (pid {parent}); lock timeout \
                 after 5000ms"
            )
        );
        // The pid lives, but it is another process by now.
        holder.start_time = Some(1);
        fs::remove_file(&file).unwrap();
        assert!(create(&file, &holder).unwrap());
        drop(take_within(&paths, &env, Duration::ZERO).unwrap());
        // Without a start time a test runner's command line is not a gateway's.
        holder.start_time = None;
        assert!(create(&file, &holder).unwrap());
        drop(take_within(&paths, &env, Duration::ZERO).unwrap());
        fs::write(&file, "").unwrap();
        assert!(take_within(&paths, &env, Duration::ZERO).is_err());
        let multi = Env::from_pairs(&[("OPENCLAW_ALLOW_MULTI_GATEWAY", "1")]);
        assert!(
            take_within(&paths, &multi, Duration::ZERO)
                .unwrap()
                .fd()
                .is_none()
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
