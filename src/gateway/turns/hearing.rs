//! Recordings for models, none of which hears here: a service or a program of the host's writes down
//! what was said, and its words stand in the place of the recording (`tools.media.audio`).
//!
//! What cannot be heard is logged and left out: a voice message is answered as one without words.

use super::Flight;
use super::sight::in_scope;
use crate::agent::{inbound, mentioned};
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::base::{atomic, id};
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::model::credential::{self, Credential, Profiles};
use crate::model::hear::{Form, Hearer, Recording, SERVICES};
use crate::model::name;
use crate::tool::exec::job::{self, Job};
use crate::wire::message::{Block, Content, Message, User, text_of};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Defaults of `tools.media.audio`.
const MAX_BYTES: u64 = 20 * 1024 * 1024;
const SECONDS: u64 = 60;
/// Characters of a transcript, where the configuration sets no limit: an hour of speech.
const MAX_CHARS: usize = 100_000;
/// Stands for a recording that came without words.
const PLACEHOLDER: &str = "<media:audio>";
/// Where files that came with messages are, in the state folder.
const INBOUND: &str = "media";
const DEEPGRAM_KEY: &str = "DEEPGRAM_API_KEY";
/// Services and programs that are tried for one recording, and recordings of one message.
const MOST: usize = 6;
/// Standard output alone is what a program heard.
const QUIET: &str = "exec \"$0\" \"$@\" 2>/dev/null";

/// Where something was said, and who is to answer.
struct Place<'a> {
    agent_id: &'a str,
    key: &'a str,
    channel: Option<&'a str>,
}

/// The message with the words of the recordings that came with it; `None` when there are none.
pub(super) fn heard(flight: &Flight, config: &Snapshot, message: &Message) -> Option<Message> {
    let Message::User(User {
        content: Content::Blocks(blocks),
        timestamp,
    }) = message
    else {
        return None;
    };
    let mut written = text_of(blocks);
    let inbound = flight.core.config.paths().state.join(INBOUND);
    let many = many(&config.value["tools"]["media"]["audio"]["attachments"]);
    let mut found = mentioned::attached(&written);
    found.retain(|file| file.mime.is_some_and(|mime| mime.starts_with("audio/")));
    // A note is words: whoever writes one must not have any other file sent to a service.
    let mut sounds: Vec<(Range<usize>, PathBuf, String)> = found
        .into_iter()
        .filter_map(|file| {
            let path = Path::new(file.path).canonicalize().ok()?;
            let is_ours = path.starts_with(inbound.canonicalize().ok()?);
            let mime = file.mime.unwrap_or_default().to_string();
            is_ours.then_some((file.note, path, mime))
        })
        .take(many)
        .collect();
    if sounds.is_empty() {
        return None;
    }
    // Listening takes a while: the words must not be lost meanwhile, nor their sender kept waiting.
    flight.keep_safe();
    let place = Place {
        agent_id: &flight.agent_id,
        key: &flight.run.key,
        channel: flight.channel.as_deref(),
    };
    let mut words = Vec::new();
    sounds.retain(|(_, path, mime)| {
        let sound = (path.as_path(), mime.as_str());
        let heard = transcript(&flight.core, config, &place, sound, &flight.run.cancel);
        let is_heard = heard.is_some();
        words.extend(heard);
        is_heard
    });
    if words.is_empty() {
        return None;
    }
    // The model has the words and need not look for the file; from the end, so that places hold.
    for (note, ..) in sounds.iter().rev() {
        written.replace_range(note.clone(), "");
    }
    let text = body(&words.join("\n\n"), &written.replace(PLACEHOLDER, ""));
    let pictures = blocks
        .iter()
        .filter(|block| matches!(block, Block::Image { .. }));
    let blocks = std::iter::once(Block::text(text)).chain(pictures.cloned());
    Some(Message::User(User {
        content: Content::Blocks(blocks.collect()),
        timestamp: *timestamp,
    }))
}

/// Of several recordings the first, or as many as `attachments` says.
fn many(attachments: &Value) -> usize {
    match attachments["mode"].as_str() {
        Some("all") => {
            let most = attachments["maxAttachments"].as_u64().unwrap_or(1).max(1);
            usize::try_from(most).unwrap_or(MOST).min(MOST)
        }
        _ => 1,
    }
}

