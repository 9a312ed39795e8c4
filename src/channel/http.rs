//! Questions to a service's HTTP interface: JSON there and back, forms, files both ways.
//!
//! Over the house's one door for HTTP (`net/fetch`): its TLS, its limits, its stop. What
//! authorises us is a header of its own kind and goes to the service's origin only, or to a host a
//! kind vouches for; it is taken out of every error, which services like to repeat it in. A refusal
//! keeps its status, its body and the time to wait; whether to try again is for the worker. Nothing
//! here waits on its own account.

use super::kind::Failed;
use super::multipart::Parts;
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::secret::Secret;
use crate::net::fetch::{self, Limits, Policy, Request, Response};
use crate::net::url;
use serde_json::Value;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For an answer, where nothing else is said; Discord's own clients wait as long.
const PATIENCE: Duration = Duration::from_secs(15);
/// For a file, all of it.
const TRANSFER: Duration = Duration::from_secs(300);
/// Silence in the middle of one.
const SILENCE: Duration = Duration::from_secs(30);
/// Largest answer that is no file: a first sync of Matrix is some MB.
const ROOM: u64 = 8 * 1024 * 1024;
/// Of a body that says why not.
const MAX_REFUSAL: u64 = 64 * 1024;
/// Of the sentence that tells it, characters.
const MAX_REASON: usize = 300;
/// Hops to a file, the first not counted.
const REDIRECTS: u32 = 3;
/// Shorter than this a secret is a word that may stand anywhere.
const MIN_SECRET: usize = 6;

/// One service, as one account uses it.
pub struct Api {
    /// Without a slash at its end.
    base: String,
    headers: Vec<(&'static str, Secret)>,
    /// Never shown, whoever says them.
    secrets: Vec<Secret>,
    stop: Cancel,
}

/// A question.
pub struct Ask<'a> {
    method: &'a str,
    /// Below the base, or a whole URL of its origin.
    path: &'a str,
    body: Body<'a>,
    patience: Duration,
    room: u64,
}

