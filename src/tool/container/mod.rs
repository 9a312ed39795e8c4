//! Sandboxes that are containers: for the settings that only a container can give (an image, mounts,
//! a setup command), where there is a `docker` program. The names, labels and the registry are the
//! original's, so either program goes on with the other's containers.
//!
//! Docker itself is trusted: whoever may talk to it is root on this host. So the program is run by
//! the tool runner like any command, never for anything a sandboxed session can word: names, images
//! and mounts come from the configuration, and the session's command is one argument, after the
//! container's name.

pub mod registry;
mod spec;

use crate::base::time::now_ms;
use crate::config::sandbox::{Access, Settings};
use crate::config::{Env, Paths};
use registry::{Entry, Registry};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A container whose settings changed is made anew, unless somebody used it so lately: work may be
/// going on in it.
const HOT_MS: u64 = 5 * 60 * 1000;
/// Docker answers at once, or is broken.
const QUICK: Duration = Duration::from_secs(30);
/// An image is fetched, or a setup command installs programs.
const SLOW: Duration = Duration::from_secs(15 * 60);
/// Pause between two looks for containers nobody uses.
const PRUNE_EVERY_MS: u64 = 5 * 60 * 1000;
const HOUR_MS: u64 = 60 * 60 * 1000;
/// What the default image is a name for.
const BASE_IMAGE: &str = "debian:bookworm-slim";
/// For the program itself: where its daemon is.
const CLIENT_VARIABLES: [&str; 4] = [
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "XDG_RUNTIME_DIR",
];

/// One container at a time is looked after: two would make it twice. Holds when the last look for
/// unused ones was.
static ONE: Mutex<u64> = Mutex::new(0);

/// Runs the `docker` program.
pub trait Docker {
    fn run(&self, words: &[&str], limit: Duration) -> Result<Done, String>;
}

pub struct Done {
    pub ok: bool,
    pub output: String,
}

/// What a container is for.
pub struct Wanted<'a> {
    pub settings: &'a Settings,
    /// `shared`, `agent:<id>` or a session's key.
    pub scope: String,
    /// Where the session works, on the host.
    pub folder: &'a Path,
    pub workspace: &'a Path,
}

/// The program, when these settings ask for a container and there is one.
pub fn program(settings: &Settings, env: &Env) -> Option<PathBuf> {
    settings.needs_container()?;
    docker(env)
}

