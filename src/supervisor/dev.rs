//! What `--dev` finds or makes before anything is read: a configuration of its own and its
//! workspace. `--reset` puts the former ones aside first; nothing is deleted.

use crate::base::exit::{Exit, Report};
use crate::base::{atomic, time};
use crate::config::Paths;
use serde_json::json;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    err: io::Error,
}

/// Lines for the log, which cannot be open yet. A configuration that is there stays as it is.
pub fn prepare(paths: &Paths, reset: bool) -> Result<Vec<String>, Error> {
    let mut said = Vec::new();
    let workspace = paths.default_workspace();
    if reset {
        let stamp = time::now_iso().replace(':', "-");
        for path in files_of(paths, &workspace) {
            if let Some(aside) = put_aside(&path, &stamp)? {
                said.push(format!(
                    "Reset: {} is now {}",
                    path.display(),
                    aside.display()
                ));
            }
        }
    }
    if !exists(&paths.config) {
        let text = format!("{:#}\n", config(&workspace));
        atomic::write(&paths.config, text.as_bytes()).map_err(at(&paths.config))?;
        atomic::create_private_dir(&workspace).map_err(at(&workspace))?;
        said.push(format!("Dev config ready: {}", paths.config.display()));
        said.push(format!("Dev workspace ready: {}", workspace.display()));
    }
    Ok(said)
}

fn config(workspace: &Path) -> serde_json::Value {
    json!({
        "gateway": {"mode": "local", "bind": "loopback"},
        "agents": {
            "defaults": {"workspace": workspace, "skipBootstrap": true},
            "list": [{
                "id": "dev",
                "default": true,
                "workspace": workspace,
                "identity": {"name": "Dev", "theme": "workbench", "emoji": "🔧"},
            }],
        },
    })
}

/// Configuration, credentials, workspace, and the sessions of every agent.
fn files_of(paths: &Paths, workspace: &Path) -> Vec<PathBuf> {
    let mut files = vec![
        paths.config.clone(),
        paths.credentials.clone(),
        workspace.to_path_buf(),
    ];
    let agents = fs::read_dir(paths.state.join("agents"));
    let agents = agents.into_iter().flatten().flatten();
    files.extend(agents.map(|agent| agent.path().join("sessions")));
    files
}

/// Where it is now; `None` when there was nothing.
fn put_aside(path: &Path, stamp: &str) -> Result<Option<PathBuf>, Error> {
    if !exists(path) {
        return Ok(None);
    }
    let mut aside = path.as_os_str().to_os_string();
    aside.push(format!(".reset.{stamp}"));
    let aside = PathBuf::from(aside);
    fs::rename(path, &aside).map_err(at(path))?;
    Ok(Some(aside))
}

/// A dangling link is something, too.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |err| Error { path, err }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(f, "Gateway failed to start: --dev: {path}: {}", self.err)
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Io
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, load, profile};

    #[test]
    fn a_dev_gateway_gets_a_valid_configuration_once_and_keeps_what_a_reset_removes() {
        let home = id::temp_dir("dev");
        let mut env = Env::from_pairs(&[("HOME", home.to_str().unwrap())]);
        profile::apply(&mut env, None, true).unwrap();
        let paths = Paths::resolve(&env, None);
        assert_eq!(prepare(&paths, false).unwrap().len(), 2);
        assert!(home.join(".openclaw/workspace-dev").is_dir());
        let snapshot = load::load(&paths, &env);
        assert!(snapshot.valid, "{:?}", snapshot.issues);
        assert_eq!(snapshot.config.default_agent_id(), "dev");

        fs::write(&paths.config, "{}").unwrap();
        assert!(prepare(&paths, false).unwrap().is_empty(), "written once");
        let sessions = paths.state.join("agents/dev/sessions");
        fs::create_dir_all(&sessions).unwrap();
        let said = prepare(&paths, true).unwrap();
        assert_eq!(said.len(), 5, "{said:?}");
        assert!(!sessions.exists());
        let kept: Vec<_> = fs::read_dir(&paths.state).unwrap().flatten().collect();
        assert!(
            kept.iter()
                .any(|f| f.file_name().to_string_lossy().contains("json.reset."))
        );
        fs::remove_dir_all(home).unwrap();
    }
}
