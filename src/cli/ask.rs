//! Questions to the person at the terminal, on stderr: stdout belongs to the answer of the command.
//!
//! Secrets are typed unseen, or come on stdin when that is no terminal. Ctrl-C ends a question
//! with the terminal as it was.

use super::failure::Failure;
use super::output::Stopped;
use crate::base::secret::Secret;
use crate::base::sys::poll::{For, Poll};
use crate::base::sys::signals::{Signal, Signals};
use crate::base::sys::terminal::Held;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Longest secret taken from a pipe; tokens are a few KB at most.
const MAX_SECRET: u64 = 64 * 1024;

/// Whether somebody can be asked.
pub fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// One conversation. From its start on Ctrl-C ends the question (or wait) of the moment.
pub struct Ask {
    signals: Signals,
}

impl Ask {
    pub fn new() -> Result<Ask, Failure> {
        let signals = Signals::catch(&[Signal::Interrupt]).map_err(Stopped::from)?;
        Ok(Ask { signals })
    }

    /// A line as typed; `default` when it is empty.
    pub fn text(&mut self, question: &str, default: Option<&str>) -> Result<String, Failure> {
        loop {
            let hint = default.map_or(String::new(), |d| format!(" [{d}]"));
            let typed = self.read(&format!("{question}{hint}: "), false)?;
            let typed = typed.trim();
            match (typed.is_empty(), default) {
                (false, _) => return Ok(typed.to_string()),
                (true, Some(default)) => return Ok(default.to_string()),
                (true, None) => eprintln!("  Required"),
            }
        }
    }

    pub fn confirm(&mut self, question: &str, default: bool) -> Result<bool, Failure> {
        let hint = if default { "Y/n" } else { "y/N" };
        loop {
            let typed = self.read(&format!("{question} [{hint}] "), false)?;
            match typed.trim().to_lowercase().as_str() {
                "" => return Ok(default),
                "y" | "yes" => return Ok(true),
                "n" | "no" => return Ok(false),
                _ => eprintln!("  y or n"),
            }
        }
    }

    /// The place of the chosen one of `options`.
    pub fn choose(&mut self, question: &str, options: &[&str]) -> Result<usize, Failure> {
        self.pick(question, options, options, 0, options.len())
    }

    /// The same with a default. `shown` of the labels are listed; what one of the values says may
    /// also be typed.
    pub fn pick(
        &mut self,
        question: &str,
        labels: &[&str],
        values: &[&str],
        default: usize,
        shown: usize,
    ) -> Result<usize, Failure> {
        for (i, label) in labels.iter().take(shown).enumerate() {
            eprintln!("  {}  {label}", i + 1);
        }
        if labels.len() > shown {
            eprintln!("  {} more can be typed by name", labels.len() - shown);
        }
        let default = (default + 1).to_string();
        loop {
            let typed = self.text(question, Some(&default))?;
            let number = typed.parse::<usize>().ok();
            if let Some(number) = number.filter(|n| (1..=labels.len()).contains(n)) {
                return Ok(number - 1);
            }
            let named = values.iter().position(|v| v.eq_ignore_ascii_case(&typed));
            if let Some(at) = named {
                return Ok(at);
            }
            eprintln!("  a number from 1 to {}", labels.len().min(shown));
        }
    }

    /// Any number of `options`, those at `default` where nothing is typed.
    pub fn several(
        &mut self,
        question: &str,
        options: &[&str],
        default: &[usize],
    ) -> Result<Vec<usize>, Failure> {
        for (i, option) in options.iter().enumerate() {
            eprintln!("  {}  {option}", i + 1);
        }
        let numbers: Vec<String> = default.iter().map(|at| (at + 1).to_string()).collect();
        let hint = match numbers.is_empty() {
            true => "none".to_string(),
            false => numbers.join(","),
        };
        loop {
            let question = format!("{question} (numbers, all or none)");
            let typed = self.text(&question, Some(&hint))?;
            match chosen(&typed, options.len()) {
                Some(found) => return Ok(found),
                None => eprintln!("  numbers from 1 to {}, with commas", options.len()),
            }
        }
    }

