//! Where everything lies. Resolved once per process; the rules are the original's.
//!
//! Two roots: the state folder, which a profile or variable moves, and `~/.openclaw`, where the
//! device key, the exec approvals, the canvas and the default workspaces stay for every profile.

use super::Env;
use super::schema::Logging;
use crate::base::dayfile::Place;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Folder and file names of the program's earlier lives, in the order they are looked for.
pub const STATE_NAMES: [&str; 4] = [".openclaw", ".clawdbot", ".moltbot", ".moldbot"];
pub(super) const CONFIG_NAMES: [&str; 4] = [
    "openclaw.json",
    "clawdbot.json",
    "moltbot.json",
    "moldbot.json",
];

/// Home of the user a package runs the gateway as: its state lies there itself, and its sockets
/// where that package's services make the folder. So `sudo -u openclaw -H openclaw status` asks the
/// gateway of the system. A package that has other folders sets these when it builds.
const SYSTEM_HOME: &str = match option_env!("OPENCLAW_SYSTEM_HOME") {
    Some(path) => path,
    None => "/var/lib/openclaw",
};
const SYSTEM_RUNTIME: &str = match option_env!("OPENCLAW_SYSTEM_RUNTIME") {
    Some(path) => path,
    None => "/run/openclaw",
};

#[derive(Clone, Debug, Default)]
pub struct Paths {
    pub home: PathBuf,
    /// `None` for the default profile.
    pub profile: Option<String>,
    /// `~/.openclaw`, `~/.openclaw-<profile>`, or `OPENCLAW_STATE_DIR`.
    pub state: PathBuf,
    /// `openclaw.json`.
    pub config: PathBuf,
    /// `<state>/credentials`, or `OPENCLAW_OAUTH_DIR`.
    pub credentials: PathBuf,
    /// Credentials of the agent `main`: `<state>/agents/main/agent`, or `OPENCLAW_AGENT_DIR`.
    pub agent_dir: PathBuf,
    /// Sockets: `$OPENCLAW_RUNTIME_DIR`, `$RUNTIME_DIRECTORY`,
    /// `$XDG_RUNTIME_DIR/openclaw[-profile]`, else `<state>/run`.
    pub runtime: PathBuf,
    /// Socket of a tool runner that somebody else starts, mostly systemd and as another user:
    /// `$OPENCLAW_EXEC_SOCKET`.
    pub runner: Option<PathBuf>,
    /// Day logs: `/tmp/openclaw`, or a private folder where that one is not ours.
    pub logs: PathBuf,
}

impl Paths {
    /// `profile` is the flag; the variables of a profile may also have been laid over `env` by
    /// `profile::apply`.
    pub fn resolve(env: &Env, profile: Option<&str>) -> Paths {
        let home = env.home();
        let named = profile.or_else(|| env.get("OPENCLAW_PROFILE"));
        let named = named
            .filter(|p| !p.eq_ignore_ascii_case("default"))
            .map(str::to_string);
        let suffix = named.as_ref().map_or(String::new(), |p| format!("-{p}"));
        // A variable alone does not move the state folder (services set all three); the flag does.
        let by_flag = profile.map(|_| home.join(format!(".openclaw{suffix}")));
        let given = env
            .first(&["OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"])
            .map(|dir| expand(dir, &home))
            .or(by_flag);
        let state = given.clone().unwrap_or_else(|| default_state(&home));
        let config = env
            .first(&["OPENCLAW_CONFIG_PATH", "CLAWDBOT_CONFIG_PATH"])
            .map(|file| expand(file, &home))
            .or_else(|| profile.map(|_| state.join(CONFIG_NAMES[0])))
            .or_else(|| existing_config(given.as_deref(), &home))
            .unwrap_or_else(|| state.join(CONFIG_NAMES[0]));
        let dir = |names: &[&str], default: PathBuf| {
            env.first(names).map_or(default, |d| expand(d, &home))
        };
        Paths {
            credentials: dir(&["OPENCLAW_OAUTH_DIR"], state.join("credentials")),
            agent_dir: dir(
                &["OPENCLAW_AGENT_DIR", "PI_CODING_AGENT_DIR"],
                state.join("agents/main/agent"),
            ),
            runtime: runtime(env, &home, &state, &suffix),
            runner: env
                .get("OPENCLAW_EXEC_SOCKET")
                .map(|file| expand(file, &home)),
            logs: logs(&state),
            home,
            profile: named,
            state,
            config,
        }
    }

    /// Where a gateway of this configuration logs.
    pub fn log(&self, config: &Logging) -> Place {
        match &config.file {
            Some(file) => Place::Fixed(expand(file, &self.home)),
            None => Place::Daily(self.logs.clone()),
        }
    }

