//! The status card: what `/status` and the tool `session_status` show of a session.

use crate::agent::queue::Wish;
use crate::agent::{inbound, levels};
use crate::base::time;
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::gateway::models::{self, Chain};
use crate::gateway::queue;
use crate::gateway::session_patch::next_model;
use crate::model::credential::{self, Profiles, Source};
use crate::model::{Target, name};
use crate::session::Entry;
use crate::tool::confine;
use crate::wire::version;

const MINUTE: u64 = 60_000;
/// How a key is called that is no subscription's.
const API_KEY: &str = "api-key";

/// The card of the session under a canonical key; `with_time` for those who have no clock.
pub fn of(core: &Core, key: &str, with_time: bool) -> String {
    let store = &core.agents.sessions;
    let config = core.config.current();
    let agent = store.agent_of(key);
    let entry = store.entry(key).ok().flatten().unwrap_or_default();
    let model = next_model(&config, &agent, &entry);
    let chain = Chain::of(&config, store.paths(), &agent, &entry, None).ok();
    let target = chain.as_ref().map(|chain| &chain.targets[0]);
    let mut lines = vec![format!(
        "🦞 OpenClaw {} ({})",
        version::BEHAVIOUR,
        version::PROGRAM
    )];
    if with_time {
        lines.push(clock(&config));
    }
    let secret = chain
        .as_ref()
        .and_then(|chain| secret(core, &agent, chain, 0));
    lines.push(match &secret {
        Some(secret) => format!("🧠 Model: {model} · 🔑 {secret}"),
        None => format!("🧠 Model: {model}"),
    });
    let (input, output) = (
        entry.input_tokens.unwrap_or(0),
        entry.output_tokens.unwrap_or(0),
    );
    if input + output > 0 {
        lines.push(format!(
            "🧮 Tokens: {} in / {} out",
            short(input),
            short(output)
        ));
        let own = target.filter(|_| secret.as_ref().is_some_and(|s| s.starts_with(API_KEY)));
        lines.extend(own.and_then(|target| cost(target, input, output)));
    }
    lines.push(context(&config, &agent, &entry, target));
    let age = entry.updated_at.map(age);
    lines.push(format!(
        "🧵 Session: {key} • updated {}",
        age.as_deref().unwrap_or("never")
    ));
    lines.push(runtime(core, &config, &agent, key, &entry));
    let channel = entry.last_channel.as_deref().unwrap_or_default();
    let settings = queue::settings(core, key, channel, Wish::default());
    let depth = core.agents.queues.depth(key);
    lines.push(format!(
        "🪢 Queue: {} (depth {depth})",
        settings.mode.as_str()
    ));
    lines.join("\n")
}

/// `🕒 Time: Saturday, November 21st, 2026 — 4:50 AM (UTC)`.
fn clock(config: &Snapshot) -> String {
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let now = time::in_zone(time::now_ms(), zone);
    let ending = match now.day() {
        1 | 21 | 31 => "st",
        2 | 22 => "nd",
        3 | 23 => "rd",
        _ => "th",
    };
    let zone = now.time_zone().iana_name().unwrap_or("UTC").to_string();
    let date = now.strftime("%A, %B %-d");
    format!(
        "🕒 Time: {date}{ending}, {} ({zone})",
        now.strftime("%Y — %-I:%M %p")
    )
}

/// The kind of the key that would be used, enough of it to recognise it, and where it is from.
fn secret(core: &Core, agent: &str, chain: &Chain, at: usize) -> Option<String> {
    let key = chain.targets[at].key.as_ref()?;
    let masked = credential::masked(key).replace("...", "…");
    Some(match chain.source(at)? {
        Source::Config => format!("api-key {masked} (models.json)"),
        Source::Env(name) if name.contains("OAUTH_TOKEN") => {
            format!("oauth {masked} (env: {name})")
        }
        Source::Env(name) => format!("api-key {masked} (env: {name})"),
        Source::Profile(id) => {
            let paths = core.config.paths();
            let profiles = Profiles::read(paths, &name::agent_dir(paths, agent));
            let kind = profiles.kind(id).replace('_', "-");
            format!("{kind} {masked} ({id})")
        }
    })
}

/// Whether each token of the candidate is paid for.
pub fn is_metered(core: &Core, agent: &str, chain: &Chain, at: usize) -> bool {
    secret(core, agent, chain, at).is_some_and(|secret| secret.starts_with(API_KEY))
}

fn cost(target: &Target, input: u64, output: u64) -> Option<String> {
    let [per_input, per_output, ..] = target.cost;
    let dollars = (input as f64 * per_input + output as f64 * per_output) / 1e6;
    (dollars > 0.0).then(|| format!("💵 Cost: {}", money(dollars)))
}

pub fn money(dollars: f64) -> String {
    match dollars {
        d if d >= 0.01 || d == 0.0 => format!("${d:.2}"),
        d => format!("${d:.4}"),
    }
}

