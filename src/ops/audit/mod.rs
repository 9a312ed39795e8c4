//! `openclaw security audit`: what of an installation is open to people, programs or texts that
//! should not have it, and what closes it.
//!
//! A family of checks is a file and a row here. A check is pure but for the modes of files; it asks
//! no gateway and no network. What `--fix` changes is in `fix`, and is less than what is found: only
//! what nobody can miss afterwards.

mod channels;
mod files;
pub mod fix;
mod gateway;
mod models;
mod settings;

use crate::config::Snapshot;
use serde::Serialize;
use serde_json::{Value, json};

/// The order findings are reported in, as the original has them.
const FAMILIES: &[Family] = &[
    Family::row("surface", settings::surface),
    Family::row("synced", files::synced),
    Family::row("gateway", gateway::look),
    Family::row("settings", settings::look),
    Family::row("models", models::look),
    Family::row("exposure", settings::exposure),
    Family::row("files", files::look),
    Family::row("channels", channels::look),
];

/// Below this a secret can be guessed, or is a word.
const LEAST_SECRET: usize = 24;

struct Family {
    name: &'static str,
    look: fn(&Snapshot) -> Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Critical,
    Warn,
    Info,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable: scripts filter by it.
    pub check_id: String,
    pub severity: Severity,
    pub title: String,
    pub detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
}

impl Family {
    const fn row(name: &'static str, look: fn(&Snapshot) -> Vec<Finding>) -> Family {
        Family { name, look }
    }
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Critical, Severity::Warn, Severity::Info];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warn => "warn",
            Severity::Info => "info",
        }
    }
}

impl Finding {
    fn new(
        check_id: impl Into<String>,
        severity: Severity,
        title: impl Into<String>,
        detail: impl Into<String>,
    ) -> Finding {
        Finding {
            check_id: check_id.into(),
            severity,
            title: title.into(),
            detail: detail.into(),
            remediation: None,
        }
    }

    fn fix(mut self, text: impl Into<String>) -> Finding {
        self.remediation = Some(text.into());
        self
    }
}

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    FAMILIES
        .iter()
        .flat_map(|family| {
            let found = (family.look)(snapshot);
            log::debug!("audit: {}: {} findings", family.name, found.len());
            found
        })
        .collect()
}

/// Of `--deep`: the gateway did not let its owner in.
pub fn probe_failed(error: &str) -> Finding {
    Finding::new(
        "gateway.probe_failed",
        Severity::Warn,
        "The gateway could not be asked",
        format!("The probe failed: {error}"),
    )
    .fix("Find out why with: openclaw status --all")
}

/// How many there are of each severity.
pub fn summary(findings: &[Finding]) -> Value {
    let [critical, warn, info] = Severity::ALL.map(|severity| count(findings, severity));
    json!({"critical": critical, "warn": warn, "info": info})
}

