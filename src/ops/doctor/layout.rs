//! Files of the layout before agents had folders of their own: `sessions/` and `agent/` in the
//! state folder, WhatsApp's keys directly among the credentials.
//!
//! Everything is moved by rename, nothing is written over; what cannot go where it belongs stays
//! beside, under a name that says so.

use super::{Cure, Error, Finding, Ground, Kind, Remedy, alone, io};
use crate::base::{atomic, time};
use crate::session::Store;
use std::fs;
use std::path::{Path, PathBuf};

/// How the names of WhatsApp's key files begin; `creds.json` stands alone.
const WHATSAPP: [&str; 7] = [
    "app-state-sync-",
    "pre-key-",
    "session-",
    "sender-key-",
    "lid-mapping-",
    "device-list-",
    "tctoken-",
];

pub fn look(ground: &Ground) -> Vec<Finding> {
    let paths = ground.paths();
    let agent = ground.default_agent();
    let mut found = Vec::new();
    let sessions = paths.state.join("sessions");
    if is_full(&sessions) {
        let to = paths.sessions(&agent);
        found.push(finding(
            ground,
            &sessions,
            &to,
            "Sessions",
            move_sessions(ground, &agent),
        ));
    }
    let folder = paths.state.join("agent");
    if is_full(&folder) {
        let to = paths.agent(&agent).join("agent");
        let run = move_folder(ground, &folder, &to);
        found.push(finding(ground, &folder, &to, "The agent's files", run));
    }
    if !whatsapp(&paths.credentials).is_empty() {
        let to = paths.credentials.join("whatsapp/default");
        let run = move_whatsapp(ground, &to);
        found.push(finding(
            ground,
            &paths.credentials,
            &to,
            "WhatsApp's keys",
            run,
        ));
    }
    found
}

fn finding(ground: &Ground, from: &Path, to: &Path, what: &str, run: Remedy) -> Finding {
    Finding {
        topic: "Legacy state detected",
        grave: true,
        what: format!(
            "{what} of an earlier version are in {}.",
            ground.shown(from)
        ),
        details: vec![format!("{} → {}", ground.shown(from), ground.shown(to))],
        why: "They are not found there.",
        cure: Cure::Ours {
            kind: Kind::Migration,
            question: format!("Move them to {}?", ground.shown(to)),
            run,
        },
    }
}

fn move_sessions(ground: &Ground, agent: &str) -> Remedy {
    let (paths, env) = (ground.paths().clone(), ground.env().clone());
    let (config, agent) = (ground.snapshot.config.clone(), agent.to_string());
    Box::new(move || {
        alone(&paths, &env)?;
        let old = paths.state.join("sessions");
        let store = Store::open(&paths, &config);
        let done = store.adopt(&agent, &old).map_err(Error::Session)?;
        let mut told = vec![format!(
            "Moved {} files and {} sessions to {}",
            done.files,
            done.sessions,
            paths.tilde(&paths.sessions(&agent))
        )];
        told.extend(put_aside(&old)?);
        Ok(told)
    })
}

fn move_folder(ground: &Ground, from: &Path, to: &Path) -> Remedy {
    let (paths, env) = (ground.paths().clone(), ground.env().clone());
    let (from, to) = (from.to_path_buf(), to.to_path_buf());
    Box::new(move || {
        alone(&paths, &env)?;
        let moved = move_all(&list(&from)?, &to)?;
        let mut told = vec![format!("Moved {moved} files to {}", paths.tilde(&to))];
        told.extend(put_aside(&from)?);
        Ok(told)
    })
}

fn move_whatsapp(ground: &Ground, to: &Path) -> Remedy {
    let (paths, env, to) = (
        ground.paths().clone(),
        ground.env().clone(),
        to.to_path_buf(),
    );
    Box::new(move || {
        alone(&paths, &env)?;
        let moved = move_all(&whatsapp(&paths.credentials), &to)?;
        Ok(vec![format!("Moved {moved} files to {}", paths.tilde(&to))])
    })
}

/// Moves each file into `to` where its name is free; how many.
fn move_all(files: &[PathBuf], to: &Path) -> Result<usize, Error> {
    atomic::create_private_dir(to).map_err(io(to))?;
    let mut moved = 0;
    for from in files {
        let Some(target) = from.file_name().map(|name| to.join(name)) else {
            continue;
        };
        if fs::symlink_metadata(&target).is_err() {
            fs::rename(from, &target).map_err(io(from))?;
            moved += 1;
        }
    }
    atomic::sync_dir(to).map_err(io(to))?;
    Ok(moved)
}

