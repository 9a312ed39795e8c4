//! One connection to a gateway: frames in, frames out, one request in flight.

use super::Caller;
use super::error::Error;
use super::handshake::{self, ROLE, Secrets};
use super::identity::Identity;
use super::stream::{Stream, Url};
use super::tokens::Tokens;
use crate::base::id;
use crate::config::client::Target;
use crate::wire::gateway::frame::{Received, Request};
use serde_json::Value;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

/// Largest message taken from a gateway; the original's clients have the same bound.
const MAX_MESSAGE: usize = 25 * 1024 * 1024;
/// A command reads one answer: a small buffer is enough and is all that is held while it waits.
const READ_BUFFER: usize = 4 * 1024;

/// How long a look for what has come already may take.
const GLANCE: Duration = Duration::from_millis(1);

pub struct Client {
    socket: WebSocket<Stream>,
    target: Box<Target>,
    hello: Value,
    /// The time the command has in all, for the error that says it has passed.
    budget: Duration,
    /// From the upgrade to the hello.
    pub connect_time: Duration,
}

/// Something the gateway tells without being asked.
#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    pub payload: Value,
    pub seq: Option<u64>,
}

/// What comes in, for those who have several requests under way.
pub enum Frame {
    Event(Event),
    Answer {
        id: String,
        result: Result<Value, Error>,
    },
    /// A frame of a kind this version does not know.
    Other,
}

impl Client {
    /// Dials, shakes hands and proves who we are. `budget` is for that and for all calls that
    /// follow, until `set_deadline` says otherwise.
    pub fn connect(caller: &Caller, budget: Duration) -> Result<Client, Error> {
        let deadline = Instant::now() + budget;
        if let Some(stream) = Stream::local(&caller.target, deadline) {
            let mut client = Client::open(caller, stream, budget)?;
            client.greet(caller, &Secrets::default(), None)?;
            return Ok(client);
        }
        let identity = Identity::open(&caller.paths.device_identity()).map_err(Error::Identity)?;
        let mut tokens = caller
            .stored_token
            .then(|| Tokens::open(&caller.paths.state, &identity.device_id));
        let shared = Secrets {
            token: caller.target.token.as_ref().map(|t| t.expose().into()),
            password: caller.target.password.as_ref().map(|p| p.expose().into()),
        };
        let stored = tokens.as_ref().and_then(|t| t.get(ROLE)).map(String::from);
        let mut result = Err(Error::TimedOut {
            target: caller.target.clone().into(),
            after: budget,
        });
        if stored.is_some() {
            let secrets = Secrets {
                token: stored.clone(),
                password: shared.password.clone(),
            };
            result = Client::dial(caller, deadline, budget, &secrets, &identity);
            let refused = matches!(&result, Err(Error::Refused { message, .. })
                if message.starts_with("unauthorized"));
            if !refused {
                return finish(result, tokens.as_mut());
            }
            // The gateway forgot this device (its state was wiped, or the token was revoked).
            if shared.token.is_some() || shared.password.is_some() {
                if let Some(tokens) = &mut tokens {
                    forget(tokens);
                }
            }
        }
        if stored.is_none() || shared.token.is_some() || shared.password.is_some() {
            result = Client::dial(caller, deadline, budget, &shared, &identity);
        }
        finish(result, tokens.as_mut())
    }

    fn dial(
        caller: &Caller,
        deadline: Instant,
        budget: Duration,
        secrets: &Secrets,
        identity: &Identity,
    ) -> Result<Client, Error> {
        let stream = Stream::remote(&caller.target, deadline)
            .map_err(|err| broken(&caller.target, budget, err))?;
        let mut client = Client::open(caller, stream, budget)?;
        client.greet(caller, secrets, Some(identity))?;
        Ok(client)
    }

