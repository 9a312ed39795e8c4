//! Settings that let texts and strangers do more than they should: groups, elevated commands,
//! hooks, logs, secrets in the file.

use super::{Finding, LEAST_SECRET, Severity, elevated, entries, sections};
use crate::config::Snapshot;
use crate::config::listen;
use serde_json::Value;

/// More people than anybody has in mind.
const LARGE_LIST: usize = 25;

pub fn surface(snapshot: &Snapshot) -> Vec<Finding> {
    let policy = |wanted: &str| {
        sections(&snapshot.value)
            .iter()
            .filter(|(_, section)| section["groupPolicy"] == wanted)
            .count()
    };
    let word = |on: bool| if on { "enabled" } else { "disabled" };
    let detail = format!(
        "groups: open={}, allowlist={}\ntools.elevated: {}\nhooks: {}\nbrowser control: not part of this program",
        policy("open"),
        policy("allowlist"),
        word(elevated(snapshot)),
        word(hooks_on(snapshot)),
    );
    vec![Finding::new(
        "summary.attack_surface",
        Severity::Info,
        "What is open to others",
        detail,
    )]
}

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    let mut found = browser(&snapshot.value["browser"]);
    if snapshot.value["logging"]["redactSensitive"] == "off" {
        found.push(
            Finding::new(
                "logging.redact_off",
                Severity::Warn,
                "Secrets are not masked in what tools say",
                "logging.redactSensitive=\"off\": they reach logs and status texts.",
            )
            .fix("Set logging.redactSensitive=\"tools\"."),
        );
    }
    if elevated(snapshot) {
        found.extend(elevated_lists(snapshot));
    }
    found.extend(hooks(snapshot));
    found.extend(secrets(snapshot));
    found
}

/// Groups that anybody may write in, where commands may leave the sandbox.
pub fn exposure(snapshot: &Snapshot) -> Vec<Finding> {
    let mut open: Vec<String> = sections(&snapshot.value)
        .into_iter()
        .filter(|(_, section)| section["groupPolicy"] == "open")
        .map(|(place, _)| format!("- {place}.groupPolicy"))
        .collect();
    if snapshot.value["channels"]["defaults"]["groupPolicy"] == "open" {
        open.push("- channels.defaults.groupPolicy".into());
    }
    if open.is_empty() || !elevated(snapshot) {
        return Vec::new();
    }
    vec![
        Finding::new(
            "security.exposure.open_groups_with_elevated",
            Severity::Critical,
            "Open groups, and commands outside the sandbox",
            format!(
                "groupPolicy=\"open\" at:\n{}\nA text in one of these rooms can talk the agent \
                 into commands on this machine.",
                open.join("\n")
            ),
        )
        .fix("Set groupPolicy=\"allowlist\", and keep tools.elevated.allowFrom short."),
    ]
}

/// Where the settings of the original's browser lead. This program has none, but the file is also
/// the original's.
fn browser(browser: &Value) -> Vec<Finding> {
    if browser["enabled"] == false {
        return Vec::new();
    }
    let profiles = browser["profiles"].as_object();
    let named = profiles.into_iter().flatten().map(|(name, profile)| {
        (
            format!("browser.profiles.{name}.cdpUrl"),
            &profile["cdpUrl"],
        )
    });
    let own = ("browser.cdpUrl".to_string(), &browser["cdpUrl"]);
    let mut found = Vec::new();
    for (place, url) in std::iter::once(own).chain(named) {
        let Some(url) = url.as_str().map(str::trim).filter(|url| !url.is_empty()) else {
            continue;
        };
        let Some((scheme, host)) = split(url) else {
            found.push(
                Finding::new(
                    "browser.control_invalid_config",
                    Severity::Warn,
                    "The address of a browser is none",
                    format!("{place}: \"{url}\" is no http, https, ws or wss address."),
                )
                .fix(format!("Put {place} right, or take it out.")),
            );
            continue;
        };
        let near = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
        if matches!(scheme, "http" | "ws") && !near {
            found.push(
                Finding::new(
                    "browser.remote_cdp_http",
                    Severity::Warn,
                    "A browser elsewhere is driven in the clear",
                    format!("{place} goes to {host} without TLS: who listens can drive it, too."),
                )
                .fix("Use https, or a tailnet address."),
            );
        }
    }
    found
}

