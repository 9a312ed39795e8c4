//! Which skills this host and this configuration can use, and what the others lack.

use super::{Install, Requires, Skill, Source};
use crate::config::Snapshot;
use serde::Serialize;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt;

/// Settings that count as on when nothing is said; every agent has a workspace.
const ON: [&str; 3] = [
    "browser.enabled",
    "browser.evaluateEnabled",
    "workspace.dir",
];

/// One pass over the skills: a program is looked for once.
pub struct Gate<'a> {
    config: &'a Snapshot,
    found: RefCell<HashMap<String, bool>>,
}

/// Whether a skill can be used, and why not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    pub eligible: bool,
    /// Switched off in `skills.entries`.
    pub disabled: bool,
    /// One of the program's own that `skills.allowBundled` does not name.
    pub blocked: bool,
    pub missing: Requires,
    pub checks: Vec<Check>,
}

/// A setting a skill asks for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub path: String,
    /// Only of switches and numbers: other values may be secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    pub satisfied: bool,
}

impl<'a> Gate<'a> {
    pub fn new(config: &'a Snapshot) -> Gate<'a> {
        Gate {
            config,
            found: RefCell::default(),
        }
    }

    pub fn config(&self) -> &'a Snapshot {
        self.config
    }

    /// The usable ones, in order.
    pub fn eligible<'s>(&self, skills: &'s [Skill]) -> Vec<&'s Skill> {
        let usable = |skill: &&Skill| self.judge(skill).eligible;
        skills.iter().filter(usable).collect()
    }

    pub fn judge(&self, skill: &Skill) -> Standing {
        let requires = &skill.meta.requires;
        let entry = self.entry(skill);
        let disabled = entry.and_then(|e| e.get("enabled")) == Some(&Value::Bool(false));
        let blocked = skill.source == Source::Bundled && !self.is_listed(skill);
        let has = |name: &str| self.has_variable(skill, name);
        let (missing, checks) = self.missing(requires, skill.meta.always, &has);
        Standing {
            eligible: !disabled && !blocked && missing == Requires::default(),
            disabled,
            blocked,
            missing,
            checks,
        }
    }

    /// What of `requires` there is not, and how its settings stand. With `always` only the system
    /// counts.
    pub fn missing(
        &self,
        requires: &Requires,
        always: bool,
        has_variable: &dyn Fn(&str) -> bool,
    ) -> (Requires, Vec<Check>) {
        let settings = requires.config.iter().map(|path| self.check(path));
        let checks: Vec<Check> = settings.collect();
        let mut missing = Requires::default();
        if !requires.os.is_empty() && !is_here(&requires.os) {
            missing.os.clone_from(&requires.os);
        }
        if !always {
            missing.bins = self.lacking(&requires.bins);
            let lacking = self.lacking(&requires.any_bins);
            if lacking.len() == requires.any_bins.len() {
                missing.any_bins = lacking;
            }
            let unset = |name: &&String| !has_variable(name);
            missing.env = requires.env.iter().filter(unset).cloned().collect();
            let unmet = checks.iter().filter(|check| !check.satisfied);
            missing.config = unmet.map(|check| check.path.clone()).collect();
        }
        (missing, checks)
    }

    /// What `skills.entries` says of a skill.
    fn entry(&self, skill: &Skill) -> Option<&'a Value> {
        self.config
            .value
            .pointer("/skills/entries")?
            .get(skill.key())
    }

    fn is_listed(&self, skill: &Skill) -> bool {
        let list = self.config.value.pointer("/skills/allowBundled");
        let Some(list) = list
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
        else {
            return true;
        };
        let named = |name: &str| list.iter().any(|item| item == name);
        named(skill.key()) || named(&skill.name)
    }

    fn lacking(&self, bins: &[String]) -> Vec<String> {
        bins.iter()
            .filter(|bin| !self.has_program(bin))
            .cloned()
            .collect()
    }

    /// Whether a program is on the path.
    pub fn has_program(&self, name: &str) -> bool {
        if let Some(known) = self.found.borrow().get(name) {
            return *known;
        }
        let path = self.config.env.get("PATH").unwrap_or_default();
        let plain = !name.is_empty() && !name.contains('/');
        let found = plain
            && std::env::split_paths(path).any(|dir| {
                let meta = std::fs::metadata(dir.join(name));
                meta.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
            });
        self.found.borrow_mut().insert(name.into(), found);
        found
    }

    fn has_variable(&self, skill: &Skill, name: &str) -> bool {
        let entry = self.entry(skill);
        let text = |value: Option<&Value>| {
            value
                .and_then(Value::as_str)
                .is_some_and(|text| !text.trim().is_empty())
        };
        self.config.env.get(name).is_some()
            || text(entry.and_then(|e| e.get("env")?.get(name)))
            || (skill.meta.primary_env.as_deref() == Some(name)
                && text(entry.and_then(|e| e.get("apiKey"))))
    }

    fn check(&self, path: &str) -> Check {
        let value = path
            .split('.')
            .try_fold(&self.config.value, |value, key| value.get(key))
            .filter(|value| !value.is_null());
        let satisfied = match value {
            None => ON.contains(&path),
            Some(Value::Bool(on)) => *on,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        };
        Check {
            path: path.into(),
            value: value.filter(|v| v.is_boolean() || v.is_number()).cloned(),
            satisfied,
        }
    }

    /// Variables that `skills.entries` gives the usable skills, where the environment has none.
    pub fn variables(&self, skills: &[&Skill]) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let mut give = |name: &str, value: Option<&Value>| {
            let value = value.and_then(Value::as_str).unwrap_or_default();
            let free = self.config.env.get(name).is_none();
            if free && !name.is_empty() && !name.contains(['=', '\0']) && !value.is_empty() {
                variables.insert(name.to_string(), value.to_string());
            }
        };
        for skill in skills {
            let Some(entry) = self.entry(skill) else {
                continue;
            };
            for (name, value) in entry
                .get("env")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                give(name, Some(value));
            }
            if let Some(name) = &skill.meta.primary_env {
                give(name, entry.get("apiKey"));
            }
        }
        variables
    }

    /// The ways to install what a skill lacks that make sense here: all downloads, or the one
    /// package manager that is liked best.
    pub fn installs<'s>(&self, skill: &'s Skill) -> Vec<&'s Install> {
        let all: Vec<&Install> = skill
            .meta
            .install
            .iter()
            .filter(|install| install.os.is_empty() || is_here(&install.os))
            .collect();
        if all.iter().all(|install| install.kind == "download") {
            return all;
        }
        let prefer = self.config.value.pointer("/skills/install/preferBrew");
        let prefer = prefer != Some(&Value::Bool(false)) && self.has_program("brew");
        let first: &[&str] = if prefer { &["brew"] } else { &[] };
        let order = first
            .iter()
            .chain(&["uv", "node", "brew", "go", "download"]);
        let best = order
            .into_iter()
            .find_map(|kind| all.iter().find(|install| install.kind == *kind));
        best.into_iter().copied().collect()
    }
}

