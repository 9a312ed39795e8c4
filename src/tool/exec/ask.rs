//! A command that a person must approve: the call returns at once, and the command starts, or does
//! not, when the answer is there. The session is told what came of it.

use super::Job;
use super::host::{Ruling, Settings};
use crate::base::{id, time};
use crate::tool::approve::{
    self, After, Decision, MAX_COMMAND, Question, Running, Security, Store, WAIT,
};
use crate::tool::process::Processes;
use crate::tool::{Context, Error, Output};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// When a command that was let run is told to be running still, milliseconds.
const RUNNING_NOTICE_MS: f64 = 10_000.0;
/// Characters of a command in a note.
const NOTE_COMMAND: usize = 400;

/// The command with the variables the call gives it: who approves it must see them.
pub fn shown(command: &str, given: &BTreeMap<String, String>) -> String {
    let mut shown = String::new();
    for (name, value) in given {
        shown.push_str(&format!("{name}='{}' ", value.replace('\'', "'\\''")));
    }
    shown + command
}

/// `tools.exec.approvalRunningNoticeMs`; 0 means no notice.
pub fn running_notice(settings: &Settings) -> Option<Duration> {
    let ms = settings.number("approvalRunningNoticeMs");
    let wait = Duration::try_from_secs_f64(ms.unwrap_or(RUNNING_NOTICE_MS) / 1000.0);
    wait.ok().filter(|wait| !wait.is_zero())
}

/// Notes in the file which patterns were used. The command runs whether that works or not.
pub fn note_use(store: &Store, ruling: &Ruling, command: &str) {
    let uses = &ruling.judged.uses;
    if ruling.security != Security::Allowlist || uses.is_empty() {
        return;
    }
    if let Err(err) = store.used(uses, command) {
        log::warn!("exec approvals: {err}");
    }
}

pub fn ask(
    ctx: &Context,
    ruling: Ruling,
    store: Store,
    job: Job,
    shown: String,
    notice: Option<Duration>,
    warnings: &str,
) -> Result<Output, Error> {
    let desk = ctx.approve.desk.ok_or(
        "exec denied: this command needs an approval, and there is nobody to ask where this run \
         came from.",
    )?;
    if shown.len() > MAX_COMMAND {
        return Err(Error(format!(
            "exec denied: a command of more than {MAX_COMMAND} bytes cannot be shown to a person \
             for approval. Put it into a script and run that."
        )));
    }
    let now = time::now_ms();
    let question = Question {
        id: id::uuid(),
        command: shown,
        cwd: job.run.cwd.display().to_string(),
        security: ruling.security,
        ask: ruling.ask,
        agent_id: ctx.agent_id.into(),
        session_key: ctx.session_key.into(),
        resolved_path: ruling
            .judged
            .programs
            .first()
            .map(|path| path.display().to_string()),
        created_at_ms: now,
        expires_at_ms: now + u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX),
    };
    let slug: String = question.id.chars().take(8).collect();
    let details = json!({
        "status": "approval-pending",
        "approvalId": question.id,
        "approvalSlug": slug,
        "expiresAtMs": question.expires_at_ms,
        "host": "gateway",
        "command": job.command,
        "cwd": question.cwd,
    });
    let text = format!(
        "{warnings}Approval required (id {slug}). Approve to run; updates will arrive after \
         completion.\nA person has {} seconds to answer. Do not call it again meanwhile; what \
         came of it is told in a later message.",
        WAIT.as_secs()
    );
    let pending = Pending {
        id: question.id.clone(),
        ruling,
        store,
        job,
        notice,
    };
    desk.ask(
        question,
        ctx.cancel,
        Box::new(move |decision, processes| pending.decided(decision, processes)),
    )
    .map_err(|why| Error(format!("exec denied: {why}")))?;
    Ok(Output::text(text).with_details(details))
}

/// A command whose question is out.
struct Pending {
    id: String,
    ruling: Ruling,
    store: Store,
    job: Job,
    notice: Option<Duration>,
}

impl Pending {
    fn decided(self, decision: Option<Decision>, processes: &Processes) -> After {
        let listed = self.ruling.is_listed();
        let denied = match (decision, self.ruling.fallback) {
            (Some(Decision::AllowOnce | Decision::AllowAlways), _) => None,
            (Some(Decision::Deny), _) => Some("user-denied"),
            (None, Security::Full) => None,
            (None, Security::Allowlist) if listed => None,
            (None, Security::Allowlist) => Some("approval-timeout (allowlist-miss)"),
            (None, Security::Deny) => Some("approval-timeout"),
        };
        if let Some(why) = denied {
            return self.denied(why);
        }
        if decision == Some(Decision::AllowAlways) {
            self.remember();
        }
        note_use(&self.store, &self.ruling, &self.job.command);
        self.start(processes)
    }

    /// Its programs run without asking from now on.
    fn remember(&self) {
        if self.ruling.security != Security::Allowlist {
            return;
        }
        let programs = self.ruling.judged.programs.iter();
        // As a pattern a star would stand for more than itself.
        let patterns: Vec<String> = programs
            .filter_map(|path| path.to_str())
            .filter(|path| !path.contains(['*', '?', '~']))
            .map(str::to_string)
            .collect();
        if patterns.is_empty() {
            log::info!("exec approvals: no program of this command can be allowed for good");
            return;
        }
        if let Err(err) = self.store.allow(&self.job.agent_id, &patterns) {
            log::error!("exec approvals: {err}");
        }
    }

    fn start(self, processes: &Processes) -> After {
        let (approval, notice) = (self.id.clone(), self.notice);
        let command = self.command();
        let (mut session, run) = self.job.split(Some(self.id));
        session.backgrounded = true;
        match processes.start(session, run) {
            Err(why) => {
                log::warn!("exec: {why}");
                After {
                    note: Some(format!(
                        "Exec denied (gateway id={approval}, spawn-failed): {command}"
                    )),
                    running: None,
                }
            }
            Ok(process) => After {
                note: None,
                running: notice.map(|after| Running {
                    note: format!(
                        "Exec running (gateway id={approval}, session={process}, >{}s): {command}",
                        after.as_secs_f64().round()
                    ),
                    process,
                    after,
                }),
            },
        }
    }

    fn denied(self, why: &str) -> After {
        After {
            note: Some(format!(
                "Exec denied (gateway id={}, {why}): {}",
                self.id,
                self.command()
            )),
            running: None,
        }
    }

    fn command(&self) -> String {
        approve::cut(&self.job.command, NOTE_COMMAND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_approves_sees_the_variables_too() {
        let given = BTreeMap::from([("PAGER".to_string(), "x'y".to_string())]);
        assert_eq!(shown("git log", &given), "PAGER='x'\\''y' git log");
        assert_eq!(shown("ls", &BTreeMap::new()), "ls");
    }
}