    /// `~/.openclaw`, whatever the state folder is.
    pub fn shared(&self) -> PathBuf {
        match self.state == self.home && is_system(&self.home) {
            true => self.home.clone(),
            false => self.home.join(STATE_NAMES[0]),
        }
    }

    /// The device key, one for all profiles.
    pub fn device_identity(&self) -> PathBuf {
        self.shared().join("identity/device.json")
    }

    pub fn exec_approvals(&self) -> PathBuf {
        self.shared().join("exec-approvals.json")
    }

    pub fn canvas(&self) -> PathBuf {
        self.shared().join("canvas")
    }

    pub fn sandboxes(&self) -> PathBuf {
        self.shared().join("sandboxes")
    }

    /// Where the default agent works unless the config says otherwise.
    pub fn default_workspace(&self) -> PathBuf {
        let suffix = self
            .profile
            .as_ref()
            .map_or(String::new(), |p| format!("-{p}"));
        self.shared().join(format!("workspace{suffix}"))
    }

    /// The local control socket.
    pub fn gateway_sock(&self) -> PathBuf {
        self.runtime.join("gateway.sock")
    }

    pub fn workers_sock(&self) -> PathBuf {
        self.runtime.join("workers.sock")
    }

    pub fn http_sock(&self) -> PathBuf {
        self.runtime.join("http.sock")
    }

    pub fn exec_sock(&self) -> PathBuf {
        let own = || self.runtime.join("exec.sock");
        self.runner.clone().unwrap_or_else(own)
    }

    /// What is ours alone: locks, journals, the local model.
    pub fn ours(&self) -> PathBuf {
        self.state.join("rs")
    }

    /// Where the Tailscale helper answers the core.
    pub fn tailscale_sock(&self) -> PathBuf {
        self.runtime.join("tailscale.sock")
    }

    /// Where the memory index answers the core.
    pub fn memory_sock(&self) -> PathBuf {
        self.runtime.join("memory.sock")
    }

    /// `<state>/agents/<id>`.
    pub fn agent(&self, id: &str) -> PathBuf {
        self.state.join("agents").join(id)
    }

    /// `<state>/agents/<id>/sessions`.
    pub fn sessions(&self, id: &str) -> PathBuf {
        self.agent(id).join("sessions")
    }

    /// `path` as people write it: the home folder as `~`.
    pub fn tilde(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) if self.home != Path::new("/") => format!("~/{}", rest.display()),
            _ => path.display().to_string(),
        }
    }
}

fn default_state(home: &Path) -> PathBuf {
    STATE_NAMES
        .iter()
        .map(|name| home.join(name))
        .find(|dir| dir.is_dir())
        .unwrap_or_else(|| match is_system(home) {
            true => home.to_path_buf(),
            false => home.join(STATE_NAMES[0]),
        })
}

fn is_system(home: &Path) -> bool {
    home == Path::new(SYSTEM_HOME)
}

/// The first config file there is: in the given state folder, then in every known folder of HOME.
/// So a fresh `OPENCLAW_STATE_DIR` still finds `~/.openclaw/openclaw.json`, as in the original.
fn existing_config(given: Option<&Path>, home: &Path) -> Option<PathBuf> {
    let known = STATE_NAMES.iter().map(|name| home.join(name));
    given
        .map(Path::to_path_buf)
        .into_iter()
        .chain(known)
        .flat_map(|dir| CONFIG_NAMES.map(|name| dir.join(name)))
        .find(|file| file.exists())
}

fn runtime(env: &Env, home: &Path, state: &Path, suffix: &str) -> PathBuf {
    if let Some(dir) = env.get("OPENCLAW_RUNTIME_DIR") {
        return expand(dir, home);
    }
    // systemd lists several folders with colons; ours is the first.
    if let Some(dir) = env.get("RUNTIME_DIRECTORY") {
        return PathBuf::from(dir.split(':').next().unwrap_or(dir));
    }
    if is_system(home) && state == home {
        return PathBuf::from(SYSTEM_RUNTIME);
    }
    // Two state folders must not share sockets: only the one that belongs to the profile's name
    // may take the name in the user's runtime folder.
    let usual = state == home.join(format!(".openclaw{suffix}"));
    match env.get("XDG_RUNTIME_DIR") {
        Some(dir) if usual => PathBuf::from(dir).join(format!("openclaw{suffix}")),
        _ => state.join("run"),
    }
}

/// `/tmp` is everybody's: when somebody else made `/tmp/openclaw` (or a link of that name), logs
/// go to the state folder.
fn logs(state: &Path) -> PathBuf {
    let shared = PathBuf::from("/tmp/openclaw");
    let me = crate::base::sys::peer::own_uid();
    match std::fs::symlink_metadata(&shared) {
        Ok(meta) if !meta.is_dir() || me != meta.uid() => state.join("logs"),
        _ => shared,
    }
}

