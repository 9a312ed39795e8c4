//! `session-memory`: what was said last in a conversation that `/new` ends becomes a note of the
//! agent, `memory/YYYY-MM-DD-about.md`. The model is asked for the word or two in the name; when it
//! does not answer in time the name has the hour. `MESSAGES` in its entry's `env`: how many.

use super::{Core, Event};
use crate::agent::hooks::{self, Hook};
use crate::agent::inbound;
use crate::base::cancel::Cancel;
use crate::base::{atomic, time};
use crate::config::Snapshot;
use crate::gateway::models::Chain;
use crate::model::Request;
use crate::session::Entry;
use crate::wire::message::{Message, User};
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What people and the agent said last.
const MESSAGES: usize = 15;
const MOST_MESSAGES: usize = 200;
/// Bytes of the transcript's end that are looked at.
const MAX_TAIL: u64 = 2 * 1024 * 1024;
/// Characters of one message in the note, and of all that the model is shown.
const MAX_SAID: usize = 4_000;
const MAX_SHOWN: usize = 4_000;
/// For the model to find a name.
const NAMING: Duration = Duration::from_secs(20);
const NAME_TOKENS: u64 = 60;
const MAX_NAME: usize = 40;
/// Notes of one name on one day.
const MAX_SAME: usize = 50;

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    message: Option<Message>,
}

pub fn keep(
    core: &Arc<Core>,
    config: &Arc<Snapshot>,
    hook: &Hook,
    event: &Event,
) -> Result<(), String> {
    let store = &core.agents.sessions;
    // A session that had no conversation has nothing to keep.
    let Some(before) = event.before.as_deref() else {
        return Ok(());
    };
    let Some(file) = store.transcript_file(&event.key, before) else {
        return Ok(());
    };
    let most = hooks::variable(config, hook, "MESSAGES").and_then(|n| n.parse().ok());
    let most = most.unwrap_or(MESSAGES).clamp(1, MOST_MESSAGES);
    let said = last_said(&file, most).map_err(|err| format!("{}: {err}", file.display()))?;
    if said.is_empty() {
        return Ok(());
    }
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let at = time::in_zone(event.at_ms, zone);
    let name = ask_name(core, config, event, before, &said)
        .unwrap_or_else(|| at.strftime("%H%M").to_string());
    let day = at.strftime("%Y-%m-%d").to_string();
    let text = note(event, before, &said);
    let workspace = config.config.workspace(&event.agent, core.config.paths());
    let path = write(&workspace, &day, &name, &text)
        .map_err(|err| format!("{}: {err}", workspace.display()))?;
    log::info!(target: "hooks", "session-memory: {}", path.display());
    Ok(())
}

fn note(event: &Event, before: &Entry, said: &[String]) -> String {
    let time = time::in_zone(event.at_ms, Some("UTC"));
    format!(
        "# Session: {}\n\n- **Session Key**: {}\n- **Session ID**: {}\n- **Source**: {}\n\n\
         ## Conversation\n\n{}\n",
        time.strftime("%Y-%m-%d %H:%M:%S UTC"),
        event.key,
        before.session_id.as_deref().unwrap_or("unknown"),
        event.source,
        said.join("\n\n"),
    )
}