pub enum Body<'a> {
    Nothing,
    Json(&'a Value),
    Form(&'a [(&'a str, &'a str)]),
    Parts(Parts),
    /// A file as it is, and its type.
    File(&'a Path, &'a str),
}

/// A file that was fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    pub path: PathBuf,
    /// As the service names its type.
    pub mime: Option<String>,
    pub size: u64,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Fault {
    /// The service says no.
    Refused {
        status: u16,
        /// JSON, or the text as it is.
        body: Value,
        retry_after: Option<Duration>,
        reason: String,
    },
    /// It says nothing.
    Lost(fetch::Error),
    /// It says what is no answer.
    Odd(String),
    /// A file beyond so many bytes.
    TooLarge(u64),
    Disk(io::Error),
}

impl<'a> Ask<'a> {
    pub fn get(path: &'a str) -> Ask<'a> {
        Ask::new("GET", path, Body::Nothing)
    }

    pub fn post(path: &'a str, body: &'a Value) -> Ask<'a> {
        Ask::new("POST", path, Body::Json(body))
    }

    pub fn new(method: &'a str, path: &'a str, body: Body<'a>) -> Ask<'a> {
        let patience = match body {
            Body::Parts(_) | Body::File(..) => TRANSFER,
            _ => PATIENCE,
        };
        Ask {
            method,
            path,
            body,
            patience,
            room: ROOM,
        }
    }

    /// For a question the service takes its time for.
    pub fn within(mut self, patience: Duration) -> Ask<'a> {
        self.patience = patience;
        self
    }
}

impl Api {
    /// `headers` authorise, and go with every question.
    pub fn new(base: &str, headers: Vec<(&'static str, Secret)>, stop: Cancel) -> Api {
        let secrets = headers.iter().map(|(_, value)| value.clone()).collect();
        Api {
            base: base.trim_end_matches('/').to_string(),
            headers,
            secrets,
            stop,
        }
    }

    /// The usual kind.
    pub fn bearer(base: &str, token: &Secret, stop: Cancel) -> Api {
        let header = Secret::new(format!("Bearer {}", token.expose()));
        Api::new(base, vec![("authorization", header)], stop).hiding(token.clone())
    }

    /// One more secret that no error shows, such as one in the base.
    pub fn hiding(mut self, secret: Secret) -> Api {
        self.secrets.push(secret);
        self
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    /// The JSON of an answer; an empty one is null.
    pub fn call(&self, ask: Ask) -> Result<Value, Fault> {
        self.read(self.open(ask)?)
    }

    /// The same, of an answer whose head was looked at.
    pub fn read(&self, mut response: Response) -> Result<Value, Fault> {
        let mut bytes = Vec::new();
        let read = response.read_to_end(&mut bytes);
        read.map_err(|err| self.lost(fetch::Error::from(err)))?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|err| Fault::Odd(format!("no JSON: {err}")))
    }

    /// The answer with its head, for who reads on: a stream of events.
    pub fn open(&self, ask: Ask) -> Result<Response, Fault> {
        let url = match ask.path.contains("://") {
            true => ask.path.to_string(),
            false => format!("{}{}", self.base, ask.path),
        };
        let mut limits = Limits::within(ask.patience, ask.room);
        limits.redirects = 0;
        let mut bytes = Vec::new();
        let mut stream: Option<(u64, Box<dyn Read>)> = None;
        let mime = match ask.body {
            Body::Nothing => String::new(),
            Body::Json(value) => {
                bytes = value.to_string().into_bytes();
                "application/json; charset=utf-8".into()
            }
            Body::Form(pairs) => {
                bytes = url::query(pairs).into_bytes();
                "application/x-www-form-urlencoded".into()
            }
            Body::Parts(mut parts) => {
                let length = parts.finish();
                let mime = parts.content_type();
                stream = Some((length, Box::new(parts)));
                mime
            }
            Body::File(path, mime) => {
                let file = File::open(path).map_err(Fault::Disk)?;
                let length = file.metadata().map_err(Fault::Disk)?.len();
                stream = Some((length, Box::new(file.take(length))));
                mime.to_string()
            }
        };
        let own = url::origin(&url) == url::origin(&self.base);
        let mut headers = self.headers(own);
        if !mime.is_empty() {
            headers.push(("content-type", &mime));
        }
        // What may have a content says that it has none: some refuse it otherwise.
        let content = stream.is_none() && matches!(ask.method, "POST" | "PUT" | "PATCH");
        let request = Request {
            method: ask.method,
            url: &url,
            headers: &headers,
            body: content.then_some(bytes.as_slice()),
            policy: Policy::Any,
            limits,
        };
        let answer = match stream {
            Some((length, mut from)) => fetch::send_from(&request, length, &mut *from, &self.stop),
            None => fetch::send(&request, &self.stop),
        };
        let response = answer.map_err(|err| self.lost(err))?;
        match response.status {
            200..=299 => Ok(response),
            _ => Err(self.refused(response)),
        }
    }

    /// Fetches a file into `folder`, under a name of ours. `trusted`: what authorises us is sent
    /// along, to this host beside the service's own and to no other; else only the public internet
    /// is asked, as the address came from whoever wrote the message.
    pub fn download(
        &self,
        address: &str,
        trusted: bool,
        folder: &Path,
        limit: u64,
    ) -> Result<Fetched, Fault> {
        let first = match address.starts_with('/') {
            true => format!("{}{address}", self.base),
            false => address.to_string(),
        };
        let mut at = first.clone();
        let mut hops = 0;
        let response = loop {
            let here = url::origin(&at);
            let home = here == url::origin(&self.base) || trusted && here == url::origin(&first);
            let request = Request {
                method: "GET",
                url: &at,
                headers: &self.headers(home),
                body: None,
                policy: if home { Policy::Any } else { Policy::Public },
                limits: Limits {
                    head: SILENCE,
                    idle: SILENCE,
                    total: TRANSFER,
                    // One more shows that there is more.
                    body: limit.saturating_add(1),
                    redirects: 0,
                },
            };
            let response = fetch::send(&request, &self.stop).map_err(|err| self.lost(err))?;
            match (response.status, response.header("location")) {
                (200..=299, _) => break response,
                (301..=303 | 307 | 308, Some(to)) if hops < REDIRECTS => {
                    at = url::join(&at, to);
                    hops += 1;
                }
                _ => return Err(self.refused(response)),
            }
        };
        let length = response.header("content-length");
        if length
            .and_then(|n| n.parse::<u64>().ok())
            .is_some_and(|n| n > limit)
        {
            return Err(Fault::TooLarge(limit));
        }
        let mime = response.header("content-type").map(|mime| {
            let mime = mime.split(';').next().unwrap_or(mime);
            mime.trim().to_ascii_lowercase()
        });
        let path = folder.join(format!("in-{}", id::token()));
        match self.save(response, &path, limit) {
            Ok(size) => Ok(Fetched { path, mime, size }),
            Err(fault) => {
                // Half a file is of no use to anybody.
                let _ = std::fs::remove_file(&path);
                Err(fault)
            }
        }
    }

    fn save(&self, mut response: Response, path: &Path, limit: u64) -> Result<u64, Fault> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(Fault::Disk)?;
        let mut size = 0;
        let mut piece = [0; 8 * 1024];
        loop {
            let read = match response.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(err) => {
                    return Err(match fetch::Error::from(err) {
                        fetch::Error::TooLarge(_) => Fault::TooLarge(limit),
                        err => self.lost(err),
                    });
                }
            };
            size += read as u64;
            if size > limit {
                return Err(Fault::TooLarge(limit));
            }
            file.write_all(&piece[..read]).map_err(Fault::Disk)?;
        }
        Ok(size)
    }

    fn headers(&self, own: bool) -> Vec<(&str, &str)> {
        let ours = self.headers.iter().filter(|_| own);
        ours.map(|(name, value)| (*name, value.expose())).collect()
    }

    fn refused(&self, response: Response) -> Fault {
        let status = response.status;
        let header = response.retry_after().or_else(|| reset(&response));
        let mut bytes = Vec::new();
        // What there is of it says enough.
        let _ = response.take(MAX_REFUSAL).read_to_end(&mut bytes);
        let text = self.hide(&String::from_utf8_lossy(&bytes));
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Fault::Refused {
            status,
            retry_after: wish(&body).or(header),
            reason: reason(&body),
            body,
        }
    }

    fn lost(&self, err: fetch::Error) -> Fault {
        Fault::Lost(match err {
            fetch::Error::BadUrl(url) => fetch::Error::BadUrl(self.hide(&url)),
            fetch::Error::Broken(why) => fetch::Error::Broken(self.hide(&why)),
            err => err,
        })
    }

    /// Without what authorises us.
    pub fn hide(&self, text: &str) -> String {
        let mut text = text.to_string();
        for secret in self.secrets.iter().map(Secret::expose) {
            if secret.len() >= MIN_SECRET && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }
}

/// The time to wait as services write it into the body: Discord's seconds, Matrix's milliseconds,
/// Telegram's parameters.
fn wish(body: &Value) -> Option<Duration> {
    if let Some(ms) = body["retry_after_ms"].as_u64() {
        return Some(Duration::from_millis(ms));
    }
    let seconds = [&body["retry_after"], &body["parameters"]["retry_after"]];
    let seconds = seconds.into_iter().find_map(Value::as_f64)?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// When the service counts anew, where it says only that: Discord's and Mattermost's seconds.
fn reset(response: &Response) -> Option<Duration> {
    // Some give the second of the epoch instead.
    const MOST: f64 = 3600.0;
    let named = ["x-ratelimit-reset-after", "x-ratelimit-reset"];
    let mut given = named.iter().filter_map(|name| response.header(name));
    let seconds = given.find_map(|value| value.trim().parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.0..=MOST).contains(seconds))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The sentence in a refusal, if there is one.
fn reason(body: &Value) -> String {
    let named = ["message", "error", "description", "detail"];
    let named = named.iter().find_map(|name| match &body[*name] {
        // Some nest it once more.
        Value::Object(inner) => inner.get("message")?.as_str(),
        other => other.as_str(),
    });
    let text = match (named, body) {
        (Some(text), _) => text,
        // A page for people, from a proxy in between, says nothing to one.
        (None, Value::String(text)) if !text.trim_start().starts_with('<') => text,
        _ => "",
    };
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_REASON)
        .collect()
}

impl Fault {
    pub fn status(&self) -> Option<u16> {
        match self {
            Fault::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// What a refusal says; null for the rest.
    pub fn body(&self) -> &Value {
        match self {
            Fault::Refused { body, .. } => body,
            _ => &Value::Null,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Fault::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Nothing that waiting mends.
    pub fn is_permanent(&self) -> bool {
        match self {
            Fault::Refused { status, .. } => {
                matches!(status, 300..=499) && !matches!(status, 408 | 425 | 429)
            }
            Fault::TooLarge(_) => true,
            Fault::Lost(err) => matches!(
                err,
                fetch::Error::BadUrl(_)
                    | fetch::Error::BadHeader
                    | fetch::Error::Denied(..)
                    | fetch::Error::TooLarge(_)
            ),
            Fault::Odd(_) | Fault::Disk(_) => false,
        }
    }

    pub fn is_stop(&self) -> bool {
        matches!(self, Fault::Lost(fetch::Error::Cancelled))
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Failed {
        Failed {
            error: fault.to_string(),
            permanent: fault.is_permanent(),
            retry_after: fault.retry_after(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Refused { status, reason, .. } if reason.is_empty() => {
                write!(f, "HTTP {status}")
            }
            Fault::Refused { status, reason, .. } => write!(f, "HTTP {status}: {reason}"),
            Fault::Lost(err) => err.fmt(f),
            Fault::Odd(why) => write!(f, "the service answers oddly: {why}"),
            Fault::TooLarge(limit) => {
                write!(f, "Media exceeds {}MB limit", limit / (1024 * 1024))
            }
            Fault::Disk(err) => write!(f, "the file: {err}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// Answers one request after the other with what is given, each on a connection of its own;
    /// returns what was asked.
    fn service(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/api/", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let answer = |answer: String| {
                let (mut tcp, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(tcp.try_clone().unwrap());
                let mut asked = String::new();
                let mut length = 0;
                while !asked.ends_with("\r\n\r\n") {
                    let at = asked.len();
                    reader.read_line(&mut asked).unwrap();
                    let line = asked[at..].to_ascii_lowercase();
                    if let Some(n) = line.strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                asked.push_str(&String::from_utf8_lossy(&body));
                tcp.write_all(answer.as_bytes()).unwrap();
                asked
            };
            answers.into_iter().map(answer).collect()
        });
        (base, serving)
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        )
    }

    fn api(base: &str) -> Api {
        Api::bearer(base, &Secret::new("xoxb-secret"), Cancel::new())
    }

    #[test]
    fn questions_carry_the_token_and_their_content() {
        let (base, serving) = service(vec![
            answer("200 OK", "", r#"{"a":1}"#),
            answer("204 No Content", "", ""),
            answer("200 OK", "", "true"),
        ]);
        let api = api(&base);
        assert_eq!(api.call(Ask::get("/x?y=1")).unwrap(), json!({"a": 1}));
        let nothing = api.call(Ask::new("POST", "/p", Body::Nothing)).unwrap();
        assert_eq!(nothing, Value::Null);
        let form = Body::Form(&[("text", "a b"), ("n", "1")]);
        assert_eq!(api.call(Ask::new("POST", "/f", form)).unwrap(), json!(true));
        let asked = serving.join().unwrap();
        assert!(asked[0].starts_with("GET /api/x?y=1 HTTP/1.1\r\n"));
        assert!(asked[0].contains("authorization: Bearer xoxb-secret\r\n"));
        assert!(asked[1].contains("content-length: 0\r\n"), "{}", asked[1]);
        assert!(asked[2].ends_with("\r\n\r\ntext=a%20b&n=1"));
    }

    #[test]
    fn a_refusal_keeps_what_it_says_but_for_the_token() {
        let (base, serving) = service(vec![
            answer(
                "429 No",
                "Retry-After: 7\r\n",
                r#"{"message":"slow  down\nxoxb-secret"}"#,
            ),
            answer("429 No", "", r#"{"retry_after":0.5,"global":true}"#),
            answer("403 No", "X-RateLimit-Reset: 3\r\n", "<html>go away</html>"),
            answer("400 No", "", r#"{"errcode":"M_X","error":"bad"}"#),
            answer("200 OK", "", "not json"),
        ]);
        let api = api(&base);
        let ask = || api.call(Ask::get("/")).unwrap_err();
        let fault = ask();
        assert_eq!(fault.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(fault.to_string(), "HTTP 429: slow down ***");
        assert!(!fault.is_permanent() && !format!("{fault:?}").contains("xoxb-secret"));
        assert_eq!(ask().retry_after(), Some(Duration::from_millis(500)));
        let fault = ask();
        assert_eq!(
            (fault.to_string().as_str(), fault.is_permanent()),
            ("HTTP 403", true)
        );
        let fault = ask();
        assert_eq!(fault.body()["errcode"], "M_X");
        assert_eq!(fault.to_string(), "HTTP 400: bad");
        assert!(matches!(ask(), Fault::Odd(_)));
        serving.join().unwrap();
        let gone = ask();
        assert!(!gone.is_permanent() && !gone.is_stop());
    }

    #[test]
    fn files_go_up_in_pieces_and_come_down_within_their_limit() {
        let dir = id::temp_dir("http");
        let path = dir.join("f");
        std::fs::write(&path, "0123456789").unwrap();
        let (base, serving) = service(vec![
            answer("200 OK", "", "{}"),
            answer("200 OK", "", "{}"),
            answer("302 Found", "Location: /elsewhere\r\n", ""),
            answer(
                "200 OK",
                "Content-Type: Text/Plain; charset=x\r\n",
                "0123456789",
            ),
            answer("200 OK", "", "0123456789"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789".into(),
        ]);
        let api = api(&base);
        let parts = Parts::begin()
            .file("file", "f", "text/plain", &path)
            .unwrap();
        api.call(Ask::new("POST", "/form", Body::Parts(parts)))
            .unwrap();
        let raw = Body::File(&path, "text/plain");
        api.call(Ask::new("POST", "/raw", raw)).unwrap();
        let fetched = api.download("/file", true, &dir, 10).unwrap();
        assert_eq!(
            (fetched.size, fetched.mime.as_deref()),
            (10, Some("text/plain"))
        );
        assert_eq!(std::fs::read(&fetched.path).unwrap(), b"0123456789");
        for _ in 0..2 {
            let fault = api.download("/file", true, &dir, 9).unwrap_err();
            assert!(matches!(fault, Fault::TooLarge(9)), "{fault}");
        }
        let asked = serving.join().unwrap();
        assert!(asked[0].contains("0123456789\r\n--openclaw-"));
        assert!(asked[1].ends_with("\r\n\r\n0123456789"));
        assert!(asked[3].starts_with("GET /elsewhere ") && asked[3].contains("xoxb-secret"));
        let left = std::fs::read_dir(&dir).unwrap().count();
        assert_eq!(left, 2, "half a file is not left behind");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_address_from_a_message_reaches_no_private_network_and_gets_no_token() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/x", listener.local_addr().unwrap());
        let dir = id::temp_dir("http");
        let api = api("https://service.example");
        let fault = api.download(&address, false, &dir, 10).unwrap_err();
        assert!(
            matches!(fault, Fault::Lost(fetch::Error::Denied(..))),
            "{fault}"
        );
        // Nor does a redirect from the service itself lead there.
        let (base, serving) = service(vec![answer(
            "302 Found",
            &format!("Location: {address}\r\n"),
            "",
        )]);
        let fault = super::tests::api(&base)
            .download("/x", true, &dir, 10)
            .unwrap_err();
        assert!(
            matches!(fault, Fault::Lost(fetch::Error::Denied(..))),
            "{fault}"
        );
        serving.join().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "nobody came");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
