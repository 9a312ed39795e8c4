//! Discord's REST interface (v10) under its rate limits.
//!
//! Each answer says how many more questions its bucket takes; when it is none, the next question of
//! the same route waits here, if that is short. What is refused for asking too often all the same
//! is asked again a few times.

use super::Me;
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::channel::http::{Api, Ask, Body, Fault, Fetched};
use crate::channel::multipart::Parts;
use crate::channel::recent::Recent;
use crate::net::fetch::Response;
use crate::net::url;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the original waits for an answer.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Questions in all, when one is refused for coming too soon.
const TRIES: u32 = 3;
/// Waited for here; longer waits are the worker's.
const SHORT: Duration = Duration::from_secs(5);
/// Routes whose limits are remembered, and for how long at most.
const ROUTES: usize = 500;
const LONGEST: Duration = Duration::from_secs(60);
/// As the original remembers what a channel is, and that one cannot be asked for.
const CHANNEL: Duration = Duration::from_secs(5 * 60);
const NO_CHANNEL: Duration = Duration::from_secs(30);
const REMEMBERED: usize = 1000;
/// Guilds looked through for a name.
const MAX_GUILDS: usize = 100;

pub struct Rest {
    api: Api,
    stop: Cancel,
    /// By route: not to be asked before then.
    limits: Recent<Instant>,
    channels: Recent<Value>,
    no_channels: Recent<()>,
    guilds: Recent<String>,
    /// Direct channels by user.
    direct: Recent<String>,
}

impl Rest {
    pub fn new(base: &str, token: &Secret, stop: Cancel) -> Rest {
        let header = Secret::new(format!("Bot {}", token.expose()));
        let api = Api::new(base, vec![("authorization", header)], stop.clone());
        Rest {
            api: api.hiding(token.clone()),
            stop,
            limits: Recent::new(LONGEST, ROUTES),
            channels: Recent::new(CHANNEL, REMEMBERED),
            no_channels: Recent::new(NO_CHANNEL, REMEMBERED),
            guilds: Recent::new(CHANNEL, REMEMBERED),
            direct: Recent::new(CHANNEL, REMEMBERED),
        }
    }