pub fn count(findings: &[Finding], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

/// `tools.elevated.enabled`, which is on unless switched off.
fn elevated(snapshot: &Snapshot) -> bool {
    snapshot.value["tools"]["elevated"]["enabled"] != false
}

/// The texts of a list of names and numbers.
fn entries(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|entry| match entry {
        Value::String(text) => Some(text.trim().to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
    .filter(|text| !text.is_empty())
    .collect()
}

/// `channels.telegram`, `channels.telegram.accounts.work`: every section of a channel with its
/// place, switched on or not.
fn sections(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (kind, section) in value["channels"].as_object().into_iter().flatten() {
        if kind == "defaults" || !section.is_object() {
            continue;
        }
        found.push((format!("channels.{kind}"), section));
        for (name, account) in section["accounts"].as_object().into_iter().flatten() {
            found.push((format!("channels.{kind}.accounts.{name}"), account));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    /// What is found in a configuration, as `id severity`, without what the machine adds.
    pub fn found(config: &Value, variables: &[(&str, &str)]) -> Vec<String> {
        let dir = id::temp_dir("audit");
        let home = dir.to_str().unwrap().to_string();
        let mut pairs = vec![("HOME", home.as_str()), ("OPENCLAW_STATE_DIR", &home)];
        pairs.extend(variables);
        let env = Env::from_pairs(&pairs);
        let snapshot = load::from_text(&Paths::resolve(&env, None), &env, config.to_string());
        assert!(snapshot.valid, "{:?}", snapshot.issues);
        let found = look(&snapshot);
        std::fs::remove_dir_all(dir).unwrap();
        let shown = |finding: &Finding| {
            assert!(!finding.title.is_empty() && !finding.detail.is_empty());
            format!("{} {}", finding.check_id, finding.severity.name())
        };
        found
            .iter()
            .filter(|finding| !finding.check_id.starts_with("fs.state_dir"))
            .filter(|finding| finding.check_id != "summary.attack_surface")
            .map(shown)
            .collect()
    }

    #[test]
    fn each_setting_that_opens_something_is_found() {
        let token = "0123456789abcdef01234567";
        let safe = json!({"auth": {"token": token}, "trustedProxies": ["10.0.0.1"]});
        let gateway = |more: Value| {
            let mut all = safe.clone();
            let own = more.as_object().unwrap().clone();
            all.as_object_mut().unwrap().extend(own);
            json!({"gateway": all})
        };
        let with = |name: &str, part: Value| {
            let mut all = gateway(json!({}));
            all[name] = part;
            all
        };
        let rows: &[(Value, &[&str])] = &[
            (gateway(json!({})), &[]),
            (
                json!({"gateway": {"auth": {"token": token}}}),
                &["gateway.trusted_proxies_missing warn"],
            ),
            (
                gateway(json!({"auth": {}, "bind": "lan"})),
                &["gateway.bind_no_auth critical"],
            ),
            (gateway(json!({"bind": "lan"})), &[]),
            (
                gateway(json!({"auth": {}})),
                &["gateway.loopback_no_auth critical"],
            ),
            (
                gateway(json!({"auth": {}, "controlUi": {"enabled": false}})),
                &[],
            ),
            (
                gateway(json!({"auth": {"token": "short"}})),
                &["gateway.token_too_short warn"],
            ),
            (
                gateway(json!({"tailscale": {"mode": "serve"}})),
                &["gateway.tailscale_serve info"],
            ),
            (
                gateway(json!({"tailscale": {"mode": "funnel"},
                    "auth": {"mode": "password", "password": "${PW}"}})),
                &["gateway.tailscale_funnel critical"],
            ),
            (
                gateway(json!({"auth": {"mode": "password", "password": "in the file"}})),
                &["config.secrets.gateway_password_in_config warn"],
            ),
            (
                gateway(json!({"controlUi": {"allowInsecureAuth": true,
                    "dangerouslyDisableDeviceAuth": true}})),
                &[
                    "gateway.control_ui.insecure_auth critical",
                    "gateway.control_ui.device_auth_disabled critical",
                ],
            ),
            (
                with("logging", json!({"redactSensitive": "off"})),
                &["logging.redact_off warn"],
            ),
            (
                with("browser", json!({"cdpUrl": "http://far.example:9222"})),
                &["browser.remote_cdp_http warn"],
            ),
            (
                with("browser", json!({"cdpUrl": "http://127.0.0.1:9222"})),
                &[],
            ),
            (
                with("browser", json!({"cdpUrl": "nowhere"})),
                &["browser.control_invalid_config warn"],
            ),
            (
                with(
                    "hooks",
                    json!({"enabled": true, "token": token, "path": "/"}),
                ),
                &[
                    "hooks.token_reuse_gateway_token warn",
                    "hooks.path_root critical",
                    "config.secrets.hooks_token_in_config info",
                ],
            ),
            (
                with("hooks", json!({"enabled": true, "token": "${PW}"})),
                &["hooks.token_too_short warn"],
            ),
            (
                with(
                    "tools",
                    json!({"elevated": {"allowFrom": {"telegram": ["*"],
                    "irc": (0..26).map(|n| n.to_string()).collect::<Vec<_>>()}}}),
                ),
                &[
                    "tools.elevated.allowFrom.telegram.wildcard critical",
                    "tools.elevated.allowFrom.irc.large warn",
                ],
            ),
            (
                with(
                    "tools",
                    json!({"elevated": {"enabled": false, "allowFrom": {"telegram": ["*"]}}}),
                ),
                &[],
            ),
        ];
        for (config, wanted) in rows {
            assert_eq!(
                &found(config, &[("PW", "from outside")]),
                wanted,
                "{config}"
            );
        }
    }

    #[test]
    fn every_family_has_a_name_of_its_own() {
        let mut names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), FAMILIES.len());
    }
}
