//! Hooks as settings and files: switched on and off, installed from a folder or an archive, linked.
//! One locked edit of the configuration each. What is installed is copied beside its place first and
//! put there by a rename: there is never half a hook.

use super::models::object;
use crate::agent::hooks::{Hook, find};
use crate::agent::skills::Source;
use crate::base::{atomic, id, time};
use crate::config::edit::{self, Error as EditError};
use crate::config::{Env, Paths, Snapshot};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files of a pack, and their bytes together: many times what hooks are.
const MAX_FILES: usize = 5_000;
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const MAX_DEPTH: usize = 16;

const INTERNAL: [&str; 2] = ["hooks", "internal"];

#[derive(Debug)]
pub enum Error {
    Config(EditError),
    Io {
        path: PathBuf,
        err: io::Error,
    },
    /// Neither a folder nor an archive that is understood.
    Unknown(PathBuf),
    NoHooks(PathBuf),
    /// A name that is none for a folder.
    BadName(String),
    Exists(PathBuf),
    TooLarge(PathBuf),
    /// What unpacks archives failed.
    Unpack {
        program: &'static str,
        why: String,
    },
}

pub struct Installed {
    pub place: PathBuf,
    pub hooks: Vec<String>,
}

/// Switches hooks on or off, by their names in the configuration.
pub fn switch(paths: &Paths, env: &Env, keys: &[&str], on: bool) -> Result<Snapshot, EditError> {
    edit::change(paths, env, |tree| set(tree, keys, on))
}

fn set(tree: &mut Value, keys: &[&str], on: bool) -> Result<(), EditError> {
    for key in keys {
        let entry = object(tree, &["hooks", "internal", "entries", key])?;
        entry.insert("enabled".into(), on.into());
    }
    if on {
        object(tree, &INTERNAL)?.insert("enabled".into(), true.into());
    }
    Ok(())
}

/// What was installed, by name, and from what: `npm`, `archive`, `path`.
pub fn installs(config: &Snapshot) -> Vec<(String, String)> {
    let installs = config.value.pointer("/hooks/internal/installs");
    let installs = installs.and_then(Value::as_object).into_iter().flatten();
    let source = |record: &Value| record["source"].as_str().unwrap_or("unknown").to_string();
    installs
        .map(|(id, record)| (id.clone(), source(record)))
        .collect()
}

/// Copies the hooks of a folder or an archive to the others, and switches them on.
pub fn install(paths: &Paths, env: &Env, from: &Path) -> Result<Installed, Error> {
    let managed = find::managed(paths);
    atomic::create_private_dir(&managed).map_err(io(&managed))?;
    // Nothing is looked for in a folder whose name begins with a dot.
    let temp = Temp(managed.join(format!(".install-{}", id::uuid())));
    let copy = temp.0.join("copy");
    let is_dir = from.is_dir();
    let root = match is_dir {
        true => from.to_path_buf(),
        false => unpack(from, &temp.0.join("unpacked"))?,
    };
    // Looked for before anything is copied: a home folder may be named by mistake.
    if find::one(&root, Source::Managed).is_empty() {
        return Err(Error::NoHooks(from.into()));
    }
    fs::create_dir_all(&temp.0).map_err(io(&temp.0))?;
    let mut budget = Budget {
        files: MAX_FILES,
        bytes: MAX_BYTES,
    };
    copy_folder(&root, &copy, 0, &mut budget)?;
    let hooks = find::one(&copy, Source::Managed);
    let pack = find::pack(&copy);
    let first = hooks.first().ok_or_else(|| Error::NoHooks(from.into()))?;
    let name = pack.as_ref().map_or(&first.name, |pack| &pack.name);
    let name = name.rsplit('/').next().unwrap_or_default().to_string();
    if !is_name(&name) {
        return Err(Error::BadName(name));
    }
    let place = managed.join(&name);
    if place.exists() {
        return Err(Error::Exists(place));
    }
    fs::rename(&copy, &place).map_err(io(&place))?;
    let names: Vec<String> = hooks.iter().map(|hook| hook.name.clone()).collect();
    let keys: Vec<&str> = hooks.iter().map(Hook::key).collect();
    let mut record = json!({
        "source": if is_dir { "path" } else { "archive" },
        "sourcePath": from,
        "installPath": place,
        "installedAt": time::now_iso(),
        "hooks": names,
    });
    if let Some(version) = pack.and_then(|pack| pack.version) {
        record["version"] = version.into();
    }
    let noted = edit::change(paths, env, |tree| {
        set(tree, &keys, true)?;
        let installs = object(tree, &["hooks", "internal", "installs"])?;
        installs.insert(name.clone(), record.clone());
        Ok(())
    });
    if let Err(err) = noted {
        // What failed is what is told.
        let _ = fs::remove_dir_all(&place);
        return Err(Error::Config(err));
    }
    Ok(Installed {
        place,
        hooks: names,
    })
}

