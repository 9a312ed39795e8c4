//! What is taken away by `reset`, `uninstall` and `onboard --reset`: which folders and files, how
//! far each scope goes, and the taking away itself. Nothing above a person's own folders is ever
//! touched, whatever a configuration says.

use crate::base::sys::peer;
use crate::base::time;
use crate::config::Snapshot;
use crate::config::paths::expand;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How far a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The configuration file.
    Config,
    /// Also what channels keep as credentials, and every agent's sessions.
    Sessions,
    /// The whole state folder and the workspaces.
    Full,
}

impl Scope {
    /// As `--scope` names them.
    pub const NAMES: [(&'static str, Scope); 3] = [
        ("config", Scope::Config),
        ("config+creds+sessions", Scope::Sessions),
        ("full", Scope::Full),
    ];

    pub fn named(name: &str) -> Option<Scope> {
        let found = Scope::NAMES.iter().find(|(n, _)| *n == name);
        found.map(|(_, scope)| *scope)
    }
}

/// What a reset of this scope takes away, in that order.
pub fn of_reset(snapshot: &Snapshot, scope: Scope) -> Vec<PathBuf> {
    let paths = &snapshot.paths;
    match scope {
        Scope::Config => vec![paths.config.clone()],
        Scope::Sessions => {
            let mut agents = listed(&paths.state.join("agents"));
            agents.sort();
            let sessions = agents.into_iter().map(|agent| agent.join("sessions"));
            [paths.config.clone(), paths.credentials.clone()]
                .into_iter()
                .chain(sessions)
                .collect()
        }
        Scope::Full => [state(snapshot), workspaces(snapshot)].concat(),
    }
}

/// The state folder, and what belongs to it and lies elsewhere.
pub fn state(snapshot: &Snapshot) -> Vec<PathBuf> {
    let paths = &snapshot.paths;
    let mut found = vec![paths.state.clone()];
    for other in [&paths.config, &paths.credentials] {
        if !other.starts_with(&paths.state) {
            found.push(other.clone());
        }
    }
    found
}

/// Where the agents work. As the configuration says, also where it is not valid.
pub fn workspaces(snapshot: &Snapshot) -> Vec<PathBuf> {
    let paths = &snapshot.paths;
    let agents = &snapshot.parsed["agents"];
    let named = agents["list"].as_array().into_iter().flatten();
    let named = [&agents["defaults"]].into_iter().chain(named);
    let mut found: Vec<PathBuf> = Vec::new();
    for agent in named {
        let typed = agent["workspace"].as_str().map(str::trim);
        if let Some(typed) = typed.filter(|typed| !typed.is_empty()) {
            let folder = expand(typed, &paths.home);
            if !found.contains(&folder) {
                found.push(folder);
            }
        }
    }
    if found.is_empty() {
        found.push(paths.default_workspace());
    }
    found
}

/// Never: a root, a home, a folder that has the home in it.
pub fn is_unsafe(snapshot: &Snapshot, path: &Path) -> bool {
    let own = snapshot.paths.home.as_path();
    path.parent().is_none() || !path.is_absolute() || own.starts_with(path)
}

/// Removes a file, a link (not what it leads to) or a whole folder; false: nothing was there.
pub fn remove(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(err) => return Err(err),
    }
    Ok(true)
}

/// The same without what is at `keep`: the folders above that stay, too. False: nothing was removed.
pub fn remove_but(path: &Path, keep: &[PathBuf]) -> io::Result<bool> {
    let there = |kept: &&PathBuf| fs::symlink_metadata(kept).is_ok();
    let inside: Vec<PathBuf> = keep
        .iter()
        .filter(|kept| kept.starts_with(path))
        .filter(there)
        .cloned()
        .collect();
    if inside.is_empty() {
        return remove(path);
    }
    if inside.iter().any(|kept| kept == path) {
        return Ok(false);
    }
    let mut any = false;
    for entry in fs::read_dir(path)? {
        any |= remove_but(&entry?.path(), &inside)?;
    }
    Ok(any)
}

