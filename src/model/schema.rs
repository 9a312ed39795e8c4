//! The JSON Schema of a tool in the part of the language that every service takes: an object with
//! properties, without references, alternatives at its root and bounds of values. The original sends
//! all tools so, whatever the service; what a call gives is checked against the whole schema.
//!
//! A schema may come from a caller of the HTTP API: what it refers to is copied, so its size is
//! bounded, and what refers to itself is left open.

use serde_json::{Map, Value, json};

/// Schemas within one, copies included; a large tool has some hundred.
const MAX_PARTS: usize = 4096;
/// Schemas within each other, which are as many calls on the stack.
const MAX_DEPTH: usize = 64;

/// Words that some service refuses.
const REMOVED: [&str; 21] = [
    "patternProperties",
    "additionalProperties",
    "$schema",
    "$id",
    "$ref",
    "$defs",
    "definitions",
    "examples",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
    "const",
];
const UNIONS: [&str; 2] = ["anyOf", "oneOf"];
/// What a schema says of itself, kept where the rest of it is replaced.
const NOTES: [&str; 3] = ["title", "description", "default"];

pub fn for_services(schema: &Value) -> Value {
    let mut cleaner = Cleaner {
        root: schema,
        left: MAX_PARTS,
        depth: 0,
        open: Vec::new(),
    };
    let merged = UNIONS.iter().find_map(|key| {
        let variants = schema.get(key)?.as_array()?;
        Some(merge(schema, variants))
    });
    let cleaned = cleaner.clean(merged.as_ref().unwrap_or(schema));
    let mut out = match cleaned {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if out.get("type").is_none_or(|kind| kind != "object") {
        out.shift_insert(0, "type".into(), "object".into());
    }
    if !out.get("properties").is_some_and(Value::is_object) {
        out.insert("properties".into(), json!({}));
    }
    Value::Object(out)
}

/// The alternatives of a root as one object: any of their properties may be there, and must where
/// each of them says so.
fn merge(schema: &Value, variants: &[Value]) -> Value {
    let objects: Vec<&Map<String, Value>> = variants
        .iter()
        .filter_map(|variant| variant.get("properties")?.as_object())
        .collect();
    let mut properties = Map::new();
    for (key, value) in objects.iter().flat_map(|object| object.iter()) {
        let merged = match properties.get(key) {
            None => value.clone(),
            Some(there) => either(there, value),
        };
        properties.insert(key.clone(), merged);
    }
    if properties.is_empty() {
        let own = schema["properties"].as_object();
        properties = own.cloned().unwrap_or_default();
    }
    let names = |schema: &Value| -> Vec<Value> {
        let names = schema["required"].as_array().into_iter().flatten();
        names.filter(|name| name.is_string()).cloned().collect()
    };
    let mut required = names(schema);
    if required.is_empty() && !objects.is_empty() {
        let with_properties = variants.iter().filter(|v| v["properties"].is_object());
        let all: Vec<Vec<Value>> = with_properties.map(names).collect();
        required = all[0]
            .iter()
            .filter(|name| all.iter().all(|names| names.contains(name)))
            .cloned()
            .collect();
    }
    let mut out = json!({"type": "object"});
    for key in ["title", "description"] {
        if let Some(text) = schema.get(key) {
            out[key] = text.clone();
        }
    }
    out["properties"] = Value::Object(properties);
    if !required.is_empty() {
        out["required"] = Value::Array(required);
    }
    out
}

/// A property that two alternatives have: the values of both, where they are listed.
fn either(one: &Value, other: &Value) -> Value {
    let mut values = Vec::new();
    for schema in [one, other] {
        listed(schema, &mut values);
    }
    if values.is_empty() {
        return one.clone();
    }
    let mut out = Map::new();
    for schema in [one, other] {
        for key in NOTES {
            if let (Some(note), false) = (schema.get(key), out.contains_key(key)) {
                out.insert(key.into(), note.clone());
            }
        }
    }
    let kind = kind_of(&values[0]);
    if values.iter().all(|value| kind_of(value) == kind) {
        out.insert("type".into(), kind.into());
    }
    out.insert("enum".into(), Value::Array(values));
    Value::Object(out)
}

/// The values a schema lists, also in its alternatives.
fn listed(schema: &Value, values: &mut Vec<Value>) {
    let one = schema.get("const").into_iter();
    let some = schema["enum"].as_array().into_iter().flatten();
    for value in one.chain(some) {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    for key in UNIONS {
        for variant in schema[key].as_array().into_iter().flatten() {
            listed(variant, values);
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

struct Cleaner<'a> {
    root: &'a Value,
    /// Parts that may still be made.
    left: usize,
    depth: usize,
    /// References that are being followed.
    open: Vec<String>,
}

impl Cleaner<'_> {
    fn clean(&mut self, schema: &Value) -> Value {
        let Value::Object(map) = schema else {
            return schema.clone();
        };
        if self.left == 0 || self.depth == MAX_DEPTH {
            return json!({});
        }
        self.left -= 1;
        self.depth += 1;
        let cleaned = self.inside(map);
        self.depth -= 1;
        cleaned
    }

    fn inside(&mut self, map: &Map<String, Value>) -> Value {
        if let Some(reference) = map.get("$ref").and_then(Value::as_str) {
            return self.follow(map, reference);
        }
        let mut unions = [None, None];
        for (key, union) in UNIONS.iter().zip(&mut unions) {
            let Some(variants) = map.get(*key).and_then(Value::as_array) else {
                continue;
            };
            let mut cleaned = self.all(variants);
            cleaned.retain(|variant| !is_null(variant));
            if let Some(listed) = as_list(&cleaned) {
                return with_notes(listed, map);
            }
            if cleaned.len() == 1 && variants.len() > 1 {
                return with_notes(cleaned.remove(0), map);
            }
            *union = Some(Value::Array(cleaned));
        }
        let any = unions.iter().any(Option::is_some);
        let mut out = Map::new();
        for (key, value) in map {
            let value = match (key.as_str(), value) {
                ("const", value) => {
                    out.insert("enum".into(), json!([value]));
                    continue;
                }
                (removed, _) if REMOVED.contains(&removed) => continue,
                ("type", _) if any => continue,
                ("type", Value::Array(kinds)) => without_null(kinds),
                ("properties", Value::Object(properties)) => {
                    let cleaned = properties.iter();
                    let cleaned = cleaned.map(|(name, value)| (name.clone(), self.clean(value)));
                    Value::Object(cleaned.collect())
                }
                ("items" | "allOf", Value::Array(list)) => Value::Array(self.all(list)),
                ("items", value) => self.clean(value),
                (key, value) => {
                    let union = UNIONS.iter().position(|union| *union == key);
                    let union = union.and_then(|at| unions[at].take());
                    union.unwrap_or_else(|| value.clone())
                }
            };
            out.insert(key.clone(), value);
        }
        Value::Object(out)
    }

    fn all(&mut self, schemas: &[Value]) -> Vec<Value> {
        schemas.iter().map(|schema| self.clean(schema)).collect()
    }

    /// What a reference names, in its place.
    fn follow(&mut self, map: &Map<String, Value>, reference: &str) -> Value {
        let named = reference.strip_prefix('#');
        let named = named.and_then(|pointer| self.root.pointer(pointer));
        let within = self.open.iter().any(|open| open == reference);
        let Some(named) = named.filter(|_| !within) else {
            return with_notes(json!({}), map);
        };
        self.open.push(reference.into());
        let cleaned = self.clean(named);
        self.open.pop();
        with_notes(cleaned, map)
    }
}

fn with_notes(schema: Value, from: &Map<String, Value>) -> Value {
    let Value::Object(mut out) = schema else {
        return schema;
    };
    for key in NOTES {
        if let Some(note) = from.get(key) {
            out.insert(key.into(), note.clone());
        }
    }
    Value::Object(out)
}

/// `{"type":"null"}`, as cleaned.
fn is_null(schema: &Value) -> bool {
    schema["type"] == "null" || schema["enum"] == json!([null])
}

/// Alternatives that are one value each, all of a kind, as a list of values.
fn as_list(variants: &[Value]) -> Option<Value> {
    let mut values = Vec::new();
    for variant in variants {
        match variant["enum"].as_array()?.as_slice() {
            [value] => values.push(value.clone()),
            _ => return None,
        }
    }
    let kind = kind_of(values.first()?);
    let same = values.iter().all(|value| kind_of(value) == kind);
    same.then(|| json!({"type": kind, "enum": values}))
}

fn without_null(kinds: &[Value]) -> Value {
    let mut kinds = kinds.to_vec();
    kinds.retain(|kind| kind != "null");
    match kinds.as_slice() {
        [kind] => kind.clone(),
        _ => Value::Array(kinds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_references_and_lists_of_alternatives_become_plain() {
        let schema = json!({
            "$schema": "x", "type": "object", "additionalProperties": false,
            "$defs": {"city": {"type": "string", "minLength": 1, "title": "City"}},
            "properties": {
                "from": {"$ref": "#/$defs/city", "description": "Where it starts"},
                "how": {"anyOf": [{"const": "train", "type": "string"}, {"const": "bus"}]},
                "when": {"type": ["string", "null"], "format": "date"},
                "seat": {"oneOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "title": "S"},
                "any": {"anyOf": [{"type": "string"}, {"type": "number", "maximum": 3}], "type": "x"},
                "tags": {"type": "array", "items": {"const": 7}, "maxItems": 3},
                "format": {"type": "string"},
                "env": {"type": "object", "patternProperties": {"^x": {}}},
            },
            "required": ["from"],
        });
        assert_eq!(
            for_services(&schema).to_string(),
            json!({
                "type": "object",
                "properties": {
                    "from": {"type": "string", "title": "City", "description": "Where it starts"},
                    "how": {"type": "string", "enum": ["train", "bus"]},
                    "when": {"type": "string"},
                    "seat": {"type": "integer", "title": "S"},
                    "any": {"anyOf": [{"type": "string"}, {"type": "number"}]},
                    "tags": {"type": "array", "items": {"enum": [7]}},
                    "format": {"type": "string"},
                    "env": {"type": "object"},
                },
                "required": ["from"],
            })
            .to_string()
        );
    }

    #[test]
    fn alternatives_at_the_root_are_merged_into_one_object() {
        let schema = json!({"description": "Acts.", "anyOf": [
            {"type": "object", "required": ["do", "id"],
             "properties": {"do": {"const": "add", "description": "What"}, "id": {"type": "string"}}},
            {"type": "object", "required": ["do"],
             "properties": {"do": {"enum": ["list", "add"]}, "all": {"type": "boolean"}}},
            {"type": "null"},
        ]});
        assert_eq!(
            for_services(&schema),
            json!({"type": "object", "description": "Acts.",
                "properties": {
                    "do": {"description": "What", "type": "string", "enum": ["add", "list"]},
                    "id": {"type": "string"}, "all": {"type": "boolean"},
                },
                "required": ["do"]})
        );
        for empty in [
            json!({}),
            json!(true),
            json!({"type": "object"}),
            Value::Null,
        ] {
            let expected = json!({"type": "object", "properties": {}});
            assert_eq!(for_services(&empty), expected);
        }
    }

    #[test]
    fn what_refers_to_itself_or_grows_without_end_is_cut() {
        let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}}});
        let left = &for_services(&tree)["properties"]["left"];
        assert_eq!(left["properties"]["left"], json!({}));
        let mut defs = Map::new();
        for n in 0..9000 {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            let twice = json!({"type": "object", "properties": {"a": next, "b": next}});
            defs.insert(format!("d{n}"), twice);
        }
        let bomb = json!({"$defs": defs, "type": "object",
            "properties": {"x": {"$ref": "#/$defs/d0"}}});
        assert!(for_services(&bomb).to_string().len() < 64 * MAX_PARTS);
    }
}
