//! Running a service manager's own tool, as the person who asks.

use super::Error;
use std::process::{Command, Stdio};

/// What it said on standard output.
///
/// The person at the terminal can end it sooner than any limit, and `restart` rightly waits until
/// the gateway is ready.
pub fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|err| match err.kind() {
            std::io::ErrorKind::NotFound => format!("{program} not found"),
            _ => format!("{program}: {err}"),
        })?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_string();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err([complaint, said]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| output.status.to_string()))
}

/// The same where it must succeed.
pub fn must(program: &str, words: &[&str]) -> Result<String, Error> {
    let verb = words.iter().find(|word| **word != "--user");
    let verb = verb.filter(|word| !word.starts_with('-'));
    let what = || match verb {
        Some(verb) => format!("{program} {verb}"),
        None => program.to_string(),
    };
    run(program, words).map_err(|detail| Error::Tool {
        what: what(),
        detail,
    })
}
