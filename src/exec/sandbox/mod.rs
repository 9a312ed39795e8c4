//! The fences around a sandboxed command: files by Landlock, system calls by seccomp.
//!
//! All or nothing: a kernel that lacks either gets an error, never a command without fences. What
//! they do not cover: how many bytes all files together hold (`file_size` bounds each one), and
//! whether a file outside exists (its name can be asked for, its content and mode cannot).

mod landlock;
mod seccomp;

use crate::base::id;
use crate::base::sys::sandbox::{self as sys, Cage};
use crate::wire::exec::Sandbox;
use std::path::PathBuf;

/// First Landlock version whose signals can be fenced (Linux 6.12).
const SIGNALS: u32 = 6;
/// First Landlock version that knows truncation (Linux 6.2).
const TRUNCATE: u32 = 3;

/// The fences, and the private temp folder: the caller removes it when the command's tree is gone.
pub struct Prepared {
    pub cage: Cage,
    pub temp: PathBuf,
}

/// What this kernel enforces, for `hello`.
pub fn enforces() -> Vec<String> {
    let version = sys::landlock_version();
    [
        ("landlock", version > 0),
        ("seccomp", sys::has_seccomp()),
        ("signals", version >= SIGNALS),
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
    let temp = id::temp_dir("run");
    let cage = || {
        let ruleset = landlock::ruleset(sandbox, &temp)?;
        let filter = seccomp::filter(&seccomp::Gaps {
            network: sandbox.network,
            signals: version >= SIGNALS,
            truncate: version >= TRUNCATE,
        })?;
        Ok(Cage { ruleset, filter })
    };
    match cage() {
        Ok(cage) => Ok(Prepared { cage, temp }),
        Err(why) => {
            // Empty and ours; what cannot be removed is one empty folder.
            let _ = std::fs::remove_dir(&temp);
            Err(why)
        }
    }
}