/// Scheme and host.
fn split(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?', '#']).next()?;
    let place = place.rsplit('@').next()?;
    let host = match place.find(']') {
        Some(end) => &place[..=end],
        None => place.split(':').next()?,
    };
    let known = matches!(scheme, "http" | "https" | "ws" | "wss");
    (known && !host.is_empty()).then_some((scheme, host))
}

fn elevated_lists(snapshot: &Snapshot) -> Vec<Finding> {
    let lists = snapshot.value["tools"]["elevated"]["allowFrom"].as_object();
    let mut found = Vec::new();
    for (channel, list) in lists.into_iter().flatten() {
        let list = entries(list);
        let place = format!("tools.elevated.allowFrom.{channel}");
        if list.iter().any(|entry| entry == "*") {
            found.push(Finding::new(
                format!("{place}.wildcard"),
                Severity::Critical,
                "Everybody may leave the sandbox",
                format!("{place} has \"*\": whoever writes there may have commands run outside."),
            ));
        } else if list.len() > LARGE_LIST {
            found.push(Finding::new(
                format!("{place}.large"),
                Severity::Warn,
                "Many may leave the sandbox",
                format!("{place} has {} entries.", list.len()),
            ));
        }
    }
    found
}

fn hooks_on(snapshot: &Snapshot) -> bool {
    snapshot.value["hooks"]["enabled"] == true
}

fn hooks(snapshot: &Snapshot) -> Vec<Finding> {
    if !hooks_on(snapshot) {
        return Vec::new();
    }
    let hooks = &snapshot.value["hooks"];
    let token = hooks["token"].as_str().unwrap_or_default().trim();
    let mut found = Vec::new();
    if !token.is_empty() && token.chars().count() < LEAST_SECRET {
        found.push(Finding::new(
            "hooks.token_too_short",
            Severity::Warn,
            "The token of the hooks is short",
            format!(
                "It is {} chars; a random one of {LEAST_SECRET} or more cannot be guessed.",
                token.chars().count()
            ),
        ));
    }
    let gateway = listen::auth_of(snapshot).token;
    if !token.is_empty() && gateway.is_some_and(|secret| secret.matches(token)) {
        found.push(
            Finding::new(
                "hooks.token_reuse_gateway_token",
                Severity::Warn,
                "Hooks and gateway share a token",
                "Whoever may call a hook has all of the gateway.",
            )
            .fix("Give hooks.token a value of its own."),
        );
    }
    let path = hooks["path"].as_str().map(str::trim);
    if path == Some("/") {
        found.push(
            Finding::new(
                "hooks.path_root",
                Severity::Critical,
                "Hooks are at '/'",
                "hooks.path='/' stands before every other address of the gateway.",
            )
            .fix("Use a path of its own, such as '/hooks'."),
        );
    }
    found
}

fn secrets(snapshot: &Snapshot) -> Vec<Finding> {
    let auth = &snapshot.parsed["gateway"]["auth"];
    let mut found = Vec::new();
    if is_literal(&auth["password"]) {
        found.push(
            Finding::new(
                "config.secrets.gateway_password_in_config",
                Severity::Warn,
                "The gateway's password is in the configuration file",
                "Copies and backups of the file carry it along.",
            )
            .fix("Set OPENCLAW_GATEWAY_PASSWORD instead, and take gateway.auth.password out."),
        );
    }
    if hooks_on(snapshot) && is_literal(&snapshot.parsed["hooks"]["token"]) {
        found.push(Finding::new(
            "config.secrets.hooks_token_in_config",
            Severity::Info,
            "The token of the hooks is in the configuration file",
            "Keep the file to yourself (mode 600), as any secret.",
        ));
    }
    found
}

/// Written out, not `${NAME}`.
fn is_literal(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default().trim();
    let variable = text.starts_with("${") && text.ends_with('}');
    !text.is_empty() && !variable
}
