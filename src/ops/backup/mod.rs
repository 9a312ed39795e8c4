//! `openclaw backup`: a state folder with what belongs to it in one file, and back.
//!
//! An archive is a gzipped tar: `openclaw-backup.json` (what it is, and how its secrets are closed),
//! the files below `state/`, `shared/` and `workspace/<agent>/`, the configuration without its
//! secrets in `config/`, perhaps `secrets.sealed`, and at the end `manifest.json` with a size and a
//! SHA-256 for each. It is made beside a running gateway: files that are replaced by a rename are
//! whole, and of files that grow by lines whole lines are taken. Nothing is restored before all of
//! an archive was found to be whole, and nothing is written outside the folders it is for.
//!
//! The archive may come from anybody: names, counts and sizes have bounds, links are refused.

pub mod create;
mod plan;
pub mod read;
pub mod restore;
mod seal;
mod tar;

pub use seal::LEAST_PASSPHRASE;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

const HEAD: &str = "openclaw-backup.json";
const MANIFEST: &str = "manifest.json";
const SEALED: &str = "secrets.sealed";
const CONFIG: &str = "config/openclaw.json";
const FORMAT: u32 = 1;
/// Below the state folder: where archives are put and looked for.
pub const FOLDER: &str = "backups";
/// Of an archive's name.
pub const SUFFIX: &str = ".tar.gz";

/// A home of years has tens of thousands.
const MAX_FILES: usize = 500_000;
const MAX_HEAD: u64 = 1024 * 1024;
/// A line for each file.
const MAX_MANIFEST: u64 = 256 * 1024 * 1024;
/// Keys and logins are small; they are held in memory while they are closed.
const MAX_SEALED: u64 = 64 * 1024 * 1024;

/// What an archive says of itself before anything else.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    pub format: u32,
    pub program: String,
    pub created_at: String,
    #[serde(default)]
    pub profile: Option<String>,
    /// How the secrets are closed; without it there are none.
    #[serde(default)]
    pub secrets: Option<seal::Lock>,
    /// Keys of the configuration whose values are left out of its open copy.
    #[serde(default)]
    pub left_out: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Manifest {
    pub files: Vec<File>,
    #[serde(default)]
    pub skipped: Vec<Skipped>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// What is there and was not taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    pub path: String,
    pub why: String,
}

#[derive(Debug)]
pub enum Error {
    Io {
        path: PathBuf,
        err: io::Error,
    },
    /// It is no archive of this kind, or a damaged one.
    Format(String),
    /// A file of it is not what the manifest says.
    Differs(String),
    /// It would be written outside, or is a link.
    Unsafe(String),
    Passphrase,
    NeedsPassphrase,
    /// A gateway uses the state.
    Running(u32),
    /// Files that would be written over.
    Exists(Vec<PathBuf>),
    NoRoom {
        need: u64,
        free: u64,
    },
}

impl Manifest {
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// A name in an archive as a path that stays below where it is put.
fn inside(name: &str) -> Result<PathBuf, Error> {
    let path = Path::new(name.trim_start_matches("./"));
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match plain && !name.contains('\0') {
        true => Ok(path.to_path_buf()),
        false => Err(Error::Unsafe(name.into())),
    }
}

fn io(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_path_buf();
    move |err| Error::Io {
        path: path.clone(),
        err,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Io { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Format(what) => write!(f, "not a whole backup: {what}"),
            Error::Differs(name) => write!(f, "{name} is not as it was saved"),
            Error::Unsafe(name) => write!(f, "{name:?} in the archive leads elsewhere"),
            Error::Passphrase => f.write_str("the passphrase does not open the secrets"),
            Error::NeedsPassphrase => {
                f.write_str("the archive has secrets, closed with a passphrase")
            }
            Error::Running(pid) => write!(f, "a gateway runs on this state (pid {pid})"),
            Error::Exists(files) => {
                let first: Vec<String> = files
                    .iter()
                    .take(3)
                    .map(|file| file.display().to_string())
                    .collect();
                let more = match files.len().saturating_sub(first.len()) {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                write!(f, "would write over {}{more}", first.join(", "))
            }
            Error::NoRoom { need, free } => write!(f, "needs {need} bytes, {free} are free"),
        }
    }
}

impl std::error::Error for Error {}

impl crate::base::exit::Report for Error {
    fn exit(&self) -> crate::base::exit::Exit {
        crate::base::exit::Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Running(_) => "stop it first: openclaw gateway stop".into(),
            Error::Exists(_) => {
                "--force replaces them; what the archive does not have stays".into()
            }
            Error::NeedsPassphrase => {
                "--passphrase-file FILE, or --without-secrets to leave them out".into()
            }
            Error::Format(_) | Error::Differs(_) => {
                "use another archive: openclaw backup list".into()
            }
            Error::NoRoom { .. } => {
                "make room, or restore elsewhere with OPENCLAW_STATE_DIR".into()
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../x", "/etc/passwd", "a/../../b", "", "a/\0"] {
            assert!(
                matches!(inside(name), Err(Error::Unsafe(_))) || name.is_empty(),
                "{name}"
            );
        }
        assert_eq!(inside("./state/a b").unwrap(), Path::new("state/a b"));
    }
}