    /// A line that is not shown while it is typed; may be empty.
    pub fn hidden(&mut self, question: &str) -> Result<String, Failure> {
        self.read(&format!("{question} (not shown): "), true)
    }

    /// A secret: typed unseen until `fault` finds nothing wrong with it, or all of stdin when that
    /// is no terminal.
    pub fn secret(
        &mut self,
        question: &str,
        fault: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Secret, Failure> {
        if !is_possible() {
            return piped(fault);
        }
        loop {
            let typed = self.read(&format!("{question} (not shown): "), true)?;
            match fault(typed.trim()) {
                None => return Ok(Secret::new(typed.trim())),
                Some(why) => eprintln!("  {why}"),
            }
        }
    }

    /// Waits so long, unless Ctrl-C ends it.
    pub fn wait(&mut self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let mut poll = Poll::new();
            let signal = poll.add(self.signals.fd(), For::Reading);
            poll.wait(Some(left)).map_err(Stopped::from)?;
            if poll.ready(signal) {
                return Err(self.cancelled());
            }
        }
    }

    fn read(&mut self, prompt: &str, unseen: bool) -> Result<String, Failure> {
        let stdin = io::stdin();
        // Before the question: who answers at once is not shown either, and loses nothing.
        let silence = match unseen {
            true => Some(Held::silent(stdin.as_fd()).map_err(Stopped::from)?),
            false => None,
        };
        let mut err = io::stderr();
        let shown = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
        shown.map_err(Stopped::from)?;
        let mut poll = Poll::new();
        let signal = poll.add(self.signals.fd(), For::Reading);
        poll.add(stdin.as_fd(), For::Reading);
        poll.wait(None).map_err(Stopped::from)?;
        let interrupted = poll.ready(signal);
        drop(poll);
        if interrupted {
            drop(silence);
            return Err(self.cancelled());
        }
        let mut line = String::new();
        match stdin.lock().read_line(&mut line).map_err(Stopped::from)? {
            0 => Err(self.cancelled()),
            _ => Ok(line),
        }
    }

    fn cancelled(&mut self) -> Failure {
        self.signals.take();
        eprintln!();
        Failure::Cancelled
    }
}

/// `1,3`, `all`, `none`, as places.
fn chosen(typed: &str, count: usize) -> Option<Vec<usize>> {
    match typed.trim().to_lowercase().as_str() {
        "none" => return Some(Vec::new()),
        "all" => return Some((0..count).collect()),
        _ => {}
    }
    let words = typed.split([',', ' ']).filter(|word| !word.is_empty());
    let mut found = Vec::new();
    for word in words {
        let at = word.parse::<usize>().ok()?.checked_sub(1)?;
        if at >= count {
            return None;
        }
        if !found.contains(&at) {
            found.push(at);
        }
    }
    Some(found)
}

fn piped(fault: &dyn Fn(&str) -> Option<String>) -> Result<Secret, Failure> {
    let mut piped = String::new();
    io::stdin()
        .take(MAX_SECRET)
        .read_to_string(&mut piped)
        .map_err(|err| Failure::said(format!("Error: stdin: {err}")))?;
    let piped = piped.trim();
    match fault(piped) {
        None => Ok(Secret::new(piped)),
        Some(_) if piped.is_empty() => Err(Failure::said(
            "Error: nothing on stdin\n  fix: run it at a terminal, or pipe the secret in, as in \
             printf %s \"$TOKEN\" | openclaw models auth paste-token --provider anthropic",
        )),
        Some(why) => Err(Failure::said(format!("Error: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn several_are_named_by_number_and_what_is_none_is_refused() {
        assert_eq!(chosen("1, 3,1", 3), Some(vec![0, 2]));
        assert_eq!(chosen("ALL", 2), Some(vec![0, 1]));
        assert_eq!(chosen("none", 2), Some(vec![]));
        for bad in ["0", "4", "x", "1;2"] {
            assert_eq!(chosen(bad, 3), None, "{bad}");
        }
    }
}
