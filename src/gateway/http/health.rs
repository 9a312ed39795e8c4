//! The probes `/health`, `/healthz` and `/readyz`. The front answers them itself from text made in
//! advance, so they are quick when everything behind them is busy.

use crate::config::listen::Listen;
use crate::config::{Live, Snapshot};
use crate::gateway::core::Core;
use crate::gateway::models;
use crate::net::head::Head;
use crate::wire::gateway::health::ConfigHealth;
use crate::wire::version;
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

pub struct Probe {
    text: RwLock<Arc<Text>>,
    gateway: String,
    ready: AtomicBool,
}

/// The body of `/health` around the one number that changes by itself.
struct Text {
    before: String,
    after: String,
}

impl Probe {
    pub fn new(config: &Live, listen: &Listen) -> Probe {
        let gateway = json!({
            "port": listen.port,
            "bind": listen.bind.name(),
            "auth": listen.auth.mode.name(),
        })
        .to_string();
        let models = models(&config.current());
        let text = RwLock::new(Arc::new(text(&gateway, &json!({}), &models, &None)));
        Probe {
            text,
            gateway,
            ready: AtomicBool::new(true),
        }
    }

    /// Replaces what `/health` says: `channels` is an object, models are those of `config`, `fault`
    /// is what is wrong with the configuration file. Issues quote no values, but name keys, so
    /// this open page has the number of them only.
    pub fn publish(
        &self,
        channels: &impl Serialize,
        config: &Snapshot,
        fault: &Option<ConfigHealth>,
    ) {
        let fresh = Arc::new(text(&self.gateway, channels, &models(config), fault));
        *self.text.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }

    /// `/readyz` fails from now on: the gateway goes.
    pub fn not_ready(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }

    /// The whole answer, when the request is for a probe.
    pub fn answer(&self, core: &Core, head: &Head, last: bool) -> Option<Vec<u8>> {
        let mut status = "200 OK";
        let body = match head.path() {
            "/health" => {
                let text = self
                    .text
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                // Whole seconds, as most probes show it.
                let uptime = core.uptime_ms() / 1000;
                format!("{}{uptime}{}", text.before, text.after)
            }
            "/healthz" => r#"{"ok":true}"#.to_string(),
            "/readyz" if self.ready.load(Ordering::Relaxed) => r#"{"ready":true}"#.to_string(),
            "/readyz" => {
                status = "503 Service Unavailable";
                r#"{"ready":false}"#.to_string()
            }
            _ => return None,
        };
        let connection = if last { "close" } else { "keep-alive" };
        let mut answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json; charset=utf-8\r\n\
             Content-Length: {}\r\nCache-Control: no-store\r\nConnection: {connection}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if head.method != "HEAD" {
            answer.extend_from_slice(body.as_bytes());
        }
        Some(answer)
    }
}

/// What the default agent asks, and the providers named in the configuration.
fn models(config: &Snapshot) -> Value {
    let agent = config.config.default_agent_id();
    json!({
        "default": models::reference(config, &agent).to_string(),
        "providers": config.config.models.providers.keys().collect::<Vec<_>>(),
    })
}

fn text(
    gateway: &str,
    channels: &impl Serialize,
    models: &impl Serialize,
    fault: &Option<ConfigHealth>,
) -> Text {
    let json = |part| serde_json::to_string(part).expect("payloads serialise to JSON");
    let config = match fault {
        None => String::new(),
        Some(fault) => {
            let brief = json!({
                "valid": fault.valid,
                "issues": fault.issues.len(),
                "since": fault.since,
            });
            format!(",\"config\":{brief}")
        }
    };
    let models = serde_json::to_string(models).expect("payloads serialise to JSON");
    Text {
        before: format!(r#"{{"ok":true,"version":"{}","uptime":"#, version::PROGRAM),
        after: format!(
            r#","gateway":{gateway},"channels":{},"models":{models}{config}}}"#,
            json(channels)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_json_whatever_the_number() {
        let of = |fault| {
            let text = text(r#"{"port":1}"#, &json!({"a": 1}), &json!({}), &fault);
            let body = format!("{}12{}", text.before, text.after);
            serde_json::from_str::<Value>(&body).unwrap()
        };
        let value = of(None);
        assert_eq!(value["uptime"], 12);
        assert_eq!(value["channels"]["a"], 1);
        assert!(value.get("config").is_none());
        let fault = ConfigHealth {
            valid: false,
            note: "n".into(),
            issues: Vec::new(),
            waiting: Vec::new(),
            since: 7,
        };
        let config = json!({"valid": false, "issues": 0, "since": 7});
        assert_eq!(of(Some(fault))["config"], config);
    }
}
