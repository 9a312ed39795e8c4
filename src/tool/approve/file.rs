//! `~/.openclaw/exec-approvals.json`: which commands run without asking, and whom to ask.
//!
//! The file follows HOME, not the state folder, and is shared with the original and its companion
//! apps: it is read anew at each use, changed under a lock of ours, and what this build does not
//! know in it is kept. A file that is not what it should be gives no permission; it is never
//! overwritten without a copy of it being kept.

use super::level::{Ask, Security};
use crate::base::atomic::{self, Durability, PRIVATE_FILE};
use crate::base::{hex, id, lock, time};
use crate::config::Paths;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file with thousands of patterns is far below this; more is not read.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Patterns of one agent that are looked at.
const MAX_PATTERNS: usize = 4096;
/// Characters of a command kept with its pattern.
const MAX_COMMAND: usize = 2000;
/// A change takes milliseconds; who waits longer waits for something broken.
const PATIENCE: Duration = Duration::from_secs(5);
/// The agent whose rules hold for all.
const ANYONE: &str = "*";

pub struct Store {
    path: PathBuf,
    lock: PathBuf,
    socket: PathBuf,
}

/// The file as a caller may see it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub path: PathBuf,
    pub exists: bool,
    /// SHA-256 of the raw text, hex.
    pub hash: String,
    /// In its normal form; empty when the text is not what it should be.
    pub file: Value,
    /// The text is what it should be, or there is none.
    pub sound: bool,
}

/// What holds for one agent. `None`: the file does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub security: Option<Security>,
    pub ask: Option<Ask>,
    /// What becomes of a command that nobody answered for.
    pub fallback: Option<Security>,
    pub auto_allow_skills: bool,
    pub patterns: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The block it stands in: the agent's id or `*`.
    pub place: String,
    pub text: String,
}

#[derive(Debug)]
pub enum Error {
    Read {
        path: PathBuf,
        err: io::Error,
    },
    Write {
        path: PathBuf,
        err: io::Error,
    },
    /// Not JSON, or of another version.
    Unsound(PathBuf),
    Lock(lock::Error),
    NoBaseHash,
    Changed,
}