/// The program, if it is installed.
pub fn docker(env: &Env) -> Option<PathBuf> {
    let path = env.get("PATH").unwrap_or_default();
    std::env::split_paths(path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join("docker"))
        .find(|file| {
            let meta = std::fs::metadata(file);
            meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// What of our environment the program needs to find its daemon.
pub fn client_variables(env: &Env) -> BTreeMap<String, String> {
    let own = |name: &&str| Some((name.to_string(), env.get(name)?.to_string()));
    CLIENT_VARIABLES.iter().filter_map(own).collect()
}

/// The file the original keeps its containers in.
pub fn registry(paths: &Paths) -> Registry {
    Registry::new(paths, "containers.json")
}

/// The same for browsers.
pub fn browsers(paths: &Paths) -> Registry {
    Registry::new(paths, "browsers.json")
}

/// The image a configuration asks for.
pub fn image(settings: &Settings) -> String {
    spec::text(settings, "image", spec::IMAGE)
}

/// The folder a session sees as its own inside.
pub fn workdir(settings: &Settings) -> String {
    spec::text(settings, "workdir", spec::WORKDIR)
}

/// The words that run `command` in the container `name`.
pub fn words(
    name: &str,
    cwd: &str,
    env: &BTreeMap<String, String>,
    command: &str,
    terminal: bool,
) -> Vec<String> {
    let mut words: Vec<String> = vec!["exec".into(), "-i".into()];
    if terminal {
        words.push("-t".into());
    }
    words.extend(["-w".into(), cwd.into()]);
    for (key, value) in env {
        words.extend(["-e".into(), format!("{key}={value}")]);
    }
    // A login shell sets PATH anew: what is to come first is put there after that.
    let mut line = String::new();
    if let Some(path) = env.get("PATH").filter(|path| !path.is_empty()) {
        words.extend(["-e".into(), format!("OPENCLAW_PREPEND_PATH={path}")]);
        line.push_str(
            "export PATH=\"${OPENCLAW_PREPEND_PATH}:$PATH\"; unset OPENCLAW_PREPEND_PATH; ",
        );
    }
    line.push_str(command);
    words.extend([name.into(), "sh".into(), "-lc".into(), line]);
    words
}

/// Sees to it that the container is there, as the settings want it, and runs. Its name.
pub fn ensure(docker: &dyn Docker, paths: &Paths, wanted: &Wanted) -> Result<String, String> {
    let mut pruned = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = registry(paths);
    let now = now_ms();
    if now.saturating_sub(*pruned) >= PRUNE_EVERY_MS {
        *pruned = now;
        prune(docker, &registry, wanted.settings, now);
    }
    let name = spec::name(wanted);
    let hash = spec::hash(wanted);
    let known = registry.find(&name);
    let mut running = is_running(docker, &name)?;
    let mut kept = None;
    if let Some(is_up) = running {
        let label = "{{ index .Config.Labels \"openclaw.configHash\" }}";
        let read = last_line(&docker.run(&["inspect", "-f", label, &name], QUICK)?);
        let read = read.filter(|hash| hash != "<no value>");
        let current = read.or_else(|| known.as_ref()?.config_hash.clone());
        if current.as_ref() != Some(&hash) {
            let used = known.as_ref().map(|entry| entry.last_used_at_ms);
            if is_up && used.is_none_or(|used| now.saturating_sub(used) < HOT_MS) {
                log::warn!(
                    "the sandbox settings for {name} changed while it is in use; they hold after \
                     openclaw sandbox recreate"
                );
                kept = current;
            } else {
                docker.run(&["rm", "-f", &name], QUICK)?;
                running = None;
            }
        }
    }
    match running {
        None => {
            create(docker, wanted, &name, &hash, now)?;
            // A row of its predecessor would keep that one's age and image.
            registry.remove(&name).map_err(|err| err.to_string())?;
        }
        Some(false) => said(docker.run(&["start", &name], QUICK)?)?,
        Some(true) => {}
    }
    let entry = Entry {
        container_name: name.clone(),
        session_key: wanted.scope.clone(),
        created_at_ms: now,
        last_used_at_ms: now,
        image: image(wanted.settings),
        config_hash: Some(kept.unwrap_or(hash)),
        rest: serde_json::Map::new(),
    };
    registry.put(entry).map_err(|err| err.to_string())?;
    Ok(name)
}

/// Takes a container away, and its row.
pub fn remove(docker: &dyn Docker, registry: &Registry, name: &str) -> Result<(), String> {
    said(docker.run(&["rm", "-f", name], QUICK)?)?;
    registry.remove(name).map_err(|err| err.to_string())
}

/// `None`: there is no such container.
pub fn is_running(docker: &dyn Docker, name: &str) -> Result<Option<bool>, String> {
    let done = docker.run(&["inspect", "-f", "{{.State.Running}}", name], QUICK)?;
    if !done.ok {
        // Also when Docker does not answer; then making one fails, and says why.
        return Ok(None);
    }
    Ok(Some(last_line(&done).as_deref() == Some("true")))
}

/// The image a container was made from.
pub fn image_of(docker: &dyn Docker, name: &str) -> Option<String> {
    let done = docker.run(&["inspect", "-f", "{{.Config.Image}}", name], QUICK);
    done.ok()
        .filter(|done| done.ok)
        .and_then(|done| last_line(&done))
}

fn create(
    docker: &dyn Docker,
    wanted: &Wanted,
    name: &str,
    hash: &str,
    now: u64,
) -> Result<(), String> {
    let image = image(wanted.settings);
    let found = docker.run(&["image", "inspect", &image], QUICK)?;
    if !found.ok {
        if !found.output.to_lowercase().contains("no such image") {
            return Err(format!("docker: {}", found.output.trim()));
        }
        if image != spec::IMAGE {
            return Err(format!(
                "Sandbox image not found: {image}. Build or pull it first."
            ));
        }
        said(docker.run(&["pull", BASE_IMAGE], SLOW)?)?;
        said(docker.run(&["tag", BASE_IMAGE, &image], QUICK)?)?;
    }
    let words = spec::create(wanted, name, hash, now);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    said(docker.run(&words, SLOW)?)?;
    said(docker.run(&["start", name], QUICK)?)?;
    let setup = wanted.settings.docker.get("setupCommand");
    let setup = setup
        .and_then(Value::as_str)
        .filter(|line| !line.trim().is_empty());
    if let Some(line) = setup {
        let done = docker.run(&["exec", "-i", name, "sh", "-lc", line], SLOW)?;
        if !done.ok {
            // Half set up would be taken for ready the next time.
            let _ = docker.run(&["rm", "-f", name], QUICK);
            let output = done.output.trim();
            return Err(format!("the sandbox's setupCommand failed: {output}"));
        }
    }
    Ok(())
}

/// Takes away the containers nobody used for long, or that are old.
fn prune(docker: &dyn Docker, registry: &Registry, settings: &Settings, now: u64) {
    let (idle, age) = (settings.idle_hours, settings.max_age_days * 24);
    let is_over = |hours: u64, since: u64| {
        hours > 0 && now.saturating_sub(since) > hours.saturating_mul(HOUR_MS)
    };
    for entry in registry.read() {
        if is_over(idle, entry.last_used_at_ms) || is_over(age, entry.created_at_ms) {
            let name = &entry.container_name;
            match remove(docker, registry, name) {
                Ok(()) => log::info!("removed the sandbox {name}: nobody used it"),
                Err(why) => log::warn!("cannot remove the sandbox {name}: {why}"),
            }
        }
    }
}

fn said(done: Done) -> Result<(), String> {
    match done.ok {
        true => Ok(()),
        false => Err(format!("docker: {}", done.output.trim())),
    }
}

/// The answer of `inspect -f`; warnings come before it.
fn last_line(done: &Done) -> Option<String> {
    let line = done.output.lines().rev().map(str::trim);
    let mut line = line.filter(|line| !line.is_empty());
    line.next().filter(|_| done.ok).map(str::to_string)
}

/// Of what a container is for, the part after the host's folder: as it is called inside.
pub fn inside(settings: &Settings, folder: &Path, path: &Path) -> String {
    let workdir = workdir(settings);
    match path.strip_prefix(folder) {
        Ok(rest) if !rest.as_os_str().is_empty() => format!("{workdir}/{}", rest.display()),
        _ => workdir,
    }
}

/// A path as it is called inside, on the host. `None`: it is no such path.
pub fn outside(settings: &Settings, room: &Path, workspace: &Path, path: &Path) -> Option<PathBuf> {
    if let Ok(rest) = path.strip_prefix(workdir(settings)) {
        return Some(room.join(rest));
    }
    let rest = path.strip_prefix(spec::AGENT_MOUNT).ok()?;
    (settings.access == Access::Read).then(|| workspace.join(rest))
}

#[cfg(test)]
mod tests;
