//! Pictures for a model that cannot see: another one says what is on them, and its words stand in
//! the place of the pictures.

use super::Flight;
use crate::config::Snapshot;
use crate::model::name::{self, Ref};
use crate::model::{Target, see};
use crate::wire::message::{Block, Content, Message, User};
use serde_json::Value;
use std::time::Duration;

/// Defaults of `tools.media.image`.
const MAX_CHARS: usize = 500;
const MAX_BYTES: u64 = 10 * 1024 * 1024;
const SECONDS: u64 = 60;
/// Pictures that are looked at, whatever is configured.
const MOST: usize = 8;

/// The message with words for its pictures, when `target` cannot see them; else `None`.
pub(super) fn described(
    flight: &Flight,
    config: &Snapshot,
    target: &Target,
    message: &Message,
) -> Option<Message> {
    let Message::User(User {
        content: Content::Blocks(blocks),
        timestamp,
    }) = message
    else {
        return None;
    };
    let is_picture = |block: &&Block| matches!(block, Block::Image { .. });
    let settings = &config.value["tools"]["media"]["image"];
    if target.images
        || !blocks.iter().any(|block| is_picture(&block))
        || settings["enabled"] == false
        || !in_scope(
            &settings["scope"],
            &flight.run.key,
            flight.channel.as_deref(),
        )
    {
        return None;
    }
    // Looking takes a while: the words must not be lost meanwhile, nor their sender kept waiting.
    flight.keep_safe();
    let pictures: Vec<Block> = blocks.iter().filter(is_picture).cloned().collect();
    let spoken = crate::wire::message::text_of(blocks);
    let text = look(flight, config, settings, target, &pictures, spoken.trim());
    Some(Message::User(User {
        content: Content::Blocks(vec![Block::text(text)]),
        timestamp: *timestamp,
    }))
}

fn look(
    flight: &Flight,
    config: &Snapshot,
    settings: &Value,
    target: &Target,
    pictures: &[Block],
    spoken: &str,
) -> String {
    let number = |key: &str| settings[key].as_f64().filter(|n| *n > 0.0);
    let max_chars = number("maxChars").map_or(MAX_CHARS, |n| n as usize);
    let max_bytes = number("maxBytes").map_or(MAX_BYTES, |n| n as u64);
    let seconds = number("timeoutSeconds").map_or(SECONDS, |n| n as u64);
    let attachments = &settings["attachments"];
    let many = match attachments["mode"].as_str() {
        Some("all") => attachments["maxAttachments"].as_u64().unwrap_or(1).max(1),
        _ => 1,
    };
    let many = usize::try_from(many).unwrap_or(MOST).min(MOST);
    let dir = name::agent_dir(&config.paths, &flight.agent_id);
    let models = models(config, settings, &dir, target);
    let asked = settings["prompt"].as_str().unwrap_or(see::QUESTION);
    let question = format!("{asked} Use at most {max_chars} characters.");
    let mut parts = Vec::new();
    for picture in pictures.iter().take(many) {
        let small =
            matches!(picture, Block::Image { data, .. } if data.len() as u64 / 4 * 3 <= max_bytes);
        let seen = match (models.is_empty(), small) {
            (true, _) => Err("no model that sees is configured".into()),
            (_, false) => Err("it is too large".to_string()),
            _ => flight
                .within(Duration::from_secs(seconds), |cancel| {
                    see::ask(
                        config,
                        &dir,
                        &models,
                        &question,
                        std::slice::from_ref(picture),
                        cancel,
                    )
                })
                .map(|seen| crate::agent::inbound::cut(&seen.text, max_chars)),
        };
        parts.push(seen.unwrap_or_else(|why| {
            log::warn!("run {}: a picture was not looked at: {why}", flight.run.id);
            let why = if models.is_empty() {
                why
            } else {
                "looking at it failed".into()
            };
            format!("(The picture cannot be seen: {why}.)")
        }));
    }
    let more = pictures.len() - parts.len();
    if more > 0 {
        parts.push(format!("({more} more not looked at)"));
    }
    let words = match spoken {
        "" => String::new(),
        spoken => format!("User text:\n{spoken}\n"),
    };
    format!("[Image]\n{words}Description:\n{}", parts.join("\n\n"))
}

/// `tools.media.image.models`, the shared ones that see, else the image model.
fn models(config: &Snapshot, settings: &Value, dir: &std::path::Path, used: &Target) -> Vec<Ref> {
    let named = |list: &Value, sees: fn(&Value) -> bool| -> Vec<Ref> {
        let entries = list.as_array().into_iter().flatten();
        entries
            .filter(|entry| sees(entry))
            .filter_map(|entry| {
                Some(Ref::new(
                    entry["provider"].as_str()?,
                    entry["model"].as_str()?,
                ))
            })
            .collect()
    };
    let mut models = named(&settings["models"], |_| true);
    models.extend(named(&config.value["tools"]["media"]["models"], |entry| {
        let kinds = entry["capabilities"].as_array();
        kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind == "image"))
    }));
    if models.is_empty() {
        models = see::chain(config, dir, &Ref::new(&used.provider, &used.model));
    }
    models
}

/// The first rule that fits decides, else the default.
pub(super) fn in_scope(scope: &Value, key: &str, channel: Option<&str>) -> bool {
    let kind = match key {
        key if key.contains(":group:") => "group",
        key if key.contains(":channel:") => "channel",
        _ => "direct",
    };
    let fits = |rule: &&Value| {
        let said = |name: &str| rule["match"][name].as_str();
        said("channel").is_none_or(|wanted| channel == Some(wanted))
            && said("chatType").is_none_or(|wanted| wanted == kind)
            && said("keyPrefix").is_none_or(|wanted| key.starts_with(wanted))
    };
    let rule = scope["rules"]
        .as_array()
        .and_then(|rules| rules.iter().find(fits));
    let verdict = rule.map_or(&scope["default"], |rule| &rule["action"]);
    verdict != "deny"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_rule_that_fits_says_where_pictures_are_looked_at() {
        let scope = json!({"default": "deny", "rules": [
            {"action": "deny", "match": {"chatType": "group"}},
            {"action": "allow", "match": {"keyPrefix": "agent:main:"}}]});
        assert!(in_scope(&scope, "agent:main:main", None));
        assert!(!in_scope(
            &scope,
            "agent:main:telegram:group:1",
            Some("telegram")
        ));
        assert!(!in_scope(&scope, "agent:ops:main", None));
        assert!(in_scope(&Value::Null, "agent:ops:main", None));
    }
}
