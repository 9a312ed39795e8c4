//! What stands around the words of a conversation between a person and the agent: that the last run
//! was stopped, before the person's; the prefix the configuration asks for and the line of what an
//! answer used, around the agent's. Chats only: a program gets the bare words.

use super::Flight;
use crate::agent::turn::Outcome;
use crate::config::Snapshot;
use crate::gateway::commands::card;
use crate::gateway::core::Core;
use crate::gateway::identity;
use crate::gateway::models::Chain;
use crate::gateway::runs::{Kind, Run};
use crate::model::Target;
use crate::session::Entry;
use crate::session::envelope::RESUMED;
use crate::wire::message::Usage;

/// The configuration's word for the agent's name.
const AUTO: &str = "auto";

/// The channel account a session's people write to.
pub(super) fn account_id(kind: &str, entry: &Entry) -> String {
    let name = entry.last_account_id.as_deref().unwrap_or("default");
    format!("{kind}/{name}")
}

/// The first message after a run that was stopped says so: the model sees nothing of that run.
pub(super) fn resumed(core: &Core, run: &Run, text: String) -> String {
    let sessions = &core.agents.sessions;
    let stopped = || {
        // One that has been told to end may not have left its mark yet.
        let ending = core.agents.runs.turns_of(&run.key).into_iter();
        let mut ending = ending.filter(|other| other.id != run.id);
        let entry = sessions.entry(&run.key).ok().flatten();
        ending.any(|other| other.cancel.is_cancelled())
            || entry.is_some_and(|entry| entry.aborted_last_run == Some(true))
    };
    if run.kind != Kind::Chat || !stopped() {
        return text;
    }
    let told = sessions.update(&run.key, |entry| entry.aborted_last_run = Some(false));
    if let Err(err) = told {
        // It is said again then.
        log::warn!("session {} was not updated: {err}", run.key);
    }
    format!("{RESUMED}\n\n{text}")
}

/// Prefix and footer of an answer.
pub(super) fn reply(
    flight: &Flight,
    config: &Snapshot,
    entry: &Entry,
    chain: &Chain,
    thinking: &str,
    outcome: &mut Outcome,
) {
    if flight.run.kind != Kind::Chat {
        return;
    }
    let target = &chain.targets[outcome.candidate];
    let is_said = |text: &str| !text.trim().is_empty();
    if let Some(prefix) = prefix(flight, config, entry, target, thinking) {
        for payload in outcome.payloads.iter_mut().filter(|p| is_said(&p.text)) {
            if !payload.text.starts_with(&prefix) {
                payload.text = format!("{prefix} {}", payload.text);
            }
        }
    }
    let full = match entry.response_usage.as_deref() {
        Some("full") => true,
        Some("tokens" | "on") => false,
        _ => return,
    };
    let metered = || card::is_metered(&flight.core, &flight.agent_id, chain, outcome.candidate);
    let Some(line) = used(&outcome.usage, full.then_some(&flight.run.key), metered) else {
        return;
    };
    flight.run.set_footer(&line);
    let mut spoken = outcome.payloads.iter_mut().rev();
    if let Some(last) = spoken.find(|payload| is_said(&payload.text)) {
        if !last.text.ends_with('\n') {
            last.text.push('\n');
        }
        last.text.push_str(&line);
    }
}

/// `Usage: 1.2k in / 34 out`, and with `full` (the session's key) what it cost and where.
fn used(usage: &Usage, full: Option<&String>, metered: impl Fn() -> bool) -> Option<String> {
    if usage.input + usage.output + usage.cache_read + usage.cache_write == 0 {
        return None;
    }
    let (input, output) = (card::short(usage.input), card::short(usage.output));
    let mut line = format!("Usage: {input} in / {output} out");
    if let Some(key) = full {
        if usage.cost.total > 0.0 && metered() {
            line.push_str(&format!(" · est {}", card::money(usage.cost.total)));
        }
        line.push_str(&format!(" · session {key}"));
    }
    Some(line)
}

/// The account's, its channel's, or that of all messages.
fn prefix(
    flight: &Flight,
    config: &Snapshot,
    entry: &Entry,
    target: &Target,
    thinking: &str,
) -> Option<String> {
    let kind = flight.channel.as_deref()?;
    let account = flight.core.channels.account(&account_id(kind, entry));
    let own = account
        .as_ref()
        .map(|account| &account.section["responsePrefix"]);
    let all = &config.value["messages"]["responsePrefix"];
    let template = own.and_then(|own| own.as_str()).or(all.as_str())?;
    let name = || identity::resolve(config, flight.core.config.paths(), &flight.agent_id).name;
    let text = match template {
        AUTO => format!("[{}]", name()),
        template => filled(template, &|variable| {
            Some(match variable.to_ascii_lowercase().as_str() {
                "model" => target.model.clone(),
                "provider" => target.provider.clone(),
                "modelfull" => format!("{}/{}", target.provider, target.model),
                "think" | "thinkinglevel" => thinking.to_string(),
                "identity.name" | "identityname" => name(),
                _ => return None,
            })
        }),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// `template` with each `{name}` that means something replaced.
fn filled(template: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let found = behind
            .split_once('}')
            .and_then(|(name, behind)| Some((value(name)?, behind)));
        match found {
            Some((value, behind)) => {
                out.push_str(&value);
                rest = behind;
            }
            None => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_in_a_prefix_stays_as_it_is() {
        let value = |name: &str| (name == "model").then(|| "m".to_string());
        assert_eq!(filled("[{model}] {x} {{model}} {", &value), "[m] {x} {m} {");
    }

    #[test]
    fn the_footer_says_more_when_it_is_full() {
        let mut usage = Usage {
            input: 1234,
            output: 56,
            ..Usage::default()
        };
        let key = "agent:main:main".to_string();
        assert_eq!(
            used(&usage, None, || true).as_deref(),
            Some("Usage: 1.2k in / 56 out")
        );
        usage.cost.total = 0.0123;
        assert_eq!(
            used(&usage, Some(&key), || true).as_deref(),
            Some("Usage: 1.2k in / 56 out · est $0.01 · session agent:main:main")
        );
        assert_eq!(
            used(&usage, Some(&key), || false).as_deref(),
            Some("Usage: 1.2k in / 56 out · session agent:main:main")
        );
        assert_eq!(used(&Usage::default(), Some(&key), || true), None);
    }
}
