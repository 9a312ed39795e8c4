//! One call of a model over HTTP: sends the body, asks again when the service was only briefly
//! unwell, feeds the events of the stream to the format, and turns every way to fail into `Error`.

use super::circuit::SHORT_WISH;
use super::draft::Draft;
use super::frames::Frames;
use super::sse::Events;
use super::{Class, Delta, Error, Target, fault, options};
use crate::base::cancel::Cancel;
use crate::base::surrogate::Halves;
use crate::net::fetch::{self, Policy, Response};
use crate::wire::message::{Assistant, StopReason};
use serde_json::Value;
use std::time::Duration;

/// Attempts after the first, as the vendors' own clients make them.
const RETRIES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Longest answer, thoughts and calls included. 128,000 tokens are some 600 KB.
const MAX_ANSWER: u64 = 2 * 1024 * 1024;
/// Bytes of the stream after which the answer's size is looked at again.
const LOOK_EVERY: usize = 256 * 1024;

/// Longest error body that is read.
const MAX_ERROR_BODY: u64 = 64 * 1024;

/// Whether the stream is over.
pub(super) enum Flow {
    More,
    Done,
}

/// How the vendor's own client behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// OpenAI's and Anthropic's: asks again, and says in headers how often.
    Asking,
    /// Leaves that to the caller.
    Plain,
}

/// What separates the events of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Server-sent events.
    Events,
    /// A JSON text on each line.
    Lines,
    /// AWS's binary frames.
    Frames,
}

/// What a format gives to be sent.
pub(super) struct Call<'a> {
    pub target: &'a Target,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub manners: Manners,
    pub framing: Framing,
    /// How the vendor's client words an error body.
    pub error_text: fn(status: u16, body: &str) -> String,
}

enum Stream {
    Events(Events<Response>),
    Lines(Events<Response>),
    Frames(Frames<Response>),
}

impl Stream {
    /// `patience`: how long one line or frame may take to arrive.
    fn new(framing: Framing, response: Response, patience: Duration) -> Stream {
        match framing {
            Framing::Events => Stream::Events(Events::new(response, patience)),
            Framing::Lines => Stream::Lines(Events::new(response, patience)),
            Framing::Frames => Stream::Frames(Frames::new(response, patience)),
        }
    }

    fn next(&mut self) -> std::io::Result<Option<&str>> {
        match self {
            Stream::Events(events) => events.next(),
            Stream::Lines(events) => events.next_line(),
            Stream::Frames(frames) => frames.next(),
        }
    }

    /// Nothing comes after what was last given out. A frame is always whole.
    fn is_over(&self) -> bool {
        match self {
            Stream::Events(events) | Stream::Lines(events) => events.is_over(),
            Stream::Frames(_) => false,
        }
    }

    fn into_inner(self) -> Response {
        match self {
            Stream::Events(events) | Stream::Lines(events) => events.into_inner(),
            Stream::Frames(frames) => frames.into_inner(),
        }
    }
}

pub(super) type OnEvent<'a> = &'a mut dyn FnMut(&str, &mut Draft) -> Result<Flow, String>;

