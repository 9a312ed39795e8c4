//! As much of JSON Schema as `protocol.schema.json` uses, with the words and the order in which the
//! original reports what does not fit. Written from the schema's rules and checked against the
//! original's validator; it shares nothing with ours.

use serde_json::{Map, Value, json};

/// The schema's definitions, or `None` without the reading material.
pub fn definitions() -> Option<Map<String, Value>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/protocol.schema.json"
    );
    let text = std::fs::read(path).ok()?;
    let mut schema: Value = serde_json::from_slice(&text).expect("JSON");
    match schema["definitions"].take() {
        Value::Object(map) => Some(map),
        other => panic!("definitions are {other}"),
    }
}

/// Every way `value` does not fit, in the original's words; empty when it fits.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    let mut seen = std::collections::HashSet::new();
    found.retain(|line| seen.insert(line.clone()));
    found
}

fn check(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    let kind = schema["type"].as_str().unwrap_or_default();
    let fits = kind.is_empty() || is(kind, value);
    let wrong = at(path, &format!("must be {kind}"));
    // A type that has rules of its own is judged where those stand, any other one first.
    let rules: &[&str] = match kind {
        "number" => &["maximum", "minimum"],
        "string" => &["maxLength", "minLength"],
        "array" => &["maxItems", "minItems", "items"],
        "object" => &[
            "required",
            "additionalProperties",
            "properties",
            "patternProperties",
        ],
        _ => &[],
    };
    let late = rules.iter().any(|rule| schema.get(*rule).is_some());
    if !fits && !late {
        out.push(wrong.clone());
    }
    scalar(schema, value, path, out);
    if !fits && late && matches!(kind, "number" | "string") {
        out.push(wrong.clone());
    }
    if schema.get("const").is_some_and(|only| only != value) {
        out.push(at(path, "must be equal to constant"));
    }
    union(schema, value, path, out);
    match value {
        Value::Array(list) => array(schema, list, path, out),
        Value::Object(map) => object(schema, map, path, out),
        _ => {}
    }
    if !fits && late && matches!(kind, "array" | "object") {
        out.push(wrong);
    }
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other} is new"),
    }
}

fn scalar(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    if let Some(n) = value.as_f64() {
        if let Some(max) = schema["maximum"].as_f64().filter(|max| n > *max) {
            out.push(at(path, &format!("must be <= {max}")));
        }
        if let Some(min) = schema["minimum"].as_f64().filter(|min| n < *min) {
            out.push(at(path, &format!("must be >= {min}")));
        }
    }
    if let Some(text) = value.as_str() {
        let length = text.chars().count() as u64;
        if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
            let words = format!("must NOT have more than {max} characters");
            out.push(at(path, &words));
        }
        if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
            let words = format!("must NOT have fewer than {min} characters");
            out.push(at(path, &words));
        }
    }
}

fn union(schema: &Value, value: &Value, path: &str, out: &mut Vec<String>) {
    let Some(branches) = schema["anyOf"].as_array() else {
        return;
    };
    let mut all = Vec::new();
    for branch in branches {
        let before = all.len();
        check(branch, value, path, &mut all);
        if all.len() == before {
            return;
        }
    }
    out.append(&mut all);
    out.push(at(path, "must match a schema in anyOf"));
}

fn array(schema: &Value, list: &[Value], path: &str, out: &mut Vec<String>) {
    let length = list.len() as u64;
    if let Some(max) = schema["maxItems"].as_u64().filter(|max| length > *max) {
        out.push(at(path, &format!("must NOT have more than {max} items")));
    }
    if let Some(min) = schema["minItems"].as_u64().filter(|min| length < *min) {
        out.push(at(path, &format!("must NOT have fewer than {min} items")));
    }
    if let Some(items) = schema.get("items") {
        for (i, item) in list.iter().enumerate() {
            check(items, item, &format!("{path}/{i}"), out);
        }
    }
}

fn object(schema: &Value, map: &Map<String, Value>, path: &str, out: &mut Vec<String>) {
    let known = schema["properties"].as_object();
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a name");
        if !map.contains_key(name) {
            let words = format!("must have required property '{name}'");
            out.push(at(path, &words));
        }
    }
    // The only pattern the schema uses fits every key.
    let any = schema.get("patternProperties").map(|patterns| {
        let only = patterns.get("^(.*)$");
        only.expect("the pattern that fits every key")
    });
    if schema["additionalProperties"] == false && any.is_none() {
        let place = if path.is_empty() { "root" } else { path };
        for key in map.keys() {
            if !known.is_some_and(|known| known.contains_key(key)) {
                out.push(format!("at {place}: unexpected property '{key}'"));
            }
        }
    }
    for (name, property) in known.into_iter().flatten() {
        if let Some(value) = map.get(name) {
            check(property, value, &format!("{path}/{name}"), out);
        }
    }
    if let Some(any) = any {
        for (name, value) in map {
            check(any, value, &format!("{path}/{name}"), out);
        }
    }
}

