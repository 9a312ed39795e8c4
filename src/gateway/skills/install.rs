//! Installing what a skill lacks: one command of a package manager, or a download, through the tool
//! runner, one at a time.
//!
//! What is installed stands in a SKILL.md, which may be a stranger's: it becomes an argument of a
//! known command, never a line of a shell, and an operator has asked for it by name. Downloads end
//! up below `<state>/tools/<skill>`, nowhere else.

use crate::agent::skills::gate::Gate;
use crate::agent::skills::{Install, Skill};
use crate::config::Snapshot;
use crate::gateway::core::Core;
use crate::tool::exec::job::{self, Job};
use crate::wire::gateway::skills::Installed;
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

/// The thread only waits.
pub const STACK: usize = 256 * 1024;
/// Characters of a command's last words in the message.
const MAX_SUMMARY: usize = 300;

/// Two package managers at once only wait for each other's locks.
static ONE: Mutex<()> = Mutex::new(());

/// Fetches `$1` to `$2/$3` and, when `$4` names how, unpacks it there, leaving out `$5` leading
/// folders.
const DOWNLOAD: &str = r#"set -eu
mkdir -p "$2"
curl --fail --silent --show-error --location --proto '=http,https' --proto-redir '=http,https' \
    --max-filesize 2147483648 --output "$2/$3" "$1"
case "$4" in
tar) tar -x -f "$2/$3" -C "$2" --strip-components="$5" --no-same-owner ;;
zip) unzip -q -o "$2/$3" -d "$2" ;;
esac"#;

/// Does it, and says how it went; waits up to `limit`.
pub fn run(core: &Core, name: &str, id: &str, limit: Duration) -> Installed {
    let _one = match ONE.try_lock() {
        Err(TryLockError::WouldBlock) => {
            return failed("Another installation is running; try again when it is done".into());
        }
        Ok(one) => one,
        Err(TryLockError::Poisoned(one)) => one.into_inner(),
    };
    let config = core.config.current();
    let skills = super::all(core, &config, &config.config.default_agent_id());
    let Some(skill) = skills.iter().find(|skill| skill.name == name) else {
        return failed(format!("Skill not found: {name}"));
    };
    let Some(install) = skill.meta.install.iter().find(|install| install.id == id) else {
        return failed(format!("Installer not found: {id}"));
    };
    let gate = Gate::new(&config);
    let tools = core.config.paths().state.join("tools");
    let argv = match command(&config, &gate, skill, install, &tools) {
        Ok(argv) => argv,
        Err(why) => return failed(why),
    };
    log::info!("installing {id} of skill {name}: {}", argv[0]);
    let ended = job::run(
        &core.agents.processes,
        &Job {
            name: "skills.install",
            argv,
            cwd: core.config.paths().home.clone(),
            env: &config.env,
            with: BTreeMap::new(),
            input: None,
            limit,
            cancel: None,
        },
    );
    core.agents.skills.forget();
    match ended {
        Err(why) => failed(format!("Install failed: {why}")),
        Ok(ended) => {
            let ok = ended.failure.is_none();
            let message = match &ended.failure {
                None => "Installed".to_string(),
                Some(_) => summary(ended.code, &ended.output),
            };
            Installed {
                ok,
                message,
                stdout: ended.output,
                // The runner keeps both streams together, in the order they came.
                stderr: String::new(),
                code: ended.code,
            }
        }
    }
}

fn failed(message: String) -> Installed {
    Installed {
        message,
        ..Installed::default()
    }
}

/// The words and the last that was said.
fn summary(code: Option<i32>, output: &str) -> String {
    let code = code.map_or("unknown".into(), |code| code.to_string());
    let lines = || {
        output
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
    };
    let telling = lines()
        .rev()
        .find(|line| line.to_lowercase().contains("error"));
    let last = telling.or_else(|| lines().next_back()).unwrap_or_default();
    let last = crate::agent::inbound::cut(last, MAX_SUMMARY);
    match last.is_empty() {
        true => format!("Install failed (exit {code})"),
        false => format!("Install failed (exit {code}): {last}"),
    }
}

/// What a person reads on the button.
pub fn label(gate: &Gate, install: &Install) -> String {
    if let Some(label) = &install.label {
        return label.clone();
    }
    let Some(what) = &install.what else {
        return "Run installer".into();
    };
    match install.kind.as_str() {
        "brew" => format!("Install {what} (brew)"),
        "node" => format!("Install {what} ({})", node_manager(gate.config())),
        "download" => format!("Download {}", what.rsplit('/').next().unwrap_or(what)),
        kind => format!("Install {what} ({kind})"),
    }
}

fn node_manager(config: &Snapshot) -> &'static str {
    let set = config.value.pointer("/skills/install/nodeManager");
    let known = ["npm", "pnpm", "yarn", "bun"];
    let set = set.and_then(serde_json::Value::as_str);
    known
        .into_iter()
        .find(|name| Some(*name) == set)
        .unwrap_or("npm")
}

/// The words of the command.
fn command(
    config: &Snapshot,
    gate: &Gate,
    skill: &Skill,
    install: &Install,
    tools: &Path,
) -> Result<Vec<String>, String> {
    let what = install.what.as_deref().unwrap_or_default().trim();
    if what.is_empty() {
        return Err(format!(
            "The {} installer does not say what to install",
            install.kind
        ));
    }
    // An option in the place of a name would be another command.
    if what.starts_with('-') || what.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "\"{}\" is not a name that can be installed",
            what.escape_debug()
        ));
    }
    let manager = match install.kind.as_str() {
        "node" => node_manager(config),
        "download" => "curl",
        "brew" => "brew",
        "go" => "go",
        _ => "uv",
    };
    if !gate.has_program(manager) {
        return Err(format!("{manager} is not installed"));
    }
    let words: &[&str] = match manager {
        "npm" => &["npm", "install", "-g"],
        "pnpm" => &["pnpm", "add", "-g"],
        "yarn" => &["yarn", "global", "add"],
        "bun" => &["bun", "add", "-g"],
        "brew" => &["brew", "install"],
        "go" => &["go", "install"],
        "uv" => &["uv", "tool", "install"],
        _ => return download(skill, install, what, tools),
    };
    Ok(words
        .iter()
        .copied()
        .chain([what])
        .map(String::from)
        .collect())
}

