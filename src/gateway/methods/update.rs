//! `update.run`: this build is updated by whatever installed it, and says by what.

use super::{Answer, Call};
use crate::base::time::now_ms;
use crate::gateway::core::Core;
use crate::gateway::restart;
use crate::wire::gateway::config::SentinelPayload;
use crate::wire::gateway::update::{RunParams, Updated, Version};
use crate::wire::version;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// Characters of the note for the session.
const MAX_NOTE_CHARS: usize = 2_000;

/// Package managers and the file by which a system is known that has one.
const SYSTEMS: &[(&str, &str)] = &[
    ("etc/debian_version", "apt install --only-upgrade openclaw"),
    ("etc/alpine-release", "apk upgrade openclaw"),
    ("etc/arch-release", "pacman -S openclaw"),
    ("etc/fedora-release", "dnf upgrade openclaw"),
    ("etc/redhat-release", "dnf upgrade openclaw"),
    ("etc/SuSE-release", "zypper update openclaw"),
];

/// The restart happens all the same: it takes up a program that was replaced meanwhile.
pub fn run(core: &Arc<Core>, call: &Call) -> Answer {
    let params: RunParams = match call.parse() {
        Ok(params) => params,
        Err(error) => return error.into(),
    };
    let (root, reason) = here();
    let updated = Updated {
        status: "skipped",
        mode: "unknown",
        root,
        reason: Some(reason),
        before: Version {
            version: version::PROGRAM,
        },
        steps: Vec::new(),
        duration_ms: 0,
    };
    let stats = json!({
        "mode": updated.mode,
        "root": updated.root,
        "before": updated.before,
        "steps": updated.steps,
        "reason": updated.reason,
        "durationMs": updated.duration_ms,
    });
    let text = |text: Option<String>| {
        let text = text.unwrap_or_default();
        let text: String = text.trim().chars().take(MAX_NOTE_CHARS).collect();
        (!text.is_empty()).then_some(text)
    };
    let payload = SentinelPayload {
        kind: "update".into(),
        status: updated.status.into(),
        ts: now_ms(),
        session_key: text(params.session_key),
        message: text(params.note),
        doctor_hint: "Run: openclaw doctor --non-interactive".into(),
        stats,
    };
    let left = restart::leave_note(core.config.paths(), payload);
    let restart = restart::plan(core, params.restart_delay_ms, "update.run");
    Answer::ok(&json!({
        "ok": true,
        "result": updated,
        "restart": restart,
        "sentinel": left,
    }))
}

/// The folder of the running program, and what updates it.
pub fn here() -> (Option<String>, String) {
    let program = std::env::current_exe().ok();
    let program = program.as_deref();
    let folder = program.and_then(Path::parent);
    let reason = program.map_or_else(advice_without, |exe| advice(exe, Path::new("/")));
    (folder.map(|dir| dir.display().to_string()), reason)
}

/// What updates a program that lies at `exe`, on the system at `root`.
fn advice(exe: &Path, root: &Path) -> String {
    let within = |dir: &str| exe.starts_with(dir);
    let by = |command: &str| format!("this program is not updated by itself; run `{command}`");
    if root.join(".dockerenv").exists() || root.join("run/.containerenv").exists() {
        return "this program runs in a container; pull a newer image and start it anew".into();
    }
    if within("/nix/store") || within("/gnu/store") {
        return "this program comes from a store that is never changed; update the system that \
                names it"
            .into();
    }
    let parts: Vec<_> = exe.iter().collect();
    if parts
        .windows(2)
        .any(|two| two[0] == ".cargo" && two[1] == "bin")
    {
        return by("cargo install --force openclaw");
    }
    if parts.windows(2).any(|two| two[0] == "target") {
        return by("git pull && cargo build --release");
    }
    if within("/usr") && !within("/usr/local") {
        let known = SYSTEMS.iter().find(|(file, _)| root.join(file).exists());
        if let Some((_, command)) = known {
            return by(command);
        }
    }
    advice_without()
}

fn advice_without() -> String {
    "this program is not updated by itself; update it the way it was installed".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_fits_the_way_of_installation() {
        let root = crate::base::id::temp_dir("update");
        std::fs::create_dir(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/debian_version"), "").unwrap();
        let says = |exe: &str, words: &str| {
            let said = advice(Path::new(exe), &root);
            assert!(said.contains(words), "{exe}: {said}");
        };
        says("/usr/bin/openclaw-gateway", "apt install");
        says(
            "/usr/local/bin/openclaw-gateway",
            "the way it was installed",
        );
        says("/home/u/.cargo/bin/openclaw-gateway", "cargo install");
        says("/home/u/src/target/release/openclaw-gateway", "git pull");
        says("/nix/store/x/bin/openclaw-gateway", "store");
        std::fs::write(root.join(".dockerenv"), "").unwrap();
        says("/usr/bin/openclaw-gateway", "newer image");
        std::fs::remove_dir_all(root).unwrap();
    }
}