/// Removes an emptied folder, or gives it a name under which nobody looks for it.
fn put_aside(old: &Path) -> Result<Option<String>, Error> {
    // Lock files of a store that is not there any more.
    for file in list(old)? {
        if file.extension().is_some_and(|end| end == "lock") && fs::metadata(&file).is_ok() {
            fs::remove_file(&file).map_err(io(&file))?;
        }
    }
    if list(old)?.is_empty() {
        fs::remove_dir(old).map_err(io(old))?;
        return Ok(None);
    }
    let aside = PathBuf::from(format!("{}.legacy-{}", old.display(), time::now_ms()));
    fs::rename(old, &aside).map_err(io(old))?;
    Ok(Some(format!(
        "Kept in {}: what is there already in a newer form",
        aside.display()
    )))
}

fn is_full(dir: &Path) -> bool {
    !dir.is_symlink() && list(dir).is_ok_and(|files| !files.is_empty())
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let listed = fs::read_dir(dir).map_err(io(dir))?;
    Ok(listed.flatten().map(|item| item.path()).collect())
}

fn whatsapp(credentials: &Path) -> Vec<PathBuf> {
    let mut files = list(credentials).unwrap_or_default();
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let own = WHATSAPP.iter().any(|start| name.starts_with(start)) && name.ends_with(".json");
        (own || name == "creds.json" || name == "creds.json.bak") && file.is_file()
    });
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    fn ground() -> (Ground, PathBuf) {
        let dir = id::temp_dir("doctor-layout");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("OPENCLAW_STATE_DIR", d), ("TMPDIR", d)]);
        let paths = Paths::resolve(&env, None);
        let snapshot = load::load(&paths, &env);
        (Ground::of(snapshot), dir)
    }

    fn put(file: PathBuf, text: &str) {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn cure(ground: &Ground) -> Vec<Result<Vec<String>, Error>> {
        look(ground)
            .into_iter()
            .filter_map(|finding| match finding.cure {
                Cure::Ours { run, .. } => Some(run()),
                Cure::Yours(_) => None,
            })
            .collect()
    }

    #[test]
    fn an_old_layout_is_moved_whole_and_what_is_taken_is_kept_beside() {
        let (ground, dir) = ground();
        put(
            dir.join("sessions/sessions.json"),
            "{\"main\":{\"sessionId\":\"s\",\"updatedAt\":1}}",
        );
        put(dir.join("sessions/s.jsonl"), "");
        put(dir.join("agent/auth-profiles.json"), "old");
        put(dir.join("agent/models.json"), "{}");
        put(dir.join("agents/main/agent/auth-profiles.json"), "new");
        for name in ["creds.json", "pre-key-1.json", "telegram-pairing.json"] {
            put(dir.join("credentials").join(name), "{}");
        }
        assert_eq!(look(&ground).len(), 3);
        for done in cure(&ground) {
            done.unwrap();
        }
        let there = |path: &str| dir.join(path).exists();
        assert!(
            there("agents/main/sessions/s.jsonl") && there("agents/main/sessions/sessions.json")
        );
        assert!(!there("sessions") && !there("agent"));
        assert!(there("agents/main/agent/models.json"));
        let kept = fs::read_to_string(dir.join("agents/main/agent/auth-profiles.json"));
        assert_eq!(kept.unwrap(), "new");
        let aside = list(&dir).unwrap();
        let aside = aside
            .iter()
            .find(|path| path.to_string_lossy().contains("agent.legacy-"));
        let aside = aside.expect("what was left").join("auth-profiles.json");
        assert_eq!(fs::read_to_string(aside).unwrap(), "old");
        assert!(there("credentials/whatsapp/default/creds.json"));
        assert!(there("credentials/whatsapp/default/pre-key-1.json"));
        assert!(there("credentials/telegram-pairing.json"));
        assert!(look(&ground).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_agent_that_a_repaired_configuration_names_gets_the_old_state() {
        let (mut ground, dir) = ground();
        put(dir.join("sessions/s.jsonl"), "");
        put(
            dir.join("openclaw.json"),
            "{routing:{agents:{work:{}}},bogus:1}",
        );
        ground.reload();
        assert!(!ground.snapshot.valid);
        assert!(look(&ground)[0].details[0].ends_with("agents/work/sessions"));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn nothing_is_moved_under_a_running_gateway() {
        let (ground, dir) = ground();
        put(dir.join("sessions/s.jsonl"), "");
        let lock = dir.join("rs/gateway.lock");
        let _held = crate::base::lock::try_take(&lock, "supervisor").unwrap();
        let done = cure(&ground).remove(0);
        assert!(matches!(done, Err(Error::Running(pid)) if pid == std::process::id()));
        assert!(dir.join("sessions/s.jsonl").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