/// Puts it into the trash of this user, where a file manager finds it with the way back; beside
/// itself under another name where the trash is on another disk. Where it went; `None`: nothing was
/// there.
pub fn to_trash(snapshot: &Snapshot, path: &Path) -> io::Result<Option<PathBuf>> {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(err),
    };
    let stamp = time::now_iso().replace([':', '.'], "-");
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{}.{stamp}", name.trim_start_matches('.'));
    let env = &snapshot.env;
    let data = match env.get("XDG_DATA_HOME") {
        Some(dir) => PathBuf::from(dir),
        None => snapshot.paths.home.join(".local/share"),
    };
    let trash = data.join("Trash");
    if meta.uid() == peer::own_uid() && !trash.starts_with(path) {
        let files = trash.join("files");
        let info = trash.join("info");
        if fs::create_dir_all(&files)
            .and(fs::create_dir_all(&info))
            .is_ok()
        {
            let target = files.join(&name);
            if fs::rename(path, &target).is_ok() {
                let date = time::now_iso();
                let date = date.get(..19).unwrap_or_default();
                let text = format!(
                    "[Trash Info]\nPath={}\nDeletionDate={date}\n",
                    encoded(path)
                );
                // Without it only the way back has to be found by hand.
                if let Err(err) = fs::write(info.join(format!("{name}.trashinfo")), text) {
                    log::warn!("{}: {err}", info.display());
                }
                return Ok(Some(target));
            }
        }
    }
    let aside = path.with_file_name(format!(".{name}.removed"));
    fs::rename(path, &aside)?;
    Ok(Some(aside))
}

/// As the trash specification wants a path.
fn encoded(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut out = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(*byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wizard::place::Place;

    #[test]
    fn each_scope_takes_what_it_names_and_leaves_the_rest() {
        let place = Place::new("{agents:{list:[{id:'ops',workspace:'~/ops'}]}}");
        let paths = &place.snapshot.paths;
        let state = &paths.state;
        for folder in [
            "agents/b/sessions",
            "agents/a/sessions",
            "agents/a/agent",
            "credentials",
        ] {
            fs::create_dir_all(state.join(folder)).unwrap();
        }
        fs::create_dir(place.dir.join("ops")).unwrap();
        let names = |scope| {
            let found = of_reset(&place.snapshot, scope);
            let shown = found.iter().map(|path| paths.tilde(path));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(names(Scope::Config), ["~/.openclaw/openclaw.json"]);
        assert_eq!(
            names(Scope::Sessions),
            [
                "~/.openclaw/openclaw.json",
                "~/.openclaw/credentials",
                "~/.openclaw/agents/a/sessions",
                "~/.openclaw/agents/b/sessions"
            ]
        );
        assert_eq!(names(Scope::Full), ["~/.openclaw", "~/ops"]);
    }

    #[test]
    fn a_home_a_root_and_what_lies_above_are_never_taken() {
        let place = Place::new("{}");
        let home = &place.snapshot.paths.home;
        for path in [Path::new("/"), home, home.parent().unwrap()] {
            assert!(is_unsafe(&place.snapshot, path), "{}", path.display());
        }
        assert!(!is_unsafe(&place.snapshot, &home.join(".openclaw")));
        assert!(is_unsafe(&place.snapshot, Path::new("relative")));
    }

    #[test]
    fn what_goes_to_the_trash_can_be_brought_back_and_a_link_is_not_followed() {
        let place = Place::new("{}");
        let folder = place.dir.join("work space");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("note"), "kept").unwrap();
        let to = to_trash(&place.snapshot, &folder).unwrap().unwrap();
        assert!(!folder.exists());
        assert_eq!(fs::read_to_string(to.join("note")).unwrap(), "kept");
        let info = place.dir.join(".local/share/Trash/info");
        let info = listed(&info).remove(0);
        let info = fs::read_to_string(info).unwrap();
        assert!(info.contains("/work%20space\n"), "{info}");
        assert_eq!(to_trash(&place.snapshot, &folder).unwrap(), None);

        let link = place.dir.join("link");
        std::os::unix::fs::symlink(&to, &link).unwrap();
        assert!(remove(&link).unwrap());
        assert!(to.join("note").exists());
        assert!(!remove(&link).unwrap());
    }

    #[test]
    fn a_workspace_inside_the_state_stays_unless_it_is_asked_for() {
        let place = Place::new("{}");
        let state = &place.snapshot.paths.state;
        let kept = removal_names(state, &["a/b", "workspace/SOUL.md", "x"]);
        let keep = [state.join("workspace")];
        assert!(remove_but(state, &keep).unwrap());
        assert!(kept[1].exists() && !kept[0].exists() && !kept[2].exists());
        assert!(!remove_but(state, &keep).unwrap());
        assert!(remove_but(state, &[]).unwrap());
        assert!(!state.exists());
    }

    fn removal_names(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
        let make = |name: &&str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            path
        };
        names.iter().map(make).collect()
    }
}