/// Whether one of the names means this system.
fn is_here(names: &[String]) -> bool {
    let here = match std::env::consts::OS {
        "macos" => "darwin",
        os => os,
    };
    names.iter().any(|name| name == here)
}

#[cfg(test)]
mod tests {
    use super::super::tests::skill;
    use super::*;
    use crate::config::Env;
    use serde_json::json;

    fn config(value: Value) -> Snapshot {
        Snapshot {
            value,
            env: Env::from_pairs(&[("PATH", "/bin:/usr/bin"), ("HAVE", "1")]),
            ..Snapshot::default()
        }
    }

    fn with(meta: Value) -> Skill {
        skill(&format!(
            "name: n\ndescription: d\nmetadata: {}",
            json!({"openclaw": meta})
        ))
    }

    #[test]
    fn what_is_missing_is_named_and_always_means_always() {
        let config = config(json!({"gateway": {"port": 1}, "tools": {"x": ""}}));
        let gate = Gate::new(&config);
        let needs = json!({
            "bins": ["sh", "nosuch"], "anyBins": ["nosuch", "sh"], "env": ["HAVE", "LACK"],
            "config": ["gateway.port", "tools.x", "browser.enabled", "a.b"]
        });
        let standing = gate.judge(&with(json!({"requires": needs.clone()})));
        assert!(!standing.eligible);
        assert_eq!(
            serde_json::to_value(&standing.missing).unwrap(),
            json!({"bins": ["nosuch"], "anyBins": [], "env": ["LACK"], "config": ["tools.x", "a.b"], "os": []})
        );
        assert_eq!(
            serde_json::to_value(&standing.checks[..2]).unwrap(),
            json!([{"path": "gateway.port", "value": 1, "satisfied": true},
                {"path": "tools.x", "satisfied": false}])
        );
        assert!(
            gate.judge(&with(json!({"requires": needs, "always": true})))
                .eligible
        );
        let elsewhere = gate.judge(&with(json!({"os": ["plan9"], "always": true})));
        assert!(!elsewhere.eligible && elsewhere.missing.os == ["plan9"]);
    }

    #[test]
    fn entries_switch_off_and_give_variables() {
        let key = with(json!({"primaryEnv": "KEY", "requires": {"env": ["KEY", "MORE"]}}));
        let entry = json!({"apiKey": "secret", "env": {"MORE": "x", "HAVE": "2"}});
        let on = config(json!({"skills": {"entries": {"n": entry}}}));
        let gate = Gate::new(&on);
        assert!(gate.judge(&key).eligible);
        let given = gate.variables(&[&key]);
        assert_eq!(given.get("KEY").map(String::as_str), Some("secret"));
        assert!(given.contains_key("MORE") && !given.contains_key("HAVE"));
        let off = config(json!({"skills": {"entries": {"n": {"enabled": false}}}}));
        let standing = Gate::new(&off).judge(&with(json!({})));
        assert!(standing.disabled && !standing.eligible);
    }

    #[test]
    fn an_allowlist_is_only_for_the_programs_own() {
        let listed = config(json!({"skills": {"allowBundled": ["other"]}}));
        let gate = Gate::new(&listed);
        let mut own = with(json!({}));
        assert!(gate.judge(&own).eligible);
        own.source = Source::Bundled;
        assert!(gate.judge(&own).blocked);
    }

    #[test]
    fn the_best_liked_installer_is_offered_or_every_download() {
        let config = config(json!({}));
        let gate = Gate::new(&config);
        let ids = |install: Value| -> Vec<String> {
            let skill = with(json!({"install": install}));
            gate.installs(&skill).iter().map(|i| i.id.clone()).collect()
        };
        let all = json!([{"kind": "go", "module": "m"}, {"kind": "brew", "formula": "f"},
            {"kind": "node", "package": "n"}, {"kind": "uv", "package": "u", "os": ["plan9"]}]);
        assert_eq!(ids(all), ["node-2"]);
        let downloads = json!([{"kind": "download", "url": "a"}, {"kind": "download", "url": "b"}]);
        assert_eq!(ids(downloads), ["download-0", "download-1"]);
        assert!(ids(json!([])).is_empty());
    }
}