/// What was said in a recording; `None` when nobody listens or nobody understood.
fn transcript(
    core: &Core,
    config: &Snapshot,
    place: &Place,
    (path, mime): (&Path, &str),
    cancel: &Cancel,
) -> Option<String> {
    let settings = &config.value["tools"]["media"]["audio"];
    if settings["enabled"] == false || !in_scope(&settings["scope"], place.key, place.channel) {
        return None;
    }
    for entry in entries(config, settings, place.agent_id) {
        let wish = Wish {
            entry: &entry,
            settings,
        };
        let heard = match entry["command"].as_str() {
            Some(command) => run(core, config, &wish, command, path, cancel),
            None => ask(config, place, &wish, (path, mime), cancel),
        };
        match heard {
            Ok(words) => return Some(inbound::cut(&words, wish.max_chars())),
            Err(_) if cancel.is_cancelled() => return None,
            Err(why) => log::warn!("{}: a recording was not heard: {why}", wish.name()),
        }
    }
    None
}

/// A message whose recording was heard: its words, after what was written beside it.
fn body(transcript: &str, written: &str) -> String {
    let written = match written.trim() {
        "" => String::new(),
        written => format!("User text:\n{written}\n"),
    };
    format!("[Audio]\n{written}Transcript:\n{transcript}")
}

/// One of the configured ways, with what holds for all of them behind it.
struct Wish<'a> {
    entry: &'a Value,
    settings: &'a Value,
}

impl Wish<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        let text = |value: &'_ Value| {
            value[key]
                .as_str()
                .map(str::trim)
                .is_some_and(|t| !t.is_empty())
        };
        let from = match text(self.entry) {
            true => self.entry,
            false => self.settings,
        };
        from[key].as_str().map(str::trim).filter(|t| !t.is_empty())
    }

    fn number(&self, key: &str) -> Option<u64> {
        let number = |value: &Value| value[key].as_f64().filter(|n| *n >= 1.0);
        let number = number(self.entry).or_else(|| number(self.settings))?;
        Some(number as u64)
    }

    fn max_bytes(&self) -> u64 {
        self.number("maxBytes").unwrap_or(MAX_BYTES)
    }

    fn max_chars(&self) -> usize {
        let asked = self
            .number("maxChars")
            .and_then(|n| usize::try_from(n).ok());
        asked.map_or(MAX_CHARS, |n| n.min(MAX_CHARS))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.number("timeoutSeconds").unwrap_or(SECONDS))
    }

    /// For logs.
    fn name(&self) -> &str {
        let named = self.entry["command"]
            .as_str()
            .or(self.entry["provider"].as_str());
        named.unwrap_or("tools.media")
    }

    /// Both levels' texts below `key`, the entry's over those of all.
    fn texts(&self, key: &str) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for level in [self.settings, self.entry] {
            for (name, value) in level
                .pointer(key)
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                let text = match value {
                    Value::String(text) => text.clone(),
                    Value::Bool(_) | Value::Number(_) => value.to_string(),
                    _ => continue,
                };
                all.insert(name.clone(), text);
            }
        }
        all
    }
}

/// `tools.media.audio.models`, then the shared ones that hear, else each usual service that has a
/// key.
fn entries(config: &Snapshot, settings: &Value, agent_id: &str) -> Vec<Value> {
    let list = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let mut entries = list(&settings["models"]);
    entries.extend(
        list(&config.value["tools"]["media"]["models"])
            .into_iter()
            .filter(hears),
    );
    if entries.is_empty() {
        let profiles = Profiles::read(&config.paths, &name::agent_dir(&config.paths, agent_id));
        let known = SERVICES
            .iter()
            .filter(|(provider, ..)| !keys(config, &profiles, provider).is_empty());
        entries.extend(known.map(|(provider, ..)| serde_json::json!({"provider": provider})));
    }
    entries.truncate(MOST);
    entries
}