/// A leading `~` or `~/` is the home folder; the result is absolute and without `.` and `..`.
pub fn expand(path: &str, home: &Path) -> PathBuf {
    let path = match path.strip_prefix('~') {
        Some("") => home.to_path_buf(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(path),
    };
    normal(&std::path::absolute(&path).unwrap_or(path))
}

/// Removes `.` and `..` by their letters alone, without looking at links.
pub fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn resolve(pairs: &[(&str, &str)]) -> Paths {
        Paths::resolve(&Env::from_pairs(pairs), None)
    }

    #[test]
    fn variables_move_the_state_but_not_what_belongs_to_home() {
        let paths = resolve(&[
            ("HOME", "/h"),
            ("OPENCLAW_STATE_DIR", " ~/a/../s "),
            ("OPENCLAW_CONFIG_PATH", "/etc/oc.json"),
            ("OPENCLAW_PROFILE", "work"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
        ]);
        assert_eq!(paths.state, Path::new("/h/s"));
        assert_eq!(paths.config, Path::new("/etc/oc.json"));
        assert_eq!(paths.credentials, Path::new("/h/s/credentials"));
        assert_eq!(paths.agent_dir, Path::new("/h/s/agents/main/agent"));
        assert_eq!(paths.runtime, Path::new("/h/s/run"));
        assert_eq!(
            paths.default_workspace(),
            Path::new("/h/.openclaw/workspace-work")
        );
        assert_eq!(
            paths.device_identity(),
            Path::new("/h/.openclaw/identity/device.json")
        );
        assert_eq!(paths.tilde(Path::new("/h/s/x")), "~/s/x");
    }

    #[test]
    fn the_sockets_of_a_usual_state_folder_lie_in_the_users_runtime_folder() {
        let env = Env::from_pairs(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")]);
        assert_eq!(Paths::resolve(&env, None).runtime, Path::new("/r/openclaw"));
        let work = Paths::resolve(&env, Some("work"));
        assert_eq!(work.runtime, Path::new("/r/openclaw-work"));
        assert_eq!(work.state, Path::new("/h/.openclaw-work"));
        assert_eq!(work.config, Path::new("/h/.openclaw-work/openclaw.json"));
        let unit = resolve(&[("HOME", "/h"), ("RUNTIME_DIRECTORY", "/run/a:/run/b")]);
        assert_eq!(unit.runtime, Path::new("/run/a"));
    }

    #[test]
    fn the_user_of_a_package_has_the_state_in_the_home_folder() {
        let paths = resolve(&[("HOME", "/var/lib/openclaw"), ("XDG_RUNTIME_DIR", "/r")]);
        assert_eq!(paths.state, Path::new("/var/lib/openclaw"));
        assert_eq!(paths.config, Path::new("/var/lib/openclaw/openclaw.json"));
        assert_eq!(paths.exec_sock(), Path::new("/run/openclaw/exec.sock"));
        assert_eq!(
            paths.default_workspace(),
            Path::new("/var/lib/openclaw/workspace")
        );
        let other = resolve(&[
            ("HOME", "/var/lib/openclaw"),
            ("OPENCLAW_STATE_DIR", "/srv/oc"),
            ("OPENCLAW_EXEC_SOCKET", "/run/openclaw-exec.sock"),
        ]);
        assert_eq!(other.runtime, Path::new("/srv/oc/run"));
        assert_eq!(other.shared(), Path::new("/var/lib/openclaw/.openclaw"));
        assert_eq!(other.exec_sock(), Path::new("/run/openclaw-exec.sock"));
    }

    #[test]
    fn an_older_state_folder_and_config_name_are_found() {
        let home = crate::base::id::temp_dir("paths");
        let h = home.to_str().unwrap();
        assert_eq!(resolve(&[("HOME", h)]).state, home.join(".openclaw"));
        fs::create_dir(home.join(".moltbot")).unwrap();
        fs::write(home.join(".moltbot/moltbot.json"), "{}").unwrap();
        let old = resolve(&[("HOME", h)]);
        assert_eq!(old.state, home.join(".moltbot"));
        assert_eq!(old.config, home.join(".moltbot/moltbot.json"));
        fs::create_dir(home.join(".openclaw")).unwrap();
        fs::write(home.join(".openclaw/openclaw.json"), "{}").unwrap();
        assert_eq!(resolve(&[("HOME", h)]).state, home.join(".openclaw"));
        let elsewhere = resolve(&[("HOME", h), ("CLAWDBOT_STATE_DIR", "/none/s")]);
        assert_eq!(elsewhere.state, Path::new("/none/s"));
        assert_eq!(elsewhere.config, home.join(".openclaw/openclaw.json"));
        fs::remove_dir_all(home).unwrap();
    }
}
