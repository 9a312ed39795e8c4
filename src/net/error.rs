//! Why a request over the network came to nothing.

use std::io;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    BadUrl(String),
    /// A header's name or value cannot be sent.
    BadHeader,
    /// The policy forbids this address.
    Denied(String, IpAddr),
    Unresolved(String, String),
    /// Host and port, and what the system said.
    Unreachable(String, String),
    Tls(String),
    /// What was being waited for.
    Timeout(String),
    TooLarge(u64),
    /// The connection ended or the peer broke HTTP.
    Broken(String),
    Cancelled,
}

impl From<io::Error> for Error {
    /// Of an error from reading a [`Response`].
    fn from(err: io::Error) -> Error {
        match err.downcast::<Error>() {
            Ok(error) => error,
            Err(err) => Error::Broken(err.to_string()),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::BadUrl(url) => write!(f, "not a usable URL: {url}"),
            Error::BadHeader => f.write_str("a request header cannot be sent as it is"),
            Error::Denied(host, ip) => write!(f, "{host} is at {ip}, which is not public"),
            Error::Unresolved(host, why) => write!(f, "{host}: name not found ({why})"),
            Error::Unreachable(place, why) => write!(f, "{place}: {why}"),
            Error::Tls(why) => write!(f, "TLS: {why}"),
            Error::Timeout(what) => write!(f, "timed out waiting for {what}"),
            Error::TooLarge(limit) => write!(f, "the answer is larger than {limit} bytes"),
            Error::Broken(why) => write!(f, "connection lost: {why}"),
            Error::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {}
