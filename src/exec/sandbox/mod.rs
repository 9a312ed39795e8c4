//! The fences around a sandboxed command: files by Landlock, system calls by seccomp, and where the
//! kernel lets users make namespaces, temp folders and a loopback of its own.
//!
//! All or nothing: a kernel that lacks Landlock or seccomp gets an error, never a command without
//! fences. Namespaces only add to them: without, no socket can be made at all, and only `TMPDIR` is
//! writable for scratch. What the fences do not cover: whether a file outside exists, its size and
//! times (stat(2) is not fenced), and setting its times.

mod landlock;
mod seccomp;

use crate::base::id;
use crate::base::sys::namespace::{self, Plan};
use crate::base::sys::sandbox::{self as sys, Cage};
use crate::wire::exec::Sandbox;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// In the name of a command's private temp folder.
const TEMP: &str = "run";
/// First Landlock version whose signals can be fenced (Linux 6.12).
const SIGNALS: u32 = 6;
/// First Landlock version that knows truncation (Linux 6.2).
const TRUNCATE: u32 = 3;

/// Folders everybody may write to. In a mount namespace they show the private temp folder.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// The fences, and the private temp folder: the caller removes it when the command's tree is gone.
pub struct Prepared {
    pub cage: Cage,
    pub temp: PathBuf,
    /// The same as the command sees it, for `TMPDIR`.
    pub scratch: PathBuf,
}

/// Whether this kernel lets us make namespaces; tried once.
fn has_namespaces() -> bool {
    static TRIED: OnceLock<bool> = OnceLock::new();
    *TRIED.get_or_init(namespace::probe)
}

/// What this kernel enforces, for `hello`.
pub fn enforces() -> Vec<String> {
    let version = sys::landlock_version();
    [
        ("landlock", version > 0),
        ("seccomp", sys::has_seccomp()),
        ("signals", version >= SIGNALS),
        ("namespaces", has_namespaces()),
    ]
    .into_iter()
    .filter(|(_, has)| *has)
    .map(|(name, _)| name.to_string())
    .collect()
}

pub fn prepare(sandbox: &Sandbox) -> Result<Prepared, String> {
    let version = sys::landlock_version();
    if version == 0 || !sys::has_seccomp() {
        let missing = if version == 0 { "Landlock" } else { "seccomp" };
        return Err(format!(
            "this kernel does not offer {missing}, so a sandboxed session cannot run commands \
             (Linux 5.13 with lsm=landlock is needed, or agents.defaults.sandbox.mode off)"
        ));
    }
    let temp = id::temp_dir(TEMP);
    // A room that lies in a scratch folder must stay where it is.
    let rooms = || sandbox.read.iter().chain(&sandbox.write);
    let is_free = |folder: &&Path| {
        folder.is_dir() && !rooms().any(|room| room.starts_with(folder) || folder.starts_with(room))
    };
    let covered: Vec<&Path> = SCRATCH.iter().map(Path::new).filter(is_free).collect();
    let scratch = match has_namespaces() {
        true => covered.first().map_or(temp.clone(), |at| at.to_path_buf()),
        false => temp.clone(),
    };
    let cage = || {
        let own_network = has_namespaces() && !sandbox.network;
        let namespaces = has_namespaces()
            .then(|| {
                // Once the first is covered, the temp folder's own name may be hidden below it.
                let source = |at| if at == 0 { temp.as_path() } else { covered[0] };
                let binds = covered.iter().enumerate();
                Plan::new(binds.map(|(at, folder)| (source(at), *folder)), own_network)
            })
            .transpose()
            .map_err(|err| format!("namespaces: {err}"))?;
        let network = sandbox.network || own_network;
        let ruleset = landlock::ruleset(sandbox, &temp, network)?;
        let filter = seccomp::filter(&seccomp::Gaps {
            network,
            signals: version >= SIGNALS,
            truncate: version >= TRUNCATE,
        })?;
        Ok(Cage {
            namespaces,
            ruleset,
            filter,
        })
    };
    match cage() {
        Ok(cage) => Ok(Prepared {
            cage,
            temp,
            scratch,
        }),
        Err(why) => {
            // Empty and ours; what cannot be removed is one empty folder.
            let _ = std::fs::remove_dir(&temp);
            Err(why)
        }
    }
}
