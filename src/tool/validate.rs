//! Checks a call's arguments against the tool's JSON Schema, and coerces what a model plausibly
//! meant (`"5"` for a number). Only the keywords our schemas use are known. Messages are those
//! models and tests of the original know.

use serde_json::{Map, Number, Value};

/// Deepest nesting that is looked at; a model's arguments are a few levels deep.
const MAX_DEPTH: usize = 32;

/// The arguments with types coerced, or the text the model reads.
pub fn validate(
    tool: &str,
    schema: &Value,
    arguments: &Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut value = Value::Object(arguments.clone());
    let mut faults = Vec::new();
    check(schema, &mut value, "", 0, &mut faults);
    match value {
        Value::Object(map) if faults.is_empty() => Ok(map),
        _ => {
            let lines: Vec<String> = faults
                .iter()
                .map(|(path, message)| format!("  - {path}: {message}"))
                .collect();
            let lines = lines.join("\n");
            let received = serde_json::to_string_pretty(arguments).unwrap_or_default();
            Err(format!(
                "Validation failed for tool \"{tool}\":\n{lines}\n\nReceived arguments:\n{received}"
            ))
        }
    }
}

type Faults = Vec<(String, String)>;

fn check(schema: &Value, value: &mut Value, path: &str, depth: usize, faults: &mut Faults) {
    let mut fault = |message: String| {
        let path = if path.is_empty() { "root" } else { path };
        faults.push((path.into(), message));
    };
    if depth > MAX_DEPTH {
        return fault("must NOT be nested this deeply".into());
    }
    if let Some(types) = types_of(schema) {
        if !types.iter().any(|t| is(value, t)) {
            match types.iter().find_map(|t| coerce(value, t)) {
                Some(coerced) => *value = coerced,
                None => return fault(format!("must be {}", types.join(","))),
            }
        }
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        if !options.contains(value) {
            fault("must be equal to one of the allowed values".into());
        }
    }
    if let Some(constant) = schema.get("const") {
        if constant != value {
            fault("must be equal to constant".into());
        }
    }
    match value {
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let bound = |key| schema.get(key).and_then(Value::as_f64);
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                fault(format!("must be >= {least}"));
            }
            if let Some(most) = bound("maximum").filter(|most| number > *most) {
                fault(format!("must be <= {most}"));
            }
        }
        Value::String(text) => {
            let count = text.chars().count() as u64;
            sizes(schema, "Length", count, "characters", &mut fault);
        }
        Value::Array(items) => {
            sizes(schema, "Items", items.len() as u64, "items", &mut fault);
            if let Some(item) = schema.get("items") {
                for (index, value) in items.iter_mut().enumerate() {
                    check(
                        item,
                        value,
                        &join(path, &index.to_string()),
                        depth + 1,
                        faults,
                    );
                }
            }
        }
        Value::Object(map) => object(schema, map, path, depth, faults),
        Value::Null | Value::Bool(_) => {}
    }
    if let Some(options) = schema.get("anyOf").and_then(Value::as_array) {
        let fits = options.iter().any(|option| {
            let mut tried = value.clone();
            let mut inner = Vec::new();
            check(option, &mut tried, path, depth + 1, &mut inner);
            if inner.is_empty() {
                *value = tried;
            }
            inner.is_empty()
        });
        if !fits {
            let path = if path.is_empty() { "root" } else { path };
            faults.push((path.into(), "must match a schema in anyOf".into()));
        }
    }
}

fn object(
    schema: &Value,
    map: &mut Map<String, Value>,
    path: &str,
    depth: usize,
    faults: &mut Faults,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            // A missing property is named by itself at the top and by its owner further down.
            let path = if path.is_empty() { name } else { path };
            let message = format!("must have required property '{name}'");
            faults.push((path.into(), message));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let additional = schema.get("additionalProperties");
    for (key, value) in map.iter_mut() {
        match properties.and_then(|known| known.get(key)) {
            Some(property) => check(property, value, &join(path, key), depth + 1, faults),
            None => match additional {
                Some(Value::Bool(false)) => {
                    let path = if path.is_empty() { "root" } else { path };
                    faults.push((path.into(), "must NOT have additional properties".into()));
                }
                Some(schema @ Value::Object(_)) => {
                    check(schema, value, &join(path, key), depth + 1, faults);
                }
                _ => {}
            },
        }
    }
}