fn download(
    skill: &Skill,
    install: &Install,
    url: &str,
    tools: &Path,
) -> Result<Vec<String>, String> {
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(format!("\"{url}\" is not an address to download from"));
    }
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let file = path.rsplit('/').next().unwrap_or_default();
    let file = plain(file).ok_or_else(|| format!("{url} does not name a file"))?;
    let key = plain(skill.key()).ok_or_else(|| format!("{} is no folder's name", skill.key()))?;
    let mut target = tools.join(key);
    if let Some(dir) = &install.target {
        let dir = Path::new(dir);
        if !dir
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(format!(
                "{} is not a folder below the skill's own",
                dir.display()
            ));
        }
        target.push(dir);
    }
    let kind = install.archive.as_deref().unwrap_or(file);
    let unpack = match kind {
        _ if install.extract == Some(false) => "none",
        kind if kind.ends_with("zip") => "zip",
        kind if [".tgz", ".tbz2", ".txz", ".tar"]
            .iter()
            .any(|end| kind.ends_with(end)) =>
        {
            "tar"
        }
        kind if kind.starts_with("tar") || kind.contains(".tar.") => "tar",
        _ => "none",
    };
    let strip = install.strip.unwrap_or(0).min(16).to_string();
    let target = target.to_string_lossy();
    let words = [
        "/bin/sh", "-c", DOWNLOAD, "install", url, &target, file, unpack, &strip,
    ];
    Ok(words.map(String::from).to_vec())
}

/// One name of a file or folder.
fn plain(name: &str) -> Option<&str> {
    let fits = |c: char| c.is_alphanumeric() || "-_.+".contains(c);
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(fits)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Env;

    fn skill(install: &str) -> Skill {
        let dir = crate::base::id::temp_dir("install");
        let front = format!(
            "---\nname: x\ndescription: d\nmetadata: {{\"openclaw\":{{\"install\":[{install}]}}}}\n---\n"
        );
        std::fs::write(dir.join("x.md"), front).unwrap();
        let config = Snapshot {
            value: serde_json::json!({"skills": {"load": {"extraDirs": [dir]}}}),
            ..Snapshot::default()
        };
        let env = Env::from_pairs(&[("HOME", "/nonexistent")]);
        let paths = crate::config::Paths::resolve(&env, None);
        let places = crate::agent::skills::find::Places::of(&config, &paths, "main");
        let found = crate::agent::skills::find::Shelf::default().skills(&places);
        std::fs::remove_dir_all(&dir).unwrap();
        found[0].clone()
    }

    fn words(install: &str) -> Result<Vec<String>, String> {
        let skill = skill(install);
        let config = Snapshot {
            env: Env::from_pairs(&[("PATH", "/nowhere")]),
            ..Snapshot::default()
        };
        let install = &skill.meta.install[0];
        match install.kind.as_str() {
            "download" => {
                let url = install.what.as_deref().unwrap();
                download(&skill, install, url, Path::new("/state/tools"))
            }
            _ => command(
                &config,
                &Gate::new(&config),
                &skill,
                install,
                Path::new("/"),
            ),
        }
    }

    #[test]
    fn a_download_stays_below_the_skills_own_folder() {
        let archive = r#"{"kind":"download","url":"https://h/a/f.tar.gz?x=1","stripComponents":1,"targetDir":"in/side"}"#;
        let argv = words(archive).unwrap();
        assert_eq!(
            argv[4..],
            [
                "https://h/a/f.tar.gz?x=1",
                "/state/tools/x/in/side",
                "f.tar.gz",
                "tar",
                "1"
            ]
        );
        for bad in [
            r#"{"kind":"download","url":"https://h/f","targetDir":"../out"}"#,
            r#"{"kind":"download","url":"https://h/f","targetDir":"/etc"}"#,
            r#"{"kind":"download","url":"file:///etc/passwd"}"#,
            r#"{"kind":"download","url":"https://h/"}"#,
        ] {
            assert!(words(bad).is_err(), "{bad}");
        }
        assert_eq!(
            words(r#"{"kind":"download","url":"https://h/f"}"#).unwrap()[7],
            "none"
        );
    }

    #[test]
    fn what_is_not_there_or_no_name_is_refused() {
        assert_eq!(
            words(r#"{"kind":"go","module":"m"}"#).unwrap_err(),
            "go is not installed"
        );
        for bad in ["-x", "a b", "a\\nb"] {
            let install = format!("{{\"kind\":\"node\",\"package\":\"{bad}\"}}");
            assert!(words(&install).unwrap_err().contains("not a name"), "{bad}");
        }
        assert_eq!(
            words(r#"{"kind":"uv"}"#).unwrap_err(),
            "The uv installer does not say what to install"
        );
    }

    #[test]
    fn the_summary_quotes_the_telling_line() {
        assert_eq!(
            summary(Some(1), "a\nError: x\nsee log"),
            "Install failed (exit 1): Error: x"
        );
        assert_eq!(summary(Some(2), "a\nlast"), "Install failed (exit 2): last");
        assert_eq!(summary(None, ""), "Install failed (exit unknown)");
    }
}
