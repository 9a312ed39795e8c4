//! The questions in words, in the original's terms, and what an answer to each may be.

use super::auth::setup_token_fault;
use super::flow::{Flow, Question};
use crate::model::catalogue;
use crate::model::offer;
use crate::wire::gateway::wizard::{Choice, Step};
use serde_json::{Value, json};

/// Characters of an answer: no address, path or key is longer.
const MAX_TEXT: usize = 4096;
/// Models of a provider that are offered; any other can be typed.
const MAX_MODELS: usize = 100;
/// The choice that lets one type.
pub const TYPED: &str = "__manual__";
const KEEP: &str = "__keep__";
pub const SKIP: &str = "skip";
/// Anthropic, opened by a token instead of a key.
pub const SETUP_TOKEN: &str = "setup-token";

pub fn of(flow: &Flow, key: Question) -> Step {
    match key {
        Question::Intro => note("OpenClaw onboarding", ""),
        Question::Security => note(
            "Security",
            "An agent with tools can read files, run commands and act in your name, and whoever \
             can write to it can try to talk it into that. Keep the gateway on loopback or behind \
             a secret, give people access one by one, and sandbox what strangers can reach. See \
             openclaw.json(5) and exec-approvals.json(5).",
        ),
        Question::Risk => confirm(
            "I understand this is powerful and inherently risky. Continue?",
            false,
        ),
        Question::Flow => select(
            "Onboarding mode",
            &[
                ("quickstart", "QuickStart", "ask as little as possible"),
                ("advanced", "Manual", "port, network, secret"),
            ],
            "quickstart",
        ),
        Question::Existing => note("Existing config detected", &existing(flow)),
        Question::Handling => handling(flow),
        Question::ResetScope => select(
            "Reset scope",
            &[
                ("config", "Config only", ""),
                ("config+creds+sessions", "Config + creds + sessions", ""),
                (
                    "full",
                    "Full reset",
                    "config, creds, sessions and workspace",
                ),
            ],
            "config",
        ),
        Question::Quick => note("QuickStart", &quick(flow)),
        Question::Place => set(
            flow,
            "/gateway/mode",
            select(
                match flow.is_only_place() {
                    true => "Where will the Gateway run?",
                    false => "What do you want to set up?",
                },
                &[
                    ("local", "Local gateway (this machine)", ""),
                    ("remote", "Remote gateway (info-only)", ""),
                ],
                "local",
            ),
        ),
        Question::RemoteUrl => text(flow, "Gateway WebSocket URL", "/gateway/remote/url"),
        Question::RemoteAuth => select(
            "Gateway auth",
            &[("token", "Token (recommended)", ""), ("off", "No auth", "")],
            "token",
        ),
        Question::RemoteToken | Question::ApiKey | Question::Token | Question::Password => {
            secret(flow, key)
        }
        Question::Workspace => {
            let mut step = text(flow, "Workspace directory", "/agents/defaults/workspace");
            let usual = || {
                let paths = &flow.config().paths;
                paths.default_workspace().to_string_lossy().into()
            };
            step.initial_value.get_or_insert_with(usual);
            step
        }
        Question::Provider => providers(),
        Question::HaveKey => {
            let known = flow.known_key().unwrap_or_default();
            confirm(&format!("A key is there already ({known}). Use it?"), true)
        }
        Question::Model => models(flow),
        Question::ModelName => Step {
            placeholder: Some("provider/model"),
            ..ask("text", "Default model")
        },
        Question::Port => {
            let mut step = text(flow, "Gateway port", "/gateway/port");
            step.initial_value.get_or_insert_with(|| "18789".into());
            step
        }
        Question::Bind => set(
            flow,
            "/gateway/bind",
            select(
                "Gateway bind",
                &[
                    ("loopback", "Loopback (127.0.0.1)", "only this machine"),
                    ("lan", "LAN (0.0.0.0)", "every network"),
                    ("tailnet", "Tailnet", "the address Tailscale gives"),
                    ("auto", "Auto", ""),
                    ("custom", "Custom IP", ""),
                ],
                "loopback",
            ),
        ),
        Question::BindHost => text(flow, "Custom IP address", "/gateway/customBindHost"),
        Question::Auth => set(
            flow,
            "/gateway/auth/mode",
            select(
                "Gateway auth",
                &[("token", "Token", ""), ("password", "Password", "")],
                "token",
            ),
        ),
        Question::Tailscale => set(
            flow,
            "/gateway/tailscale/mode",
            select(
                "Tailscale exposure",
                &[
                    ("off", "Off", ""),
                    ("serve", "Serve", "private, for your tailnet"),
                    ("funnel", "Funnel", "public; needs a password"),
                ],
                "off",
            ),
        ),
        Question::ResetOnExit => confirm("Reset Tailscale serve/funnel on exit?", false),
    }
}

