//! A request as a server of ours hears it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

pub struct Seen {
    pub path: String,
    /// Names in small letters, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// The next request of a connection; `None` when none comes whole.
pub fn hear(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let path = line.split(' ').nth(1)?.to_string();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.push((name.to_lowercase(), value.to_string()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length?.1.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        path,
        headers,
        body: String::from_utf8(body).expect("requests are UTF-8"),
    })
}
