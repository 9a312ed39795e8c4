//! Mattermost: what is posted comes over the server's WebSocket, everything else is its REST
//! interface (API v4).
//!
//! One thread listens (`receive`), another sends. When the connection is made again, the posts of
//! the time without one are read from the server, from the newest that is settled on; the core
//! drops what it has had. Trusts the configured server with the bot's token and with nothing else.
//! A refused token ends the account; everything else is tried again.

mod api;
mod hear;
#[cfg(test)]
mod tests;

use self::api::{Post, Server};
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::channel::http::Fault;
use crate::channel::kind::{Account, Ears, Failed, Kind, Sent};
use crate::channel::recent::Recent;
use crate::channel::socket::Gone;
use crate::wire::channel::{Action, Capabilities, Format, Level, Send as Outgoing, Start, Status};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub const KIND: Kind = Kind {
    name: "mattermost",
    capabilities,
    open,
};

/// The original's chunk; servers take four times that, by default.
const TEXT: usize = 4000;
/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);
/// The server pings every minute.
const SILENCE: Duration = Duration::from_secs(70);
/// Largest frame: a post of 16,383 characters and what is told about its files and its channel.
const ROOM: usize = 512 * 1024;
/// Looked for after a time without a connection, at most: an answer that comes a day late is
/// none.
const LOOK_BACK_MS: u64 = 24 * 60 * 60 * 1000;
/// Posts carry the server's clock and are not told in the order of it.
const OVERLAP_MS: u64 = 5000;
/// What the original remembers.
const SEEN_FOR: Duration = Duration::from_secs(5 * 60);
const SEEN: usize = 2000;

fn capabilities() -> Capabilities {
    Capabilities {
        format: Format::Markdown,
        text_limit: TEXT,
        media: true,
        reply: true,
        threads: true,
        groups: true,
        probe: true,
        resolve: true,
        actions: ["delete", "edit", "typing"].map(String::from).into(),
        ..Capabilities::default()
    }
}

fn open(start: &Start) -> Result<Box<dyn Account>, Failed> {
    let text = |name: &str| start.config[name].as_str().unwrap_or("").trim();
    let (token, base) = (text("botToken"), text("baseUrl"));
    if token.is_empty() || base.is_empty() {
        return Err(Failed::for_good("botToken and baseUrl are needed"));
    }
    let base = base.trim_end_matches('/');
    let base = base.strip_suffix("/api/v4").unwrap_or(base);
    let stop = Cancel::new();
    let listed = start.config["oncharPrefixes"].as_array();
    let listed = listed.into_iter().flatten().filter_map(Value::as_str);
    let mut prefixes: Vec<String> = listed.map(|prefix| prefix.trim().to_string()).collect();
    prefixes.retain(|prefix| !prefix.is_empty());
    if prefixes.is_empty() {
        prefixes = [">", "!"].map(String::from).into();
    }
    Ok(Box::new(Mattermost {
        server: Server::new(base, Secret::new(token), stop.clone()),
        stop,
        folder: start.folder.clone(),
        media_limit: start.media_limit,
        mode: Mode::of(text("chatmode")),
        prefixes,
        me: OnceLock::new(),
        seen: Recent::new(SEEN_FOR, SEEN),
    }))
}

/// When a post in a channel is meant for us (`chatmode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// As the rules of mentions say.
    Mention,
    Every,
    /// One that begins with a certain character is, too.
    Prefix,
}

impl Mode {
    fn of(name: &str) -> Mode {
        match name {
            "onmessage" => Mode::Every,
            "onchar" => Mode::Prefix,
            _ => Mode::Mention,
        }
    }
}

struct Mattermost {
    server: Server,
    stop: Cancel,
    folder: PathBuf,
    media_limit: u64,
    mode: Mode,
    prefixes: Vec<String>,
    me: OnceLock<Me>,
    /// Posts told.
    seen: Recent<()>,
}

/// Who we are on the server.
#[derive(Clone, Debug)]
struct Me {
    id: String,
    username: String,
}

