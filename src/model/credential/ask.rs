//! Questions to a service that issues tokens: small, bounded, and silent about what was sent.

use crate::base::cancel::Cancel;
use crate::net::fetch::{self, Limits, Policy, Request};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::time::Duration;

/// Less than the 30 seconds after which others take the lock of the keys for abandoned.
const PATIENCE: Duration = Duration::from_secs(15);
/// Tokens are a few KB.
const MAX_ANSWER: u64 = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// `a=b&c=d`
    Words,
}

/// The status and what was said; `null` when that is no JSON.
pub(super) fn post(
    url: &str,
    form: Form,
    fields: &[(&str, &str)],
    cancel: &Cancel,
) -> Result<(u16, Value), String> {
    let (kind, body) = match form {
        Form::Json => {
            let map: Map<String, Value> = fields
                .iter()
                .map(|(key, value)| (key.to_string(), Value::from(*value)))
                .collect();
            ("application/json", Value::Object(map).to_string())
        }
        Form::Words => ("application/x-www-form-urlencoded", words(fields)),
    };
    let headers = [("content-type", kind), ("accept", "application/json")];
    send("POST", url, &headers, Some(body.as_bytes()), cancel)
}

pub(super) fn get(
    url: &str,
    headers: &[(&str, &str)],
    cancel: &Cancel,
) -> Result<(u16, Value), String> {
    send("GET", url, headers, None, cancel)
}

fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&[u8]>,
    cancel: &Cancel,
) -> Result<(u16, Value), String> {
    let request = Request {
        method,
        url,
        headers,
        body,
        policy: Policy::Any,
        limits: Limits::within(PATIENCE, MAX_ANSWER),
    };
    let response = fetch::send(&request, cancel).map_err(|err| err.to_string())?;
    let status = response.status;
    let text = response.text().map_err(|err| err.to_string())?;
    Ok((status, serde_json::from_str(&text).unwrap_or_default()))
}

fn words(fields: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (key, value) in fields {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(key);
        out.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    out.push(char::from(byte));
                }
                _ => write!(out, "%{byte:02X}").expect("a String takes everything"),
            }
        }
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::JoinHandle;

    /// Gives these answers, one connection each; the requests as they came.
    pub fn serve(answers: &[(u16, &'static str)]) -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.to_vec();
        let asked = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut part = [0; 4096];
                while !whole(&request) {
                    let n = stream.read(&mut part).unwrap();
                    request.extend_from_slice(&part[..n]);
                }
                asked.push(String::from_utf8(request).unwrap());
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (url, asked)
    }

    fn whole(request: &[u8]) -> bool {
        let text = String::from_utf8_lossy(request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return false;
        };
        let length = head
            .lines()
            .find_map(|l| l.strip_prefix("content-length: "));
        body.len() >= length.map_or(0, |n| n.trim().parse().unwrap())
    }
}
