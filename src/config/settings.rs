//! Settings somebody chose, to be written with one edit of the configuration.

use super::edit::{self, Error};
use super::{Env, Paths, Snapshot, path};
use crate::base::time;
use serde_json::Value;

/// What the program calls itself in the configuration.
const VERSION: &str = super::load::STAMP;

/// No Debug: passwords may be among them.
#[derive(Clone, Default)]
pub struct Settings(Vec<Setting>);

#[derive(Clone)]
struct Setting {
    place: Vec<String>,
    value: Value,
    /// Only where nothing stands yet.
    weak: bool,
}

impl Settings {
    pub fn put(&mut self, place: &[&str], value: impl Into<Value>) {
        self.add(place, value.into(), false);
    }

    /// A default: what stands there already stays.
    pub fn fill(&mut self, place: &[&str], value: impl Into<Value>) {
        self.add(place, value.into(), true);
    }

    fn add(&mut self, place: &[&str], value: Value, weak: bool) {
        let place = place.iter().map(|part| part.to_string()).collect();
        self.0.push(Setting { place, value, weak });
    }

    /// Who set this up, when, and how: as the original notes it.
    pub fn note_run(&mut self, command: &str, mode: &str) {
        self.put(&["wizard", "lastRunAt"], time::now_iso());
        self.put(&["wizard", "lastRunVersion"], VERSION);
        self.put(&["wizard", "lastRunCommand"], command);
        self.put(&["wizard", "lastRunMode"], mode);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes over what the other has.
    pub fn append(&mut self, other: Settings) {
        self.0.extend(other.0);
    }

    pub fn write(&self, paths: &Paths, env: &Env) -> Result<Snapshot, Error> {
        edit::change(paths, env, |tree| {
            for setting in &self.0 {
                if setting.weak && path::get(tree, &setting.place).is_some() {
                    continue;
                }
                make_way(tree, &setting.place);
                path::set(tree, &setting.place, setting.value.clone()).map_err(Error::Path)?;
            }
            Ok(())
        })
    }
}

/// `agents.defaults.model: "a/b"` is the short form of `{primary: "a/b"}`: spelled out, it can take
/// a setting below it.
fn make_way(tree: &mut Value, place: &[String]) {
    let [above @ .., last] = place else {
        return;
    };
    if last != "primary" {
        return;
    }
    if let Some(model) = tree.pointer_mut(&format!("/{}", above.join("/"))) {
        if model.is_string() {
            *model = serde_json::json!({ "primary": model.take() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use serde_json::json;

    #[test]
    fn what_is_put_replaces_and_what_is_filled_in_only_fills() {
        let dir = id::temp_dir("settings");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("OPENCLAW_STATE_DIR", d)]);
        let paths = Paths::resolve(&env, None);
        let text = "{gateway:{port:1,bind:'lan'},agents:{defaults:{model:'a/b'}}}";
        std::fs::write(&paths.config, text).unwrap();
        let mut settings = Settings::default();
        settings.put(&["gateway", "port"], 2);
        settings.fill(&["gateway", "bind"], "loopback");
        settings.fill(&["gateway", "mode"], "local");
        settings.put(&["agents", "defaults", "model", "primary"], "c/d");
        settings.put(&["agents", "defaults", "models", "x/y.z", "alias"], "Z");
        let after = settings.write(&paths, &env).unwrap().parsed;
        assert_eq!(
            after["gateway"],
            json!({"mode": "local", "port": 2, "bind": "lan"})
        );
        let defaults = &after["agents"]["defaults"];
        assert_eq!(defaults["model"], json!({"primary": "c/d"}));
        assert_eq!(defaults["models"]["x/y.z"]["alias"], "Z");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
