//! Discord: what happens comes over the gateway (v10), everything else is the REST interface.
//!
//! One thread listens, another sends. The gateway's session is the cursor: after a broken
//! connection, and after this process, it is taken up where the core has everything, and the
//! service tells what was missed; it forgets a session after some minutes, and what was said
//! between then and the next one is not heard. A message we send carries a nonce made of its id, by
//! which the service drops a second one for some minutes. A refused token or intent ends the
//! account; everything else is tried again.

mod act;
mod gateway;
mod hear;
mod rest;
#[cfg(test)]
mod tests;

use self::gateway::{End, Gateway, Session};
use self::hear::Heard;
use self::rest::Rest;
use crate::base::cancel::Cancel;
use crate::base::hex;
use crate::base::secret::Secret;
use crate::channel::backoff::Backoff;
use crate::channel::http::Fault;
use crate::channel::kind::{Account, Ears, Failed, Kind, Sent};
use crate::channel::recent::Recent;
use crate::net::url;
use crate::wire::channel::{
    Action, Capabilities, Command, Format, Level, Media, Send as Outgoing, Start, Status,
};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub const KIND: Kind = Kind {
    name: "discord",
    capabilities,
    open,
};

const API: &str = "https://discord.com/api/v10";
/// The service's own bounds.
const TEXT: usize = 2000;
const MAX_COMMANDS: usize = 100;
const MAX_DESCRIPTION: usize = 100;
const MAX_BUTTON: usize = 80;
const MAX_DATA: usize = 100;
const BUTTONS_A_ROW: usize = 5;
const ROWS: usize = 5;
const MAX_NONCE: usize = 25;
/// The original's.
const LINES: usize = 17;
/// For the question who we are, before anything else.
const APPLICATION: Duration = Duration::from_secs(4);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How long an interaction can be answered.
const INTERACTION: Duration = Duration::from_secs(15 * 60);
const INTERACTIONS: usize = 200;
const STARTERS: usize = 200;
const STARTER_FOR: Duration = Duration::from_secs(60 * 60);

/// Guilds, messages and reactions of guilds and direct chats, and what messages say.
const INTENTS: u64 = 1 | 512 | 1024 | 4096 | 8192 | 32768;
const GUILD_MEMBERS: u64 = 2;
const GUILD_PRESENCES: u64 = 256;

fn capabilities() -> Capabilities {
    Capabilities {
        format: Format::Markdown,
        text_limit: TEXT,
        line_limit: Some(LINES),
        media: true,
        reply: true,
        threads: true,
        groups: true,
        probe: true,
        resolve: true,
        actions: act::names(),
        ..Capabilities::default()
    }
}

fn open(start: &Start) -> Result<Box<dyn Account>, Failed> {
    Ok(Box::new(Discord::new(start, API)?))
}

struct Discord {
    rest: Rest,
    token: Secret,
    stop: Cancel,
    folder: PathBuf,
    media_limit: u64,
    intents: u64,
    offered: Vec<Command>,
    me: OnceLock<Me>,
    application: OnceLock<String>,
    /// Interactions whose first answer is still owed.
    commands: Recent<()>,
    /// First messages of threads.
    starters: Recent<String>,
}

/// Who we are at the service.
#[derive(Clone, Debug)]
struct Me {
    id: String,
    username: String,
}

impl Discord {
    fn new(start: &Start, base: &str) -> Result<Discord, Failed> {
        let token = start.config["token"].as_str().unwrap_or("").trim();
        let token = token.strip_prefix("Bot ").unwrap_or(token).trim();
        if token.is_empty() {
            return Err(Failed::for_good("token is needed"));
        }
        let token = Secret::new(token);
        let stop = Cancel::new();
        let wanted = |name: &str, bit| {
            let on = start.config["intents"][name] == true;
            if on { bit } else { 0 }
        };
        Ok(Discord {
            rest: Rest::new(base, &token, stop.clone()),
            token,
            stop,
            folder: start.folder.clone(),
            media_limit: start.media_limit,
            intents: INTENTS
                | wanted("guildMembers", GUILD_MEMBERS)
                | wanted("presence", GUILD_PRESENCES),
            offered: start.commands.clone(),
            me: OnceLock::new(),
            application: OnceLock::new(),
            commands: Recent::new(INTERACTION, INTERACTIONS),
            starters: Recent::new(STARTER_FOR, STARTERS),
        })
    }

