//! The server's REST interface, as far as a bot needs it, and the door to its WebSocket.

use super::Me;
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::channel::http::{Api, Ask, Body, Fault, Fetched};
use crate::channel::multipart::Parts;
use crate::channel::recent::Recent;
use crate::channel::socket::{Gone, Socket};
use crate::net::url;
use crate::wire::channel::Media;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

pub const PATIENCE: Duration = Duration::from_secs(15);
/// How long names are believed, as in the original.
const CHANNEL: Duration = Duration::from_secs(5 * 60);
const USER: Duration = Duration::from_secs(10 * 60);
const REMEMBERED: usize = 1000;
/// Channels looked through after a time without a connection.
const MAX_CHANNELS: usize = 200;

pub struct Server {
    api: Api,
    token: Secret,
    channels: Recent<Channel>,
    users: Recent<User>,
    /// Direct channels by user.
    direct: Recent<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Post {
    pub id: String,
    pub create_at: u64,
    pub delete_at: u64,
    pub user_id: String,
    pub channel_id: String,
    pub root_id: String,
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub props: Value,
    pub file_ids: Option<Vec<String>>,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub files: Option<Vec<FileInfo>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FileInfo {
    pub id: String,
    pub name: String,
    pub mime_type: String,
    pub size: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Channel {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub name: String,
    pub display_name: String,
    pub header: String,
    pub team_id: String,
    pub last_post_at: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct User {
    pub id: String,
    pub username: String,
    pub first_name: String,
    pub last_name: String,
    pub nickname: String,
    pub is_bot: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Posts {
    posts: std::collections::HashMap<String, Post>,
}

impl Server {
    pub fn new(base: &str, token: Secret, stop: Cancel) -> Server {
        Server {
            api: Api::bearer(&format!("{base}/api/v4"), &token, stop),
            token,
            channels: Recent::new(CHANNEL, REMEMBERED),
            users: Recent::new(USER, REMEMBERED),
            direct: Recent::new(CHANNEL, REMEMBERED),
        }
    }

    /// The WebSocket, with the token said.
    pub fn connect(&self, silence: Duration, room: usize, stop: &Cancel) -> Result<Socket, Gone> {
        // http and https become ws and wss.
        let address = format!("{}/websocket", self.api.base().replacen("http", "ws", 1));
        let mut socket = Socket::open(&address, &[], silence, room, stop)?;
        let hello = json!({
            "seq": 1, "action": "authentication_challenge",
            "data": {"token": self.token.expose()},
        });
        socket.say(hello.to_string())?;
        Ok(socket)
    }

    pub fn me(&self, patience: Duration) -> Result<Me, Fault> {
        let me: User = read(self.api.call(Ask::get("/users/me").within(patience))?)?;
        Ok(Me {
            id: me.id,
            username: me.username,
        })
    }

    pub fn user(&self, id: &str) -> Result<User, Fault> {
        if let Some(known) = self.users.get(id) {
            return Ok(known);
        }
        let user: User = self.get(&format!("/users/{}", url::escape(id)))?;
        self.users.set(id, user.clone());
        Ok(user)
    }

    /// Its id and name.
    pub fn user_named(&self, name: &str) -> Result<(String, String), Fault> {
        let user: User = self.get(&format!("/users/username/{}", url::escape(name)))?;
        Ok((user.id, user.username))
    }

    /// A channel of one of our teams.
    pub fn channel_named(&self, name: &str) -> Result<Option<(String, String)>, Fault> {
        for team in self.teams()? {
            let (team, name) = (url::escape(&team), url::escape(name));
            match self.get::<Channel>(&format!("/teams/{team}/channels/name/{name}")) {
                Ok(channel) => return Ok(Some((channel.id, channel.display_name))),
                Err(fault) if fault.status() == Some(404) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    pub fn channel(&self, id: &str) -> Result<Channel, Fault> {
        if let Some(known) = self.channels.get(id) {
            return Ok(known);
        }
        let channel: Channel = self.get(&format!("/channels/{}", url::escape(id)))?;
        self.channels.set(id, channel.clone());
        Ok(channel)
    }

    /// The channel between us and one user; made if there is none.
    pub fn direct(&self, me: &str, user: &str) -> Result<String, Fault> {
        if let Some(known) = self.direct.get(user) {
            return Ok(known);
        }
        let pair = json!([me, user]);
        let channel: Channel = read(self.api.call(Ask::post("/channels/direct", &pair))?)?;
        self.direct.set(user, channel.id.clone());
        Ok(channel.id)
    }

    /// A message of theirs showed which channel that is.
    pub fn knows_direct(&self, user: &str, channel: &str) {
        self.direct.set(user, channel.to_string());
    }

    pub fn post(&self, post: &Value) -> Result<Post, Fault> {
        read(self.api.call(Ask::post("/posts", post))?)
    }

    pub fn edit(&self, id: &str, text: &str) -> Result<(), Fault> {
        let path = format!("/posts/{}/patch", url::escape(id));
        let text = json!({"message": text});
        let ask = Ask::new("PUT", &path, Body::Json(&text));
        self.api.call(ask).map(drop)
    }

    pub fn delete(&self, id: &str) -> Result<(), Fault> {
        let path = format!("/posts/{}", url::escape(id));
        let ask = Ask::new("DELETE", &path, Body::Nothing);
        self.api.call(ask).map(drop)
    }

    pub fn typing(&self, channel: &str, parent: &str) -> Result<(), Fault> {
        let body = json!({"channel_id": channel, "parent_id": parent});
        self.api
            .call(Ask::post("/users/me/typing", &body))
            .map(drop)
    }

    /// The id of the file, for a post in that channel.
    pub fn upload(&self, channel: &str, media: &Media) -> Result<String, Fault> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Uploaded {
            file_infos: Vec<FileInfo>,
        }
        let none = || Fault::Odd("the upload has no file".into());
        let path = media.path.as_deref().ok_or_else(none)?;
        let name = media.name.as_deref().unwrap_or("upload");
        let mime = media.mime.as_deref().unwrap_or("");
        let parts = Parts::begin().field("channel_id", channel);
        let parts = parts.file("files", name, mime, path).map_err(Fault::Disk)?;
        let answer = self
            .api
            .call(Ask::new("POST", "/files", Body::Parts(parts)))?;
        let uploaded: Uploaded = read(answer)?;
        let file = uploaded.file_infos.into_iter().next().ok_or_else(none)?;
        Ok(file.id)
    }

    pub fn file_info(&self, id: &str) -> Result<FileInfo, Fault> {
        self.get(&format!("/files/{}/info", url::escape(id)))
    }

    pub fn file(&self, id: &str, folder: &Path, limit: u64) -> Result<Fetched, Fault> {
        let path = format!("/files/{}", url::escape(id));
        self.api.download(&path, true, folder, limit)
    }

    /// Everything posted since then where we are.
    pub fn posts_since(&self, since: u64) -> Result<Vec<Post>, Fault> {
        let mut channels = Vec::new();
        for team in self.teams()? {
            let team = url::escape(&team);
            let of: Vec<Channel> = self.get(&format!("/users/me/teams/{team}/channels"))?;
            channels.extend(of);
        }
        channels.retain(|channel| channel.last_post_at >= since);
        // Direct channels are listed with every team.
        channels.sort_by(|a, b| (b.last_post_at, &a.id).cmp(&(a.last_post_at, &b.id)));
        channels.dedup_by(|a, b| a.id == b.id);
        let mut found = Vec::new();
        for channel in channels.into_iter().take(MAX_CHANNELS) {
            let id = url::escape(&channel.id);
            let posts: Posts = self.get(&format!("/channels/{id}/posts?since={since}"))?;
            // Those that were edited or deleted since then are among them.
            let new = |post: &Post| post.create_at >= since && post.delete_at == 0;
            found.extend(posts.posts.into_values().filter(new));
            self.channels.set(&channel.id.clone(), channel);
        }
        Ok(found)
    }

    fn teams(&self) -> Result<Vec<String>, Fault> {
        let teams: Vec<Channel> = self.get("/users/me/teams")?;
        Ok(teams.into_iter().map(|team| team.id).collect())
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Fault> {
        read(self.api.call(Ask::get(path))?)
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_json::from_value(value).map_err(|err| Fault::Odd(err.to_string()))
}