impl Store {
    pub fn of(paths: &Paths) -> Store {
        let dir = paths.home.join(".openclaw");
        Store {
            path: dir.join("exec-approvals.json"),
            lock: dir.join("rs/exec-approvals.lock"),
            socket: dir.join("exec-approvals.sock"),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        let raw = self.raw()?;
        let exists = raw.is_some();
        let raw = raw.unwrap_or_default();
        let parsed = serde_json::from_slice::<Value>(&raw).ok();
        let file = parsed.as_ref().and_then(normal);
        Ok(Snapshot {
            path: self.path.clone(),
            exists,
            hash: hex::sha256(&raw),
            sound: file.is_some() || !exists,
            file: file.unwrap_or_else(|| normal(&json!({"version": 1})).expect("version 1")),
        })
    }

    /// The file with a socket path and a token, which companion apps look for; they are put in
    /// when they are missing.
    pub fn ensure(&self) -> Result<Snapshot, Error> {
        let now = self.snapshot()?;
        if !now.sound || has_socket(&now.file) {
            return Ok(now);
        }
        let _lock = self.lock()?;
        let now = self.snapshot()?;
        if !now.sound || has_socket(&now.file) {
            return Ok(now);
        }
        let mut file = now.file;
        fill_socket(&mut file, &self.socket, &Value::Null);
        self.write(&file, Durability::Disk)?;
        self.snapshot()
    }

    /// Puts `file` in the place of the present one. Its socket stays when the new one has none.
    pub fn set(&self, file: &Value, base_hash: Option<&str>) -> Result<Snapshot, Error> {
        let _lock = self.lock()?;
        let now = self.snapshot()?;
        if now.exists {
            match base_hash.map(str::trim) {
                None | Some("") => return Err(Error::NoBaseHash),
                Some(hash) if hash != now.hash => return Err(Error::Changed),
                Some(_) => {}
            }
        }
        if !now.sound {
            self.keep_aside()?;
        }
        let mut file = normal(file).ok_or_else(|| Error::Unsound(self.path.clone()))?;
        fill_socket(&mut file, &self.socket, &now.file["socket"]);
        self.write(&file, Durability::Disk)?;
        self.snapshot()
    }

    /// What holds for an agent: its own block over `*` over the defaults.
    pub fn rules(&self, agent_id: &str) -> Result<Rules, Error> {
        let now = self.snapshot()?;
        match now.sound {
            true => Ok(rules(&now.file, agent_id)),
            // Unreadable rules are no permission.
            false => Err(Error::Unsound(self.path.clone())),
        }
    }

    /// From now on these programs run without asking.
    pub fn allow(&self, agent_id: &str, patterns: &[String]) -> Result<(), Error> {
        self.change(|file| {
            let list = allowlist(file, agent_id)?;
            for pattern in patterns {
                if list.iter().any(|entry| entry["pattern"] == **pattern) {
                    continue;
                }
                list.push(
                    json!({"id": id::uuid(), "pattern": pattern, "lastUsedAt": time::now_ms()}),
                );
            }
            Some(())
        })
    }

    /// Notes at each pattern that it let `command` run.
    pub fn used(&self, uses: &[(Pattern, PathBuf)], command: &str) -> Result<(), Error> {
        let command: String = command.chars().take(MAX_COMMAND).collect();
        self.change(|file| {
            for (pattern, path) in uses {
                let list = allowlist(file, &pattern.place)?;
                let entries = list.iter_mut().filter(|e| e["pattern"] == *pattern.text);
                for entry in entries {
                    entry["lastUsedAt"] = time::now_ms().into();
                    entry["lastUsedCommand"] = command.clone().into();
                    entry["lastResolvedPath"] = path.display().to_string().into();
                }
            }
            Some(())
        })
    }

    fn change(&self, edit: impl FnOnce(&mut Value) -> Option<()>) -> Result<(), Error> {
        let _lock = self.lock()?;
        let now = self.snapshot()?;
        if !now.sound {
            return Err(Error::Unsound(self.path.clone()));
        }
        let mut file = now.file;
        fill_socket(&mut file, &self.socket, &Value::Null);
        match edit(&mut file) {
            Some(()) => self.write(&file, Durability::PageCache),
            None => Ok(()),
        }
    }

    fn raw(&self) -> Result<Option<Vec<u8>>, Error> {
        let fail = |err| Error::Read {
            path: self.path.clone(),
            err,
        };
        let file = match fs::File::open(&self.path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(fail)?,
        };
        let mut raw = Vec::new();
        file.take(MAX_FILE + 1)
            .read_to_end(&mut raw)
            .map_err(fail)?;
        if raw.len() as u64 > MAX_FILE {
            return Err(fail(io::ErrorKind::FileTooLarge.into()));
        }
        Ok(Some(raw))
    }

    fn lock(&self) -> Result<lock::Lock, Error> {
        lock::take(&self.lock, "exec approvals", PATIENCE).map_err(Error::Lock)
    }

    fn write(&self, file: &Value, durability: Durability) -> Result<(), Error> {
        let text = format!("{file:#}\n");
        // A link stays one.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        atomic::write_with(&path, text.as_bytes(), PRIVATE_FILE, durability)
            .map_err(|err| Error::Write { path, err })
    }

    fn keep_aside(&self) -> Result<(), Error> {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".unreadable-{}", time::now_ms()));
        let path = PathBuf::from(name);
        match fs::copy(&self.path, &path) {
            Ok(_) => log::warn!(
                "what {} held is kept as {}",
                self.path.display(),
                path.display()
            ),
            Err(err) => return Err(Error::Write { path, err }),
        }
        Ok(())
    }
}

impl Snapshot {
    /// As operators see it: the socket's token is left out.
    pub fn shown(&self) -> Value {
        let mut file = self.file.clone();
        if let Some(socket) = file.get_mut("socket").and_then(Value::as_object_mut) {
            socket.shift_remove("token");
        }
        json!({
            "path": self.path.display().to_string(),
            "exists": self.exists,
            "hash": self.hash,
            "file": file,
        })
    }
}