    fn me(&self) -> Result<&Me, Failed> {
        if let Some(me) = self.me.get() {
            return Ok(me);
        }
        let me = self.rest.me(rest::PATIENCE)?;
        Ok(self.me.get_or_init(|| me))
    }

    fn application(&self) -> Result<&str, Failed> {
        if let Some(id) = self.application.get() {
            return Ok(id);
        }
        let id = rest::text(&self.rest.application(APPLICATION)?["id"]);
        Ok(self.application.get_or_init(|| id))
    }

    /// Asks the service to show our commands; says nothing when it shows them.
    fn offer(&self) -> Result<(), Failed> {
        let path = format!("/applications/{}/commands", self.application()?);
        let cut = |text: &str, most| text.chars().take(most).collect::<String>();
        let mut wanted = Vec::new();
        for command in self.offered.iter().take(MAX_COMMANDS) {
            let described = cut(&command.description, MAX_DESCRIPTION);
            wanted.push(json!({
                "name": command.name,
                "description": if described.is_empty() { command.name.clone() } else { described },
                "options": [{
                    "type": 3, "name": "args", "description": "what goes with it",
                    "required": false,
                }],
            }));
        }
        let shown = self.rest.get(&path)?;
        let brief = |command: &Value| (command["name"].clone(), command["description"].clone());
        let shown: Vec<_> = shown.as_array().into_iter().flatten().map(brief).collect();
        let mut missing = wanted
            .iter()
            .map(brief)
            .filter(|command| !shown.contains(command));
        if shown.len() == wanted.len() && missing.next().is_none() {
            return Ok(());
        }
        // The service counts how often these are written in a day.
        self.rest.ask("PUT", &path, Some(&wanted.into()))?;
        Ok(())
    }

