//! A handler outside: the event on its standard input, its answer as the last line of its output, a
//! JSON object with `messages` and, for a turn that begins, `bootstrapFiles`.

use super::Core;
use crate::agent::hooks::{self, Handler, Hook, NODE};
use crate::agent::inbound;
use crate::agent::workspace::Injected;
use crate::config::Snapshot;
use crate::tool::exec::job::{self, Job};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Has a module called with the event, and prints what it left in it.
const CALLER: &str = include_str!("call.mjs");
/// Words of one handler to the person, and characters of each.
const MAX_MESSAGES: usize = 8;
const MAX_MESSAGE: usize = 4_000;
/// Files of a turn, whatever a handler makes of them.
const MAX_FILES: usize = 32;
/// Shown of what a failed handler printed.
const MAX_COMPLAINT: usize = 400;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    pub messages: Vec<String>,
    pub bootstrap_files: Option<Vec<File>>,
}

#[derive(Debug, Deserialize, PartialEq)]
pub struct File {
    name: String,
    #[serde(default)]
    path: PathBuf,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    missing: bool,
}

/// Runs it to its end. The error says what went wrong.
pub fn run(
    core: &Arc<Core>,
    config: &Snapshot,
    hook: &Hook,
    event: &Value,
    limit: Duration,
) -> Result<Answer, String> {
    let (argv, path) = match &hook.handler {
        Handler::Program(path) => (vec![text(path)], path),
        Handler::Module(path) => {
            let words = [NODE, "--input-type=module", "-e", CALLER, "--"];
            let mut argv: Vec<String> = words.map(String::from).into();
            argv.extend([text(path), hook.export.clone()]);
            (argv, path)
        }
        Handler::Built(_) => return Err("it is built in".into()),
    };
    let given = hooks::entry(config, hook).and_then(|entry| entry.get("env")?.as_object());
    let variables: BTreeMap<String, String> = given
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())))
        .collect();
    let ended = job::run(
        &core.agents.processes,
        &Job {
            name: &hook.name,
            argv,
            cwd: path.parent().unwrap_or(path).to_path_buf(),
            env: &config.env,
            with: variables,
            input: Some(event.to_string().into_bytes()),
            cancel: None,
            limit,
        },
    )?;
    match ended.failure {
        Some(why) => {
            let said = inbound::cut(&ended.output, MAX_COMPLAINT);
            Err(format!("{why}: {said}"))
        }
        None => Ok(answer(&ended.output)),
    }
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Whatever else it printed is its own business.
fn answer(output: &str) -> Answer {
    let last = output.trim_end().lines().next_back().unwrap_or_default();
    let mut answer: Answer = serde_json::from_str(last).unwrap_or_default();
    answer.messages.truncate(MAX_MESSAGES);
    for message in &mut answer.messages {
        *message = inbound::cut(message, MAX_MESSAGE);
    }
    answer.messages.retain(|message| !message.trim().is_empty());
    answer
}

/// What a handler made of the files of a turn.
pub fn files(given: Vec<File>, max_chars: usize) -> Vec<Injected> {
    let one = |file: File| {
        let text = file.content.unwrap_or_default();
        let raw_chars = text.chars().count();
        let missing = file.missing;
        Injected {
            content: match missing {
                true => format!("[MISSING] Expected at: {}", file.path.display()),
                false => inbound::cut(&text, max_chars),
            },
            name: file.name,
            path: file.path,
            missing,
            raw_chars,
            truncated: raw_chars > max_chars,
        }
    };
    given.into_iter().take(MAX_FILES).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_the_answer_if_it_is_one() {
        assert_eq!(
            answer("hello\n{\"messages\":[\"a\",\" \"]}\n").messages,
            ["a"]
        );
        assert_eq!(answer("{\"messages\":[\"a\"]}\nlater"), Answer::default());
        assert_eq!(answer(""), Answer::default());
        let many = format!("{{\"messages\":[{}\"x\"]}}", "\"x\",".repeat(20));
        assert_eq!(answer(&many).messages.len(), MAX_MESSAGES);
    }

    #[test]
    fn files_are_cut_like_any_others() {
        let given = serde_json::from_str::<Vec<File>>(
            r#"[{"name":"SOUL.md","content":"0123456789"},{"name":"X.md","path":"/x","missing":true}]"#,
        );
        let files = files(given.unwrap(), 5);
        assert!(files[0].truncated && files[0].raw_chars == 10);
        assert_eq!(files[1].content, "[MISSING] Expected at: /x");
    }
}
