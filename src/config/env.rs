//! The environment a process sees: the real one, then the credentials a service manager handed over
//! as files, then `.env` of the current folder, then `.env` of the state folder, then the config's
//! `env` block. First found wins. The process environment
//! itself is never changed, so no child inherits what was read from a file.

use super::dotenv;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// systemd puts this and `_` before the names of a folder's files: `LoadCredential=env:FOLDER`.
const FOLDER_PREFIX: &str = "env_";
/// More than any set of keys, and than any key is long.
const MAX_CREDENTIALS: usize = 64;
const MAX_CREDENTIAL: u64 = 64 * 1024;

#[derive(Clone, Default)]
pub struct Env {
    /// Strongest first.
    layers: Vec<BTreeMap<String, String>>,
}

impl Env {
    /// The real process environment (values that are not UTF-8 are left out).
    pub fn process() -> Env {
        let real = std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect();
        Env { layers: vec![real] }
    }

    pub fn from_pairs(pairs: &[(&str, &str)]) -> Env {
        let map = pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        Env { layers: vec![map] }
    }

    /// The process environment with `.env` of the current folder and of the state folder below it.
    /// The state folder is looked up with the former, as a `.env` there may name it.
    pub fn with_dotenv(mut self, cwd: &Path) -> Env {
        if let Some(folder) = self.get("CREDENTIALS_DIRECTORY") {
            self.push(credentials(Path::new(folder)));
        }
        self.push(dotenv::read(&cwd.join(".env")));
        let state = super::Paths::resolve(&self, None).state;
        if state != cwd {
            self.push(dotenv::read(&state.join(".env")));
        }
        self
    }

    /// Adds a layer weaker than all present ones.
    pub fn push(&mut self, layer: BTreeMap<String, String>) {
        self.layers.push(layer);
    }

    /// Adds a layer stronger than all present ones (what flags say).
    pub fn lay_over(&mut self, layer: BTreeMap<String, String>) {
        self.layers.insert(0, layer);
    }

    /// Every name that is set.
    pub fn names(&self) -> BTreeSet<&str> {
        self.layers
            .iter()
            .flat_map(|layer| layer.keys().map(String::as_str))
            .collect()
    }

    /// The value, even when empty.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.layers
            .iter()
            .find_map(|l| l.get(name))
            .map(String::as_str)
    }

    /// The trimmed value, when there is a non-blank one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).map(str::trim).filter(|v| !v.is_empty())
    }

    /// The first of `names` that has a non-blank value: a name and its older spellings.
    pub fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }

    /// `1`, `true`, `yes`, `on` in any case.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| {
            ["1", "true", "yes", "on"]
                .iter()
                .any(|t| v.eq_ignore_ascii_case(t))
        })
    }

    pub fn home(&self) -> PathBuf {
        PathBuf::from(self.first(&["HOME", "USERPROFILE"]).unwrap_or("/"))
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env(…)")
    }
}

/// The files of systemd's `$CREDENTIALS_DIRECTORY` that are named as variables are; the newline that
/// an editor leaves at the end is none of the secret.
fn credentials(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        log::warn!("CREDENTIALS_DIRECTORY: {} is no folder", folder.display());
        return BTreeMap::new();
    };
    let read = |path: &Path| {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        file.take(MAX_CREDENTIAL).read_to_string(&mut text)?;
        Ok::<String, std::io::Error>(text.trim_end().to_string())
    };
    let mut found = BTreeMap::new();
    for entry in entries.flatten().take(MAX_CREDENTIALS) {
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let name = name.strip_prefix(FOLDER_PREFIX).unwrap_or(name);
        let letter = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || !name.chars().all(letter) {
            continue;
        }
        match read(&entry.path()) {
            Ok(value) => {
                found.insert(name.to_string(), value);
            }
            Err(err) => log::warn!("credential {name}: not read: {err}"),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_source_wins_even_when_it_is_empty() {
        let dir = crate::base::id::temp_dir("env");
        let state = dir.join("state");
        std::fs::create_dir_all(&state).unwrap();
        std::fs::write(dir.join(".env"), "A=cwd\nB=cwd\nE=cwd\n").unwrap();
        std::fs::write(state.join(".env"), "B=state\nC=state\n").unwrap();
        let env = Env::from_pairs(&[
            ("HOME", "/nowhere"),
            ("OPENCLAW_STATE_DIR", state.to_str().unwrap()),
            ("A", "real"),
            ("E", ""),
        ])
        .with_dotenv(&dir);
        assert_eq!(env.get("A"), Some("real"));
        assert_eq!(env.get("B"), Some("cwd"));
        assert_eq!(env.get("C"), Some("state"));
        assert_eq!((env.raw("E"), env.get("E")), (Some(""), None));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn credentials_of_the_service_manager_stand_below_the_real_environment() {
        let dir = crate::base::id::temp_dir("credentials");
        for (name, text) in [
            ("env_GROQ_API_KEY", "k1\n"),
            ("XAI_API_KEY", "k2"),
            ("SET", "file"),
            ("telegram.token", "no variable"),
        ] {
            std::fs::write(dir.join(name), text).unwrap();
        }
        let folder = dir.to_str().unwrap();
        let pairs = [
            ("HOME", "/h"),
            ("SET", "real"),
            ("CREDENTIALS_DIRECTORY", folder),
        ];
        let env = Env::from_pairs(&pairs).with_dotenv(Path::new("/"));
        assert_eq!(env.get("GROQ_API_KEY"), Some("k1"));
        assert_eq!(env.get("XAI_API_KEY"), Some("k2"));
        assert_eq!(env.get("SET"), Some("real"));
        assert_eq!(env.get("telegram.token"), None);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
