//! One relayed request and the answer to it.

use crate::base::cancel::Cancel;
use crate::gateway::auth;
use crate::gateway::core::Core;
use crate::gateway::handshake::Trust;
use serde::Serialize;
use std::io::{self, Read, Write};

/// What the front verified about the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Absent for the local socket.
    pub ip: Option<std::net::IpAddr>,
    pub trust: Trust,
}

pub struct Exchange {
    request: tiny_http::Request,
    pub sender: Sender,
    /// Cancelled when nobody waits for the answer any more.
    pub gone: Cancel,
}

/// Why a body was not taken.
#[derive(Debug)]
pub enum BodyError {
    TooLarge,
    Io(io::Error),
}

impl Exchange {
    pub(super) fn new(request: tiny_http::Request, sender: Sender, gone: Cancel) -> Exchange {
        Exchange {
            request,
            sender,
            gone,
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

    /// Whether the client has proven the shared secret, or needs none.
    pub fn is_authorized(&self, core: &Core) -> bool {
        self.sender.trust == Trust::Owner
            || auth::check(&core.listen.auth, self.bearer(), self.bearer()).is_ok()
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

    /// 401, as every endpoint behind the shared secret says it.
    pub fn unauthorized(self) {
        self.json(
            401,
            &serde_json::json!({"error": {"message": "Unauthorized", "type": "unauthorized"}}),
        );
    }

    /// Starts an answer whose length is not known; it ends with the connection. Dropping the
    /// writer ends it.
    pub fn stream(
        self,
        status: u16,
        headers: &[(&str, &str)],
    ) -> io::Result<Box<dyn Write + Send>> {
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
