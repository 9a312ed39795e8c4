//! The environment a process sees: the real one, then `.env` of the current folder, then `.env` of
//! the state folder, then the config's `env` block. First found wins. The process environment
//! itself is never changed, so no child inherits what was read from a file.

use super::dotenv;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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
}
