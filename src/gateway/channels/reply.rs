//! What is said in a chat: texts as the service takes them, files, in the outbox before the message
//! they answer is done; signs that somebody is writing; the first sign that a message was seen.
//!
//! A model names the files: of those on this machine only what is in its workspace, in our own media
//! and, unless it is fenced in, in the folder for temporary files. Pages and files of the web go as
//! links.

use super::super::core::Core;
use super::super::turns::{self, Ending};
use super::accounts::Account;
use super::inbox::Kept;
use super::{media, outbox};
use crate::base::id;
use crate::channel::text::{self, Breaks, Layout, Tables};
use crate::config::sandbox;
use crate::model::fault;
use crate::wire::channel::{
    self, Action, Capabilities, ChatKind, Inbound, MediaKind, Send, ToWorker,
};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Services let the sign that somebody writes go out after this.
const TYPE_EVERY: Duration = Duration::from_secs(6);
/// Whoever writes longer than that is not writing.
const TYPE_AT_MOST: Duration = Duration::from_secs(120);
/// Files of one answer.
const MAX_FILES: usize = 10;
/// What is sent at most in one piece where neither service nor configuration says.
const TEXT_LIMIT: usize = 4000;

/// One message of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    pub text: String,
    /// Paths and URLs.
    pub media: Vec<String>,
    pub reply_to: Option<String>,
    /// Answers the message that asked, in so many words.
    pub answers_current: bool,
    pub as_voice: bool,
}

impl Words {
    pub fn of(text: impl Into<String>) -> Words {
        Words {
            text: text.into(),
            ..Words::default()
        }
    }
}

/// Where something is said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    pub to: String,
    pub thread: Option<String>,
}

impl Target {
    pub fn of(message: &Inbound) -> Target {
        let chat = &message.chat;
        Target {
            to: chat.to.clone().unwrap_or_else(|| chat.id.clone()),
            thread: chat.thread.as_ref().map(|thread| thread.id.clone()),
        }
    }
}

/// Says something on its own account: on disk when this returns.
pub fn say(core: &Core, account: &Account, target: &Target, text: &str) -> io::Result<()> {
    put(core, account, target, None, &[Words::of(text)], None)?;
    outbox::hand_over(core, &account.id());
    Ok(())
}

/// The answers are on disk, then the message is done, then they are sent: a core that dies in
/// between says nothing twice.
pub fn finish(core: &Core, account: &Account, agent: &str, kept: Kept, words: &[Words]) {
    let message = &kept.record.message;
    let said = put(
        core,
        account,
        &Target::of(message),
        Some(&kept),
        words,
        Some(agent),
    );
    if let Err(err) = said {
        log::error!(target: super::TARGET, "{}: an answer is not kept: {err}", account.id());
        core.channels.inbox.leave(kept);
        return;
    }
    core.channels.inbox.done(core.config.paths(), kept);
    outbox::hand_over(core, &account.id());
}

/// Puts all of it into the outbox; the ids of what was put there.
pub fn put(
    core: &Core,
    account: &Account,
    target: &Target,
    answers: Option<&Kept>,
    words: &[Words],
    agent: Option<&str>,
) -> io::Result<Vec<String>> {
    let id = account.id();
    let able = core.channels.capabilities(&id);
    let asked = answers.map(|kept| &kept.record.message);
    let name = answers.map(|kept| kept.record.name());
    let mode = account.section["replyToMode"].as_str();
    let mode = mode.unwrap_or(if account.kind == "telegram" {
        "first"
    } else {
        "off"
    });
    let mut ids = Vec::new();
    let mut first = true;
    for words in words {
        for mut send in sends(core, account, &able, words, agent) {
            send.id = id::uuid();
            send.to.clone_from(&target.to);
            send.thread.clone_from(&target.thread);
            let current = asked.and_then(|message| message.message_id.clone());
            let implied = match mode {
                "all" => true,
                "first" => first,
                _ => words.answers_current && first,
            };
            let named = words.reply_to.clone().filter(|_| mode != "first" || first);
            send.reply_to = named.or(current.filter(|_| implied));
            first = false;
            ids.push(send.id.clone());
            outbox::add(core, &id, name.as_deref(), send)?;
        }
    }
    Ok(ids)
}

