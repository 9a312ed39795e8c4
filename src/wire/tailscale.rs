//! The lines between core and Tailscale helper, over its socket: one question, one answer, the end.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Longest line either side accepts, bytes.
pub const MAX_LINE: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Ask {
    /// Whose address in the tailnet this is.
    Whois { ip: IpAddr },
    /// How publishing went; the answer waits until that is known.
    Published,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase")]
pub enum Answer {
    /// The login name, when the address has one.
    Whois { login: Option<String> },
    /// The host's name in the tailnet, when it is known.
    Published { host: Option<String> },
    /// What `tailscale` said.
    Failed { why: String },
}