/// Has the hooks of a folder found where it is, and switches them on; their names.
pub fn link(paths: &Paths, env: &Env, from: &Path) -> Result<Vec<String>, Error> {
    let hooks = find::one(from, Source::Extra);
    if hooks.is_empty() {
        return Err(Error::NoHooks(from.into()));
    }
    let keys: Vec<&str> = hooks.iter().map(Hook::key).collect();
    let dir = json!(from);
    edit::change(paths, env, |tree| {
        set(tree, &keys, true)?;
        let load = object(tree, &["hooks", "internal", "load"])?;
        let dirs = load.entry("extraDirs").or_insert_with(|| json!([]));
        if let Some(dirs) = dirs.as_array_mut().filter(|dirs| !dirs.contains(&dir)) {
            dirs.push(dir.clone());
        }
        Ok(())
    })
    .map_err(Error::Config)?;
    Ok(hooks.into_iter().map(|hook| hook.name).collect())
}

/// Removed when it is no longer needed, whatever happened.
struct Temp(PathBuf);

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Budget {
    files: usize,
    bytes: u64,
}

/// Plain files and folders; a link in it could name anything.
fn copy_folder(from: &Path, to: &Path, depth: usize, budget: &mut Budget) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooLarge(from.into()));
    }
    fs::create_dir_all(to).map_err(io(to))?;
    for entry in fs::read_dir(from).map_err(io(from))? {
        let entry = entry.map_err(io(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let meta = entry.metadata().map_err(io(&path))?;
        if meta.is_dir() {
            copy_folder(&path, &target, depth + 1, budget)?;
        } else if meta.is_file() {
            let left = budget.bytes.checked_sub(meta.len());
            budget.bytes = left.ok_or_else(|| Error::TooLarge(path.clone()))?;
            let left = budget.files.checked_sub(1);
            budget.files = left.ok_or_else(|| Error::TooLarge(path.clone()))?;
            fs::copy(&path, &target).map_err(io(&target))?;
        }
    }
    Ok(())
}

/// The archive's folder: the one it has, or all of it.
fn unpack(archive: &Path, to: &Path) -> Result<PathBuf, Error> {
    let name = archive.to_string_lossy().to_lowercase();
    let tar = [".tar", ".tgz", ".tar.gz"]
        .iter()
        .any(|end| name.ends_with(end));
    let program = match tar {
        true => "tar",
        false if name.ends_with(".zip") => "unzip",
        false => return Err(Error::Unknown(archive.into())),
    };
    fs::create_dir_all(to).map_err(io(to))?;
    let mut command = Command::new(program);
    match tar {
        true => command
            .arg("-xf")
            .arg(archive)
            .arg("--no-same-owner")
            .arg("-C")
            .arg(to),
        false => command.args(["-q", "-o"]).arg(archive).arg("-d").arg(to),
    };
    let failed = |why: String| Error::Unpack { program, why };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|err| failed(err.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(failed(said));
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(to)
        .map_err(io(to))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    match (entries.pop(), entries.is_empty()) {
        (Some(only), true) if only.is_dir() => Ok(only),
        _ => Ok(to.into()),
    }
}

fn is_name(name: &str) -> bool {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(sound)
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |err| Error::Io { path, err }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Config(err) => write!(f, "Error: {err}"),
            Error::Io { path, err } => write!(f, "Error: {}: {err}", path.display()),
            Error::Unknown(path) => write!(
                f,
                "Error: {}: neither a folder nor a .tar, .tgz, .tar.gz or .zip",
                path.display()
            ),
            Error::NoHooks(path) => write!(
                f,
                "Error: {}: no hooks in it\n  fix: it needs a HOOK.md with a handler beside it, or a \
                 package.json whose openclaw.hooks names such folders",
                path.display()
            ),
            Error::BadName(name) => write!(f, "Error: \"{name}\" is no name for a folder of hooks"),
            Error::Exists(path) => write!(
                f,
                "hook pack already exists: {} (delete it first)",
                path.display()
            ),
            Error::TooLarge(path) => write!(
                f,
                "Error: {}: more than {MAX_FILES} files, {MAX_BYTES} bytes or {MAX_DEPTH} folders in \
                 folders",
                path.display()
            ),
            Error::Unpack { program, why } => write!(f, "Error: {program}: {why}"),
        }
    }
}
