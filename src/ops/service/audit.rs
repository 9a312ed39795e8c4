//! What is wrong with a service as it is written: an older version's, somebody's own, or the
//! original's.

use super::Written;
use super::definition::SYSTEM_FOLDERS;
use serde::Serialize;
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Recommended,
    /// Putting it right changes what the owner wrote on purpose.
    Aggressive,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub level: Level,
}

/// `program` is our own `openclaw`; `systemd` says that the file is a unit.
pub fn audit(written: &Written, program: &Path, systemd: bool) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut found = |level, code, message: &str, detail: Option<String>| {
        issues.push(Issue {
            code,
            message: message.to_string(),
            detail,
            level,
        });
    };
    use Level::{Aggressive, Recommended};
    if !written.argv.iter().any(|word| word == "gateway") {
        found(
            Aggressive,
            "gateway-command-missing",
            "Service command does not include the gateway subcommand",
            None,
        );
    }
    let runs = written.argv.first().map(String::as_str).unwrap_or_default();
    if !runs.is_empty() && Path::new(runs) != program {
        found(
            Recommended,
            "gateway-entrypoint-mismatch",
            "Service starts another program than this one.",
            Some(format!("{runs} -> {}", program.display())),
        );
    }
    match written.env("PATH") {
        None => found(
            Recommended,
            "gateway-path-missing",
            "Gateway service PATH is not set; the daemon should use a minimal PATH.",
            None,
        ),
        Some(path) => {
            let has =
                |folder: &&&str| !path.split(':').any(|f| f.trim_end_matches('/') == **folder);
            let missing: Vec<&str> = SYSTEM_FOLDERS.iter().filter(has).copied().collect();
            if !missing.is_empty() {
                found(
                    Recommended,
                    "gateway-path-missing-dirs",
                    &format!(
                        "Gateway service PATH missing required dirs: {}",
                        missing.join(", ")
                    ),
                    None,
                );
            }
        }
    }
    if systemd {
        let line = |wanted: &[&str]| {
            let mut lines = written.text.lines().map(str::trim);
            lines.any(|line| wanted.iter().all(|word| line.contains(word)))
        };
        let mut unit = |code, there: bool, message| {
            if !there {
                found(Recommended, code, message, None);
            }
        };
        unit(
            "systemd-after-network-online",
            line(&["After=", "network-online.target"]),
            "Missing systemd After=network-online.target",
        );
        unit(
            "systemd-wants-network-online",
            line(&["Wants=", "network-online.target"]),
            "Missing systemd Wants=network-online.target",
        );
        let restart = ["RestartSec=5", "RestartSec=5s"];
        unit(
            "systemd-restart-sec",
            written
                .text
                .lines()
                .any(|line| restart.contains(&line.trim())),
            "RestartSec does not match the recommended 5s",
        );
    }
    issues
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_foreign_is_found() {
        let program = Path::new("/usr/bin/openclaw");
        let good = Written {
            argv: ["/usr/bin/openclaw", "gateway"].map(String::from).to_vec(),
            env: vec![("PATH".into(), "/usr/local/bin/:/usr/bin:/bin".into())],
            folder: None,
            text: "After=network-online.target\nWants=network-online.target\nRestartSec=5".into(),
        };
        assert_eq!(audit(&good, program, true), []);
        let bad = Written {
            argv: vec!["/usr/bin/node".into()],
            env: vec![("PATH".into(), "/usr/bin".into())],
            ..Written::default()
        };
        let codes: Vec<&str> = audit(&bad, program, true).iter().map(|i| i.code).collect();
        assert_eq!(
            codes,
            [
                "gateway-command-missing",
                "gateway-entrypoint-mismatch",
                "gateway-path-missing-dirs",
                "systemd-after-network-online",
                "systemd-wants-network-online",
                "systemd-restart-sec"
            ]
        );
        let bare = audit(&Written::default(), program, false);
        assert_eq!(bare.len(), 2);
    }
}