fn handling(flow: &Flow) -> Step {
    let mut step = select(
        "Config handling",
        &[
            ("keep", "Use existing values", ""),
            ("modify", "Update values", ""),
        ],
        "keep",
    );
    if flow.resets() {
        let what = "what is there goes to the trash".to_string();
        step.options.push(choice("reset", "Reset", Some(what)));
    }
    step
}

fn existing(flow: &Flow) -> String {
    let rows = [
        ("workspace", "/agents/defaults/workspace"),
        ("model", "/agents/defaults/model/primary"),
        ("gateway.mode", "/gateway/mode"),
        ("gateway.port", "/gateway/port"),
        ("gateway.bind", "/gateway/bind"),
        ("gateway.remote.url", "/gateway/remote/url"),
        ("skills.nodeManager", "/skills/install/nodeManager"),
    ];
    let rows = rows.iter().filter_map(|(name, pointer)| {
        let value = setting(flow, pointer)?;
        Some(format!("{name}: {}", plain(value)))
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// What is not asked in a quick setup.
fn quick(flow: &Flow) -> String {
    let rows = [
        ("Gateway port", "/gateway/port", "18789"),
        ("Gateway bind", "/gateway/bind", "loopback"),
        ("Gateway auth", "/gateway/auth/mode", "token"),
        ("Tailscale exposure", "/gateway/tailscale/mode", "off"),
    ];
    let rows = rows.map(|(name, pointer, default)| {
        let value = setting(flow, pointer).map_or(default.to_string(), plain);
        format!("{name}: {value}")
    });
    rows.join("\n")
}

fn setting<'f>(flow: &'f Flow, pointer: &str) -> Option<&'f Value> {
    flow.config().value.pointer(pointer)
}

/// What is set already is the first choice.
fn set(flow: &Flow, pointer: &str, mut step: Step) -> Step {
    let value = setting(flow, pointer);
    if let Some(value) = value.filter(|v| step.options.iter().any(|o| o.value == **v)) {
        step.initial_value = Some(value.clone());
    }
    step
}

fn text(flow: &Flow, message: &str, pointer: &str) -> Step {
    let initial = setting(flow, pointer).map(plain);
    Step {
        initial_value: initial.filter(|text| !text.is_empty()).map(Value::from),
        ..ask("text", message)
    }
}

fn secret(flow: &Flow, key: Question) -> Step {
    let auth = &flow.config().config.gateway.auth;
    let message = match key {
        Question::ApiKey => match flow.said(Question::Provider) {
            Some(SETUP_TOKEN) => "Anthropic setup-token".into(),
            provider => {
                let offer = offer::of_provider(provider.unwrap_or_default());
                format!("{} API key", offer.map_or("", |offer| offer.name))
            }
        },
        Question::Password if auth.password.is_some() => {
            "Gateway password (blank to keep the one there is)".into()
        }
        Question::Password => "Gateway password".into(),
        Question::Token if auth.token.is_some() => {
            "Gateway token (blank to keep the one there is)".into()
        }
        Question::Token => "Gateway token (blank to generate)".into(),
        _ => "Gateway token".into(),
    };
    Step {
        sensitive: Some(true),
        ..ask("text", &message)
    }
}

fn providers() -> Step {
    let offered = offer::by_key().map(|offer| choice(offer.provider, offer.name, None));
    let mut options: Vec<Choice> = offered.collect();
    let hint = Some("made by claude setup-token".to_string());
    let token = choice(SETUP_TOKEN, "Anthropic, with a setup-token", hint);
    let after = options.iter().position(|one| one.value == "anthropic");
    options.insert(after.map_or(0, |at| at + 1), token);
    options.push(choice(SKIP, "Skip for now", None));
    Step {
        options,
        initial_value: Some(SKIP.into()),
        ..ask("select", "Model/auth provider")
    }
}

fn models(flow: &Flow) -> Step {
    let mut options = Vec::new();
    let current = setting(flow, "/agents/defaults/model/primary");
    if let Some(current) = current.and_then(Value::as_str) {
        options.push(choice(KEEP, &format!("Keep current ({current})"), None));
    }
    let id = flow.said(Question::Provider).unwrap_or_default();
    let usual = offer::of_provider(id).map(|offer| offer.model_ref());
    if let Some(usual) = &usual {
        let hint = "the usual one".to_string();
        options.push(choice(usual, usual, Some(hint)));
    }
    options.push(choice(TYPED, "Enter model manually", None));
    let known = catalogue::provider(id).into_iter();
    let models = known.flat_map(|provider| provider.models().collect::<Vec<_>>());
    let rows = models.filter_map(|model| {
        let name = format!("{id}/{}", model.id);
        let new = usual.as_ref() != Some(&name);
        new.then(|| choice(&name, &name, Some(model.name.to_string())))
    });
    options.extend(rows.take(MAX_MODELS));
    Step {
        initial_value: options.first().map(|first| first.value.clone()),
        options,
        ..ask("select", "Default model")
    }
}

fn ask(kind: &'static str, message: &str) -> Step {
    Step {
        kind,
        message: Some(message.into()),
        executor: "client",
        ..Step::default()
    }
}

fn note(title: &str, message: &str) -> Step {
    Step {
        title: Some(title.into()),
        ..ask("note", message)
    }
}

fn confirm(message: &str, initial: bool) -> Step {
    Step {
        initial_value: Some(json!(initial)),
        ..ask("confirm", message)
    }
}

fn select(message: &str, options: &[(&str, &str, &str)], initial: &str) -> Step {
    let hint = |hint: &str| (!hint.is_empty()).then(|| hint.to_string());
    Step {
        options: options
            .iter()
            .map(|(value, label, about)| choice(value, label, hint(about)))
            .collect(),
        initial_value: Some(initial.into()),
        ..ask("select", message)
    }
}

fn choice(value: &str, label: &str, hint: Option<String>) -> Choice {
    Choice {
        value: value.into(),
        label: label.into(),
        hint,
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_string)
}

/// The answer as it is kept, or what is wrong with it.
pub fn check(key: Question, step: &Step, value: &Value, blank: bool) -> Result<Value, String> {
    match step.kind {
        "note" => Ok(Value::Null),
        "confirm" => value
            .as_bool()
            .map(Value::from)
            .ok_or_else(|| "answer true or false".into()),
        "select" => step
            .options
            .iter()
            .find(|option| option.value == *value)
            .map(|option| option.value.clone())
            .ok_or_else(|| "choose one of the options".into()),
        _ => {
            let text = plain(value);
            let text = if value.is_null() { "" } else { text.trim() };
            if blank && text.is_empty() {
                return Ok("".into());
            }
            if step.message.as_deref() == Some("Anthropic setup-token") {
                if let Some(fault) = setup_token_fault(text) {
                    return Err(fault);
                }
            }
            typed(key, text)
        }
    }
}

fn typed(key: Question, text: &str) -> Result<Value, String> {
    if text.len() > MAX_TEXT || text.contains(char::is_control) {
        return Err("that is too long, or holds characters that cannot be typed".into());
    }
    let fine = match key {
        Question::Port => {
            let port = text.parse::<u16>().ok().filter(|port| *port > 0);
            return port
                .map(Value::from)
                .ok_or_else(|| "a port is a number from 1 to 65535".into());
        }
        Question::RemoteUrl => (text.starts_with("ws://") || text.starts_with("wss://"))
            .then_some(())
            .ok_or("an address begins with ws:// or wss://"),
        Question::BindHost => text
            .parse::<std::net::Ipv4Addr>()
            .map(drop)
            .map_err(|_| "that is no IPv4 address"),
        Question::ModelName => text
            .split_once('/')
            .filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
            .map(drop)
            .ok_or("a model is named provider/model"),
        _ => (!text.is_empty())
            .then_some(())
            .ok_or("an answer is needed"),
    };
    fine.map(|()| text.into()).map_err(str::to_string)
}

/// Whether an answer to `Question::Model` names a model.
pub fn is_model(answer: &str) -> bool {
    answer != KEEP && answer != TYPED
}