/// The file in the order and with the blocks the original writes, old forms renewed. `None` when
/// it is no such file.
fn normal(value: &Value) -> Option<Value> {
    let given = value.as_object()?;
    if given.get("version").and_then(Value::as_f64) != Some(1.0) {
        return None;
    }
    let block = |name: &str| {
        let block = given.get(name).and_then(Value::as_object);
        block.cloned().unwrap_or_default()
    };
    let mut socket = block("socket");
    for key in ["path", "token"] {
        match socket.get(key).and_then(Value::as_str).map(str::trim) {
            Some(text) if !text.is_empty() => {
                let text = text.to_string();
                socket.insert(key.into(), text.into());
            }
            _ => drop(socket.shift_remove(key)),
        }
    }
    let mut agents = block("agents");
    if let Some(old) = agents.shift_remove("default") {
        let main = agents.entry("main").or_insert_with(|| json!({}));
        adopt(main, &old);
    }
    for agent in agents.values_mut() {
        if !agent.is_object() {
            *agent = json!({});
        }
        if let Some(list) = agent.get_mut("allowlist") {
            name_entries(list);
        }
    }
    let mut file = Map::new();
    file.insert("version".into(), 1.into());
    file.insert("socket".into(), socket.into());
    file.insert("defaults".into(), block("defaults").into());
    file.insert("agents".into(), agents.into());
    for (key, value) in given {
        file.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Some(file.into())
}

/// What `main` does not say itself it takes from the block that used to stand for it.
fn adopt(main: &mut Value, old: &Value) {
    let (Some(main), Some(old)) = (main.as_object_mut(), old.as_object()) else {
        return;
    };
    for (key, value) in old {
        match main.get_mut(key) {
            None => drop(main.insert(key.clone(), value.clone())),
            Some(Value::Array(have)) if key == "allowlist" => {
                for entry in value.as_array().into_iter().flatten() {
                    if !have.iter().any(|e| e["pattern"] == entry["pattern"]) {
                        have.push(entry.clone());
                    }
                }
            }
            Some(_) => {}
        }
    }
}

/// Drops what is no entry and gives an id to those without one.
fn name_entries(list: &mut Value) {
    let Some(entries) = list.as_array_mut() else {
        *list = json!([]);
        return;
    };
    entries.retain(|entry| entry.get("pattern").is_some_and(Value::is_string));
    for entry in entries {
        let named = entry.get("id").and_then(Value::as_str);
        if named.is_none_or(str::is_empty) {
            entry["id"] = id::uuid().into();
        }
    }
}

fn has_socket(file: &Value) -> bool {
    let socket = &file["socket"];
    socket["path"].is_string() && socket["token"].is_string()
}

/// Puts in what is missing: from `before`, else new.
fn fill_socket(file: &mut Value, path: &Path, before: &Value) {
    let socket = &mut file["socket"];
    let kept = |key: &str| before.get(key).filter(|v| v.is_string()).cloned();
    if !socket["path"].is_string() {
        let path = || path.display().to_string().into();
        socket["path"] = kept("path").unwrap_or_else(path);
    }
    if !socket["token"].is_string() {
        let token = || URL_SAFE_NO_PAD.encode(id::random::<24>()).into();
        socket["token"] = kept("token").unwrap_or_else(token);
    }
}

fn allowlist<'f>(file: &'f mut Value, place: &str) -> Option<&'f mut Vec<Value>> {
    let agent = file["agents"]
        .as_object_mut()?
        .entry(place)
        .or_insert_with(|| json!({}));
    let list = agent
        .as_object_mut()?
        .entry("allowlist")
        .or_insert_with(|| json!([]));
    list.as_array_mut()
}

