//! One command: what was asked, what it printed, how it ended.

use super::Ended;
use super::output::Output;
use crate::session::parting::Left;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Characters of output shown in details and lists.
const TAIL: usize = 2000;
/// Characters of output in the notice of a background session's end.
const NOTICE_TAIL: usize = 400;

#[derive(Debug)]
pub struct Session {
    /// Two words, see `slug`.
    pub id: String,
    pub agent_id: String,
    pub session_key: String,
    pub command: String,
    pub cwd: String,
    pub pid: Option<u32>,
    /// Milliseconds since 1970.
    pub started_ms: u64,
    pub started: Instant,
    pub output: Output,
    pub end: Option<End>,
    /// Its call did not wait for it: it belongs to the agent now.
    pub backgrounded: bool,
    /// What the next core tells of it, when this one ends first.
    pub mark: Option<Left>,
    pub stdin_open: bool,
    /// Whether the agent is told of a background session's end.
    pub notify: bool,
    /// The question that let it run, when a person was asked: its end is always told, in other
    /// words.
    pub approval: Option<String>,
    /// How long it is kept after its end.
    pub keep: Duration,
    pub timeout: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct End {
    pub at: Instant,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    /// It never ran, or the runner was lost.
    pub failed: Option<String>,
}

impl End {
    pub fn exited(code: Option<i32>, signal: Option<i32>, timed_out: bool) -> End {
        End {
            at: Instant::now(),
            code,
            signal,
            timed_out,
            failed: None,
        }
    }

    pub fn failed(why: String) -> End {
        End {
            failed: Some(why),
            ..End::exited(None, None, false)
        }
    }

    pub fn is_success(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// `code 3`, `signal SIGKILL`.
    pub fn label(&self) -> String {
        match (self.signal, self.code) {
            (Some(signal), _) => format!("signal {}", signal_name(signal)),
            (None, code) => format!("code {}", code.unwrap_or(0)),
        }
    }

    /// Why it counts as failed, as the model reads it.
    pub fn reason(&self, timeout: Option<Duration>) -> String {
        if let Some(why) = &self.failed {
            return format!("Command failed to run: {why}");
        }
        if self.timed_out {
            let seconds = timeout.unwrap_or_default().as_secs_f64();
            return format!("Command timed out after {seconds} seconds");
        }
        match (self.signal, self.code) {
            (Some(signal), _) => format!("Command aborted by signal {}", signal_name(signal)),
            (None, Some(code)) => format!("Command exited with code {code}"),
            (None, None) => "Command ended without an exit status".into(),
        }
    }
}

impl Session {
    pub fn status(&self) -> &'static str {
        match &self.end {
            None => "running",
            Some(end) if end.is_success() => "completed",
            Some(_) => "failed",
        }
    }

    pub fn tail(&self) -> &str {
        self.output.last(TAIL)
    }

    pub fn finish(&mut self, end: End) {
        self.output.close();
        self.stdin_open = false;
        self.end = Some(end);
    }

    pub fn runtime(&self) -> Duration {
        let until = self.end.as_ref().map_or_else(Instant::now, |end| end.at);
        until.duration_since(self.started)
    }

    /// The details of a call whose command goes on.
    pub fn running_details(&self) -> Value {
        json!({
            "status": "running",
            "sessionId": self.id,
            "pid": self.pid,
            "startedAt": self.started_ms,
            "cwd": self.cwd,
            "tail": self.tail(),
        })
    }

    /// What is told of its end, when somebody wants to hear of it.
    pub fn ended(&self) -> Option<Ended> {
        let end = self.end.as_ref()?;
        if !self.backgrounded || !(self.notify || self.approval.is_some()) {
            return None;
        }
        let tail: Vec<&str> = self.output.last(NOTICE_TAIL).split_whitespace().collect();
        let tail = tail.join(" ");
        let (status, label) = (self.status(), end.label());
        let (mut notice, between) = match &self.approval {
            None => {
                let short: String = self.id.chars().take(8).collect();
                (format!("Exec {status} ({short}, {label})"), " :: ")
            }
            Some(approval) => {
                let id = &self.id;
                let how = match &end.failed {
                    Some(_) => "spawn-failed",
                    None if end.timed_out => "timeout",
                    None => label.as_str(),
                };
                let notice = match &end.failed {
                    Some(_) => format!(
                        "Exec denied (gateway id={approval}, {how}): {}",
                        self.command
                    ),
                    None => format!("Exec finished (gateway id={approval}, session={id}, {how})"),
                };
                (notice, "\n")
            }
        };
        if !tail.is_empty() {
            notice = format!("{notice}{between}{tail}");
        }
        Some(Ended {
            session_id: self.id.clone(),
            agent_id: self.agent_id.clone(),
            session_key: self.session_key.clone(),
            notice,
        })
    }

    /// The verb and the first thing it works on.
    pub fn name(&self) -> String {
        let mut words = words(&self.command).into_iter();
        let Some(verb) = words.next() else {
            return String::new();
        };
        let rest: Vec<String> = words.collect();
        let target = rest.iter().find(|word| !word.starts_with('-'));
        match target.or(rest.first()) {
            Some(target) => format!("{verb} {}", middle(target, 48)),
            None => verb,
        }
    }
}

/// Splits at spaces outside quotes, and takes the quotes off.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// At most `most` characters, the middle left out.
pub fn middle(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    let half = (most - 3) / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{start}...{end}")
}

pub fn signal_name(signal: i32) -> String {
    const NAMES: &[(i32, &str)] = &[
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (5, "SIGTRAP"),
        (6, "SIGABRT"),
        (7, "SIGBUS"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (10, "SIGUSR1"),
        (11, "SIGSEGV"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
        (24, "SIGXCPU"),
        (25, "SIGXFSZ"),
        (31, "SIGSYS"),
    ];
    let known = NAMES.iter().find(|(number, _)| *number == signal);
    known.map_or_else(|| signal.to_string(), |(_, name)| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_why() {
        let reason = |end: End| end.reason(Some(Duration::from_millis(1500)));
        assert_eq!(
            reason(End::exited(Some(3), None, false)),
            "Command exited with code 3"
        );
        assert_eq!(
            reason(End::exited(None, Some(9), false)),
            "Command aborted by signal SIGKILL"
        );
        assert_eq!(
            reason(End::exited(None, Some(9), true)),
            "Command timed out after 1.5 seconds"
        );
    }

    #[test]
    fn words_are_split_outside_quotes() {
        assert_eq!(words("git commit -m 'a b'"), ["git", "commit", "-m", "a b"]);
        assert_eq!(middle("abcdefghij", 7), "ab...ij");
    }
}
