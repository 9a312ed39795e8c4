//! `config.schema`: the tables as a JSON schema (draft 7), and what a form shows beside each key.
//!
//! Written as text at once: as a tree of values it would take ten times the memory.

use super::keys::kind::{Form, Key, Kind, Mark, Range};
use super::keys::{ROOT, channels};
use serde_json::Value;
use std::fmt::Write;

/// The largest whole number that JSON holds exactly.
const MAX_SAFE: i64 = 9_007_199_254_740_991;

/// Sections in the order of a form; the last two have no keys, clients know them by name.
const SECTIONS: [(&str, &str, u32); 25] = [
    ("wizard", "Wizard", 20),
    ("update", "Update", 25),
    ("diagnostics", "Diagnostics", 27),
    ("gateway", "Gateway", 30),
    ("nodeHost", "Node Host", 35),
    ("agents", "Agents", 40),
    ("tools", "Tools", 50),
    ("bindings", "Bindings", 55),
    ("audio", "Audio", 60),
    ("models", "Models", 70),
    ("messages", "Messages", 80),
    ("commands", "Commands", 85),
    ("session", "Session", 90),
    ("cron", "Cron", 100),
    ("hooks", "Hooks", 110),
    ("ui", "UI", 120),
    ("browser", "Browser", 130),
    ("talk", "Talk", 140),
    ("channels", "Messaging Channels", 150),
    ("skills", "Skills", 200),
    ("plugins", "Plugins", 205),
    ("discovery", "Discovery", 210),
    ("logging", "Logging", 900),
    ("presence", "Presence", 220),
    ("voicewake", "Voice Wake", 230),
];

/// What an empty field shows as an example.
const EXAMPLES: [(&str, &str); 10] = [
    ("gateway.remote.url", "ws://host:18789"),
    ("gateway.remote.sshTarget", "user@host"),
    ("gateway.remote.tlsFingerprint", "sha256:ab12cd34…"),
    ("gateway.controlUi.basePath", "/openclaw"),
    ("gateway.controlUi.root", "dist/control-ui"),
    (
        "gateway.controlUi.allowedOrigins",
        "https://control.example.com",
    ),
    ("channels.mattermost.baseUrl", "https://chat.example.com"),
    ("agents.list.*.identity.avatar", "avatars/openclaw.png"),
    ("agents.defaults.heartbeat.target", "last"),
    ("agents.list.*.heartbeat.target", "last"),
];

/// Masked by the original though they are no secrets: its rule looks at the name alone.
const MASKED: [&str; 2] = [
    "agents.defaults.memorySearch.chunking.tokens",
    "channels.slack.userTokenReadOnly",
];

/// Words of a key that are not simply capitalised.
const WORDS: [(&str, &str); 18] = [
    ("Api", "API"),
    ("Cdp", "CDP"),
    ("Cli", "CLI"),
    ("Dm", "DM"),
    ("Http", "HTTP"),
    ("Id", "ID"),
    ("Ids", "IDs"),
    ("Mb", "(MB)"),
    ("Ms", "(ms)"),
    ("Pdf", "PDF"),
    ("Ssh", "SSH"),
    ("Tls", "TLS"),
    ("Tts", "TTS"),
    ("Ui", "UI"),
    ("Url", "URL"),
    ("Urls", "URLs"),
    ("Sec", "(s)"),
    ("Seconds", "(s)"),
];

/// The schema of the whole file.
pub fn schema() -> String {
    let mut out = String::with_capacity(160 * 1024);
    out.push_str(
        "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"OpenClawConfig\",",
    );
    let mut root = String::new();
    schema_of(&ROOT, "", &mut root);
    out.push_str(root.trim_start_matches('{'));
    out
}

