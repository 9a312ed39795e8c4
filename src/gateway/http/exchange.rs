//! One relayed request and the answer to it.

use crate::base::cancel::Cancel;
use crate::base::secret::constant_time_eq;
use crate::config::Snapshot;
use crate::config::listen::AuthMode;
use crate::gateway::auth::{Asker, Refusal};
use crate::gateway::core::Core;
use crate::gateway::handshake::Trust;
use crate::gateway::http::control_ui::percent_decoded;
use crate::gateway::http::metrics::Answers;
use crate::gateway::origin::{self, Forwarding, Origin};
use crate::gateway::{failures, tailscale};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::json;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Instant;

/// What the front verified about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Absent for the local socket.
    pub ip: Option<std::net::IpAddr>,
    pub trust: Trust,
    pub door: Door,
}

/// Which of the gateway's ports a client came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Gateway,
    /// `canvasHost.port`: nothing but the canvas is behind it.
    Canvas,
}

pub struct Exchange {
    request: tiny_http::Request,
    pub sender: Sender,
    /// Cancelled when nobody waits for the answer any more.
    pub gone: Cancel,
    /// Why the client is not let in, once that was asked.
    refused: Cell<Option<(AuthMode, Refusal)>>,
    answers: Arc<Answers>,
}

/// Why a body was not taken.
#[derive(Debug)]
pub enum BodyError {
    TooLarge,
    Io(io::Error),
}

impl Exchange {
    pub(super) fn new(
        request: tiny_http::Request,
        sender: Sender,
        gone: Cancel,
        answers: Arc<Answers>,
    ) -> Exchange {
        Exchange {
            request,
            sender,
            gone,
            refused: Cell::default(),
            answers,
        }
    }

    pub fn method(&self) -> &str {
        self.request.method().as_str()
    }

    /// Path and query as sent.
    pub fn target(&self) -> &str {
        self.request.url()
    }

    pub fn path(&self) -> &str {
        self.target().split(['?', '#']).next().unwrap_or_default()
    }

    /// The query with its question mark, or nothing.
    pub fn query(&self) -> &str {
        let target = self.target();
        target.find('?').map_or("", |at| &target[at..])
    }

