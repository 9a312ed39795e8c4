//! `${NAME}` in string values, and `~` at the start of values that are paths.

use super::Env;
use serde_json::{Map, Value};
use std::path::Path;

/// Replaces every `${NAME}`; `$${NAME}` becomes the text `${NAME}`. What was put in is not looked
/// at again. A variable without a value fails the whole file.
pub fn variables(value: Value, env: &Env) -> Result<Value, String> {
    walk(value, env, "")
}

fn walk(value: Value, env: &Env, path: &str) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(Value::String(replace(&text, env, path)?)),
        Value::Array(list) => list
            .into_iter()
            .enumerate()
            .map(|(i, item)| walk(item, env, &format!("{path}[{i}]")))
            .collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, item)| {
                let item = walk(item, env, &super::path::join(path, &key))?;
                Ok((key, item))
            })
            .collect::<Result<Map<_, _>, String>>()
            .map(Value::Object),
        value => Ok(value),
    }
}

fn replace(text: &str, env: &Env, path: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if let Some(name) = tail.strip_prefix("$$").and_then(name) {
            out.push_str(&tail[1..name.len() + 4]);
            rest = &tail[name.len() + 4..];
        } else if let Some(name) = name(&tail[1..]) {
            let value = env.raw(name).filter(|value| !value.is_empty());
            out.push_str(value.ok_or_else(|| {
                format!("Missing env var \"{name}\" referenced at config path: {path}")
            })?);
            rest = &tail[name.len() + 3..];
        } else {
            out.push('$');
            rest = &tail[1..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// `NAME` when `text` starts with `{NAME}`.
fn name(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('{')?;
    let name = &inner[..inner.find('}')?];
    let ok = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let fine = name.chars().all(ok) && !name.starts_with(|c: char| c.is_ascii_digit());
    (fine && !name.is_empty()).then_some(name)
}

/// Expands a leading `~` where the key says that the value is a path.
pub fn home(value: &mut Value, home: &Path) {
    expand(value, home, "", false);
}

fn expand(value: &mut Value, home: &Path, key: &str, listed: bool) {
    const ENDINGS: [&str; 6] = ["dir", "path", "paths", "file", "root", "workspace"];
    match value {
        Value::String(text) => {
            let key = key.to_ascii_lowercase();
            let is_path = listed || ENDINGS.iter().any(|end| key.ends_with(end));
            if is_path && (text == "~" || text.starts_with("~/")) {
                *text = super::paths::expand(text, home).display().to_string();
            }
        }
        Value::Array(list) => {
            let listed = key == "paths" || key == "pathPrepend";
            list.iter_mut()
                .for_each(|item| expand(item, home, "", listed));
        }
        Value::Object(map) => map
            .iter_mut()
            .for_each(|(key, item)| expand(item, home, key, false)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_replaced_in_values_only() {
        let env = Env::from_pairs(&[("A", "1"), ("B_2", "${A}"), ("E", "")]);
        let value = json!({"${A}": "x${A}y${B_2}", "b": ["$A ${a} ${} $${A} $$${A}", 5]});
        assert_eq!(
            variables(value, &env).unwrap(),
            json!({"${A}": "x1y${A}", "b": ["$A ${a} ${} ${A} $${A}", 5]})
        );
        for name in ["E", "NONE"] {
            let value = json!({"a": {"b": [{"c": format!("${{{name}}}")}]}});
            assert_eq!(
                variables(value, &env).unwrap_err(),
                format!("Missing env var \"{name}\" referenced at config path: a.b[0].c")
            );
        }
    }

    #[test]
    fn the_home_sign_is_expanded_in_paths_only() {
        let mut value = json!({"agentDir": "~/a", "logFile": "~", "name": "~/n",
            "load": {"paths": ["~/p"]}, "x": {"pathPrepend": ["~/q"], "list": ["~/l"]}});
        home(&mut value, Path::new("/h"));
        assert_eq!(
            value,
            json!({"agentDir": "/h/a", "logFile": "/h", "name": "~/n",
                "load": {"paths": ["/h/p"]}, "x": {"pathPrepend": ["/h/q"], "list": ["~/l"]}})
        );
    }
}
