//! What a sub-agent is told of its place, and what its requester is told at the end.

use super::book::Record;
use crate::agent::inbound;
use crate::gateway::core::Core;
use crate::gateway::sessions;
use crate::model::choose;
use crate::model::name::Ref;
use crate::session::Entry;

/// Characters of what a child found that go into the announcement; the rest is in its transcript.
const MAX_FINDINGS: usize = 24_000;
/// The beginning of an announcement; the stored message is known again by it.
pub const TITLE: &str = "A background task";

/// The extra system prompt of a child.
pub fn brief(record: &Record) -> String {
    let mut text = format!(
        "You are a sub-agent that another session has started for one task.\n\
         - Your task: {}\n\
         - Do this task and nothing else; do not start heartbeats, cron jobs or tasks of your own.\n\
         - You do not talk to people and send no messages to anybody: whoever started you hears your \
         last answer and passes it on.\n\
         - You may be stopped at any time; when the task is done you are not needed any more.\n\
         - Your last answer is all that is kept: say what you did and found, with what matters for \
         whoever asked, and no more.\n",
        inbound::cut(record.task.trim(), 2_000)
    );
    let mut line = |name: &str, value: &str| text.push_str(&format!("- {name}: {value}\n"));
    if let Some(label) = &record.label {
        line("Label", label);
    }
    line("Requester session", &record.requester_display_key);
    let origin = record.requester_origin.as_ref();
    if let Some(channel) = origin.and_then(|origin| origin["channel"].as_str()) {
        line("Requester channel", channel);
    }
    line("Your session", &record.child_session_key);
    text.trim_end().into()
}

/// What the requester's agent is told when the child has ended.
pub fn announcement(core: &Core, record: &Record) -> String {
    let what = record.label.as_deref().unwrap_or(&record.task);
    let what = inbound::cut(what.trim(), 200);
    let outcome = record.outcome.clone().unwrap_or_default();
    let status = match (outcome.status.as_str(), outcome.error) {
        ("ok", _) => "completed successfully".to_string(),
        ("timeout", _) => "timed out".into(),
        ("error", Some(why)) => format!("failed: {why}"),
        ("error", None) => "failed".into(),
        _ => "finished with unknown status".into(),
    };
    let findings = match sessions::last_reply(core, &record.child_session_key) {
        Some(text) => inbound::cut(&text, MAX_FINDINGS),
        None => "(no output)".into(),
    };
    format!(
        "{TITLE} \"{what}\" just {status}.\n\n\
         Findings:\n{findings}\n\n\
         {}\n\n\
         Tell the person in one or two sentences what came of it, in your own words and in the flow \
         of the conversation; leave out the figures and that it was a task in the background. When \
         there is nothing worth telling, answer NO_REPLY.",
        stats(core, record)
    )
}

fn stats(core: &Core, record: &Record) -> String {
    let key = &record.child_session_key;
    let sessions = &core.agents.sessions;
    let entry = sessions.entry(key).ok().flatten();
    let mut parts = Vec::new();
    if let (Some(from), Some(to)) = (record.started_at, record.ended_at) {
        parts.push(format!("runtime {}", duration(to.saturating_sub(from))));
    }
    if let Some(entry) = &entry {
        let (input, output) = (
            entry.input_tokens.unwrap_or(0),
            entry.output_tokens.unwrap_or(0),
        );
        if input + output > 0 {
            parts.push(format!(
                "tokens {} (in {} / out {})",
                tokens(entry.total_tokens.unwrap_or(input + output)),
                tokens(input),
                tokens(output)
            ));
        }
        if let Some(cost) = cost(core, entry) {
            parts.push(format!("est ${cost:.4}"));
        }
    }
    parts.push(format!("sessionKey {key}"));
    if let Some(id) = entry.as_ref().and_then(|entry| entry.session_id.as_deref()) {
        parts.push(format!("sessionId {id}"));
    }
    if let Some(file) = entry.and_then(|entry| sessions.transcript_file(key, &entry)) {
        parts.push(format!("transcript {}", file.display()));
    }
    format!("Stats: {}", parts.join(" • "))
}

/// By the prices of the model, when it has any.
fn cost(core: &Core, entry: &Entry) -> Option<f64> {
    let model = Ref::new(entry.model_provider.as_deref()?, entry.model.as_deref()?);
    let [input, output, ..] = choose::target(&core.config.current(), &model).ok()?.cost;
    let million = |tokens: Option<u64>, price: f64| tokens.unwrap_or(0) as f64 * price / 1e6;
    let cost = million(entry.input_tokens, input) + million(entry.output_tokens, output);
    (cost > 0.0).then_some(cost)
}

fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, _) => format!("{h}h{m}m"),
    }
}

fn tokens(count: u64) -> String {
    match count {
        0..=999 => count.to_string(),
        1_000..=999_999 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.1}m", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::Outcome;
    use super::*;
    use crate::gateway::core::tests::core;

    fn record() -> Record {
        Record {
            run_id: "r".into(),
            child_session_key: "agent:main:subagent:1".into(),
            requester_session_key: "agent:main:main".into(),
            requester_display_key: "agent:main:main".into(),
            task: "count the sheep".into(),
            started_at: Some(1_000),
            ended_at: Some(313_000),
            ..Record::default()
        }
    }

    #[test]
    fn the_requester_hears_what_came_of_it() {
        let (core, dir) = core("{}");
        let ended = |status: &str, error: Option<&str>| {
            announcement(
                &core,
                &Record {
                    outcome: Some(Outcome::new(status, error)),
                    ..record()
                },
            )
        };
        let ok = ended("ok", None);
        assert!(
            ok.starts_with("A background task \"count the sheep\" just completed successfully.")
        );
        assert!(ok.contains("Findings:\n(no output)\n\nStats: runtime 5m12s • sessionKey agent:"));
        assert!(ended("error", Some("no model")).contains("just failed: no model."));
        assert!(ended("timeout", None).contains("just timed out."));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_child_knows_its_task_and_its_place() {
        let text = brief(&Record {
            label: Some("sheep".into()),
            ..record()
        });
        for part in [
            "count the sheep",
            "Label: sheep",
            "Your session: agent:main:subagent:1",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!((tokens(999), tokens(1_500)), ("999".into(), "1.5k".into()));
        assert_eq!(duration(3_725_000), "1h2m");
    }
}