    /// A query parameter, percent-decoding left to the caller.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query()
            .trim_start_matches('?')
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// The query's parameters, decoded; what cannot be is left out.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        let query = self.query().trim_start_matches('?');
        let query = query.split('#').next().unwrap_or_default();
        let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decoded(key)?, decoded(value)?))
            })
            .collect()
    }

    /// All headers, their names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        self.request
            .headers()
            .iter()
            .map(|h| {
                let name = h.field.as_str().as_str().to_ascii_lowercase();
                (name, h.value.as_str().trim().to_string())
            })
            .collect()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.request
            .headers()
            .iter()
            .find(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name))
            .map(|h| h.value.as_str().trim())
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
    }

    /// The password of `Authorization: Basic`, whatever the user is called.
    fn basic(&self) -> Option<String> {
        let (scheme, text) = self.header("authorization")?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = BASE64_STANDARD.decode(text.trim()).ok()?;
        let text = String::from_utf8(text).ok()?;
        text.split_once(':').map(|(_, password)| password.into())
    }

    /// Not sent by a page of somebody else's.
    fn is_own_page(&self, config: &Snapshot, forwarding: &Forwarding) -> bool {
        let page = self.header("origin");
        let allowed = &config.config.gateway.control_ui.allowed_origins;
        self.header("sec-fetch-site") != Some("cross-site")
            && (page.is_none() || origin::origin_allowed(page, forwarding.host.as_deref(), allowed))
    }

    /// Where the request comes from, by its headers.
    pub fn forwarding(&self) -> Forwarding {
        let headers = self.request.headers();
        Forwarding::read(|name| {
            let values = headers
                .iter()
                .filter(|h| h.field.as_str().as_str().eq_ignore_ascii_case(name))
                .map(|h| h.value.as_str().trim().to_string());
            values.reduce(|list, value| list + ", " + &value)
        })
    }

    /// Whether the client has proven the shared secret, or needs none. A client that has not is
    /// answered by `unauthorized`.
    pub fn is_authorized(&self, core: &Core) -> bool {
        if self.sender.trust == Trust::Owner {
            return true;
        }
        let forwarding = self.forwarding();
        let config = core.config.current();
        let origin = self.origin(&config, &forwarding);
        let asker = Asker::new(origin, self.header("origin").is_some());
        let basic = match core.listen.auth.mode {
            // Browsers add it to what any page sends here.
            AuthMode::Password if self.is_own_page(&config, &forwarding) => self.basic(),
            _ => None,
        };
        let password = self.bearer().or(basic.as_deref());
        let Err(refusal) = asker.proves(core, self.bearer(), password) else {
            return true;
        };
        if let (Some(ip), false, true) = (
            self.sender.ip,
            origin.local,
            core.listen.auth.allow_tailscale,
        ) {
            if tailscale::proves(core, &forwarding, ip) {
                return true;
            }
        }
        asker.failed(core, refusal);
        self.refuse(core, &forwarding, refusal);
        false
    }

    /// Whether `offered` is the hooks' token. Whoever offers wrong ones is heard less and less, the
    /// owner's own programs excepted.
    pub fn knows_hook_token(&self, core: &Core, token: &str, offered: Option<&str>) -> bool {
        let forwarding = self.forwarding();
        let origin = self.origin(&core.config.current(), &forwarding);
        let page = self.header("origin").is_some();
        let source = failures::Source::of(&origin, page).map(failures::Source::for_hooks);
        let now = Instant::now();
        let waits = source.and_then(|source| core.failures.wait(&source, now));
        let refusal = match (waits, offered.filter(|offered| !offered.is_empty())) {
            (Some(wait), _) => Refusal::Later(wait),
            (None, None) => Refusal::TokenMissing,
            (None, Some(offered)) => {
                if constant_time_eq(offered.as_bytes(), token.as_bytes()) {
                    if let Some(source) = &source {
                        core.failures.passed(source);
                    }
                    return true;
                }
                if let Some(source) = &source {
                    core.failures.failed(source, now);
                }
                Refusal::TokenMismatch
            }
        };
        self.refuse(core, &forwarding, refusal);
        false
    }

    /// Refused without being looked at, because too many wrong secrets came from there.
    pub fn is_shut_out(&self) -> bool {
        matches!(self.refused.get(), Some((_, Refusal::Later(_))))
    }

    fn origin(&self, config: &Snapshot, forwarding: &Forwarding) -> Origin {
        match self.sender.ip {
            Some(ip) => origin::origin(ip, forwarding, &config.config.gateway.trusted_proxies),
            None => Origin::on_socket(false),
        }
    }

    /// Notes why, for the log and for the answer.
    fn refuse(&self, core: &Core, forwarding: &Forwarding, refusal: Refusal) {
        core.failures.log(|| {
            let peer = self
                .sender
                .ip
                .map_or("a local program".into(), |ip| ip.to_string());
            let said = forwarding
                .forwarded_for
                .as_deref()
                .map_or(String::new(), |list| {
                    format!(" for {:?}", failures::shown(list))
                });
            format!(
                "refused {peer}{said}: {} {}: {}",
                self.method(),
                failures::shown(self.path()),
                refusal.brief()
            )
        });
        self.refused.set(Some((core.listen.auth.mode, refusal)));
    }

    /// As announced; a chunked body says nothing.
    pub fn body_length(&self) -> Option<usize> {
        self.request.body_length()
    }

    /// The body, at most `max` bytes of it.
    pub fn body(&mut self, max: usize) -> Result<Vec<u8>, BodyError> {
        if self.body_length().is_some_and(|len| len > max) {
            return Err(BodyError::TooLarge);
        }
        let mut body = Vec::new();
        let mut bounded = self.request.as_reader().take(max as u64 + 1);
        bounded.read_to_end(&mut body).map_err(BodyError::Io)?;
        if body.len() > max {
            return Err(BodyError::TooLarge);
        }
        Ok(body)
    }

    /// Sends a whole answer. Content-Length and the end of the connection are added.
    pub fn respond(self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let is_head = self.method() == "HEAD";
        self.answers.count(status);
        let mut answer = head(status, headers);
        // A 304 speaks of a body that is not sent.
        if status != 304 {
            answer.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        answer.push_str("\r\n");
        let mut bytes = answer.into_bytes();
        if !is_head {
            bytes.extend_from_slice(body);
        }
        let mut writer = self.request.into_writer();
        // The client may be gone, and nobody else wants to know.
        let _ = writer.write_all(&bytes).and_then(|()| writer.flush());
    }

    /// Sends a file of `size` bytes piece by piece.
    pub fn respond_file(
        self,
        status: u16,
        headers: &[(&str, &str)],
        file: impl Read,
        size: u64,
    ) -> io::Result<()> {
        let is_head = self.method() == "HEAD";
        self.answers.count(status);
        let mut answer = head(status, headers);
        answer.push_str(&format!("Content-Length: {size}\r\n\r\n"));
        let mut writer = self.request.into_writer();
        writer.write_all(answer.as_bytes())?;
        if !is_head {
            io::copy(&mut file.take(size), &mut writer)?;
        }
        writer.flush()
    }

    pub fn text(self, status: u16, body: &str) {
        self.respond(
            status,
            &[("Content-Type", "text/plain; charset=utf-8")],
            body.as_bytes(),
        );
    }

    pub fn json(self, status: u16, body: &impl Serialize) {
        let body = serde_json::to_vec(body).expect("payloads serialise to JSON");
        self.respond(
            status,
            &[("Content-Type", "application/json; charset=utf-8")],
            &body,
        );
    }

    /// 401, as every endpoint behind the shared secret says it; 429 to who tries too often.
    pub fn unauthorized(self) {
        let refused = self.refused.get();
        if let Some((_, Refusal::Later(wait))) = refused {
            let after = (wait.as_secs() + 1).to_string();
            let body =
                json!({"error": {"message": "Too many failed attempts", "type": "rate_limited"}});
            return self.respond(
                429,
                &[
                    ("Content-Type", "application/json; charset=utf-8"),
                    ("Retry-After", &after),
                ],
                body.to_string().as_bytes(),
            );
        }
        let scheme = match refused {
            Some((AuthMode::Password, _)) => "Basic realm=\"OpenClaw\", charset=\"UTF-8\"",
            _ => "Bearer realm=\"OpenClaw\"",
        };
        let body = json!({"error": {"message": "Unauthorized", "type": "unauthorized"}});
        self.respond(
            401,
            &[
                ("Content-Type", "application/json; charset=utf-8"),
                ("WWW-Authenticate", scheme),
            ],
            body.to_string().as_bytes(),
        );
    }

    /// Starts an answer whose length is not known; it ends with the connection. Dropping the
    /// writer ends it.
    pub fn stream(
        self,
        status: u16,
        headers: &[(&str, &str)],
    ) -> io::Result<Box<dyn Write + Send>> {
        self.answers.count(status);
        let mut answer = head(status, headers);
        answer.push_str("\r\n");
        let mut writer = self.request.into_writer();
        writer.write_all(answer.as_bytes())?;
        writer.flush()?;
        Ok(writer)
    }
}

fn head(status: u16, headers: &[(&str, &str)]) -> String {
    let reason = tiny_http::StatusCode(status).default_reason_phrase();
    let mut text = format!("HTTP/1.1 {status} {reason}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text
}
