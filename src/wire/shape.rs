//! Shapes of JSON values as constant tables, and the original's wording when a value does not fit.
//!
//! `Shape` is the small part of JSON Schema that the protocol uses. All errors are collected, in
//! the original's order: missing keys (table order), unexpected keys (input order), nested
//! properties (table order), the union line.

use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug)]
pub enum Shape {
    Any,
    Bool,
    Null,
    Number {
        min: Option<f64>,
    },
    /// Whole numbers; bounds are inclusive.
    Integer {
        min: Option<i64>,
        max: Option<i64>,
    },
    /// Lengths in characters; 0 and `usize::MAX` mean no bound.
    Text {
        min: usize,
        max: usize,
    },
    Literal(&'static str),
    /// This number and no other.
    Exactly(i64),
    /// One of the strings; the original writes it as a union of literals.
    OneOf(&'static [&'static str]),
    Array {
        items: &'static Shape,
        min: usize,
        max: usize,
    },
    /// Only these keys.
    Closed(&'static [Field]),
    /// These keys, and any other.
    Open(&'static [Field]),
    /// Any keys, all values of one shape.
    MapOf(&'static Shape),
    Union(&'static [Shape]),
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
}

pub const fn required(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: true,
    }
}

pub const fn optional(name: &'static str, shape: Shape) -> Field {
    Field {
        name,
        shape,
        required: false,
    }
}

/// Any string.
pub const STRING: Shape = Shape::Text {
    min: 0,
    max: usize::MAX,
};
/// A string of at least one character.
pub const NON_EMPTY: Shape = Shape::Text {
    min: 1,
    max: usize::MAX,
};
pub const BOOL: Shape = Shape::Bool;
pub const INTEGER: Shape = Shape::Integer {
    min: None,
    max: None,
};
/// An integer of at least 0.
pub const UNSIGNED: Shape = Shape::Integer {
    min: Some(0),
    max: None,
};
/// Any number of non-empty strings.
pub const STRING_LIST: Shape = Shape::Array {
    items: &NON_EMPTY,
    min: 0,
    max: usize::MAX,
};
/// No params: a closed object without keys.
pub const NONE: Shape = Shape::Closed(&[]);
/// Params the original does not check.
pub const OPEN: Shape = Shape::Open(&[]);

pub const fn between(min: i64, max: i64) -> Shape {
    Shape::Integer {
        min: Some(min),
        max: Some(max),
    }
}

pub const fn at_least(min: i64) -> Shape {
    Shape::Integer {
        min: Some(min),
        max: None,
    }
}

impl Shape {
    /// Every way `value` does not fit, duplicates removed; empty when it fits.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(value, "", &mut errors);
        let mut seen = std::collections::HashSet::new();
        errors.retain(|e| seen.insert(e.clone()));
        errors
    }

    fn check(&self, value: &Value, path: &str, out: &mut Vec<String>) {
        let mut say = |message: String| out.push(at(path, &message));
        match self {
            Shape::Any => {}
            Shape::Bool => {
                if !value.is_boolean() {
                    say("must be boolean".into());
                }
            }
            Shape::Null => {
                if !value.is_null() {
                    say("must be null".into());
                }
            }
            Shape::Number { min } => match value.as_f64() {
                None => say("must be number".into()),
                Some(n) => {
                    if let Some(min) = min.filter(|min| n < *min) {
                        say(format!("must be >= {min}"));
                    }
                }
            },
            Shape::Integer { min, max } => {
                if !is_integer(value) {
                    say("must be integer".into());
                }
                // The bounds are for every number, whole or not.
                if let Some(n) = value.as_f64() {
                    if let Some(min) = min.filter(|min| n < *min as f64) {
                        say(format!("must be >= {min}"));
                    }
                    if let Some(max) = max.filter(|max| n > *max as f64) {
                        say(format!("must be <= {max}"));
                    }
                }
            }
            Shape::Text { min, max } => match value.as_str() {
                None => say("must be string".into()),
                Some(text) => {
                    let chars = text.chars().count();
                    if chars < *min {
                        say(format!("must NOT have fewer than {min} characters"));
                    }
                    if chars > *max {
                        say(format!("must NOT have more than {max} characters"));
                    }
                }
            },
            Shape::Literal(text) => {
                if value.as_str() != Some(text) {
                    not_constant(value, &mut say);
                }
            }
            Shape::Exactly(number) => {
                if !value.is_number() {
                    say("must be number".into());
                }
                if value.as_f64() != Some(*number as f64) {
                    say("must be equal to constant".into());
                }
            }
            Shape::OneOf(texts) => {
                if !value.as_str().is_some_and(|v| texts.contains(&v)) {
                    not_constant(value, &mut say);
                    say("must match a schema in anyOf".into());
                }
            }
            Shape::Array { items, min, max } => match value.as_array() {
                None => say("must be array".into()),
                Some(list) => {
                    if list.len() < *min {
                        say(format!("must NOT have fewer than {min} items"));
                    }
                    if list.len() > *max {
                        say(format!("must NOT have more than {max} items"));
                    }
                    for (i, item) in list.iter().enumerate() {
                        items.check(item, &format!("{path}/{i}"), out);
                    }
                }
            },
            Shape::Closed(fields) => check_object(value, fields, true, path, out),
            Shape::Open(fields) => check_object(value, fields, false, path, out),
            Shape::MapOf(shape) => match value.as_object() {
                None => say("must be object".into()),
                Some(map) => {
                    for (key, item) in map {
                        shape.check(item, &format!("{path}/{}", escape(key)), out);
                    }
                }
            },
            Shape::Union(shapes) => {
                let mut all = Vec::new();
                for shape in *shapes {
                    let mut errors = Vec::new();
                    shape.check(value, path, &mut errors);
                    if errors.is_empty() {
                        return;
                    }
                    all.append(&mut errors);
                }
                out.append(&mut all);
                out.push(at(path, "must match a schema in anyOf"));
            }
        }
    }
}

/// A constant is also a string, and both rules speak.
fn not_constant(value: &Value, say: &mut impl FnMut(String)) {
    if !value.is_string() {
        say("must be string".into());
    }
    say("must be equal to constant".into());
}

fn check_object(value: &Value, fields: &[Field], closed: bool, path: &str, out: &mut Vec<String>) {
    let Some(map) = value.as_object() else {
        out.push(at(path, "must be object"));
        return;
    };
    for field in fields.iter().filter(|f| f.required) {
        if !map.contains_key(field.name) {
            out.push(at(
                path,
                &format!("must have required property '{}'", field.name),
            ));
        }
    }
    if closed {
        unexpected(map, fields, path, out);
    }
    for field in fields {
        if let Some(item) = map.get(field.name) {
            let below = format!("{path}/{}", escape(field.name));
            field.shape.check(item, &below, out);
        }
    }
}

fn unexpected(map: &Map<String, Value>, fields: &[Field], path: &str, out: &mut Vec<String>) {
    for key in map.keys() {
        if !fields.iter().any(|f| f.name == key) {
            let place = if path.is_empty() {
                "at root".to_string()
            } else {
                format!("at {path}")
            };
            out.push(format!("{place}: unexpected property '{key}'"));
        }
    }
}

fn at(path: &str, message: &str) -> String {
    if path.is_empty() {
        message.to_string()
    } else {
        format!("at {path}: {message}")
    }
}

/// JSON-pointer escaping.
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `1.0` is an integer in JSON Schema, `1.5` is not; nor is what a double cannot hold exactly.
fn is_integer(value: &Value) -> bool {
    let exact = |n: f64| n.fract() == 0.0 && n.abs() < 9.007_199_254_740_992e15;
    value.is_i64() || value.as_f64().is_some_and(exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PARAMS: Shape = Shape::Closed(&[
        required("key", NON_EMPTY),
        optional("limit", between(1, 5)),
        optional(
            "tags",
            Shape::Array {
                items: &NON_EMPTY,
                min: 1,
                max: 2,
            },
        ),
        optional("mode", Shape::OneOf(&["now", "later"])),
    ]);

    #[test]
    fn a_fitting_value_has_no_errors() {
        assert!(
            PARAMS
                .errors(&json!({"key":"a","limit":5.0,"mode":"now"}))
                .is_empty()
        );
    }

    #[test]
    fn a_value_of_another_type_breaks_every_rule_it_touches() {
        assert_eq!(
            PARAMS.errors(&json!({"key":1,"limit":5.5,"mode":2})),
            [
                "at /key: must be string",
                "at /limit: must be integer",
                "at /limit: must be <= 5",
                "at /mode: must be string",
                "at /mode: must be equal to constant",
                "at /mode: must match a schema in anyOf",
            ]
        );
    }

    #[test]
    fn errors_come_in_the_original_order_and_wording() {
        assert_eq!(
            PARAMS.errors(&json!({"x":1,"limit":9,"tags":[""],"mode":"no"})),
            [
                "must have required property 'key'",
                "at root: unexpected property 'x'",
                "at /limit: must be <= 5",
                "at /tags/0: must NOT have fewer than 1 characters",
                "at /mode: must be equal to constant",
                "at /mode: must match a schema in anyOf",
            ]
        );
    }
}