fn context(config: &Snapshot, agent: &str, entry: &Entry, target: Option<&Target>) -> String {
    let window = target.map(|target| target.context_window);
    let window = window.unwrap_or_else(|| models::default(config, agent).context_tokens);
    let compactions = entry.compaction_count.unwrap_or(0);
    let used = match entry.total_tokens {
        Some(used) => format!(
            "{}/{} ({}%)",
            short(used),
            short(window),
            (used * 100).checked_div(window).unwrap_or(0)
        ),
        None => format!("?/{}", short(window)),
    };
    format!("📚 Context: {used} · 🧹 Compactions: {compactions}")
}

fn runtime(core: &Core, config: &Snapshot, agent: &str, key: &str, entry: &Entry) -> String {
    let place = match confine::mode(&config.config, agent, key) {
        Some(access) => format!("sandbox/{}", access.name()),
        None => "direct".into(),
    };
    let mut line = format!(
        "⚙️ Runtime: {place} · Think: {}",
        thinking(core, key, entry)
    );
    let defaults = &config.value["agents"]["defaults"];
    let verbose = entry.verbose_level.as_deref();
    match verbose.or(defaults["verboseDefault"].as_str()) {
        Some("on") => line.push_str(" · verbose"),
        Some("full") => line.push_str(" · verbose:full"),
        _ => {}
    }
    if let Some(level) = entry
        .reasoning_level
        .as_deref()
        .filter(|level| *level != "off")
    {
        line.push_str(&format!(" · Reasoning: {level}"));
    }
    match entry.elevated_level.as_deref().and_then(levels::elevated) {
        Some("on") => line.push_str(" · elevated"),
        Some("off") | None => {}
        Some(level) => line.push_str(&format!(" · elevated:{level}")),
    }
    line
}

/// The level the session's next turn thinks with.
pub fn thinking(core: &Core, key: &str, entry: &Entry) -> &'static str {
    let config = core.config.current();
    let agent = core.agents.sessions.agent_of(key);
    let default = config.config.agents.defaults.thinking_default.as_deref();
    let level = |text: Option<&str>| text.and_then(inbound::thinking_level);
    level(entry.thinking_level.as_deref())
        .or_else(|| level(default))
        .unwrap_or_else(|| {
            let chain = Chain::of(&config, core.config.paths(), &agent, entry, None);
            match chain.is_ok_and(|chain| chain.targets[0].reasoning) {
                true => "low",
                false => "off",
            }
        })
}

fn age(at: u64) -> String {
    match time::now_ms().saturating_sub(at) / MINUTE {
        0 => "just now".into(),
        n @ 1..60 => format!("{n}m ago"),
        n @ 60..1440 => format!("{}h ago", n / 60),
        n => format!("{}d ago", n / 1440),
    }
}

/// `950`, `1.2k`, `128k`, `1.0m`.
pub fn short(tokens: u64) -> String {
    let thousands = tokens as f64 / 1000.0;
    match tokens {
        0..1000 => tokens.to_string(),
        1000..10_000 => format!("{thousands:.1}k"),
        10_000..1_000_000 => format!("{thousands:.0}k"),
        _ => format!("{:.1}m", thousands / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::core::tests::core;

    #[test]
    fn counts_and_prices_are_short() {
        assert_eq!(
            [0, 999, 1234, 128_000, 1_500_000].map(short),
            ["0", "999", "1.2k", "128k", "1.5m"]
        );
        assert_eq!(
            [0.0, 0.0012, 1.239].map(money),
            ["$0.00", "$0.0012", "$1.24"]
        );
    }

    #[test]
    fn a_card_never_shows_a_whole_key() {
        let config = r#"{"models":{"providers":{"fake":{"baseUrl":"http://127.0.0.1:1/v1",
            "api":"openai-completions","apiKey":"sk-0123456789abcdef0123456789",
            "models":[{"id":"m","name":"M"}]}}},
            "agents":{"defaults":{"model":{"primary":"fake/m"}}}}"#;
        let (core, dir) = core(config);
        let card = of(&core, "agent:main:main", true);
        let lines: Vec<&str> = card.lines().collect();
        assert_eq!(lines[0], "🦞 OpenClaw 2026.2.3 (0.1.0)");
        assert!(lines[1].starts_with("🕒 Time: "), "{card}");
        assert_eq!(
            lines[2],
            "🧠 Model: fake/m · 🔑 api-key sk-01234…6789 (models.json)"
        );
        assert!(lines[3].starts_with("📚 Context: ?/"), "{card}");
        assert_eq!(lines[4], "🧵 Session: agent:main:main • updated never");
        assert_eq!(lines[5], "⚙️ Runtime: direct · Think: off");
        assert_eq!(lines[6], "🪢 Queue: collect (depth 0)");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