/// Label, help and the rest for each key, by its dotted path; `*` is any key of a map.
pub fn hints() -> String {
    let mut out = String::with_capacity(160 * 1024);
    out.push('{');
    for (name, label, order) in SECTIONS {
        entry(
            &mut out,
            name,
            &format!("\"label\":{0},\"group\":{0},\"order\":{order}", text(label)),
        );
    }
    hints_of(&ROOT, "", &mut out);
    out.push('}');
    out
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn schema_of(kind: &Kind, default: &str, out: &mut String) {
    let start = out.len();
    out.push('{');
    match kind.now() {
        Kind::Any | Kind::Late(_) => {}
        Kind::Bool => out.push_str("\"type\":\"boolean\""),
        Kind::Text { min, max } => {
            out.push_str("\"type\":\"string\"");
            bound(out, "minLength", (*min > 0).then_some(*min as f64));
            bound(out, "maxLength", (*max < usize::MAX).then_some(*max as f64));
        }
        Kind::Form(form) => {
            let pattern = match form {
                Form::Color => "^#?[0-9a-fA-F]{6}$",
                Form::E164 => "^\\+[1-9]\\d{1,14}$",
                // A path of any letters but those a shell reads, or a bare name without others.
                Form::Executable => {
                    "^\\s*(?:[.~][^\\r\\n;&|`$<>\"']*|[^\\r\\n;&|`$<>\"']*[/\\\\][^\\r\\n;&|`$<>\"']*|[A-Za-z0-9._+][A-Za-z0-9._+-]*)\\s*$"
                }
            };
            put(
                out,
                format_args!("\"type\":\"string\",\"pattern\":{}", text(pattern)),
            );
        }
        Kind::Number(range) => {
            out.push_str("\"type\":\"number\"");
            bounds(out, range, None);
        }
        Kind::Int(range) => {
            out.push_str("\"type\":\"integer\"");
            bounds(out, range, Some(MAX_SAFE as f64));
        }
        Kind::Port => {
            out.push_str("\"type\":\"integer\"");
            bounds(out, &Range::Above(0.0), Some(65535.0));
        }
        Kind::Choice(words) => {
            put(
                out,
                format_args!(
                    "\"type\":\"string\",\"enum\":{}",
                    Value::from(words.to_vec())
                ),
            );
        }
        Kind::Literals(words) => {
            let one = |word: &&str| format!("\"type\":\"string\",\"const\":{}", text(word));
            match words {
                [word] => out.push_str(&one(word)),
                words => {
                    let all: Vec<String> =
                        words.iter().map(|w| format!("{{{}}}", one(w))).collect();
                    put(out, format_args!("\"anyOf\":[{}]", all.join(",")));
                }
            }
        }
        Kind::List(item) => {
            out.push_str("\"type\":\"array\",\"items\":");
            schema_of(item, "", out);
        }
        Kind::Map(item) => map(out, "{\"type\":\"string\"}", item),
        Kind::Named(item) => map(
            out,
            "{\"type\":\"string\",\"pattern\":\"^[a-z0-9-]+$\"}",
            item,
        ),
        Kind::Object(keys) | Kind::Stripped(keys) => {
            object(out, keys);
            out.push_str(",\"additionalProperties\":false");
        }
        Kind::ObjectOr(keys, other) => {
            object(out, keys);
            out.push_str(",\"additionalProperties\":");
            schema_of(other, "", out);
        }
        Kind::Union(kinds) => match kinds.iter().map(plain).collect::<Option<Vec<_>>>() {
            Some(names) => put(out, format_args!("\"type\":{}", Value::from(names))),
            None => {
                out.push_str("\"anyOf\":[");
                for (i, kind) in kinds.iter().enumerate() {
                    out.push_str(if i > 0 { "," } else { "" });
                    schema_of(kind, "", out);
                }
                out.push(']');
            }
        },
    }
    if let Some(value) = default_of(kind, default) {
        let comma = if out.len() > start + 1 { "," } else { "" };
        put(out, format_args!("{comma}\"default\":{value}"));
    }
    out.push('}');
}

fn put(out: &mut String, what: std::fmt::Arguments) {
    // Writing into a String cannot fail.
    let _ = out.write_fmt(what);
}

fn map(out: &mut String, names: &str, item: &Kind) {
    put(
        out,
        format_args!("\"type\":\"object\",\"propertyNames\":{names},\"additionalProperties\":"),
    );
    schema_of(item, "", out);
}

fn object(out: &mut String, keys: &[Key]) {
    out.push_str("\"type\":\"object\",\"properties\":{");
    for (i, key) in keys.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        put(out, format_args!("{comma}{}:", text(key.name())));
        schema_of(&key.kind, key.default(), out);
    }
    out.push('}');
    let required: Vec<&str> = keys
        .iter()
        .filter(|key| key.mark == Mark::Required)
        .map(Key::name)
        .collect();
    if !required.is_empty() {
        put(out, format_args!(",\"required\":{}", Value::from(required)));
    }
}

fn bound(out: &mut String, name: &str, bound: Option<f64>) {
    if let Some(bound) = bound {
        put(out, format_args!(",\"{name}\":{bound}"));
    }
}

fn bounds(out: &mut String, range: &Range, max: Option<f64>) {
    match range {
        Range::Free => {
            bound(out, "minimum", max.map(|max| -max));
            bound(out, "maximum", max);
        }
        Range::Above(above) => {
            bound(out, "exclusiveMinimum", Some(*above));
            bound(out, "maximum", max);
        }
        Range::From(min) => {
            bound(out, "minimum", Some(*min));
            bound(out, "maximum", max);
        }
        Range::Between(min, max) => {
            bound(out, "minimum", Some(*min));
            bound(out, "maximum", Some(*max));
        }
    }
}

/// The type's name when that is all there is to say.
fn plain(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Bool => Some("boolean"),
        Kind::Text {
            min: 0,
            max: usize::MAX,
        } => Some("string"),
        Kind::Number(Range::Free) => Some("number"),
        _ => None,
    }
}

/// A default that is a value of the kind, not words about one.
fn default_of(kind: &Kind, default: &str) -> Option<Value> {
    let value = match kind {
        Kind::Choice(_) | Kind::Literals(_) => Value::from(default),
        Kind::Bool | Kind::Number(_) | Kind::Int(_) | Kind::Port => {
            serde_json::from_str(default).ok()?
        }
        _ => return None,
    };
    super::keys::check::fits(kind, &value).then_some(value)
}

