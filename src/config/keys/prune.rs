//! Taking unknown keys out of a configuration, for the doctor. Everything known stays, whatever its
//! value; what the program reads by another rule (`$include`) is no unknown key.

use super::check::fits;
use super::kind::{Key, Kind};
use crate::config::path::join;
use serde_json::Value;

/// Read before the tables are, at any place.
const INCLUDE: &str = "$include";

/// Takes out of `value` every key that `kind` does not know; their paths.
pub fn prune(kind: &Kind, value: &mut Value) -> Vec<String> {
    let mut dropped = Vec::new();
    walk(kind, value, "", &mut dropped);
    dropped
}

fn walk(kind: &Kind, value: &mut Value, at: &str, dropped: &mut Vec<String>) {
    match (kind.now(), value) {
        (Kind::Object(keys), Value::Object(map)) => {
            map.retain(|key, _| {
                let stays = key == INCLUDE || named(keys, key).is_some();
                if !stays {
                    dropped.push(join(at, key));
                }
                stays
            });
            for (key, value) in map {
                if let Some(known) = named(keys, key) {
                    walk(&known.kind, value, &join(at, key), dropped);
                }
            }
        }
        (Kind::Stripped(keys), Value::Object(map)) => {
            for (key, value) in map {
                if let Some(known) = named(keys, key) {
                    walk(&known.kind, value, &join(at, key), dropped);
                }
            }
        }
        (Kind::ObjectOr(keys, other), Value::Object(map)) => {
            for (key, value) in map {
                let kind = named(keys, key).map_or(*other, |known| &known.kind);
                walk(kind, value, &join(at, key), dropped);
            }
        }
        (Kind::Map(item) | Kind::Named(item), Value::Object(map)) => {
            for (key, value) in map {
                walk(item, value, &join(at, key), dropped);
            }
        }
        (Kind::List(item), Value::Array(list)) => {
            for (place, value) in list.iter_mut().enumerate() {
                walk(item, value, &join(at, &place.to_string()), dropped);
            }
        }
        // Only what makes the value fit one of the forms: guessing which was meant would lose more.
        (Kind::Union(kinds), value) if !kinds.iter().any(|kind| fits(kind, value)) => {
            for kind in *kinds {
                let (mut less, mut gone) = (value.clone(), Vec::new());
                walk(kind, &mut less, at, &mut gone);
                if fits(kind, &less) {
                    *value = less;
                    dropped.append(&mut gone);
                    return;
                }
            }
        }
        _ => {}
    }
}

fn named<'k>(keys: &'k [Key], name: &str) -> Option<&'k Key> {
    keys.iter().find(|key| key.name() == name)
}

#[cfg(test)]
mod tests {
    use super::super::ROOT;
    use super::*;
    use serde_json::json;

    #[test]
    fn only_keys_that_no_table_has_are_taken_out() {
        let mut value = json!({
            "$include": "./more.json", "bogus": {"a": 1},
            "gateway": {"port": "no port", "prot": 1, "auth": {"token": "t", "x": 1}},
            "agents": {"list": [{"id": "a", "nick": "b"}], "defaults": {"models": {"a/b": {"alias": "x", "y": 1}}}},
            "env": {"ANY": "thing"}, "meta": {"lastTouchedVersion": "2026.2.3"},
        });
        let gone = prune(&ROOT, &mut value);
        assert_eq!(
            gone,
            [
                "bogus",
                "gateway.prot",
                "gateway.auth.x",
                "agents.list.0.nick",
                "agents.defaults.models.a/b.y"
            ]
        );
        assert_eq!(
            value,
            json!({
                "$include": "./more.json",
                "gateway": {"port": "no port", "auth": {"token": "t"}},
                "agents": {"list": [{"id": "a"}], "defaults": {"models": {"a/b": {"alias": "x"}}}},
                "env": {"ANY": "thing"}, "meta": {"lastTouchedVersion": "2026.2.3"},
            })
        );
        assert!(prune(&ROOT, &mut value).is_empty());
    }
}
