//! Four questions on one connection: what `status` and `gateway probe` know of a gateway.

use crate::client::{Caller, Error};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub struct Probe {
    /// Connected and let in.
    pub reached: bool,
    pub latency_ms: Option<u64>,
    /// Why not, as one line.
    pub error: Option<String>,
    pub close: Option<(u16, String)>,
    /// Let in, but a question was not answered.
    pub rpc_error: Option<String>,
    pub health: Option<Value>,
    pub status: Option<Value>,
    pub presence: Option<Value>,
    pub config: Option<Value>,
}

pub fn probe(caller: &Caller, timeout: Duration) -> Probe {
    let started = Instant::now();
    let mut client = match caller.connect(timeout) {
        Ok(client) => client,
        Err(err) => return Probe::failed(&err),
    };
    let empty = json!({});
    let mut probe = Probe {
        reached: true,
        latency_ms: u64::try_from(started.elapsed().as_millis()).ok(),
        ..Probe::default()
    };
    let answers = client.call_all(&[
        ("health", None),
        ("status", None),
        ("system-presence", None),
        ("config.get", Some(&empty)),
    ]);
    let mut answers = match answers {
        Ok(answers) => answers.into_iter(),
        Err(err) => {
            probe.rpc_error = Some(err.probe_text());
            return probe;
        }
    };
    let mut take = || match answers.next()? {
        Ok(value) => Some(value),
        Err(err) => {
            probe.rpc_error.get_or_insert(err.probe_text());
            None
        }
    };
    (probe.health, probe.status, probe.presence, probe.config) = (take(), take(), take(), take());
    probe
}

impl Probe {
    fn failed(err: &Error) -> Probe {
        Probe {
            error: Some(err.probe_text()),
            close: match err {
                Error::Closed { code, reason, .. } => Some((*code, reason.clone())),
                Error::Refused { message, .. } => Some((1008, message.clone())),
                _ => None,
            },
            ..Probe::default()
        }
    }

    /// The gateway's own entry among those present: `{host, ip, version, platform}`.
    pub fn own(&self) -> Option<Value> {
        let entries = self.presence.as_ref()?.as_array()?;
        let own = entries
            .iter()
            .find(|entry| entry["mode"] == "gateway" || entry["reason"] == "self")?;
        Some(json!({
            "host": own["host"], "ip": own["ip"],
            "version": own["version"], "platform": own["platform"],
        }))
    }
}

/// `HOST (IP) app VERSION PLATFORM`, as far as it is known.
pub fn own_text(own: &Value, app: &str) -> String {
    let text = |name: &str| {
        own[name]
            .as_str()
            .filter(|t| !t.is_empty())
            .map(str::to_string)
    };
    let parts = [
        text("host"),
        text("ip").map(|ip| format!("({ip})")),
        text("version").map(|v| format!("{app} {v}")),
        text("platform"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