fn hints_of(kind: &Kind, path: &str, out: &mut String) {
    match kind.now() {
        Kind::Object(keys) | Kind::Stripped(keys) | Kind::ObjectOr(keys, _) => {
            for key in *keys {
                let below = super::path::join(path, key.name());
                // Accounts repeat what stands above them.
                if path.starts_with("channels.") && key.name() == "accounts" {
                    hint(key, &below, out);
                    continue;
                }
                if !SECTIONS.iter().any(|(name, ..)| *name == below) {
                    hint(key, &below, out);
                }
                hints_of(&key.kind, &below, out);
            }
        }
        // Some clients leave the index out, some write a star for it.
        Kind::List(item) => {
            hints_of(item, path, out);
            hints_of(item, &super::path::join(path, "*"), out);
        }
        Kind::Map(item) | Kind::Named(item) => {
            hints_of(item, &super::path::join(path, "*"), out);
        }
        Kind::Union(kinds) => kinds.iter().for_each(|kind| hints_of(kind, path, out)),
        _ => {}
    }
}

fn hint(key: &Key, path: &str, out: &mut String) {
    let mut body = format!("\"label\":{}", text(&label(key.name())));
    let (default, doc) = match path.starts_with("channels.") && key.doc().is_empty() {
        true => channels::doc(key.name()),
        false => (key.default().to_string(), key.doc()),
    };
    if !doc.is_empty() {
        let mut help = sentence(doc);
        if !default.is_empty() {
            put(&mut help, format_args!(" Default: {default}."));
        }
        put(&mut body, format_args!(",\"help\":{}", text(&help)));
    }
    if is_masked(key, path) {
        body.push_str(",\"sensitive\":true");
    }
    if let Some((_, example)) = EXAMPLES.iter().find(|(known, _)| *known == path) {
        put(
            &mut body,
            format_args!(",\"placeholder\":{}", text(example)),
        );
    }
    entry(out, path, &body);
}

fn entry(out: &mut String, path: &str, body: &str) {
    let comma = if out.len() > 1 { "," } else { "" };
    put(out, format_args!("{comma}{}:{{{body}}}", text(path)));
}

fn is_masked(key: &Key, path: &str) -> bool {
    let is_text = match key.kind {
        Kind::Text { .. } => true,
        Kind::Union(kinds) => kinds.iter().any(|kind| matches!(kind, Kind::Text { .. })),
        _ => false,
    };
    MASKED.contains(&path) || (is_text && super::secrets::is_secret(path))
}

/// `maxConcurrent` is `Max Concurrent`.
fn label(name: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars().filter(|c| *c != '$') {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() && c != '-' => word.push(c),
            _ if c == '-' => words.push(String::new()),
            _ => words.push(c.to_string()),
        }
    }
    let shown = |word: &String| {
        let mut chars = word.chars();
        let first = chars.next().map(|c| c.to_uppercase().to_string());
        let word = first.unwrap_or_default() + chars.as_str();
        match WORDS.iter().find(|(plain, _)| *plain == word) {
            Some((_, shown)) => shown.to_string(),
            None => word,
        }
    };
    words.iter().map(shown).collect::<Vec<_>>().join(" ")
}

fn sentence(doc: &str) -> String {
    let mut chars = doc.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    let mut out = first.unwrap_or_default() + chars.as_str();
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_and_the_hints_are_json_and_say_what_the_tables_say() {
        let schema: Value = serde_json::from_str(&schema()).unwrap();
        assert_eq!(schema["title"], "OpenClawConfig");
        let gateway = &schema["properties"]["gateway"];
        assert_eq!(gateway["additionalProperties"], false);
        assert_eq!(gateway["properties"]["port"]["default"], 18789);
        assert_eq!(gateway["properties"]["port"]["maximum"], 65535);
        let telegram = &schema["properties"]["channels"]["properties"]["telegram"];
        assert_eq!(telegram["properties"]["botToken"]["type"], "string");
        let accounts = &telegram["properties"]["accounts"]["additionalProperties"];
        assert_eq!(accounts["properties"]["botToken"]["type"], "string");

        let hints: Value = serde_json::from_str(&hints()).unwrap();
        assert_eq!(hints["gateway"]["order"], 30);
        let token = &hints["gateway.auth.token"];
        assert_eq!(
            (&token["label"], &token["sensitive"]),
            (&"Token".into(), &true.into())
        );
        assert_eq!(
            hints["gateway.port"]["help"],
            "WS+HTTP port. Default: 18789."
        );
        assert!(hints["gateway.port"]["sensitive"].is_null());
        assert_eq!(hints["channels.telegram.botToken"]["sensitive"], true);
        assert_eq!(hints["agents.list.*.skills"], hints["agents.list.skills"]);
    }

    #[test]
    fn labels_are_words() {
        assert_eq!(label("maxConcurrent"), "Max Concurrent");
        assert_eq!(label("baseUrl"), "Base URL");
        assert_eq!(label("debounceMs"), "Debounce (ms)");
        assert_eq!(label("nextcloud-talk"), "Nextcloud Talk");
        assert_eq!(label("apiKey"), "API Key");
    }
}