fn rules(file: &Value, agent_id: &str) -> Rules {
    let agents = &file["agents"];
    let own = agents.get(agent_id).unwrap_or(&Value::Null);
    let anyone = agents.get(ANYONE).unwrap_or(&Value::Null);
    let places = [own, anyone, &file["defaults"]];
    let said = |key: &str| {
        let values = places.iter().filter_map(|place| place.get(key));
        values.cloned().collect::<Vec<_>>()
    };
    // A value that is none does not count, and the next place is asked.
    let security = |key: &str| {
        let values = said(key);
        values.iter().find_map(|v| Security::parse(v.as_str()?))
    };
    let ask = said("ask").iter().find_map(|v| Ask::parse(v.as_str()?));
    let skills = said("autoAllowSkills").iter().find_map(Value::as_bool);
    let mut patterns = Vec::new();
    for (place, block) in [(ANYONE, anyone), (agent_id, own)] {
        let list = block.get("allowlist").and_then(Value::as_array);
        let texts = list.into_iter().flatten().take(MAX_PATTERNS);
        patterns.extend(texts.filter_map(|entry| {
            Some(Pattern {
                place: place.into(),
                text: entry.get("pattern")?.as_str()?.into(),
            })
        }));
    }
    Rules {
        security: security("security"),
        ask,
        fallback: security("askFallback"),
        auto_allow_skills: skills == Some(true),
        patterns,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Read { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Write { path, err } => write!(f, "cannot write {}: {err}", path.display()),
            Error::Unsound(path) => write!(
                f,
                "{} is no approvals file of version 1; correct it or move it away",
                path.display()
            ),
            Error::Lock(err) => err.fmt(f),
            Error::NoBaseHash => f.write_str(
                "exec approvals base hash required; re-run exec.approvals.get and retry",
            ),
            Error::Changed => f.write_str(
                "exec approvals changed since last load; re-run exec.approvals.get and retry",
            ),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Home(PathBuf, Store);

    impl Home {
        fn new(raw: &str) -> Home {
            let home = id::temp_dir("approvals");
            let dir = home.join(".openclaw");
            fs::create_dir(&dir).unwrap();
            let store = Store {
                path: dir.join("exec-approvals.json"),
                lock: dir.join("rs/exec-approvals.lock"),
                socket: dir.join("exec-approvals.sock"),
            };
            if !raw.is_empty() {
                fs::write(&store.path, raw).unwrap();
            }
            Home(home, store)
        }

        fn value(&self) -> Value {
            serde_json::from_slice(&fs::read(&self.1.path).unwrap()).unwrap()
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_first_look_makes_a_socket_and_later_ones_write_nothing() {
        let home = Home::new("");
        let store = &home.1;
        assert!(!store.snapshot().unwrap().exists);
        let first = store.ensure().unwrap();
        let shown = first.shown();
        assert!(shown["file"]["socket"].get("token").is_none());
        assert_eq!(shown["file"]["defaults"], json!({}));
        let token = home.value()["socket"]["token"].as_str().unwrap().len();
        assert_eq!(token, 32);
        let mode = fs::metadata(&store.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let raw = fs::read(&store.path).unwrap();
        assert!(raw.ends_with(b"}\n"));
        assert_eq!(store.ensure().unwrap().hash, first.hash);
        assert_eq!(fs::read(&store.path).unwrap(), raw);
    }

    #[test]
    fn a_change_needs_the_hash_and_keeps_the_socket() {
        let home = Home::new("");
        let store = &home.1;
        let first = store.ensure().unwrap();
        let file = json!({"version": 1, "socket": {"path": "/x"}, "agents": {
            "default": {"ask": "always", "allowlist": [{"pattern": "/b", "lastUsedAt": 1}]},
            "main": {"security": "full", "allowlist": [{"id": "i", "pattern": "/a"}]}}});
        assert!(matches!(store.set(&file, None), Err(Error::NoBaseHash)));
        assert!(matches!(store.set(&file, Some("x")), Err(Error::Changed)));
        store.set(&file, Some(&first.hash)).unwrap();
        let now = home.value();
        assert_eq!(now["socket"]["path"], "/x");
        assert_eq!(now["socket"]["token"], first.file["socket"]["token"]);
        assert!(now["agents"].get("default").is_none());
        let main = &now["agents"]["main"];
        assert_eq!(
            (&main["security"], &main["ask"]),
            (&json!("full"), &json!("always"))
        );
        assert_eq!(main["allowlist"][0]["id"], "i");
        assert_eq!(main["allowlist"][1]["pattern"], "/b");
        assert_eq!(main["allowlist"][1]["id"].as_str().unwrap().len(), 36);
    }

    #[test]
    fn an_agents_own_word_goes_before_everybodys_and_the_defaults() {
        let home = Home::new(
            r#"{"version":1,"later":{"x":1},"defaults":{"security":"deny","ask":"always",
                "askFallback":"full"},
                "agents":{"*":{"security":"allowlist","allowlist":[{"pattern":"/a"}]},
                "main":{"ask":"off","security":"nonsense","autoAllowSkills":true,
                        "allowlist":[{"pattern":"/b"},7]}}}"#,
        );
        let rules = home.1.rules("main").unwrap();
        assert_eq!(rules.security, Some(Security::Allowlist));
        assert_eq!(rules.ask, Some(Ask::Off));
        assert_eq!(rules.fallback, Some(Security::Full));
        assert!(rules.auto_allow_skills);
        let patterns: Vec<&str> = rules.patterns.iter().map(|p| p.text.as_str()).collect();
        assert_eq!(patterns, ["/a", "/b"]);
        home.1.allow("main", &["/b".into(), "/c".into()]).unwrap();
        home.1
            .used(&[(rules.patterns[0].clone(), "/A".into())], "a b")
            .unwrap();
        let now = home.value();
        assert_eq!(
            now["agents"]["main"]["allowlist"].as_array().unwrap().len(),
            2
        );
        assert_eq!(now["agents"]["*"]["allowlist"][0]["lastUsedCommand"], "a b");
        assert_eq!(now["later"]["x"], 1);
    }

    #[test]
    fn a_damaged_file_permits_nothing_and_is_not_lost() {
        let home = Home::new("{ not json");
        let store = &home.1;
        assert!(matches!(store.rules("main"), Err(Error::Unsound(_))));
        assert!(store.allow("main", &["/b".into()]).is_err());
        let seen = store.ensure().unwrap();
        assert!(seen.exists && !seen.sound);
        assert_eq!(fs::read(&store.path).unwrap(), b"{ not json");
        store.set(&json!({"version": 1}), Some(&seen.hash)).unwrap();
        let copies = fs::read_dir(store.path.parent().unwrap())
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().contains(".unreadable-"))
            .count();
        assert_eq!(copies, 1);
    }
}