/// The service's messages that carry `words`.
fn sends(
    core: &Core,
    account: &Account,
    able: &Capabilities,
    words: &Words,
    agent: Option<&str>,
) -> Vec<Send> {
    let mut text = words.text.trim().to_string();
    let mut files = Vec::new();
    for source in words.media.iter().take(MAX_FILES) {
        let line = match file(core, account, agent, source) {
            Ok(path) if able.media => {
                files.push(attachment(&path, words.as_voice));
                continue;
            }
            Ok(path) => {
                let name = path.file_name().unwrap_or_default();
                format!("[file: {}]", name.to_string_lossy())
            }
            Err(Unsent::Web) => source.clone(),
            Err(Unsent::No(why)) => {
                log::warn!(target: super::TARGET, "{}: {source} is not sent: {why}", account.id());
                "⚠️ A file could not be sent.".into()
            }
        };
        text.push_str(if text.is_empty() { "" } else { "\n" });
        text.push_str(&line);
    }
    let mut sends: Vec<Send> = text::pieces(&text, &layout(account, able))
        .into_iter()
        .map(|piece| Send {
            text: piece.text,
            plain: piece.plain,
            html: piece.html,
            styles: piece.styles,
            ..Send::default()
        })
        .collect();
    let mut files = files.into_iter();
    // The first file carries the text, where that fits.
    if let [only] = &mut sends[..] {
        let units = only.text.encode_utf16().count();
        if able.caption_limit.is_none_or(|limit| units <= limit) {
            only.media = files.next();
        }
    }
    sends.extend(files.map(|media| Send {
        media: Some(media),
        ..Send::default()
    }));
    sends
}

fn layout(account: &Account, able: &Capabilities) -> Layout {
    let section = &account.section;
    let set = section["textChunkLimit"]
        .as_u64()
        .filter(|limit| *limit > 0);
    let mut layout = Layout {
        format: able.format,
        lines: able.line_limit,
        ..Layout::default()
    };
    layout.limit = match (set.map(|limit| limit as usize), able.text_limit) {
        (Some(set), 0) => set,
        (Some(set), most) => set.min(most),
        (None, 0) => TEXT_LIMIT,
        (None, most) => most,
    };
    let lines = section["maxLinesPerMessage"].as_u64();
    layout.lines = lines.map(|lines| lines as usize).or(layout.lines);
    let lists = ["signal", "whatsapp"].contains(&account.kind.as_str());
    layout.tables = match section["markdown"]["tables"].as_str() {
        Some("off") => Tables::Off,
        Some("bullets") => Tables::Bullets,
        None if lists => Tables::Bullets,
        _ => Tables::Code,
    };
    if section["chunkMode"] == "newline" {
        layout.breaks = Breaks::Paragraph;
    }
    layout
}

enum Unsent {
    /// Everybody can follow it.
    Web,
    No(String),
}

fn file(
    core: &Core,
    account: &Account,
    agent: Option<&str>,
    source: &str,
) -> Result<PathBuf, Unsent> {
    if source.starts_with("http://") || source.starts_with("https://") {
        return Err(Unsent::Web);
    }
    let config = core.config.current();
    let paths = core.config.paths();
    let agent = agent.map_or_else(|| config.config.default_agent_id(), String::from);
    let workspace = config.config.workspace(&agent, paths);
    let no = |err: io::Error| Unsent::No(err.to_string());
    let named = Path::new(source.strip_prefix("file://").unwrap_or(source));
    let real = workspace.join(named).canonicalize().map_err(no)?;
    let mut roots = vec![workspace, paths.state.join("media")];
    if !sandbox::is_used(&config.config, &agent) {
        roots.push(std::env::temp_dir());
    }
    let mut roots = roots
        .into_iter()
        .filter_map(|root| root.canonicalize().ok());
    if !roots.any(|root| real.starts_with(root)) {
        return Err(Unsent::No("not in the workspace".into()));
    }
    let meta = std::fs::metadata(&real).map_err(no)?;
    let limit = media::limit(&account.kind, &account.section);
    match meta.is_file() && meta.len() <= limit {
        true => Ok(real),
        false => Err(Unsent::No(format!("no file of at most {limit} bytes"))),
    }
}

