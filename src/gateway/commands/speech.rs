//! `/tts`: answers spoken aloud, through the methods clients have.

use super::{Asked, settings};
use crate::base::cancel::Cancel;
use crate::gateway::inside;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn answer(asked: &Asked, args: &str) -> String {
    let mut words = args.split_whitespace();
    let action = words.next().unwrap_or("status").to_lowercase();
    let (method, params) = match (action.as_str(), words.next()) {
        ("status", None) => ("tts.status", json!({})),
        ("on", None) => ("tts.enable", json!({})),
        ("off", None) => ("tts.disable", json!({})),
        ("provider", Some(name)) => ("tts.setProvider", json!({"provider": name})),
        _ => return settings::help("tts"),
    };
    let said = inside::ask(asked.core, method, params).answer(PATIENCE, &Cancel::new());
    match said {
        Err(error) => format!("⚠️ {}", error.message),
        Ok(Value::Object(told)) => {
            let plain = told.iter().filter(|(_, value)| !value.is_array());
            let lines: Vec<String> = plain
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            format!("🔊 Speech\n{}", lines.join("\n"))
        }
        Ok(_) => "🔊 Done.".into(),
    }
}