    /// The HTTP upgrade.
    fn open(caller: &Caller, stream: Stream, budget: Duration) -> Result<Client, Error> {
        let target = &caller.target;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let host = Url::parse(&target.url).map_or("localhost", |url| url.authority);
        // Over the local socket and over TLS alike: what encrypts is below us already.
        let url = format!("ws://{host}/");
        let socket = tungstenite::client::client_with_config(url.as_str(), stream, Some(config))
            .map_err(|err| match err {
                HandshakeError::Failure(tungstenite::Error::Io(err)) => broken(target, budget, err),
                HandshakeError::Failure(err) => Error::NotGateway {
                    target: target.clone().into(),
                    cause: err.to_string(),
                },
                HandshakeError::Interrupted(_) => {
                    broken(target, budget, io::ErrorKind::TimedOut.into())
                }
            })?;
        Ok(Client {
            socket: socket.0,
            target: target.clone().into(),
            hello: Value::Null,
            budget,
            connect_time: Duration::ZERO,
        })
    }

    fn greet(
        &mut self,
        caller: &Caller,
        secrets: &Secrets,
        identity: Option<&Identity>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let nonce = loop {
            if let Frame::Event(event) = self.frame()? {
                if event.name == "connect.challenge" {
                    break event.payload["nonce"].as_str().unwrap_or("").to_string();
                }
            }
        };
        let params = handshake::params(&caller.who, secrets, identity, &nonce);
        let answer = self.call("connect", Some(&params));
        self.connect_time = started.elapsed();
        self.hello = answer.map_err(|err| match err {
            Error::Rpc {
                code,
                message,
                payload,
            } => Error::Refused {
                target: self.target.clone(),
                request: payload
                    .as_ref()
                    .and_then(|details| details["requestId"].as_str())
                    .map(str::to_string),
                code,
                message,
            },
            other => other,
        })?;
        Ok(())
    }

    /// The `hello-ok` payload.
    pub fn hello(&self) -> &Value {
        &self.hello
    }