fn hears(entry: &Value) -> bool {
    match entry["capabilities"].as_array() {
        Some(kinds) => kinds.iter().any(|kind| kind == "audio"),
        None => {
            let named = entry["provider"].as_str();
            SERVICES
                .iter()
                .any(|(provider, ..)| named == Some(*provider))
        }
    }
}

fn ask(
    config: &Snapshot,
    place: &Place,
    wish: &Wish,
    (path, mime): (&Path, &str),
    cancel: &Cancel,
) -> Result<String, String> {
    let provider = wish.entry["provider"].as_str().unwrap_or_default();
    let usual = SERVICES.iter().find(|(name, ..)| *name == provider);
    let own = name::configured(&config.config, provider);
    // Another provider is believed to speak OpenAI's form, when it has an address.
    let (form, model, url) = match usual {
        Some((_, form, model, url)) => (*form, Some(*model), Some(*url)),
        None => (Form::OpenAi, None, None),
    };
    let own_url = own.and_then(|own| own.base_url.as_deref());
    let base_url = wish.text("baseUrl").or(own_url).or(url);
    let base_url = base_url.ok_or("no address is known of it (baseUrl)")?;
    let model = wish.entry["model"]
        .as_str()
        .or(model)
        .ok_or("it has no model")?;
    let hearer = Hearer {
        form,
        model: model.into(),
        base_url: base_url.into(),
        key: key(config, place, wish, provider),
        headers: wish.texts("/headers").into_iter().collect(),
        query: query(wish).into_iter().collect(),
    };
    if hearer.key.is_none() && wish.text("baseUrl").is_none() && own_url.is_none() {
        return Err(format!("no API key found for provider \"{provider}\""));
    }
    let recording = Recording {
        path,
        mime,
        max_bytes: wish.max_bytes(),
        language: wish.text("language"),
        prompt: wish.text("prompt"),
        patience: wish.patience(),
    };
    hearer.hear(&recording, cancel)
}

/// The profile that is named, else the first key of the provider.
fn key(config: &Snapshot, place: &Place, wish: &Wish, provider: &str) -> Option<Secret> {
    let dir = name::agent_dir(&config.paths, place.agent_id);
    let profiles = Profiles::read(&config.paths, &dir);
    let named = wish.text("profile").or(wish.text("preferredProfile"));
    let mut found = keys(config, &profiles, provider);
    let wanted = named.and_then(|id| {
        found.iter().position(|credential| {
        matches!(&credential.source, credential::Source::Profile(own) if own == id)
    })
    });
    match found.is_empty() {
        true => None,
        false => Some(found.swap_remove(wanted.unwrap_or(0)).key),
    }
}

/// Deepgram is no provider of chats: nobody else knows its variable.
fn keys(config: &Snapshot, profiles: &Profiles, provider: &str) -> Vec<Credential> {
    let mut found = credential::find(config, profiles, provider);
    let named = (provider == "deepgram")
        .then(|| config.env.get(DEEPGRAM_KEY))
        .flatten();
    found.extend(named.map(|key| Credential {
        key: Secret::new(key),
        source: credential::Source::Env(DEEPGRAM_KEY.into()),
        lease: None,
    }));
    found
}

/// Deepgram's settings, in their old place, too.
fn query(wish: &Wish) -> BTreeMap<String, String> {
    let mut query = BTreeMap::new();
    for (name, value) in wish.texts("/deepgram") {
        let name = match name.as_str() {
            "detectLanguage" => "detect_language",
            "smartFormat" => "smart_format",
            "punctuate" => "punctuate",
            _ => continue,
        };
        query.insert(name.into(), value);
    }
    query.extend(wish.texts("/providerOptions/deepgram"));
    query
}