    fn listen(&self, ears: &dyn Ears) -> Result<(), Failed> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, 2.0, 0.1);
        let session: Session = serde_json::from_value(ears.settled()).unwrap_or_default();
        let mut gateway = Gateway {
            url: String::new(),
            token: &self.token,
            intents: self.intents,
            stop: &self.stop,
            session,
        };
        let mut offered = false;
        loop {
            let tried = self.connect(ears, &mut gateway, &mut offered, &mut backoff);
            let (wait, why) = match tried {
                Ok(End::Stopped) => return Ok(()),
                Ok(End::Fatal(why)) => return Err(Failed::for_good(why)),
                Ok(End::Again(wait, why)) => (wait, why),
                Err(failed) if self.stop.is_cancelled() => {
                    log::debug!("discord: {failed}");
                    return Ok(());
                }
                Err(failed) if failed.permanent => return Err(failed),
                Err(failed) => (failed.retry_after, failed.error),
            };
            let wait = wait.unwrap_or_else(|| backoff.wait());
            ears.status(Status {
                connected: Some(false),
                error: Some(self.rest.hide(&why)),
                reconnect_attempts: Some(backoff.tries()),
                ..Status::default()
            });
            if ears.wait(wait) {
                return Ok(());
            }
        }
    }

    fn connect(
        &self,
        ears: &dyn Ears,
        gateway: &mut Gateway,
        offered: &mut bool,
        backoff: &mut Backoff,
    ) -> Result<End, Failed> {
        self.application()?;
        let me = self.me()?.clone();
        if gateway.url.is_empty() {
            gateway.url = rest::text(&self.rest.get("/gateway/bot")?["url"]);
        }
        gateway.run(&mut |name, data, session| {
            let cursor = || serde_json::to_value(session).unwrap_or_default();
            match name {
                "READY" | "RESUMED" => {
                    backoff.reset();
                    ears.status(Status {
                        connected: Some(true),
                        error: Some(String::new()),
                        mode: Some("socket".into()),
                        account: Some(json!({"id": me.id, "username": me.username})),
                        reconnect_attempts: Some(0),
                        ..Status::default()
                    });
                    ears.cursor(cursor());
                    if !std::mem::replace(offered, true) {
                        // The account works without the list.
                        if let Err(failed) = self.offer() {
                            let text = format!("the commands are not shown: {failed}");
                            ears.log(Level::Warn, &self.rest.hide(&text));
                        }
                    }
                    Ok(())
                }
                "MESSAGE_CREATE"
                | "INTERACTION_CREATE"
                | "MESSAGE_REACTION_ADD"
                | "MESSAGE_REACTION_REMOVE" => {
                    let data: Value = serde_json::from_str(data).unwrap_or_default();
                    let id = format!("{}:{}", session.id, session.seq);
                    match self.heard(&me, name, &data, id) {
                        Ok(Some(Heard::Message(mut message))) => {
                            message.cursor = Some(cursor());
                            ears.inbound(*message);
                        }
                        Ok(Some(Heard::Event(mut event))) => {
                            event.cursor = Some(cursor());
                            ears.event(*event);
                        }
                        Ok(None) => {}
                        // Nothing that asking again mends, and the next messages wait.
                        Err(fault) if fault.is_permanent() && !is_refused(&fault) => {
                            ears.log(Level::Warn, &format!("{name} that cannot be read: {fault}"));
                        }
                        Err(fault) => return Err(fault.into()),
                    }
                    Ok(())
                }
                _ => Ok(()),
            }
        })
    }

    fn heard(&self, me: &Me, name: &str, data: &Value, id: String) -> Result<Option<Heard>, Fault> {
        Ok(match name {
            "MESSAGE_CREATE" => self.message(me, data)?,
            "INTERACTION_CREATE" => {
                let told = self.interaction(me, data)?;
                told.map(|message| Heard::Message(Box::new(message)))
            }
            name => {
                let removed = name == "MESSAGE_REACTION_REMOVE";
                let told = self.reaction(me, data, removed, id)?;
                told.map(|event| Heard::Event(Box::new(event)))
            }
        })
    }

    /// The channel of a target.
    fn channel(&self, to: &str) -> Result<String, Failed> {
        let to = to.trim();
        let mentioned = to
            .strip_prefix("<@")
            .and_then(|rest| rest.strip_suffix('>'));
        let user = mentioned.map(|id| id.trim_start_matches('!')).or_else(|| {
            let mut named = ["user:", "discord:", "@"].iter();
            named.find_map(|prefix| to.strip_prefix(prefix))
        });
        let id = user.or_else(|| to.strip_prefix("channel:")).unwrap_or(to);
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Failed::for_good(format!(
                "{to:?} is no Discord user or channel"
            )));
        }
        match user {
            Some(id) => Ok(self.rest.direct(id)?),
            None => Ok(id.to_string()),
        }
    }

    /// Where a message of ours goes, and whether that is the answer to a command.
    fn post(&self, path: &str, body: &Value, media: Option<&Media>) -> Result<Value, Fault> {
        let Some(media) = media else {
            return self.rest.post(path, body);
        };
        let Some(file) = &media.path else {
            return Err(Fault::Odd("a file without a path".into()));
        };
        let name = media.name.as_deref().unwrap_or("file");
        let mime = media.mime.as_deref().unwrap_or("application/octet-stream");
        self.rest.post_file(path, body, name, mime, file)
    }

    /// The answer to a command, as long as the service takes it.
    fn answer(&self, token: &str, body: &Value, media: Option<&Media>) -> Result<Value, Fault> {
        let application = self.application.get().map_or("", String::as_str);
        let hook = format!("/webhooks/{application}/{}", url::escape(token));
        let mut body = body.clone();
        body["flags"] = 64.into();
        if media.is_none() && self.commands.get(token).is_some() {
            let first = format!("{hook}/messages/@original");
            let answered = self.rest.ask("PATCH", &first, Some(&body))?;
            self.commands.forget(token);
            return Ok(answered);
        }
        self.post(&hook, &body, media)
    }

    fn explained(&self, fault: Fault, channel: &str, message: &Outgoing) -> Failed {
        let why = match fault.body()["code"].as_u64() {
            Some(50007) => {
                "discord dm failed: user blocks dms or privacy settings disallow it".to_string()
            }
            Some(50013) => {
                let mut needed = vec!["ViewChannel", "SendMessages"];
                if message.thread.is_some() {
                    needed.push("SendMessagesInThreads");
                }
                if message.media.is_some() {
                    needed.push("AttachFiles");
                }
                format!(
                    "missing permissions in channel {channel}: {}. bot might be muted or blocked \
                     by role/channel overrides",
                    needed.join(", ")
                )
            }
            _ => return fault.into(),
        };
        Failed::for_good(why)
    }
}

fn is_refused(fault: &Fault) -> bool {
    fault.status() == Some(401)
}

/// Rows of buttons, as far as the service takes them.
fn components(message: &Outgoing) -> Vec<Value> {
    let fits = |text: &str, most| !text.is_empty() && text.chars().count() <= most;
    let rows = message.buttons.iter().map(|row| {
        let buttons = row.iter().filter(|button| fits(&button.data, MAX_DATA));
        let buttons = buttons.take(BUTTONS_A_ROW).map(|button| {
            let label: String = button.text.chars().take(MAX_BUTTON).collect();
            json!({"type": 2, "style": 2, "label": label, "custom_id": button.data})
        });
        buttons.collect::<Vec<_>>()
    });
    let rows = rows.filter(|row| !row.is_empty()).take(ROWS);
    rows.map(|row| json!({"type": 1, "components": row}))
        .collect()
}