impl Call<'_> {
    pub fn run(
        self,
        cancel: &Cancel,
        on: &mut dyn FnMut(Delta),
        event: OnEvent,
    ) -> Result<Assistant, Error> {
        let mut draft = Draft::new(self.target, on);
        let response = match self.open(cancel) {
            Ok(response) => response,
            Err(error) => return Err(self.failed(draft, error)),
        };
        let limits = options::limits(self.target);
        let mut stream = Stream::new(self.framing, response, limits.idle);
        // Services written in JavaScript cut between the two halves of an emoji.
        let mut halves = Halves::default();
        let mut unseen = 0;
        let read = loop {
            match stream.next() {
                Ok(Some(data)) => {
                    unseen += data.len();
                    match event(&halves.join(data), &mut draft) {
                        Ok(Flow::More) => {}
                        Ok(Flow::Done) => break Ok(()),
                        // Half an event at the end.
                        Err(_) if stream.is_over() => break Err(broken_off()),
                        Err(message) => break Err(error(message, None)),
                    }
                    if unseen >= LOOK_EVERY {
                        unseen = 0;
                        if draft.size() > MAX_ANSWER {
                            break Err(lost(fetch::Error::TooLarge(MAX_ANSWER), ""));
                        }
                    }
                }
                // Without its end mark a stream that said why it stops counts as complete.
                Ok(None) if draft.stop.is_some() => break Ok(()),
                Ok(None) => break Err(broken_off()),
                Err(err) => break Err(lost(fetch::Error::from(err), "terminated")),
            }
        };
        if let Err(error) = read {
            return Err(self.failed(draft, error));
        }
        stream.into_inner().finish();
        if draft.stop == Some(StopReason::Error) {
            let refused =
                "The service ended its answer without completing it (content filter or refusal).";
            return Err(self.failed(draft, error(refused.to_string(), None)));
        }
        Ok(draft.finish())
    }

    fn failed(&self, draft: Draft, mut error: Error) -> Error {
        error.message = self.without_secrets(error.message);
        let stop = match error.class {
            Class::Aborted => StopReason::Aborted,
            _ => StopReason::Error,
        };
        error.partial = Some(Box::new(draft.fail(stop, &error.message)));
        error
    }

    /// Some services repeat the key they refuse.
    fn without_secrets(&self, message: String) -> String {
        match &self.target.key {
            Some(key) if key.expose().len() >= 8 => message.replace(key.expose(), "***"),
            _ => message,
        }
    }

    /// Sends the request until there is an answer that streams.
    fn open(&self, cancel: &Cancel) -> Result<Response, Error> {
        let mut attempt = 0;
        loop {
            let (error, again) = match self.once(attempt, cancel) {
                Ok(response) if response.status < 300 => return Ok(response),
                Ok(response) => self.refused(response),
                Err(err) => {
                    let again = matches!(
                        err,
                        fetch::Error::Unreachable(..)
                            | fetch::Error::Unresolved(..)
                            | fetch::Error::Broken(_)
                            | fetch::Error::Timeout(_)
                    );
                    (lost(err, "Connection error."), again)
                }
            };
            let retries = match self.manners {
                Manners::Asking => RETRIES,
                Manners::Plain => 0,
            };
            if !again || attempt == retries || cancel.is_cancelled() {
                return Err(error);
            }
            let pause = match error.retry_after_ms.map(Duration::from_millis) {
                Some(wish) if wish <= SHORT_WISH => wish,
                // The service is left alone that long, and the agent knows other models.
                Some(_) => return Err(error),
                None => pause(attempt),
            };
            if !sleep(pause, cancel) {
                return Err(lost(fetch::Error::Cancelled, ""));
            }
            attempt += 1;
        }
    }

    fn once(&self, attempt: u32, cancel: &Cancel) -> Result<Response, fetch::Error> {
        let count = attempt.to_string();
        let mut headers: Vec<(&str, &str)> = vec![("content-type", "application/json")];
        match self.manners {
            Manners::Asking => headers.extend([
                ("accept", "application/json"),
                ("x-stainless-retry-count", &count),
                ("x-stainless-timeout", "600"),
            ]),
            Manners::Plain => headers.push(("accept", "*/*")),
        }
        for (name, value) in self.headers.iter().chain(&self.target.headers) {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name, value));
        }
        let request = fetch::Request {
            method: "POST",
            url: &self.url,
            headers: &headers,
            body: Some(&self.body),
            policy: Policy::Any,
            limits: options::limits(self.target),
        };
        fetch::send(&request, cancel)
    }

    /// The error in an answer that is none, and whether asking again may help.
    fn refused(&self, response: Response) -> (Error, bool) {
        use std::io::Read;
        let status = response.status;
        let retry_after_ms = response.retry_after().map(|wait| wait.as_millis() as u64);
        let told = match response.header("x-should-retry") {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        };
        let mut body = Vec::new();
        let _ = response.take(MAX_ERROR_BODY).read_to_end(&mut body);
        let message = (self.error_text)(status, String::from_utf8_lossy(&body).trim());
        let mut error = error(message, Some(status));
        error.retry_after_ms = retry_after_ms;
        let again = matches!(status, 408 | 409 | 429 | 500..);
        (error, told.unwrap_or(again))
    }
}

