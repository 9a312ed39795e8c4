//! Writing `auth-profiles.json`: a whole file, by rename, under two locks (ours, and the folder the
//! original locks with). What this program does not know in the file survives.

use super::{file, same};
use crate::base::atomic::{self, Durability};
use crate::base::exit::{self, Exit, Report};
use crate::base::lock;
use crate::base::secret::Secret;
use serde_json::{Map, Value, json};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whoever writes the file needs milliseconds; a renewal of a login some seconds.
const PATIENCE: Duration = Duration::from_secs(10);
/// Figures are worth less than the run that waits for them.
const FIGURES_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub enum Error {
    Lock(lock::Error),
    /// It is there, and no JSON object.
    Damaged(PathBuf),
    File {
        path: PathBuf,
        err: io::Error,
    },
}

/// The file, locked and read; `save` writes what was made of it.
pub(super) struct Open {
    path: PathBuf,
    pub root: Map<String, Value>,
    exists: bool,
    _ours: lock::Lock,
    _theirs: lock::Folder,
}

impl Open {
    pub fn take(agent_dir: &Path) -> Result<Open, Error> {
        Open::within(agent_dir, PATIENCE)
    }

    fn within(agent_dir: &Path, patience: Duration) -> Result<Open, Error> {
        let path = file(agent_dir);
        let ours = path.with_extension("json.rs-lock");
        let ours = lock::take(&ours, "auth profiles", patience).map_err(Error::Lock)?;
        let theirs = lock::take_folder(&path, patience).map_err(Error::Lock)?;
        let (text, exists) = match std::fs::read(&path) {
            Ok(text) => (text, true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => (b"{}".to_vec(), false),
            Err(err) => return Err(Error::File { path, err }),
        };
        let root = match serde_json::from_slice(&text) {
            Ok(Value::Object(root)) => root,
            // To write over it would lose every key in it.
            _ => return Err(Error::Damaged(path)),
        };
        Ok(Open {
            path,
            root,
            exists,
            _ours: ours,
            _theirs: theirs,
        })
    }

    pub fn save(self) -> Result<(), Error> {
        self.save_with(Durability::Disk)
    }

    fn save_with(mut self, durability: Durability) -> Result<(), Error> {
        if !self.root.contains_key("version") {
            self.root.shift_insert(0, "version".into(), json!(1));
        }
        self.map("profiles");
        let root = Value::Object(self.root);
        let text = format!("{root:#}\n");
        let mode = atomic::PRIVATE_FILE;
        atomic::write_with(&self.path, text.as_bytes(), mode, durability).map_err(|err| {
            Error::File {
                path: self.path,
                err,
            }
        })
    }

    /// The object below `key`, made when there is none.
    pub fn map(&mut self, key: &str) -> &mut Map<String, Value> {
        let slot = self.root.entry(key).or_insert_with(|| json!({}));
        if !slot.is_object() {
            *slot = json!({});
        }
        slot.as_object_mut().expect("it was just made one")
    }
}

/// Keeps a key as the provider's default profile, in place of the one before; the profile's id.
pub fn keep(agent_dir: &Path, provider: &str, key: &Secret) -> Result<String, Error> {
    let id = format!("{provider}:default");
    let profile = json!({"type": "api_key", "provider": provider, "key": key.expose()});
    put(agent_dir, &id, profile)?;
    Ok(id)
}

/// Puts a profile in the place of the one of that id. What was booked against the old key is
/// forgotten.
pub fn put(agent_dir: &Path, id: &str, profile: Value) -> Result<(), Error> {
    let mut open = Open::take(agent_dir)?;
    open.map("profiles").insert(id.into(), profile);
    if open.root.contains_key("usageStats") {
        open.map("usageStats").shift_remove(id);
    }
    open.save()
}

/// Sets the order of a provider's profiles for one agent, or (`None`) takes it away.
pub fn set_order(agent_dir: &Path, provider: &str, ids: Option<&[String]>) -> Result<(), Error> {
    let mut open = Open::take(agent_dir)?;
    let orders = open.map("order");
    orders.retain(|name, _| !same(name, provider));
    if let Some(ids) = ids {
        orders.insert(provider.into(), json!(ids));
    }
    if orders.is_empty() {
        open.root.shift_remove("order");
    }
    match open.exists || ids.is_some() {
        true => open.save(),
        false => Ok(()),
    }
}

/// Changes the figures of one profile that stands in this agent's file.
pub(super) fn book(
    agent_dir: &Path,
    id: &str,
    edit: impl FnOnce(&mut Map<String, Value>),
) -> Result<(), Error> {
    with_figures(agent_dir, id, |open| {
        let stats = open.map("usageStats");
        let stats = stats.entry(id).or_insert_with(|| json!({}));
        if let Some(stats) = stats.as_object_mut() {
            edit(stats);
        }
    })
}

/// The same, and the profile is the provider's last good one.
pub(super) fn book_good(
    agent_dir: &Path,
    id: &str,
    edit: impl FnOnce(&mut Map<String, Value>),
) -> Result<(), Error> {
    with_figures(agent_dir, id, |open| {
        let provider = open.map("profiles")[id]["provider"].clone();
        if let Some(provider) = provider.as_str() {
            open.map("lastGood").insert(provider.into(), json!(id));
        }
        let stats = open.map("usageStats");
        let stats = stats.entry(id).or_insert_with(|| json!({}));
        if let Some(stats) = stats.as_object_mut() {
            edit(stats);
        }
    })
}

fn with_figures(agent_dir: &Path, id: &str, edit: impl FnOnce(&mut Open)) -> Result<(), Error> {
    let mut open = Open::within(agent_dir, FIGURES_PATIENCE)?;
    let profiles = open.root.get("profiles");
    if profiles.and_then(|all| all.get(id)).is_none() {
        return Ok(());
    }
    edit(&mut open);
    // A power cut may cost the last figures.
    open.save_with(Durability::PageCache)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Lock(err) => err.fmt(f),
            Error::Damaged(path) => write!(f, "{} is not a JSON object", path.display()),
            Error::File { path, err } => write!(f, "{}: {err}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Lock(lock::Error::Held { .. }) => {
                Some("another program is writing the keys; try again in some seconds".into())
            }
            Error::Damaged(_) => {
                Some("correct it by hand, or move it away and add the keys again".into())
            }
            Error::Lock(lock::Error::Io { err, .. }) | Error::File { err, .. } => {
                exit::writing_hint(err)
            }
        }
    }
}