fn at(path: &str, words: &str) -> String {
    match path {
        "" => words.to_string(),
        path => format!("at {path}: {words}"),
    }
}

/// A value that fits: with every optional property when `whole`, else with none.
pub fn example(schema: &Value, whole: bool) -> Value {
    if let Some(only) = schema.get("const") {
        return only.clone();
    }
    if let Some(branches) = schema["anyOf"].as_array() {
        return example(&branches[0], whole);
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(schema["minimum"].as_i64().unwrap_or(0)),
        Some("string") => json!("x".repeat(schema["minLength"].as_u64().unwrap_or(1) as usize)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        Some("array") => {
            let item = schema.get("items").map(|items| example(items, whole));
            let count = schema["minItems"].as_u64().unwrap_or(1) as usize;
            json!(vec![item.unwrap_or_else(|| json!("x")); count])
        }
        Some("object") => {
            let required = |name: &str| {
                let mut names = schema["required"].as_array().into_iter().flatten();
                names.any(|required| required == name)
            };
            let mut map = Map::new();
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                if whole || required(name) {
                    map.insert(name.clone(), example(property, whole));
                }
            }
            if let Some(any) = schema["patternProperties"].get("^(.*)$").filter(|_| whole) {
                map.insert("key".into(), example(any, whole));
            }
            Value::Object(map)
        }
        None => json!({"any": "thing"}),
        Some(other) => panic!("type {other} is new"),
    }
}

/// Values that do not fit, each with one fault: a required key absent, an unknown one present, a
/// value of every wrong type, a number or text out of its bounds; at every depth.
pub fn misfits(schema: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    let branches = schema["anyOf"].as_array();
    for branch in branches.map_or(std::slice::from_ref(schema), Vec::as_slice) {
        for wrong in [
            json!(7.5),
            json!("words"),
            json!(false),
            json!([]),
            json!({}),
        ] {
            found.push(wrong);
        }
        found.push(Value::Null);
        if let Some(min) = branch["minimum"].as_i64() {
            found.push(json!(min - 1));
        }
        if let Some(max) = branch["maximum"].as_i64() {
            found.push(json!(max + 1));
        }
        if branch["minLength"].as_u64().is_some_and(|min| min > 0) {
            found.push(json!(""));
        }
        if let Some(max) = branch["maxLength"].as_u64() {
            found.push(json!("é".repeat(max as usize + 1)));
        }
        let whole = example(branch, true);
        if let Value::Array(list) = &whole {
            let items = branch.get("items");
            for wrong in items.map(misfits).unwrap_or_default() {
                found.push(Value::Array(
                    std::iter::once(wrong)
                        .chain(list.iter().skip(1).cloned())
                        .collect(),
                ));
            }
            if let Some(max) = branch["maxItems"].as_u64() {
                found.push(json!(vec![list[0].clone(); max as usize + 1]));
            }
        }
        if let Value::Object(map) = &whole {
            found.extend(spoiled(branch, map));
        }
    }
    // What one branch refuses another may take.
    found.retain(|value| !errors(schema, value).is_empty());
    found
}

fn spoiled(schema: &Value, whole: &Map<String, Value>) -> Vec<Value> {
    let mut found = Vec::new();
    let with = |key: &str, value: Value| {
        let mut map = whole.clone();
        map.insert(key.into(), value);
        Value::Object(map)
    };
    found.push(with("unknown", json!(1)));
    for key in whole.keys() {
        let mut map = whole.clone();
        map.shift_remove(key);
        found.push(Value::Object(map));
    }
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        found.extend(misfits(property).into_iter().map(|wrong| with(key, wrong)));
    }
    if let Some(any) = schema["patternProperties"].get("^(.*)$") {
        found.extend(misfits(any).into_iter().map(|wrong| with("key", wrong)));
    }
    found
}

#[test]
fn the_checker_speaks_as_the_original_does() {
    let one_of = json!({"anyOf": [
        {"const": "now", "type": "string"}, {"const": "later", "type": "string"},
    ]});
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["key", "mode"],
        "properties": {
            "key": {"type": "string", "minLength": 1}, "mode": one_of,
            "limit": {"type": "integer", "minimum": 1},
        },
    });
    // Taken from the original's validator.
    assert_eq!(
        errors(&schema, &json!({"x": 1, "mode": 5, "limit": 0.5})),
        [
            "must have required property 'key'",
            "at root: unexpected property 'x'",
            "at /mode: must be string",
            "at /mode: must be equal to constant",
            "at /mode: must match a schema in anyOf",
            "at /limit: must be integer",
            "at /limit: must be >= 1",
        ]
    );
    assert_eq!(errors(&schema, &json!([])), ["must be object"]);
    let whole = example(&schema, true);
    assert_eq!(whole, json!({"key": "x", "mode": "now", "limit": 1}));
    assert!(errors(&schema, &whole).is_empty());
    assert!(misfits(&schema).len() > 15);
}