fn error(message: String, status: Option<u16>) -> Error {
    Error {
        class: fault::classify(&message, status),
        status,
        message,
        retry_after_ms: None,
        partial: None,
    }
}

fn broken_off() -> Error {
    let broken = fetch::Error::Broken("the answer ended in the middle".into());
    lost(broken, "terminated")
}

/// The error for a connection that failed; `wording` is what the original's client would say.
fn lost(err: fetch::Error, wording: &str) -> Error {
    let (class, message) = match &err {
        fetch::Error::Cancelled => (Class::Aborted, "Request was aborted.".to_string()),
        fetch::Error::Timeout(_) => (Class::Timeout, format!("Request timed out. {err}")),
        fetch::Error::BadUrl(_) | fetch::Error::BadHeader | fetch::Error::TooLarge(_) => {
            (Class::Format, err.to_string())
        }
        fetch::Error::Tls(_) => (Class::Untrusted, format!("{wording} {err}")),
        _ => (Class::Network, format!("{wording} {err}")),
    };
    Error {
        class,
        status: None,
        message,
        retry_after_ms: None,
        partial: None,
    }
}

/// Doubling, with up to a quarter less at random so that many clients do not return in step.
fn pause(attempt: u32) -> Duration {
    let full = (FIRST_PAUSE * 2u32.pow(attempt)).min(LONGEST_PAUSE);
    let [random] = crate::base::id::random::<1>();
    full - full / 4 * u32::from(random) / 256
}

/// Waits; false when cancelled meanwhile.
fn sleep(pause: Duration, cancel: &Cancel) -> bool {
    let (sender, woken) = crossbeam_channel::bounded::<()>(1);
    let _stop = cancel.on_cancel(move || {
        let _ = sender.try_send(());
    });
    woken.recv_timeout(pause).is_err() && !cancel.is_cancelled()
}

/// `base` and `path` with exactly one slash between them.
pub(super) fn join(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// How OpenAI's client words an error body.
pub(super) fn openai_error(status: u16, body: &str) -> String {
    let parsed = serde_json::from_str::<Value>(body).unwrap_or_default();
    let error = parsed.get("error");
    let said = match error {
        Some(Value::String(text)) => Some(text.clone()),
        Some(error) => match error.get("message") {
            Some(Value::String(text)) => Some(text.clone()),
            Some(other) => Some(other.to_string()),
            None => Some(error.to_string()),
        },
        None if parsed.is_object() => {
            let message = parsed.get("message").and_then(Value::as_str);
            Some(message.map_or_else(|| parsed.to_string(), str::to_string))
        }
        None => None,
    };
    let raw = error
        .and_then(|e| e.pointer("/metadata/raw"))
        .and_then(Value::as_str)
        .map_or(String::new(), |raw| format!("\n{raw}"));
    match said {
        Some(said) => format!("{status} {said}{raw}"),
        None if body.is_empty() => format!("{status} status code (no body)"),
        None => format!("{status} {body}"),
    }
}

/// How Anthropic's client words an error body.
pub(super) fn anthropic_error(status: u16, body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(parsed) => format!("{status} {parsed}"),
        Err(_) if body.is_empty() => format!("{status} status code (no body)"),
        Err(_) => format!("{status} {body}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_read_as_the_vendors_clients_word_them() {
        let body = r#"{"error": {"message": "Incorrect API key provided", "code": 1}}"#;
        assert_eq!(openai_error(401, body), "401 Incorrect API key provided");
        assert_eq!(openai_error(500, ""), "500 status code (no body)");
        assert_eq!(openai_error(502, "<html>"), "502 <html>");
        let raw = r#"{"error":{"message":"Provider returned error","metadata":{"raw":"deep"}}}"#;
        assert_eq!(openai_error(400, raw), "400 Provider returned error\ndeep");
        assert_eq!(
            anthropic_error(401, r#"{"type": "error", "error": {}}"#),
            r#"401 {"type":"error","error":{}}"#
        );
    }
}