/// The last messages of people and the agent, oldest first.
fn last_said(path: &Path, most: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(MAX_TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(MAX_TAIL).read_to_end(&mut bytes)?;
    let lines = bytes.split(|byte| *byte == b'\n');
    // The first may be the end of a longer one.
    let lines = lines.skip(usize::from(start > 0));
    let mut said: Vec<String> = lines.filter_map(one).collect();
    said.drain(..said.len().saturating_sub(most));
    Ok(said)
}

fn one(line: &[u8]) -> Option<String> {
    let (who, text) = match serde_json::from_slice::<Line>(line).ok()?.message? {
        Message::User(user) => ("user", words(&user)),
        Message::Assistant(answer) => ("assistant", answer.text()),
        _ => return None,
    };
    let text = text.trim();
    let worth = !text.is_empty() && !text.starts_with('/') && text != inbound::GREET;
    worth.then(|| format!("{who}: {}", inbound::cut(text, MAX_SAID)))
}

/// What a person wrote, without what the gateway put around it.
fn words(user: &User) -> String {
    inbound::bare(&user.content.text()).to_string()
}

/// A word or two about the conversation, fit for a file's name.
fn ask_name(
    core: &Arc<Core>,
    config: &Arc<Snapshot>,
    event: &Event,
    before: &Entry,
    said: &[String],
) -> Option<String> {
    let paths = core.agents.sessions.paths();
    let chain = Chain::of(config, paths, &event.agent, before, None).ok()?;
    let shown = inbound::cut(&said.join("\n"), MAX_SHOWN);
    let messages = [Message::User(User {
        content: crate::wire::message::Content::Text(format!(
            "Name the topic of the conversation below in one to three lowercase English words \
             joined by hyphens, as for a file name. Answer with the name alone.\n\n{shown}"
        )),
        timestamp: event.at_ms,
    })];
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let _limit = core
        .agents
        .clock()
        .at(Instant::now() + NAMING, move || stop.cancel());
    let request = Request {
        system: "",
        messages: &messages,
        tools: &[],
        thinking: "off",
        session_id: before.session_id.as_deref().unwrap_or_default(),
        max_tokens: Some(NAME_TOKENS),
        must_call: false,
    };
    let answer = core
        .agents
        .model
        .stream(chain.targets.first()?, &request, &cancel, &mut |_| {});
    match answer {
        Ok(answer) => file_name(&answer.text()),
        Err(err) => {
            log::debug!(target: "hooks", "session-memory: no name for the note: {err}");
            None
        }
    }
}

/// `None` when nothing is left that can be a name.
fn file_name(answer: &str) -> Option<String> {
    let line = answer.trim().lines().next_back()?;
    let words = line.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .take(6)
        .map(str::to_ascii_lowercase)
        .collect();
    let mut name = words.join("-");
    name.truncate(MAX_NAME);
    let name = name.trim_matches('-');
    (!name.is_empty()).then(|| name.to_string())
}

/// Never over a note that is there.
fn write(workspace: &Path, day: &str, name: &str, text: &str) -> io::Result<PathBuf> {
    let dir = workspace.join("memory");
    match fs::symlink_metadata(&dir) {
        // The agent could have made it to have us write elsewhere.
        Ok(meta) if !meta.is_dir() => return Err(ErrorKind::NotADirectory.into()),
        _ => fs::create_dir_all(&dir)?,
    }
    for n in 1..=MAX_SAME {
        let path = match n {
            1 => dir.join(format!("{day}-{name}.md")),
            n => dir.join(format!("{day}-{name}-{n}.md")),
        };
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true);
        match options.mode(atomic::PRIVATE_FILE).open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes())?;
                return Ok(path);
            }
            Err(err) if err.kind() == ErrorKind::AlreadyExists => {}
            Err(err) => return Err(err),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;

    #[test]
    fn a_name_is_made_of_what_the_model_says() {
        assert_eq!(file_name("Vendor pitch").as_deref(), Some("vendor-pitch"));
        assert_eq!(
            file_name("Sure:\n`API-Design/../x`\n").as_deref(),
            Some("api-design-x")
        );
        assert_eq!(file_name("…"), None);
        assert!(file_name(&"long ".repeat(50)).unwrap().len() <= MAX_NAME);
    }

    #[test]
    fn the_last_words_are_kept_and_no_note_is_overwritten() {
        let dir = id::temp_dir("session-memory");
        let path = dir.join("t.jsonl");
        let line = |role: &str, text: &str| {
            format!(
                r#"{{"type":"message","message":{{"role":"{role}","content":[{{"type":"text","text":"{text}"}}],"api":"a","provider":"p","model":"m","stopReason":"stop","timestamp":1}}}}"#
            )
        };
        let lines = [
            r#"{"type":"session"}"#.to_string(),
            line("user", "first"),
            line(
                "user",
                "[Sat 2026-11-21 04:50 UTC] my cat is Miezi\\n[message_id: 7]",
            ),
            line("user", "/status"),
            line("assistant", "Nice."),
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        assert_eq!(
            last_said(&path, 2).unwrap(),
            ["user: my cat is Miezi", "assistant: Nice."]
        );
        let one = write(&dir, "2026-01-02", "cats", "a").unwrap();
        let two = write(&dir, "2026-01-02", "cats", "b").unwrap();
        assert!(one.ends_with("memory/2026-01-02-cats.md"));
        assert!(two.ends_with("memory/2026-01-02-cats-2.md"));
        assert_eq!(fs::read_to_string(one).unwrap(), "a");
        fs::remove_dir_all(dir).unwrap();
    }
}
