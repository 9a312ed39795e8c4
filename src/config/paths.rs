//! Where everything lies. Resolved once per process; the rules are the original's.

use super::Env;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Paths {
    pub home: PathBuf,
    pub profile: Option<String>,
    /// `~/.openclaw`, `~/.openclaw-<profile>`, or `OPENCLAW_STATE_DIR`.
    pub state: PathBuf,
    /// `openclaw.json`.
    pub config: PathBuf,
    /// Sockets: `$OPENCLAW_RUNTIME_DIR`, `$RUNTIME_DIRECTORY`,
    /// `$XDG_RUNTIME_DIR/openclaw[-profile]`, else `<state>/run`.
    pub runtime: PathBuf,
    /// Day logs: `/tmp/openclaw`, or a private folder where that one is not ours.
    pub logs: PathBuf,
}

impl Paths {
    pub fn resolve(env: &Env, profile: Option<&str>) -> Paths {
        let home = PathBuf::from(env.get("HOME").unwrap_or("/"));
        let profile = profile
            .or_else(|| env.get("OPENCLAW_PROFILE"))
            .filter(|p| *p != "default")
            .map(str::to_string);
        let suffix = profile.as_ref().map_or(String::new(), |p| format!("-{p}"));
        let state = env.get("OPENCLAW_STATE_DIR").map_or_else(
            || home.join(format!(".openclaw{suffix}")),
            |dir| expand(dir, &home),
        );
        let config = env
            .get("OPENCLAW_CONFIG_PATH")
            .map_or_else(|| state.join("openclaw.json"), |p| expand(p, &home));
        let runtime = env
            .get("OPENCLAW_RUNTIME_DIR")
            .or_else(|| env.get("RUNTIME_DIRECTORY"))
            .map(PathBuf::from)
            .or_else(|| {
                env.get("XDG_RUNTIME_DIR")
                    .map(|d| PathBuf::from(d).join(format!("openclaw{suffix}")))
            })
            .unwrap_or_else(|| state.join("run"));
        Paths {
            home,
            profile,
            state,
            config,
            runtime,
            logs: PathBuf::from("/tmp/openclaw"),
        }
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
        self.runtime.join("exec.sock")
    }

    /// What is ours alone: locks, journals, the local model.
    pub fn ours(&self) -> PathBuf {
        self.state.join("rs")
    }

    /// `<state>/agents/<id>`.
    pub fn agent(&self, id: &str) -> PathBuf {
        self.state.join("agents").join(id)
    }

    /// `<state>/agents/<id>/sessions`.
    pub fn sessions(&self, id: &str) -> PathBuf {
        self.agent(id).join("sessions")
    }
}

fn expand(path: &str, home: &std::path::Path) -> PathBuf {
    match path.strip_prefix("~") {
        Some("") => home.to_path_buf(),
        Some(rest) if rest.starts_with('/') => home.join(&rest[1..]),
        _ => std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path)),
    }
}
