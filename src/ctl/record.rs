//! Records as lines: tab-separated fields in which no tab or newline is left.

use serde_json::Value;

/// One line from fields. Backslash, tab, newline and return are written `\\`, `\t`, `\n`, `\r`.
pub fn tsv(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|f| escape(f)).collect();
    fields.join("\t")
}

/// The named fields of an object, in that order; absent ones are empty.
pub fn fields(value: &Value, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| plain(&value[*name])).collect()
}

/// A value as one field: strings bare, null empty, the rest as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_is_one_line_whatever_is_in_it() {
        let value = json!({"a": "x\ty\nz\\", "n": 5, "o": {"k": 1}, "none": null});
        let line = tsv(&fields(&value, &["a", "n", "none", "missing", "o"]));
        assert_eq!(line, "x\\ty\\nz\\\\\t5\t\t\t{\"k\":1}");
    }
}