    /// Readable when a frame may be there, unless it is in our own buffer already.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.get_ref().fd()
    }

    /// A new deadline for what follows; `None` waits for ever.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.socket.get_mut().deadline = deadline;
    }

    pub fn call(&mut self, method: &str, params: Option<&Value>) -> Result<Value, Error> {
        self.call_hearing(method, params, false, &mut |_| {})
    }

    pub fn call_expect_final(
        &mut self,
        method: &str,
        params: Option<&Value>,
    ) -> Result<Value, Error> {
        self.call_hearing(method, params, true, &mut |_| {})
    }

    /// Calls, and shows `hear` every event that comes before the answer.
    pub fn call_hearing(
        &mut self,
        method: &str,
        params: Option<&Value>,
        past_accepted: bool,
        hear: &mut dyn FnMut(&Event),
    ) -> Result<Value, Error> {
        let id = self.send(method, params)?;
        loop {
            match self.frame()? {
                Frame::Event(event) => hear(&event),
                Frame::Answer { id: of, result } if of == id => match result {
                    Ok(value) if past_accepted && value["status"] == "accepted" => {}
                    result => return result,
                },
                Frame::Answer { .. } | Frame::Other => {}
            }
        }
    }

    /// Several calls at once on this connection; the answers come back in the order asked.
    pub fn call_all(
        &mut self,
        calls: &[(&str, Option<&Value>)],
    ) -> Result<Vec<Result<Value, Error>>, Error> {
        let mut ids = Vec::new();
        for (method, params) in calls {
            ids.push(self.send(method, *params)?);
        }
        let mut answers: Vec<Option<Result<Value, Error>>> = ids.iter().map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            if let Frame::Answer { id, result } = self.frame()? {
                if let Some(at) = ids.iter().position(|of| *of == id) {
                    answers[at] = Some(result);
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// The next event.
    pub fn event(&mut self) -> Result<Event, Error> {
        loop {
            if let Frame::Event(event) = self.frame()? {
                return Ok(event);
            }
        }
    }

    /// Asks and does not wait; the answer comes as a frame with the id returned here.
    pub fn send(&mut self, method: &str, params: Option<&Value>) -> Result<String, Error> {
        let id = id::uuid();
        let text = serde_json::to_string(&Request::new(&id, method, params))
            .expect("requests serialise to JSON");
        self.socket
            .send(Message::text(text))
            .map_err(|err| self.broken(err))?;
        Ok(id)
    }

    /// What has come already; `None` when nothing whole has. `fd` says when to look again.
    pub fn take(&mut self) -> Result<Option<Frame>, Error> {
        self.set_deadline(Some(Instant::now() + GLANCE));
        match self.frame() {
            Ok(frame) => Ok(Some(frame)),
            Err(Error::TimedOut { .. }) => Ok(None),
            Err(err) => Err(err),
        }
    }

    fn frame(&mut self) -> Result<Frame, Error> {
        let text = loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => break text,
                Ok(Message::Close(frame)) => {
                    let (code, reason) = frame
                        .map(|f| (u16::from(f.code), f.reason.to_string()))
                        .unwrap_or((1005, String::new()));
                    return Err(Error::Closed {
                        target: self.target.clone(),
                        code,
                        reason,
                    });
                }
                // Pings are answered by the library with the next write; nothing else concerns us.
                Ok(_) => {}
                Err(err) => return Err(self.broken(err)),
            }
        };
        let frame: Received = match serde_json::from_str(&text) {
            Ok(frame) => frame,
            Err(err) => {
                return Err(Error::NotGateway {
                    target: self.target.clone(),
                    cause: format!("a frame that is not understood: {err}"),
                });
            }
        };
        Ok(match frame {
            Received::Event {
                event,
                payload,
                seq,
            } => Frame::Event(Event {
                name: event,
                payload: payload.unwrap_or_default(),
                seq,
            }),
            Received::Res {
                id,
                ok,
                payload,
                error,
            } => Frame::Answer {
                id,
                result: match (ok, error) {
                    (true, _) => Ok(payload.unwrap_or_default()),
                    (false, Some(error)) => Err(Error::Rpc {
                        code: error.code,
                        message: error.message,
                        payload: error.details.or(payload),
                    }),
                    (false, None) => Err(Error::Rpc {
                        code: String::new(),
                        message: "unknown error".into(),
                        payload,
                    }),
                },
            },
            Received::Other => Frame::Other,
        })
    }

    fn broken(&self, err: tungstenite::Error) -> Error {
        match err {
            tungstenite::Error::Io(err) => broken(&self.target, self.budget, err),
            tungstenite::Error::ConnectionClosed
            | tungstenite::Error::AlreadyClosed
            | tungstenite::Error::Protocol(_) => broken(
                &self.target,
                self.budget,
                io::ErrorKind::ConnectionReset.into(),
            ),
            other => Error::NotGateway {
                target: self.target.clone(),
                cause: other.to_string(),
            },
        }
    }
}

/// An I/O failure as what it means to the user.
fn broken(target: &Target, budget: Duration, err: io::Error) -> Error {
    let target: Box<Target> = target.clone().into();
    if err.kind() == io::ErrorKind::TimedOut {
        return Error::TimedOut {
            target,
            after: budget,
        };
    }
    match err
        .get_ref()
        .and_then(|e| e.downcast_ref::<rustls::Error>())
    {
        Some(tls) => Error::Tls {
            cause: tls.to_string(),
            target,
        },
        None => Error::Unreachable { target, cause: err },
    }
}

/// Keeps the device token the hello brought.
fn finish(result: Result<Client, Error>, tokens: Option<&mut Tokens>) -> Result<Client, Error> {
    let client = result?;
    let auth = &client.hello["auth"];
    if let (Some(tokens), Some(token)) = (tokens, auth["deviceToken"].as_str()) {
        let scopes: Vec<String> = auth["scopes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|s| s.as_str().map(str::to_string))
            .collect();
        if let Err(err) = tokens.put(ROLE, token, &scopes) {
            // The command works without it; the next one shows the shared secret again.
            log::warn!("device token not stored: {err}");
        }
    }
    Ok(client)
}

fn forget(tokens: &mut Tokens) {
    if let Err(err) = tokens.remove(ROLE) {
        log::warn!("stale device token not removed: {err}");
    }
}