impl Account for Discord {
    fn receive(&self, ears: &dyn Ears) -> Result<(), Failed> {
        self.listen(ears)
    }

    fn send(&self, message: &Outgoing) -> Result<Sent, Failed> {
        let nonce: String = hex::sha256(message.id.as_bytes())
            .chars()
            .take(MAX_NONCE)
            .collect();
        let mut body = json!({"content": message.text, "nonce": nonce, "enforce_nonce": true});
        let buttons = components(message);
        if !buttons.is_empty() {
            body["components"] = buttons.into();
        }
        if message.silent {
            body["flags"] = 4096.into();
        }
        let media = message.media.as_ref();
        let slash = message
            .to
            .strip_prefix("slash:")
            .and_then(|to| to.split_once(':'));
        let channel = match slash {
            Some((channel, token)) => {
                let mut answer = body.clone();
                if let Some(fields) = answer.as_object_mut() {
                    fields.retain(|name, _| !matches!(name.as_str(), "nonce" | "enforce_nonce"));
                }
                match self.answer(token, &answer, media) {
                    Ok(posted) => return Ok(sent(&posted, channel)),
                    // Too late for the command: it is said where it was given.
                    Err(fault) if fault.is_permanent() && !is_refused(&fault) => {
                        channel.to_string()
                    }
                    Err(fault) => return Err(fault.into()),
                }
            }
            // A thread is a channel of its own.
            None => match &message.thread {
                Some(thread) => thread.clone(),
                None => self.channel(&message.to)?,
            },
        };
        if let Some(id) = &message.reply_to {
            if id.bytes().all(|b| b.is_ascii_digit()) {
                body["message_reference"] = json!({"message_id": id, "fail_if_not_exists": false});
            }
        }
        let path = format!("/channels/{}/messages", url::escape(&channel));
        let posted = match self.post(&path, &body, media) {
            // The words are not lost because the file is too large for the service.
            Err(fault) if media.is_some() && matches!(fault.status(), Some(400 | 413)) => {
                let note = format!("⚠️ Media failed: {fault}");
                body["content"] = [message.text.as_str(), &note].join("\n\n").trim().into();
                self.post(&path, &body, None)
            }
            posted => posted,
        };
        match posted {
            Ok(posted) => Ok(sent(&posted, &channel)),
            Err(fault) => Err(self.explained(fault, &channel, message)),
        }
    }

    fn act(&self, action: &Action) -> Result<Value, Failed> {
        act::run(self, action)
    }

    fn probe(&self, patience: Duration) -> Result<Value, Failed> {
        let begun = Instant::now();
        let asked = self.rest.me(patience).and_then(|me| {
            let left = patience.saturating_sub(begun.elapsed());
            let application = self.rest.application(left.max(Duration::from_millis(1)))?;
            Ok((me, application))
        });
        let elapsed = begun.elapsed().as_millis() as u64;
        Ok(match asked {
            Ok((me, application)) => {
                let flags = application["flags"].as_u64().unwrap_or(0);
                // Two bits each: allowed for any number of guilds, or for few.
                let intent = |full: u32| match (flags >> full & 1, flags >> (full + 1) & 1) {
                    (1, _) => "enabled",
                    (_, 1) => "limited",
                    _ => "disabled",
                };
                json!({
                    "ok": true, "status": 200, "elapsedMs": elapsed,
                    "bot": {"id": me.id, "username": me.username},
                    "application": {
                        "id": application["id"], "flags": flags,
                        "intents": {
                            "presence": intent(12), "guildMembers": intent(14),
                            "messageContent": intent(18),
                        },
                    },
                })
            }
            Err(fault) => json!({
                "ok": false, "status": fault.status(), "elapsedMs": elapsed,
                "error": fault.to_string(),
            }),
        })
    }

    fn resolve(&self, kind: &str, names: &[String]) -> Result<Value, Failed> {
        act::resolve(self, kind, names)
    }

    fn stop(&self) {
        self.stop.cancel();
    }
}

fn sent(posted: &Value, channel: &str) -> Sent {
    Sent {
        message_ids: vec![rest::text(&posted["id"])],
        chat: Some(channel.to_string()),
    }
}
