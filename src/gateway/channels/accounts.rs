//! The channel accounts of the configuration. Pure.

use crate::config::Snapshot;
use crate::session::key::sanitize_id;
use serde_json::{Map, Value};

const DEFAULT: &str = "default";

/// One account that is switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// `telegram`.
    pub kind: String,
    pub name: String,
    /// The section of its kind with its own entry over it.
    pub section: Value,
}

impl Account {
    /// As the supervisor knows its worker.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

pub fn configured(config: &Snapshot) -> Vec<Account> {
    let channels = config.value["channels"].as_object();
    let mut found = Vec::new();
    for (kind, section) in channels.into_iter().flatten() {
        let Some(section) = section.as_object().filter(|_| kind != "defaults") else {
            continue;
        };
        let accounts = section.get("accounts").and_then(Value::as_object);
        let mut own = section.clone();
        own.remove("accounts");
        match accounts.filter(|accounts| !accounts.is_empty()) {
            None => found.extend(account(kind, DEFAULT, own)),
            Some(accounts) => {
                for (name, entry) in accounts {
                    let mut merged = own.clone();
                    merged.extend(entry.as_object().cloned().unwrap_or_default());
                    // The kind as a whole is off.
                    if own.get("enabled") != Some(&Value::Bool(false)) {
                        found.extend(account(kind, &sanitize_id(name), merged));
                    }
                }
            }
        }
    }
    // Two names that become one are one.
    found.sort_by_key(Account::id);
    found.dedup_by(|b, a| a.id() == b.id());
    found
}

fn account(kind: &str, name: &str, section: Map<String, Value>) -> Option<Account> {
    (section.get("enabled") != Some(&Value::Bool(false))).then(|| Account {
        kind: kind.into(),
        name: name.into(),
        section: section.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_account_has_its_kinds_settings_below_its_own() {
        let config = Snapshot {
            value: json!({"channels": {
                "defaults": {"groupPolicy": "open"},
                "off": {"enabled": false, "accounts": {"a": {"enabled": true}}},
                "pigeon": {"speed": 1, "groups": {"x": {}},
                    "accounts": {"Second One": {"speed": 2, "groups": {}}, "b": {},
                        "c": {"enabled": false}}},
                "irc": {"nick": "n"},
            }}),
            ..Snapshot::default()
        };
        let found = configured(&config);
        let ids: Vec<String> = found.iter().map(Account::id).collect();
        assert_eq!(ids, ["irc/default", "pigeon/b", "pigeon/second-one"]);
        assert_eq!(found[2].section, json!({"speed": 2, "groups": {}}));
        assert_eq!(found[1].section, json!({"speed": 1, "groups": {"x": {}}}));
    }
}