fn sizes(schema: &Value, noun: &str, count: u64, unit: &str, fault: &mut dyn FnMut(String)) {
    let bound = |key: String| schema.get(&key).and_then(Value::as_u64);
    if let Some(least) = bound(format!("min{noun}")).filter(|least| count < *least) {
        fault(format!("must NOT have fewer than {least} {unit}"));
    }
    if let Some(most) = bound(format!("max{noun}")).filter(|most| count > *most) {
        fault(format!("must NOT have more than {most} {unit}"));
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.into()
    } else {
        format!("{path}/{key}")
    }
}

fn types_of(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(one) => Some(vec![one]),
        Value::Array(many) => Some(many.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

/// What the original's validator makes of a value of another type, scalars only.
fn coerce(value: &Value, kind: &str) -> Option<Value> {
    match (kind, value) {
        ("string", Value::Number(number)) => Some(Value::String(number.to_string())),
        ("string", Value::Bool(flag)) => Some(Value::String(flag.to_string())),
        ("string", Value::Null) => Some(Value::String(String::new())),
        ("number" | "integer", Value::Bool(flag)) => Some(Value::from(u8::from(*flag))),
        ("number" | "integer", Value::Null) => Some(Value::from(0)),
        ("number" | "integer", Value::String(text)) => {
            let number = numeric(text.trim())?;
            Some(number).filter(|number| is(number, kind))
        }
        ("boolean", Value::Null) => Some(Value::Bool(false)),
        ("boolean", Value::String(text)) => match text.as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        ("boolean", Value::Number(number)) => match number.as_f64() {
            Some(1.0) => Some(Value::Bool(true)),
            Some(0.0) => Some(Value::Bool(false)),
            _ => None,
        },
        ("null", Value::String(text)) if text.is_empty() => Some(Value::Null),
        ("null", Value::Bool(false)) => Some(Value::Null),
        ("null", Value::Number(number)) if number.as_f64() == Some(0.0) => Some(Value::Null),
        _ => None,
    }
}

fn numeric(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    let number: f64 = text.parse().ok()?;
    Number::from_f64(number).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn validated(schema: &Value, arguments: Value) -> Result<Value, String> {
        validate("exec", schema, arguments.as_object().unwrap()).map(Value::Object)
    }

    #[test]
    fn a_missing_property_reads_as_in_the_original() {
        let schema = json!({"type": "object", "required": ["command"],
            "properties": {"command": {"type": "string"}}});
        assert_eq!(
            validated(&schema, json!({"cmd": "echo hi"})).unwrap_err(),
            "Validation failed for tool \"exec\":\n  - command: must have required property \
             'command'\n\nReceived arguments:\n{\n  \"cmd\": \"echo hi\"\n}"
        );
    }

    #[test]
    fn scalars_are_coerced_and_the_rest_is_refused_with_every_fault() {
        let schema = json!({"type": "object", "properties": {
            "limit": {"type": "number"}, "path": {"type": "string"}, "pty": {"type": "boolean"},
            "keys": {"type": "array", "items": {"type": "string"}}}});
        let fine = json!({"limit": "5", "path": 7, "pty": "true", "keys": [1], "other": {}});
        assert_eq!(
            validated(&schema, fine).unwrap(),
            json!({"limit": 5, "path": "7", "pty": true, "keys": ["1"], "other": {}})
        );
        let text = validated(&schema, json!({"limit": "five", "keys": [[]]})).unwrap_err();
        assert!(text.contains("  - limit: must be number\n"), "{text}");
        assert!(text.contains("  - keys/0: must be string\n"), "{text}");
    }
}