impl Account for Mattermost {
    fn receive(&self, ears: &dyn Ears) -> Result<(), Failed> {
        let mut tries = 0;
        loop {
            let why = match self.listen(ears, &mut tries) {
                Ok(()) => return Ok(()),
                Err(why) if self.stop.is_cancelled() => {
                    log::debug!("mattermost: {}", why.error);
                    return Ok(());
                }
                Err(why) if why.permanent => return Err(why),
                Err(why) => why,
            };
            tries += 1;
            ears.status(Status {
                connected: Some(false),
                error: Some(why.error),
                reconnect_attempts: Some(tries),
                ..Status::default()
            });
            if ears.wait(why.retry_after.unwrap_or(AGAIN)) {
                return Ok(());
            }
        }
    }

    fn send(&self, message: &Outgoing) -> Result<Sent, Failed> {
        let channel = self.channel(&message.to)?;
        let mut text = message.text.clone();
        let mut files = Vec::new();
        if let Some(media) = &message.media {
            match self.server.upload(&channel, media) {
                Ok(id) => files.push(id),
                // The words are not lost because the file is refused.
                Err(fault) if fault.is_permanent() && !is_refused(&fault) => {
                    let note = format!("⚠️ Media failed: {fault}");
                    text = [text, note].join("\n\n").trim().to_string();
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        let me = self.me()?;
        let root = message.thread.as_deref().or(message.reply_to.as_deref());
        let post = json!({
            "channel_id": channel,
            "message": text,
            "root_id": root.unwrap_or(""),
            "file_ids": files,
            // The server knows it again for a while, so that a post is not made twice.
            "pending_post_id": format!("{}:{}", me.id, message.id),
        });
        let posted = match (self.server.post(&post), root) {
            // What we answer is gone, or is itself an answer in a thread we were not told.
            (Err(fault), Some(_)) if is_bad_root(&fault) => {
                let mut loose = post;
                loose["root_id"] = "".into();
                self.server.post(&loose)
            }
            (posted, _) => posted,
        }?;
        Ok(Sent {
            message_ids: vec![posted.id],
            chat: Some(channel),
        })
    }

    fn act(&self, action: &Action) -> Result<Value, Failed> {
        let id = action.params["messageId"].as_str();
        let id = || id.ok_or_else(|| Failed::for_good("messageId is needed"));
        match action.action.as_str() {
            "typing" => {
                if action.params["stop"] == true {
                    return Ok(Value::Null);
                }
                let channel = self.channel(&action.to)?;
                let parent = action.thread.as_deref().unwrap_or("");
                self.server.typing(&channel, parent)?;
            }
            "edit" => {
                let text = action.params["message"].as_str().unwrap_or("");
                self.server.edit(id()?, text)?;
            }
            "delete" => self.server.delete(id()?)?,
            other => return Err(Failed::for_good(format!("mattermost has no {other}"))),
        }
        Ok(json!({"ok": true}))
    }

    fn probe(&self, patience: Duration) -> Result<Value, Failed> {
        let begun = Instant::now();
        let asked = self.server.me(patience);
        let elapsed = begun.elapsed().as_millis() as u64;
        Ok(match asked {
            Ok(me) => json!({
                "ok": true, "status": 200, "elapsedMs": elapsed,
                "bot": {"id": me.id, "username": me.username},
            }),
            Err(fault) => json!({
                "ok": false, "status": fault.status(), "elapsedMs": elapsed,
                "error": fault.to_string(),
            }),
        })
    }

    fn resolve(&self, kind: &str, names: &[String]) -> Result<Value, Failed> {
        let mut found = Vec::new();
        for name in names {
            let bare = name.trim().trim_start_matches(['@', '#', '~']);
            let answer = match kind {
                "user" => self.server.user_named(bare).map(Some),
                _ => self.server.channel_named(bare),
            };
            found.push(match answer {
                Ok(Some((id, title))) => {
                    json!({"input": name, "resolved": true, "id": id, "name": title})
                }
                Ok(None) => json!({"input": name, "resolved": false}),
                Err(fault) if fault.status() == Some(404) => {
                    json!({"input": name, "resolved": false})
                }
                Err(fault) => return Err(fault.into()),
            });
        }
        Ok(found.into())
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

/// The token itself is not taken any more.
fn is_refused(fault: &Fault) -> bool {
    fault.status() == Some(401)
}

fn is_bad_root(fault: &Fault) -> bool {
    let id = fault.body()["id"].as_str().unwrap_or("");
    fault.status() == Some(400) && id.contains("root_id")
}

impl Mattermost {
    /// One connection, until it ends.
    fn listen(&self, ears: &dyn Ears, tries: &mut u32) -> Result<(), Failed> {
        let me = self.me()?;
        let mut socket = self.server.connect(SILENCE, ROOM, &self.stop)?;
        let until = Instant::now() + SILENCE;
        // Nothing is told before the server knows who listens.
        loop {
            let frame = socket.next(until)?;
            let frame = frame.ok_or(Gone::Silent)?;
            let frame: Value = serde_json::from_str(&frame).unwrap_or_default();
            if frame["event"] == "hello" || frame["status"] == "OK" {
                break;
            }
            if frame["status"] == "FAIL" {
                return Err(Failed::for_good("the server does not take the token"));
            }
        }
        *tries = 0;
        ears.status(Status {
            connected: Some(true),
            error: Some(String::new()),
            mode: Some("websocket".into()),
            account: Some(json!({"id": me.id, "username": me.username})),
            reconnect_attempts: Some(0),
            ..Status::default()
        });
        self.catch_up(ears)?;
        loop {
            let until = Instant::now() + SILENCE;
            if let Some(frame) = socket.next(until)? {
                let Some((post, about)) = hear::posted(&frame) else {
                    continue;
                };
                self.tell(ears, post, about)?;
            }
        }
    }

    /// What was posted while nobody listened.
    fn catch_up(&self, ears: &dyn Ears) -> Result<(), Failed> {
        let Some(settled) = ears.settled()["at"].as_u64() else {
            // The first time: what was said before us is not ours to answer.
            ears.cursor(json!({"at": crate::base::time::now_ms()}));
            return Ok(());
        };
        let oldest = crate::base::time::now_ms().saturating_sub(LOOK_BACK_MS);
        let since = settled.saturating_sub(OVERLAP_MS).max(oldest);
        let mut missed = self.server.posts_since(since)?;
        missed.sort_by_key(|post| post.create_at);
        for post in missed {
            self.tell(ears, post, hear::About::default())?;
        }
        Ok(())
    }

    fn tell(&self, ears: &dyn Ears, post: Post, about: hear::About) -> Result<(), Failed> {
        let me = self.me()?;
        let cursor = json!({"at": post.create_at});
        let seen = self.seen.get(&post.id).is_some();
        if post.user_id == me.id || !hear::is_message(&post) || seen {
            return Ok(());
        }
        let id = post.id.clone();
        match self.message(me, post, about) {
            Ok(mut message) => {
                message.cursor = Some(cursor);
                ears.inbound(message);
            }
            // Of a channel that is gone or closed to us by now: asking again would not end.
            Err(fault) if fault.is_permanent() && !is_refused(&fault) => {
                ears.log(
                    Level::Debug,
                    &format!("a post that cannot be read: {fault}"),
                );
            }
            Err(fault) => return Err(fault.into()),
        }
        self.seen.set(&id, ());
        Ok(())
    }

    fn me(&self) -> Result<&Me, Failed> {
        if let Some(me) = self.me.get() {
            return Ok(me);
        }
        let me = self.server.me(api::PATIENCE)?;
        Ok(self.me.get_or_init(|| me))
    }

    /// The channel of a target.
    fn channel(&self, to: &str) -> Result<String, Failed> {
        let to = to.trim();
        let to = to.strip_prefix("mattermost:").unwrap_or(to);
        let user = match to.strip_prefix("user:") {
            Some(id) => id.to_string(),
            None => match to.strip_prefix('@') {
                Some(name) => self.server.user_named(name)?.0,
                None => return Ok(to.strip_prefix("channel:").unwrap_or(to).to_string()),
            },
        };
        Ok(self.server.direct(&self.me()?.id, &user)?)
    }
}
