//! Whether one JSON value has the shape of another: same keys, same types. Values count only where
//! both are enum-like words that the recording shows to be constant.

use serde_json::Value;

/// Keys whose text is part of the interface, not data.
const CONSTANT: &[&str] = &[
    "type",
    "event",
    "state",
    "stream",
    "phase",
    "role",
    "status",
    "code",
    "stopReason",
    "kind",
];

/// Every difference, as `path: what`.
pub fn differences(recorded: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(recorded, ours, "$", "", &mut found);
    found
}

fn compare(recorded: &Value, ours: &Value, path: &str, key: &str, out: &mut Vec<String>) {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => {
            for (name, value) in a {
                let below = format!("{path}.{name}");
                match b.get(name) {
                    Some(other) => compare(value, other, &below, name, out),
                    None => out.push(format!("{below}: missing")),
                }
            }
            for name in b.keys().filter(|name| !a.contains_key(*name)) {
                out.push(format!("{path}.{name}: not in the recording"));
            }
        }
        // Lists come in any order and length; each of ours is like one of theirs.
        (Value::Array(a), Value::Array(b)) => {
            for (i, item) in b.iter().enumerate() {
                let mut closest: Option<Vec<String>> = None;
                for like in a {
                    let mut found = Vec::new();
                    compare(like, item, &format!("{path}[{i}]"), "", &mut found);
                    if closest.as_ref().is_none_or(|best| found.len() < best.len()) {
                        closest = Some(found);
                    }
                    if closest.as_ref().is_some_and(Vec::is_empty) {
                        break;
                    }
                }
                out.extend(closest.unwrap_or_default());
            }
        }
        (Value::String(a), Value::String(b)) => {
            if CONSTANT.contains(&key) && a != b {
                out.push(format!("{path}: {b:?} where the recording has {a:?}"));
            }
        }
        // Numbers and nulls stand in for each other where the original sends either.
        (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, _)
        | (_, Value::Null) => {}
        _ => out.push(format!(
            "{path}: {} where the recording has {}",
            name(ours),
            name(recorded)
        )),
    }
}

/// `value` without its data: what `differences` looks at and no more.
pub fn outline(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(
                |(key, value)| match CONSTANT.contains(&key.as_str()) && value.is_string() {
                    true => (key.clone(), value.clone()),
                    false => (key.clone(), outline(value)),
                },
            )
            .collect(),
        Value::Array(list) => {
            let mut kinds: Vec<Value> = Vec::new();
            for item in list.iter().map(outline) {
                if !kinds.contains(&item) {
                    kinds.push(item);
                }
            }
            Value::Array(kinds)
        }
        Value::String(_) => "".into(),
        Value::Number(_) => 0.into(),
        Value::Bool(_) => true.into(),
        Value::Null => Value::Null,
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[test]
fn missing_extra_and_retyped_keys_are_found_and_values_are_not() {
    let recorded = serde_json::json!({"type":"res","a":1,"b":{"c":"x"},"l":[{"k":true}]});
    let same = serde_json::json!({"type":"res","a":9,"b":{"c":"y"},"l":[]});
    assert!(differences(&recorded, &same).is_empty());
    let other = serde_json::json!({"type":"event","a":"1","b":{"d":1},"l":[{"k":"no"}]});
    assert_eq!(differences(&recorded, &other).len(), 5);
    let outline = outline(&recorded);
    assert!(differences(&outline, &same).is_empty());
    assert_eq!(differences(&outline, &other).len(), 5);
}
