//! The environment a process sees: the real one, then `.env` of the current folder, then `.env` of
//! the state folder, then the config's `env` block. First found wins. The process environment
//! itself is never changed, so no child inherits what was read from a file.

use std::collections::BTreeMap;

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

    /// Adds a layer weaker than all present ones.
    pub fn push(&mut self, layer: BTreeMap<String, String>) {
        self.layers.push(layer);
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

    /// `1`, `true`, `yes`, `on` in any case.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| {
            ["1", "true", "yes", "on"]
                .iter()
                .any(|t| v.eq_ignore_ascii_case(t))
        })
    }
}