    pub fn get(&self, path: &str) -> Result<Value, Fault> {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.ask("POST", path, Some(body))
    }

    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        self.patiently(method, path, || {
            Ok(match body {
                Some(body) => Body::Json(body),
                None => Body::Nothing,
            })
        })
    }

    /// With a file beside the JSON.
    pub fn post_file(
        &self,
        path: &str,
        body: &Value,
        name: &str,
        mime: &str,
        file: &Path,
    ) -> Result<Value, Fault> {
        let json = body.to_string();
        self.patiently("POST", path, || {
            let parts = Parts::begin().typed("payload_json", "application/json", &json);
            let parts = parts.file("files[0]", name, mime, file);
            Ok(Body::Parts(parts.map_err(Fault::Disk)?))
        })
    }

    fn patiently<'a>(
        &self,
        method: &'a str,
        path: &'a str,
        body: impl Fn() -> Result<Body<'a>, Fault>,
    ) -> Result<Value, Fault> {
        let route = route(method, path);
        let mut tries = 0;
        loop {
            let wait = |key: &str| {
                let until = self.limits.get(key);
                until.map_or(Duration::ZERO, |t| {
                    t.saturating_duration_since(Instant::now())
                })
            };
            self.pause(wait(&route).max(wait("")).min(SHORT));
            let answer = self.api.open(Ask::new(method, path, body()?));
            tries += 1;
            match answer {
                Ok(response) => {
                    if let Some(wait) = used_up(&response) {
                        self.limits.set(&route, Instant::now() + wait);
                    }
                    return self.api.read(response);
                }
                Err(fault) if fault.status() == Some(429) => {
                    let wait = fault.retry_after().unwrap_or(Duration::from_millis(500));
                    let all = fault.body()["global"] == true;
                    let key = if all { "" } else { &route };
                    self.limits.set(key, Instant::now() + wait);
                    if tries >= TRIES || wait > SHORT || self.stop.is_cancelled() {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    fn pause(&self, time: Duration) {
        if time.is_zero() {
            return;
        }
        let (wake, woken) = crossbeam_channel::bounded::<()>(1);
        let _stop = self.stop.on_cancel(move || {
            let _ = wake.try_send(());
        });
        let _ = woken.recv_timeout(time);
    }

    pub fn me(&self, patience: Duration) -> Result<Me, Fault> {
        let me = self.api.call(Ask::get("/users/@me").within(patience))?;
        Ok(Me {
            id: text(&me["id"]),
            username: text(&me["username"]),
        })
    }

    pub fn application(&self, patience: Duration) -> Result<Value, Fault> {
        let ask = Ask::get("/oauth2/applications/@me").within(patience);
        self.api.call(ask)
    }

    /// What the service knows of a channel; `None` when it does not tell us.
    pub fn channel(&self, id: &str) -> Result<Option<Value>, Fault> {
        if let Some(known) = self.channels.get(id) {
            return Ok(Some(known));
        }
        if self.no_channels.get(id).is_some() {
            return Ok(None);
        }
        match self.get(&format!("/channels/{}", url::escape(id))) {
            Ok(found) => {
                // Only what is looked at: a channel's whole record is large.
                let mut kept = json!({});
                for key in [
                    "id",
                    "type",
                    "name",
                    "topic",
                    "parent_id",
                    "guild_id",
                    "owner_id",
                ] {
                    kept[key] = found[key].clone();
                }
                self.channels.set(id, kept.clone());
                Ok(Some(kept))
            }
            Err(fault) if fault.is_permanent() && fault.status() != Some(401) => {
                self.no_channels.set(id, ());
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    pub fn guild_name(&self, id: &str) -> Option<String> {
        if let Some(known) = self.guilds.get(id) {
            return Some(known).filter(|name| !name.is_empty());
        }
        // A guild without a name is as good as one with a name that cannot be had.
        let found = self.get(&format!("/guilds/{}", url::escape(id)));
        let name = found.map(|guild| text(&guild["name"])).unwrap_or_default();
        self.guilds.set(id, name.clone());
        Some(name).filter(|name| !name.is_empty())
    }

    /// The channel between us and one user.
    pub fn direct(&self, user: &str) -> Result<String, Fault> {
        if let Some(known) = self.direct.get(user) {
            return Ok(known);
        }
        let channel = self.post("/users/@me/channels", &json!({"recipient_id": user}))?;
        let id = text(&channel["id"]);
        self.direct.set(user, id.clone());
        Ok(id)
    }

    pub fn knows_direct(&self, user: &str, channel: &str) {
        self.direct.set(user, channel.to_string());
    }

    /// A file of a message. The bot's token is not for where files lie.
    pub fn file(&self, address: &str, folder: &Path, limit: u64) -> Result<Fetched, Fault> {
        self.api.download(address, false, folder, limit)
    }

    pub fn guilds(&self) -> Result<Vec<(String, String)>, Fault> {
        let guilds = self.get("/users/@me/guilds")?;
        let guilds = guilds.as_array().into_iter().flatten().take(MAX_GUILDS);
        Ok(guilds.map(|g| (text(&g["id"]), text(&g["name"]))).collect())
    }

    pub fn hide(&self, said: &str) -> String {
        self.api.hide(said)
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_string()
}

/// The bucket takes nothing more for so long.
fn used_up(response: &Response) -> Option<Duration> {
    let number = |name| response.header(name)?.trim().parse::<f64>().ok();
    let left = number("x-ratelimit-remaining")?;
    let wait = number("x-ratelimit-reset-after").filter(|_| left <= 0.0)?;
    Duration::try_from_secs_f64(wait).ok()
}

/// What shares a limit: the method, and the path with the channel, guild or webhook in it and any
/// other id left out.
fn route(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let mut out = method.to_string();
    let mut major = false;
    for part in path.split('/').skip(1) {
        let id = part.len() > 15 && part.bytes().all(|b| b.is_ascii_digit());
        out.push('/');
        out.push_str(if id && !major { "N" } else { part });
        major = matches!(part, "channels" | "guilds" | "webhooks");
    }
    // Below a message's reactions all emoji are one.
    match out.find("/reactions/") {
        Some(at) => out[..at + "/reactions".len()].to_string(),
        None => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_shares_a_limit_is_one_route() {
        let id = "123456789012345678";
        let channel = "223456789012345678";
        for (path, expected) in [
            (
                format!("/channels/{channel}/messages"),
                format!("GET/channels/{channel}/messages"),
            ),
            (
                format!("/channels/{channel}/messages/{id}?x=1"),
                format!("GET/channels/{channel}/messages/N"),
            ),
            (
                format!("/channels/{channel}/messages/{id}/reactions/%F0%9F/@me"),
                format!("GET/channels/{channel}/messages/N/reactions"),
            ),
            (format!("/users/{id}"), "GET/users/N".into()),
        ] {
            assert_eq!(route("GET", &path), expected);
        }
    }
}
