//! The state folder and the files with secrets in it: there, writable, and nobody else's business.

use super::{Cure, Finding, Ground, Kind, Remedy, io};
use crate::base::sys::peer;
use crate::base::{atomic, id};
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const TOPIC: &str = "State integrity";
/// What group and others must not have.
const OTHERS: u32 = 0o077;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let state = &ground.paths().state;
    if !state.exists() {
        return vec![missing(ground)];
    }
    unwritable(ground)
        .into_iter()
        .chain(too_open(ground))
        .collect()
}

fn missing(ground: &Ground) -> Finding {
    let state = ground.paths().state.clone();
    let shown = ground.shown(&state);
    Finding {
        topic: TOPIC,
        grave: true,
        what: format!("CRITICAL: state directory missing ({shown})."),
        details: Vec::new(),
        why: "Sessions, credentials, logs and configuration are kept there. Has it been removed?",
        cure: Cure::Ours {
            kind: Kind::Permissions,
            question: format!("Create {shown}?"),
            run: Box::new(move || {
                atomic::create_private_dir(&state).map_err(io(&state))?;
                Ok(vec![format!("Created {shown}")])
            }),
        },
    }
}

/// Found by writing: what a mode says is not all there is (read-only mounts, other owners).
fn unwritable(ground: &Ground) -> Vec<Finding> {
    let paths = ground.paths();
    let mut found = Vec::new();
    for dir in [
        paths.state.clone(),
        paths.state.join("agents"),
        paths.credentials.clone(),
    ] {
        let Ok(meta) = fs::metadata(&dir) else {
            // Made when it is first needed.
            continue;
        };
        let probe = dir.join(format!(".doctor-{}", id::short()));
        let Err(err) = fs::write(&probe, "") else {
            // It was only to see whether it can be.
            let _ = fs::remove_file(&probe);
            continue;
        };
        let place = dir.display();
        let how = match () {
            () if !meta.is_dir() => format!("move {place} out of the way: it is no folder"),
            () if meta.uid() != peer::own_uid() => {
                format!(
                    "sudo chown -R $USER \"{place}\" (it belongs to uid {})",
                    meta.uid()
                )
            }
            () if err.kind() == ErrorKind::PermissionDenied => format!("chmod u+rwx \"{place}\""),
            () => "make room, or mount it writable".into(),
        };
        found.push(Finding {
            topic: TOPIC,
            grave: true,
            what: format!(
                "State directory not writable ({}): {err}.",
                ground.shown(&dir)
            ),
            details: Vec::new(),
            why: "Nothing can be kept there.",
            cure: Cure::Yours(how),
        });
    }
    found
}

fn too_open(ground: &Ground) -> Option<Finding> {
    let open: Vec<(PathBuf, u32)> = private(ground)
        .into_iter()
        .filter_map(|path| {
            let meta = fs::metadata(&path).ok()?;
            // What belongs to somebody else (a package, root) is his.
            let ours = meta.uid() == peer::own_uid();
            let mode = match meta.is_dir() {
                true => atomic::PRIVATE_DIR,
                false => atomic::PRIVATE_FILE,
            };
            (ours && meta.mode() & OTHERS != 0).then_some((path, mode))
        })
        .collect();
    if open.is_empty() {
        return None;
    }
    let lines = |path: &Path, mode: u32| match path == ground.paths().config {
        true => format!(
            "Config file is group/world readable ({}). Recommend chmod 600.",
            ground.shown(path)
        ),
        false => format!(
            "{} permissions are too open. Recommend chmod {mode:o}.",
            ground.shown(path)
        ),
    };
    Some(Finding {
        topic: TOPIC,
        grave: true,
        what: "Others on this machine can read what is private.".into(),
        details: open.iter().map(|(path, mode)| lines(path, *mode)).collect(),
        why: "There are secrets and conversations in it.",
        cure: Cure::Ours {
            kind: Kind::Permissions,
            question: "Tighten the permissions?".into(),
            run: tighten(ground, open),
        },
    })
}

fn tighten(ground: &Ground, open: Vec<(PathBuf, u32)>) -> Remedy {
    let paths = ground.paths().clone();
    Box::new(move || {
        let mut done = Vec::new();
        for (path, mode) in open {
            fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(io(&path))?;
            let shown = paths.tilde(&path);
            done.push(format!("Tightened permissions on {shown} to {mode:o}"));
        }
        Ok(done)
    })
}

/// The folders around, and the files that hold secrets.
fn private(ground: &Ground) -> Vec<PathBuf> {
    let paths = ground.paths();
    let mut all = vec![
        paths.state.clone(),
        paths.config.clone(),
        paths.credentials.clone(),
        paths.state.join("identity/device-auth.json"),
        paths.state.join("devices/paired.json"),
        paths.device_identity(),
        paths.exec_approvals(),
    ];
    let agents = fs::read_dir(paths.state.join("agents"));
    for agent in agents.into_iter().flatten().flatten() {
        all.push(agent.path().join("agent/auth-profiles.json"));
        all.push(agent.path().join("sessions"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    #[test]
    fn a_missing_folder_is_made_and_what_others_can_read_is_tightened() {
        let dir = id::temp_dir("doctor-modes");
        let state = dir.join("state");
        let env = Env::from_pairs(&[
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", state.to_str().unwrap()),
        ]);
        let paths = Paths::resolve(&env, None);
        let ground = Ground::of(load::load(&paths, &env));
        let cure = || {
            let found = look(&ground);
            let count = found.len();
            for finding in found {
                if let Cure::Ours { run, .. } = finding.cure {
                    run().unwrap();
                }
            }
            count
        };
        assert_eq!(cure(), 1);
        assert_eq!(look(&ground).len(), 0);
        let profiles = state.join("agents/a/agent/auth-profiles.json");
        fs::create_dir_all(profiles.parent().unwrap()).unwrap();
        for file in [&paths.config, &profiles] {
            fs::write(file, "{}").unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        fs::set_permissions(&state, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(look(&ground)[0].details.len(), 3);
        assert_eq!(cure(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(
            [mode(&state), mode(&paths.config), mode(&profiles)],
            [0o700, 0o600, 0o600]
        );
        assert_eq!(look(&ground).len(), 0);
        fs::remove_dir_all(dir).unwrap();
    }
}