/// A program of the host's: what it prints, or what it writes into the folder it is given, is what
/// it heard.
fn run(
    core: &Core,
    config: &Snapshot,
    wish: &Wish,
    command: &str,
    path: &Path,
    cancel: &Cancel,
) -> Result<String, String> {
    let length = std::fs::metadata(path)
        .map_err(|err| err.to_string())?
        .len();
    let limit = wish.max_bytes();
    if length > limit {
        return Err(format!("it is longer than {limit} bytes"));
    }
    let folder = core.config.paths().ours().join("heard").join(id::uuid());
    atomic::create_private_dir(&folder).map_err(|err| format!("{}: {err}", folder.display()))?;
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("audio");
    let chars = wish.max_chars().to_string();
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let values = [
        ("{{MediaPath}}", shown(path)),
        ("{{MediaDir}}", path.parent().map(shown).unwrap_or_default()),
        ("{{OutputDir}}", shown(&folder)),
        ("{{OutputBase}}", shown(&folder.join(stem))),
        (
            "{{Prompt}}",
            wish.text("prompt").unwrap_or_default().to_string(),
        ),
        (
            "{{Language}}",
            wish.text("language").unwrap_or_default().to_string(),
        ),
        ("{{MaxChars}}", chars),
    ];
    let words = wish.entry["args"].as_array().into_iter().flatten();
    let words = words
        .filter_map(Value::as_str)
        .map(|word| filled(word, &values));
    let fixed = ["/bin/sh", "-c", QUIET, command].map(String::from);
    let ended = job::run(
        &core.agents.processes,
        &Job {
            name: "tools.media.audio",
            argv: fixed.into_iter().chain(words).collect(),
            cwd: folder.clone(),
            env: &config.env,
            with: BTreeMap::new(),
            input: None,
            limit: wish.patience(),
            cancel: Some(cancel),
        },
    );
    let written = written(&folder);
    if let Err(err) = std::fs::remove_dir_all(&folder) {
        log::warn!("{}: {err}", folder.display());
    }
    let ended = ended?;
    if let Some(why) = ended.failure {
        return Err(why);
    }
    let words = written.unwrap_or(ended.output);
    match words.trim() {
        "" => Err("it heard nothing".into()),
        words => Ok(words.to_string()),
    }
}

/// `text` with each value in the place of its name.
fn filled(text: &str, values: &[(&str, String)]) -> String {
    let mut text = text.to_string();
    for (name, value) in values {
        text = text.replace(name, value);
    }
    text
}

/// The first text a program has left in its folder.
fn written(folder: &Path) -> Option<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|f| f.path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "txt"));
    files.sort();
    let file = std::fs::File::open(files.first()?).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(file, 4 * MAX_CHARS as u64),
        &mut bytes,
    )
    .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_an_entry_says_holds_over_what_is_said_for_all() {
        let entry = json!({"provider": "deepgram", "language": "de", "timeoutSeconds": 5,
            "providerOptions": {"deepgram": {"punctuate": true, "diarize": 1}}});
        let settings = json!({"language": "en", "maxBytes": 9, "prompt": " ",
            "deepgram": {"punctuate": false, "smartFormat": true}});
        let wish = Wish {
            entry: &entry,
            settings: &settings,
        };
        assert_eq!(wish.text("language"), Some("de"));
        assert_eq!(wish.text("prompt"), None);
        assert_eq!((wish.max_bytes(), wish.patience().as_secs()), (9, 5));
        assert_eq!(wish.max_chars(), MAX_CHARS);
        let query: Vec<String> = query(&wish)
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(query, ["diarize=1", "punctuate=true", "smart_format=true"]);
    }

    #[test]
    fn shared_models_hear_when_they_say_so_or_are_known_to() {
        let of = |entry: Value| hears(&entry);
        assert!(of(json!({"provider": "groq"})));
        assert!(!of(json!({"provider": "anthropic"})));
        assert!(!of(json!({"provider": "groq", "capabilities": ["image"]})));
        assert!(of(
            json!({"command": "w", "capabilities": ["image", "audio"]})
        ));
    }

    #[test]
    fn the_words_stand_below_what_was_written() {
        assert_eq!(body("hello", " "), "[Audio]\nTranscript:\nhello");
        assert_eq!(body("b", "a"), "[Audio]\nUser text:\na\nTranscript:\nb");
        let values = [("{{MediaPath}}", "/m/a b.ogg".to_string())];
        assert_eq!(
            filled("--in={{MediaPath}}{{x}}", &values),
            "--in=/m/a b.ogg{{x}}"
        );
    }
}
