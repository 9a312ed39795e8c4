//! What can go wrong between us and a gateway, in the original's words where scripts match them.

use super::identity;
use crate::base::exit::{Exit, Report};
use crate::config::client::Target;
use std::fmt;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub enum Error {
    /// Nobody listens, or the connection broke without a close frame.
    Unreachable {
        target: Box<Target>,
        cause: io::Error,
    },
    /// Somebody listens, but not a gateway.
    NotGateway {
        target: Box<Target>,
        cause: String,
    },
    /// The gateway refused the handshake.
    Refused {
        target: Box<Target>,
        code: String,
        message: String,
        request: Option<String>,
    },
    /// The gateway hung up.
    Closed {
        target: Box<Target>,
        code: u16,
        reason: String,
    },
    TimedOut {
        target: Box<Target>,
        after: Duration,
    },
    /// The method failed. `payload` is what came with the error, if anything.
    Rpc {
        code: String,
        message: String,
        payload: Option<serde_json::Value>,
    },
    Identity(identity::Error),
    Tls {
        target: Box<Target>,
        cause: String,
    },
}

impl Error {
    /// Whether the method itself failed, on a gateway that works.
    pub fn is_rpc(&self) -> bool {
        matches!(self, Error::Rpc { .. })
    }

    /// As the probes say it: one line, no target.
    pub fn probe_text(&self) -> String {
        match self {
            Error::Unreachable { target, cause } => match cause.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => format!(
                    "connect failed: connect ECONNREFUSED {}",
                    target
                        .url
                        .split_once("://")
                        .map_or(target.url.as_str(), |(_, rest)| rest)
                ),
                _ => format!("connect failed: {cause}"),
            },
            Error::Refused { message, .. } => format!("connect failed: {message}"),
            Error::TimedOut { .. } => "timeout".to_string(),
            other => other.brief(),
        }
    }

    /// The first line of Display.
    pub fn brief(&self) -> String {
        match self {
            Error::Unreachable { .. } => {
                "gateway closed (1006 abnormal closure (no close frame)): no close reason".into()
            }
            Error::NotGateway { cause, .. } => format!("not a gateway: {cause}"),
            Error::Refused { message, .. } => format!("gateway closed (1008): {message}"),
            Error::Closed { code, reason, .. } => {
                let name = match code {
                    1006 => " abnormal closure (no close frame)",
                    1012 => " service restart",
                    _ => "",
                };
                let reason = match reason.trim() {
                    "" => "no close reason",
                    reason => reason,
                };
                format!("gateway closed ({code}{name}): {reason}")
            }
            Error::TimedOut { after, .. } => {
                format!("gateway timeout after {}ms", after.as_millis())
            }
            Error::Rpc { message, .. } => message.clone(),
            Error::Identity(err) => err.to_string(),
            Error::Tls { cause, .. } => format!("TLS: {cause}"),
        }
    }

    fn target(&self) -> Option<&Target> {
        match self {
            Error::Unreachable { target, .. }
            | Error::NotGateway { target, .. }
            | Error::Refused { target, .. }
            | Error::Closed { target, .. }
            | Error::TimedOut { target, .. }
            | Error::Tls { target, .. } => Some(target),
            Error::Rpc { .. } | Error::Identity(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brief())?;
        match self.target() {
            Some(target) => write!(f, "\n{target}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        match self {
            Error::Unreachable { .. } | Error::NotGateway { .. } | Error::TimedOut { .. } => {
                Exit::Unavailable
            }
            Error::Refused { .. } | Error::Tls { .. } => Exit::Denied,
            Error::Closed { code: 1008, .. } => Exit::Denied,
            Error::Closed { .. } => Exit::Unavailable,
            Error::Rpc { .. } => Exit::Failed,
            Error::Identity(err) => err.exit(),
        }
    }

    fn hint(&self) -> Option<String> {
        let fix = match self {
            Error::Unreachable { .. } => {
                "start it with `openclaw gateway`, or look with `openclaw gateway status`"
            }
            Error::NotGateway { .. } => {
                "something else listens there: check gateway.port and who has the port"
            }
            Error::Refused {
                message, request, ..
            } => {
                return refusal_hint(message, request.as_deref());
            }
            Error::TimedOut { .. } => "it may be busy: try again, or give a longer --timeout",
            Error::Tls { .. } => {
                "for a self-signed certificate set gateway.remote.tlsFingerprint to its SHA-256"
            }
            Error::Identity(err) => return err.hint(),
            Error::Closed { .. } | Error::Rpc { .. } => return None,
        };
        Some(fix.to_string())
    }
}

fn refusal_hint(message: &str, request: Option<&str>) -> Option<String> {
    if message.contains("pairing required") {
        let which = request.unwrap_or("<requestId>");
        return Some(format!(
            "on the gateway's host: openclaw devices approve {which}"
        ));
    }
    if message.starts_with("unauthorized") {
        return Some(
            "give the gateway's own secret: --token, OPENCLAW_GATEWAY_TOKEN or gateway.auth.token"
                .into(),
        );
    }
    None
}