fn attachment(path: &Path, as_voice: bool) -> channel::Media {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let (kind, mime) = match &*extension.to_lowercase() {
        "jpg" | "jpeg" => (MediaKind::Image, "image/jpeg"),
        "png" => (MediaKind::Image, "image/png"),
        "gif" => (MediaKind::Image, "image/gif"),
        "webp" => (MediaKind::Image, "image/webp"),
        "mp3" => (MediaKind::Audio, "audio/mpeg"),
        "ogg" | "opus" | "oga" => (MediaKind::Audio, "audio/ogg"),
        "m4a" => (MediaKind::Audio, "audio/mp4"),
        "wav" => (MediaKind::Audio, "audio/wav"),
        "mp4" => (MediaKind::Video, "video/mp4"),
        "webm" => (MediaKind::Video, "video/webm"),
        "pdf" => (MediaKind::Document, "application/pdf"),
        "txt" | "md" => (MediaKind::Document, "text/plain"),
        _ => (MediaKind::Document, "application/octet-stream"),
    };
    channel::Media {
        kind,
        path: Some(path.into()),
        mime: Some(mime.into()),
        name: path.file_name().map(|name| name.to_string_lossy().into()),
        voice: as_voice && kind == MediaKind::Audio,
        gif: mime == "image/gif",
        ..channel::Media::default()
    }
}

/// What is sent of a run.
pub fn of_run(ending: &Ending) -> Vec<Words> {
    let result = match ending {
        Ok(result) => result,
        // Whoever stopped it was told so.
        Err(why) if why == turns::ABORTED => return Vec::new(),
        Err(why) => return vec![Words::of(fault::user_text(why))],
    };
    let words = result.payloads.iter().map(|payload| Words {
        text: payload.text.clone(),
        media: payload.media_urls.clone(),
        reply_to: payload.reply_to.clone(),
        answers_current: payload.answers_current,
        as_voice: payload.as_voice,
    });
    words
        .filter(|words| !words.text.trim().is_empty() || !words.media.is_empty())
        .collect()
}

/// Somebody writes, until it is dropped.
pub struct Typing(Arc<AtomicBool>);

impl Drop for Typing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// `None` where the service shows no such thing.
pub fn typing(core: &Arc<Core>, account: &Account, message: &Inbound) -> Option<Typing> {
    let id = account.id();
    can(core, &id, "typing").then(|| {
        let over = Arc::new(AtomicBool::new(false));
        let until = Instant::now() + TYPE_AT_MOST;
        type_on(core, id, Target::of(message), over.clone(), until);
        Typing(over)
    })
}

fn type_on(core: &Arc<Core>, id: String, target: Target, over: Arc<AtomicBool>, until: Instant) {
    let now = Instant::now();
    if over.load(Ordering::Acquire) || now > until {
        return;
    }
    let (again, account, chat) = (core.clone(), id.clone(), target.clone());
    // A worker's socket may be full, and the clock is everybody's.
    let shown = core
        .pool
        .run(move || act(&again, &account, "typing", &chat, json!({})));
    if shown.is_err() {
        log::debug!(target: super::TARGET, "{id}: no thread is free to show that we write");
    }
    let shared = core.clone();
    let alarm = core.agents.clock().at(now + TYPE_EVERY, move || {
        type_on(&shared, id, target, over, until);
    });
    alarm.keep();
}

/// The sign that a message was seen: `messages.ackReaction` in the chats of its scope.
pub fn acknowledge(core: &Core, account: &Account, message: &Inbound, agent: &str, called: bool) {
    let id = account.id();
    let config = core.config.current();
    let rules = &config.value["messages"];
    let is_group = message.chat.kind != ChatKind::Dm;
    let wanted = match rules["ackReactionScope"]
        .as_str()
        .unwrap_or("group-mentions")
    {
        "all" => true,
        "direct" => !is_group,
        "group-all" => is_group,
        "group-mentions" => is_group && called,
        _ => false,
    };
    let Some(message_id) = &message.message_id else {
        return;
    };
    if !wanted || !can(core, &id, "react") {
        return;
    }
    let list = config.value["agents"]["list"].as_array();
    let ours = list.into_iter().flatten().find(|one| one["id"] == agent);
    let own = ours.and_then(|one| one["identity"]["emoji"].as_str());
    let usual = own.or(Some("👀").filter(|_| account.kind != "matrix"));
    let emoji = rules["ackReaction"].as_str().or(usual).unwrap_or_default();
    if !emoji.is_empty() {
        let params = json!({"messageId": message_id, "emoji": emoji});
        act(core, &id, "react", &Target::of(message), params);
    }
}

fn can(core: &Core, id: &str, action: &str) -> bool {
    let able = core.channels.capabilities(id);
    able.actions.iter().any(|name| name == action)
}

/// Asks for something whose outcome nobody waits for.
fn act(core: &Core, id: &str, action: &str, target: &Target, params: Value) {
    if let Some(link) = core.channels.link(id) {
        link.say(&ToWorker::Action(Box::new(Action {
            id: id::uuid(),
            action: action.into(),
            to: target.to.clone(),
            thread: target.thread.clone(),
            params,
        })));
    }
}
