//! One line of the log file, in the original's form: positional arguments under `"0"`, `"1"`…, the
//! rest under `_meta` and `time`. This is the reading side.

use serde_json::{Map, Value};

/// More positional arguments than any record has.
const MAX_ARGUMENTS: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub time: Option<String>,
    /// Lower case.
    pub level: Option<String>,
    pub subsystem: Option<String>,
    pub module: Option<String>,
    pub message: String,
}

impl Record {
    /// `None`: the line is no record; show it as it is.
    pub fn parse(line: &str) -> Option<Record> {
        let record: Map<String, Value> = serde_json::from_str(line).ok()?;
        let meta = record.get("_meta")?;
        // The name is the JSON of the logger's bindings, or a plain word.
        let name: Value = meta["name"]
            .as_str()
            .and_then(|name| serde_json::from_str(name).ok())
            .unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_string);
        let mut parts = Vec::new();
        for at in 0..MAX_ARGUMENTS {
            let Some(part) = record.get(&at.to_string()) else {
                break;
            };
            let part = part
                .as_str()
                .map_or_else(|| part.to_string(), str::to_string);
            // The first repeats the bindings.
            if at > 0 || Some(part.as_str()) != meta["name"].as_str() || !name.is_object() {
                parts.push(part);
            }
        }
        Some(Record {
            time: record
                .get("time")
                .and_then(text)
                .or_else(|| text(&meta["date"])),
            level: meta["logLevelName"].as_str().map(str::to_lowercase),
            subsystem: text(&name["subsystem"]),
            module: text(&name["module"]),
            message: parts.join(" "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_apart_and_its_bindings_are_not_part_of_the_message() {
        let line = r#"{"0":"{\"subsystem\":\"gateway\"}","1":{"a":1},"2":"up","_meta":{"name":"{\"subsystem\":\"gateway\"}","logLevelName":"INFO","date":"d"},"time":"t"}"#;
        let record = Record::parse(line).unwrap();
        assert_eq!(record.message, "{\"a\":1} up");
        assert_eq!(record.subsystem.as_deref(), Some("gateway"));
        assert_eq!(record.level.as_deref(), Some("info"));
        assert_eq!(record.time.as_deref(), Some("t"));
        let plain = r#"{"0":"hello","_meta":{"name":"openclaw","logLevelName":"WARN"},"time":"t"}"#;
        assert_eq!(Record::parse(plain).unwrap().message, "hello");
        assert_eq!(Record::parse("not json"), None);
        assert_eq!(Record::parse("{\"a\":1}"), None);
    }
}
