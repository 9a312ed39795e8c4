//! Which settings are secrets, and a view of the configuration without them.

use serde_json::Value;

/// What stands in the place of a secret.
pub const REDACTED: &str = "***";

/// Whether the last key of `path` names a secret, as the original marks its form fields, or holds
/// free text that usually is one. Names of files that hold secrets are none.
pub fn is_secret(path: &str) -> bool {
    let key = path
        .rsplit('.')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if ["file", "path", "tokens"]
        .iter()
        .any(|end| key.ends_with(end))
    {
        return false;
    }
    let named = [
        "token",
        "password",
        "secret",
        "apikey",
        "api_key",
        "api-key",
        "privatekey",
    ]
    .iter()
    .any(|word| key.contains(word));
    named || in_free_map(path)
}

/// Variables and request headers may carry anything.
fn in_free_map(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    match parts.len() {
        0 | 1 => false,
        n => {
            let above = parts[n - 2];
            above == "headers" || above == "env" || (above == "vars" && parts[0] == "env")
        }
    }
}

/// `value` with every secret text replaced; `${NAME}` is no secret and stays.
pub fn redact(value: &Value) -> Value {
    walk(value, "")
}

fn walk(value: &Value, path: &str) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let below = super::path::join(path, key);
                (key.clone(), walk(value, &below))
            })
            .collect(),
        Value::Array(list) => list.iter().map(|value| walk(value, path)).collect(),
        Value::String(text) if !text.is_empty() && !text.starts_with("${") && is_secret(path) => {
            REDACTED.into()
        }
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_and_everything_else_stays() {
        let value = json!({
            "gateway": {"auth": {"mode": "token", "token": "t", "password": "${PW}"}},
            "models": {"providers": {"x": {"apiKey": "k", "headers": {"X-Any": "h"},
                "models": [{"id": "m", "maxTokens": 5}]}}},
            "channels": {"telegram": {"botToken": "b", "tokenFile": "/f", "accounts": {"a": {"botToken": "c"}}},
                "slack": {"userTokenReadOnly": true}},
            "env": {"FOO": "f", "vars": {"BAR": "g"}},
        });
        assert_eq!(
            redact(&value),
            json!({
                "gateway": {"auth": {"mode": "token", "token": "***", "password": "${PW}"}},
                "models": {"providers": {"x": {"apiKey": "***", "headers": {"X-Any": "***"},
                    "models": [{"id": "m", "maxTokens": 5}]}}},
                "channels": {"telegram": {"botToken": "***", "tokenFile": "/f", "accounts": {"a": {"botToken": "***"}}},
                    "slack": {"userTokenReadOnly": true}},
                "env": {"FOO": "***", "vars": {"BAR": "***"}},
            })
        );
    }
}
