//! Discord's gateway: who we are, heartbeats, and a session that is taken up again after the
//! connection broke.
//!
//! Knows nothing of messages: what is dispatched is handed to the caller as it came. The state of
//! the session is the caller's cursor, so that even a new process takes up the session and is told
//! what it missed, as long as the service remembers it.

use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::secret::Secret;
use crate::channel::kind::Failed;
use crate::channel::socket::{Gone, Socket};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// From the connection to the first word.
const HELLO: Duration = Duration::from_secs(30);
/// Beside the heartbeats there is no silence to be noticed.
const SILENCE: Duration = Duration::from_secs(120);
/// Largest frame: what a guild of thousands of channels is announced with.
const ROOM: usize = 8 * 1024 * 1024;
/// Within these a heartbeat interval of the service is believed.
const SHORTEST: u64 = 1000;
const LONGEST: u64 = 10 * 60 * 1000;
/// Our own code to leave with so that the session lives on; 1000 and 1001 would end it.
const RESUMING: u16 = 4000;

/// What is needed to go on with a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Session {
    pub id: String,
    pub url: String,
    pub seq: u64,
}

pub struct Gateway<'a> {
    /// Of a new session.
    pub url: String,
    pub token: &'a Secret,
    pub intents: u64,
    pub stop: &'a Cancel,
    pub session: Session,
}

/// Why a connection has ended.
#[derive(Debug)]
pub enum End {
    /// To be made again at once, or after a while.
    Again(Option<Duration>, String),
    /// Nothing that waiting mends.
    Fatal(String),
    Stopped,
}

/// The name of what is dispatched, its data, and the session up to there.
pub type OnDispatch<'a> = &'a mut dyn FnMut(&str, &str, &Session) -> Result<(), Failed>;

enum Broken {
    Gone(Gone),
    /// By the caller's.
    Failed(Failed),
}

#[derive(Deserialize)]
struct Frame<'a> {
    op: u8,
    #[serde(default)]
    s: Option<u64>,
    #[serde(default)]
    t: Option<String>,
    #[serde(borrow, default)]
    d: Option<&'a RawValue>,
}

impl Gateway<'_> {
    /// One connection, until it ends. `on` is told what is dispatched: the name, the data, and the
    /// session up to there.
    pub fn run(&mut self, on: OnDispatch) -> Result<End, Failed> {
        let resuming = !self.session.id.is_empty() && !self.session.url.is_empty();
        if !resuming {
            self.session = Session::default();
        }
        let base = if resuming {
            &self.session.url
        } else {
            &self.url
        };
        let address = format!("{}/?v=10&encoding=json", base.trim_end_matches('/'));
        let opened = Socket::open(&address, &[], SILENCE, ROOM, self.stop);
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(gone) => return Ok(self.ended(gone)),
        };
        match self.talk(&mut socket, resuming, on) {
            Ok(end) => {
                socket.close(RESUMING);
                Ok(end)
            }
            Err(Broken::Gone(gone)) => Ok(self.ended(gone)),
            Err(Broken::Failed(failed)) => {
                socket.close(RESUMING);
                Err(failed)
            }
        }
    }

    fn talk(&mut self, socket: &mut Socket, resuming: bool, on: OnDispatch) -> Result<End, Broken> {
        let hello = socket.next(Instant::now() + HELLO)?.ok_or(Gone::Silent)?;
        let every = serde_json::from_str::<Value>(&hello).ok();
        let every = every.and_then(|hello| hello["d"]["heartbeat_interval"].as_u64());
        let every = every.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST);
        let every = Duration::from_millis(every);
        let [random] = id::random::<1>();
        // Not all clients of a service that was down at once.
        let mut beat = Instant::now() + every * u32::from(random) / 256;
        let mut acknowledged = true;
        let token = self.token.expose();
        let first = match resuming {
            true => json!({"op": 6, "d": {
                "token": token, "session_id": self.session.id, "seq": self.session.seq,
            }}),
            false => json!({"op": 2, "d": {
                "token": token, "intents": self.intents,
                "properties": {
                    "os": std::env::consts::OS, "browser": "openclaw", "device": "openclaw",
                },
            }}),
        };
        socket.say(first.to_string())?;
        loop {
            let now = Instant::now();
            if now >= beat {
                if !acknowledged {
                    let why = "the service does not answer heartbeats";
                    return Ok(End::Again(None, why.into()));
                }
                socket.say(self.heartbeat())?;
                acknowledged = false;
                beat = now + every;
            }
            let Some(text) = socket.next(beat)? else {
                continue;
            };
            let Ok(frame) = serde_json::from_str::<Frame>(&text) else {
                return Err(Gone::Failed("a frame that is no JSON".into()).into());
            };
            match frame.op {
                0 => {
                    self.session.seq = frame.s.unwrap_or(self.session.seq);
                    let data = frame.d.map_or("null", RawValue::get);
                    let name = frame.t.as_deref().unwrap_or("");
                    if name == "READY" {
                        let ready: Value = serde_json::from_str(data).unwrap_or_default();
                        let text = |key: &str| ready[key].as_str().unwrap_or("").to_string();
                        self.session.id = text("session_id");
                        self.session.url = text("resume_gateway_url");
                    }
                    on(name, data, &self.session)?;
                }
                1 => socket.say(self.heartbeat())?,
                7 => {
                    return Ok(End::Again(
                        Some(Duration::ZERO),
                        "asked to come again".into(),
                    ));
                }
                9 => {
                    if frame.d.map(RawValue::get) != Some("true") {
                        self.session = Session::default();
                    }
                    let wait = Duration::from_secs(5);
                    return Ok(End::Again(Some(wait), "the session is over".into()));
                }
                11 => acknowledged = true,
                _ => {}
            }
        }
    }

    fn heartbeat(&self) -> String {
        let seq = Some(self.session.seq).filter(|seq| *seq > 0);
        json!({"op": 1, "d": seq}).to_string()
    }

    fn ended(&mut self, gone: Gone) -> End {
        match gone {
            Gone::Stopped => End::Stopped,
            Gone::Closed(code @ (4004 | 4010..=4014), reason) => {
                let why = match code {
                    4004 => "the token is refused".into(),
                    4014 => "an intent is not allowed: switch on Message Content Intent (and \
                        those of channels.discord.intents) in the Discord developer portal"
                        .into(),
                    _ => reason,
                };
                End::Fatal(format!("Fatal Gateway error: {code} {why}"))
            }
            Gone::Closed(code, reason) => {
                if matches!(code, 4007 | 4009) {
                    self.session = Session::default();
                }
                End::Again(None, Gone::Closed(code, reason).to_string())
            }
            gone => {
                // Where the session was may be out of order; it can be taken up anywhere.
                if !self.session.url.is_empty() {
                    self.session.url.clone_from(&self.url);
                }
                End::Again(None, gone.to_string())
            }
        }
    }
}

impl From<Gone> for Broken {
    fn from(gone: Gone) -> Broken {
        Broken::Gone(gone)
    }
}

impl From<Failed> for Broken {
    fn from(failed: Failed) -> Broken {
        Broken::Failed(failed)
    }
}
