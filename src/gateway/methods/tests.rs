//! The table against the protocol's description and its schema.

use super::table::TABLE;
use super::*;
use crate::wire::shape::Field;
use serde_json::json;
use std::collections::{BTreeMap, HashSet};

/// A file of the reading material beside the checkout; `None`, and said so, without it.
fn shared(test: &str, path: &str) -> Option<String> {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/");
    let text = std::fs::read_to_string(format!("{base}{path}")).ok();
    if text.is_none() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("skipped: {test}: {path} is not there\n").as_bytes(),
        );
    }
    text
}

#[test]
fn the_table_has_each_of_the_89_methods_once() {
    let mut seen = HashSet::new();
    for row in TABLE {
        assert!(seen.insert(row.name), "{} twice", row.name);
        assert_eq!(find(row.name).map(|found| found.name), Some(row.name));
    }
    assert_eq!(TABLE.len(), 89);
    assert!(find("sessions.usage").is_none());
}

#[test]
fn advertised_methods_are_the_first_rows_in_the_original_order() {
    let test = "advertised_methods_are_the_first_rows_in_the_original_order";
    let Some(spec) = shared(test, "spec/protocol.md") else {
        return;
    };
    let list = spec.split("this order): `").nth(1).unwrap();
    let list: Vec<&str> = list.split('`').next().unwrap().split(' ').collect();
    assert_eq!(list, ADVERTISED);
}

#[test]
fn every_row_asks_for_the_scope_of_the_original() {
    let test = "every_row_asks_for_the_scope_of_the_original";
    let Some(spec) = shared(test, "spec/protocol.md") else {
        return;
    };
    let mut wanted = BTreeMap::new();
    for (needs, scope) in [
        ("role `node` only", Scope::Node),
        ("`operator.approvals`", Scope::Approvals),
        ("`operator.pairing`", Scope::Pairing),
        ("`operator.read` or `operator.write`", Scope::Read),
        ("`operator.write`", Scope::Write),
    ] {
        let line = format!("| {needs} | ");
        let line = spec.lines().find_map(|l| l.strip_prefix(&line)).unwrap();
        for names in line.split('`').skip(1).step_by(2) {
            // `a.b/c` stands for a.b and a.c.
            let stem = names.rfind('.').map_or(0, |dot| dot + 1);
            let (stem, last) = names.split_at(stem);
            for name in last.split('/') {
                wanted.insert(format!("{stem}{name}"), scope);
            }
        }
    }
    assert_eq!(wanted.len(), 53);
    for row in TABLE {
        let scope = wanted.remove(row.name).unwrap_or(Scope::Admin);
        assert_eq!(row.scope, scope, "{}", row.name);
    }
    assert!(wanted.is_empty(), "{wanted:?}");
}

/// The definition that holds a method's params, where its name does not follow from the method's.
fn definition(name: &str) -> String {
    match name {
        "agent.identity.get" => "AgentIdentityParams".into(),
        _ => {
            let words = name.split(['.', '-']);
            let words = words.map(|w| w[..1].to_uppercase() + &w[1..]);
            words.collect::<String>() + "Params"
        }
    }
}

#[test]
fn params_of_served_methods_agree_with_the_schema() {
    let test = "params_of_served_methods_agree_with_the_schema";
    let Some(text) = shared(test, "data/protocol.schema.json") else {
        return;
    };
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut compared = 0;
    for row in TABLE {
        let served = matches!(row.run, Run::Inline(_) | Run::Pooled(_));
        let Some(wanted) = schema["definitions"].get(definition(row.name)) else {
            continue;
        };
        if served {
            assert_eq!(schema_of(&row.params), plain(wanted), "{}", row.name);
            compared += 1;
        }
    }
    // health, status, last-heartbeat, set-heartbeats, system-presence, system-event and the two of
    // usage have none.
    let served = |row: &&Method| matches!(row.run, Run::Inline(_) | Run::Pooled(_));
    assert_eq!(compared, TABLE.iter().filter(served).count() - 8);
}

/// A schema without what does not change which values fit, and with unions of texts in one form.
fn plain(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => map
            .iter()
            // A property may be called so, too; its schema is no text.
            .filter(|(key, value)| {
                !(["description", "title"].contains(&key.as_str()) && value.is_string())
            })
            .map(|(key, value)| {
                let mut value = plain(value);
                if let (true, Some(list)) = (key == "required", value.as_array_mut()) {
                    list.sort_by_key(|v| v.to_string());
                }
                (key.clone(), value)
            })
            .collect(),
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn schema_of(shape: &Shape) -> Value {
    let mut schema = match shape {
        Shape::Any => json!({}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Null => json!({"type": "null"}),
        Shape::Number { min } => json!({"type": "number", "minimum": min}),
        Shape::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Text { min, max } => json!({
            "type": "string",
            "minLength": (*min > 0).then_some(min),
            "maxLength": (*max < usize::MAX).then_some(max),
        }),
        Shape::Literal(text) => json!({"type": "string", "const": text}),
        Shape::Exactly(number) => json!({"type": "number", "const": number}),
        Shape::OneOf(texts) => {
            let each = texts.iter().map(|text| schema_of(&Shape::Literal(text)));
            json!({"anyOf": each.collect::<Vec<_>>()})
        }
        Shape::Array { items, min, max } => json!({
            "type": "array",
            "items": schema_of(items),
            "minItems": (*min > 0).then_some(min),
            "maxItems": (*max < usize::MAX).then_some(max),
        }),
        Shape::Closed(fields) => object(fields, Some(false)),
        Shape::Open(fields) => object(fields, None),
        Shape::MapOf(shape) => json!({
            "type": "object",
            "patternProperties": {"^(.*)$": schema_of(shape)},
        }),
        Shape::Union(shapes) => {
            json!({"anyOf": shapes.iter().map(schema_of).collect::<Vec<_>>()})
        }
    };
    if let Some(map) = schema.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    schema
}

fn object(fields: &[Field], additional: Option<bool>) -> Value {
    let properties: serde_json::Map<_, _> = fields
        .iter()
        .map(|field| (field.name.to_string(), schema_of(&field.shape)))
        .collect();
    let mut required: Vec<_> = fields
        .iter()
        .filter(|f| f.required)
        .map(|f| f.name)
        .collect();
    required.sort();
    json!({
        "type": "object",
        "properties": properties,
        "required": (!required.is_empty()).then_some(required),
        "additionalProperties": additional,
    })
}
