//! How patient runs are with a model that fails for a moment: the `retry` object of `settings.json`
//! in the agent's folder and of `.pi/settings.json` in its workspace, which is read last, as the
//! original's agent library does. The agent itself can write the latter, so both are bounded.
//! What cannot be read says nothing.

use crate::agent::failover::Patience;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

const MAX_RETRIES: u64 = 10;
const LONGEST_FIRST: Duration = Duration::from_secs(60);
/// A settings file is some lines.
const MAX_FILE: u64 = 64 * 1024;

pub(super) fn of(agent_dir: &Path, workspace: &Path) -> Patience {
    let mut patience = Patience::default();
    for file in [
        agent_dir.join("settings.json"),
        workspace.join(".pi/settings.json"),
    ] {
        if let Some(settings) = read(&file) {
            change(&mut patience, &settings["retry"]);
        }
    }
    patience
}

fn read(path: &Path) -> Option<Value> {
    let mut text = Vec::new();
    File::open(path)
        .ok()?
        .take(MAX_FILE)
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

fn change(patience: &mut Patience, retry: &Value) {
    if let Some(most) = retry["maxRetries"].as_u64() {
        patience.retries = usize::try_from(most.min(MAX_RETRIES)).unwrap_or_default();
    }
    if let Some(ms) = retry["baseDelayMs"].as_u64() {
        patience.first = Duration::from_millis(ms).min(LONGEST_FIRST);
    }
    match retry["enabled"].as_bool() {
        Some(false) => patience.retries = 0,
        Some(true) if patience.retries == 0 => patience.retries = Patience::default().retries,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_read_last_and_neither_is_without_bounds() {
        let dir = crate::base::id::temp_dir("patience");
        let (agent, workspace) = (dir.join("agent"), dir.join("workspace"));
        std::fs::create_dir_all(&agent).unwrap();
        std::fs::create_dir_all(workspace.join(".pi")).unwrap();
        assert_eq!(of(&agent, &workspace), Patience::default());
        let write = |file: &Path, text: &str| std::fs::write(file, text).unwrap();
        write(
            &agent.join("settings.json"),
            r#"{"retry":{"baseDelayMs":50}}"#,
        );
        assert_eq!(of(&agent, &workspace).first, Duration::from_millis(50));
        let own = workspace.join(".pi/settings.json");
        write(
            &own,
            r#"{"retry":{"maxRetries":1e9,"baseDelayMs":99999999}}"#,
        );
        assert_eq!(of(&agent, &workspace).retries, 3, "a number that is none");
        write(
            &own,
            r#"{"retry":{"maxRetries":1000000,"baseDelayMs":99999999}}"#,
        );
        let bounded = of(&agent, &workspace);
        assert_eq!((bounded.retries, bounded.first), (10, LONGEST_FIRST));
        write(&own, r#"{"retry":{"enabled":false}}"#);
        assert_eq!(of(&agent, &workspace).retries, 0);
        write(&own, "no JSON");
        assert_eq!(of(&agent, &workspace).retries, 3);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
