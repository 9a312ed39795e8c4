//! The configuration file: settings of earlier versions, unknown keys, and what else makes it
//! invalid.

use super::{Cure, Error, Finding, Ground, Kind, Remedy};
use crate::base::time;
use crate::config::edit;
use crate::config::keys::{self, prune};
use crate::config::{Snapshot, load, migrate};
use crate::wire::version;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub fn look(ground: &Ground) -> Vec<Finding> {
    let snapshot = &ground.snapshot;
    if !snapshot.exists {
        return Vec::new();
    }
    if !snapshot.parsed.is_object() {
        return vec![unreadable(ground)];
    }
    let (mut tree, newer) = (snapshot.parsed.clone(), snapshot.is_newer());
    let moved = migrate::run(&mut tree);
    let unknown = match newer {
        // A later version knows them: they are not ours to throw away.
        true => Vec::new(),
        false => prune::prune(&keys::ROOT, &mut tree),
    };
    let mut found = Vec::new();
    if !moved.is_empty() {
        found.push(Finding {
            topic: "Legacy config keys detected",
            grave: true,
            what: "Settings of earlier versions stand where they are not read any more.".into(),
            details: moved
                .iter()
                .cloned()
                .chain(
                    unknown
                        .iter()
                        .map(|key| format!("{key}: not known, is taken out")),
                )
                .collect(),
            why: "The gateway does not start with them. The file as it is stays as a backup.",
            cure: Cure::Ours {
                kind: Kind::Config,
                question: "Move them to where they are read now?".into(),
                run: repair(snapshot, moved, unknown.clone()),
            },
        });
    } else if !unknown.is_empty() {
        found.push(Finding {
            topic: "Unknown config keys",
            grave: true,
            what: "The configuration has keys that no version known here reads.".into(),
            details: unknown.clone(),
            why: "The gateway does not start with them. The file as it is stays as a backup.",
            cure: Cure::Ours {
                kind: Kind::Config,
                question: "Take them out?".into(),
                run: repair(snapshot, moved, unknown),
            },
        });
    }
    found.extend(left(&ground.repaired(&tree)));
    if snapshot.valid && !snapshot.warnings.is_empty() {
        found.push(Finding {
            topic: "Config warnings",
            grave: false,
            what: "The configuration is valid, with remarks.".into(),
            details: snapshot.warnings.iter().map(ToString::to_string).collect(),
            why: "",
            cure: Cure::Yours("see openclaw.json(5)".into()),
        });
    }
    found
}

/// What neither moving nor taking out puts right.
fn left(after: &Snapshot) -> Option<Finding> {
    if after.valid {
        return None;
    }
    Some(Finding {
        topic: "Invalid config",
        grave: true,
        what: "The configuration is not valid.".into(),
        details: after.issues.iter().map(ToString::to_string).collect(),
        why: "The gateway does not start with it, and nothing is written to it as long as it is \
              not.",
        cure: Cure::Yours(format!(
            "edit {}, then run this again",
            after.path.display()
        )),
    })
}

fn repair(snapshot: &Snapshot, moved: Vec<String>, unknown: Vec<String>) -> Remedy {
    let (paths, env) = (snapshot.paths.clone(), snapshot.env.clone());
    Box::new(move || {
        let takes_out = !unknown.is_empty();
        edit::change(&paths, &env, |tree| {
            migrate::run(tree);
            if takes_out {
                prune::prune(&keys::ROOT, tree);
            }
            note_run(tree);
            Ok(())
        })
        .map_err(Error::Config)?;
        let taken = unknown.iter().map(|key| format!("{key}: taken out"));
        let mut done: Vec<String> = moved.into_iter().chain(taken).collect();
        done.push(format!("Updated {}", paths.tilde(&paths.config)));
        let backup = format!("{}.bak", paths.config.display());
        done.push(format!("Backup: {}", paths.tilde(Path::new(&backup))));
        Ok(done)
    })
}

/// Who changed the file last, as the original's doctor notes it.
pub fn note_run(tree: &mut Value) {
    let Some(root) = tree.as_object_mut() else {
        return;
    };
    let local = root.get("gateway").and_then(|gateway| gateway.get("mode"));
    let mode = match local {
        Some(mode) if mode == "remote" => "remote",
        _ => "local",
    };
    let wizard = root
        .entry("wizard")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Some(wizard) = wizard.as_object_mut() {
        wizard.insert("lastRunAt".into(), json!(time::now_iso()));
        wizard.insert("lastRunVersion".into(), json!(version::BEHAVIOUR));
        wizard.insert("lastRunCommand".into(), json!("doctor"));
        wizard.insert("lastRunMode".into(), json!(mode));
    }
}

/// No tree at all: a backup that is one, or an editor.
fn unreadable(ground: &Ground) -> Finding {
    let snapshot = &ground.snapshot;
    let file = &snapshot.paths.config;
    let backups = std::iter::once(String::from(".bak"))
        .chain((1..5).map(|n| format!(".bak.{n}")))
        .map(|end| PathBuf::from(format!("{}{end}", file.display())));
    let good = backups.into_iter().find(|backup| {
        let mut paths = snapshot.paths.clone();
        paths.config.clone_from(backup);
        let read = load::load(&paths, ground.env());
        read.exists && read.valid
    });
    Finding {
        topic: "Invalid config",
        grave: true,
        what: "The configuration cannot be read.".into(),
        details: match snapshot.issues.is_empty() {
            true => vec!["<root>: not an object".into()],
            false => snapshot.issues.iter().map(ToString::to_string).collect(),
        },
        why: "The gateway does not start with it.",
        cure: Cure::Yours(match good {
            Some(backup) => format!(
                "edit it, or take the last good one: cp {} {}",
                backup.display(),
                file.display()
            ),
            None => format!("edit {}", file.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths};
    use std::fs;

    fn ground(config: &str) -> (Ground, PathBuf) {
        let dir = id::temp_dir("doctor-config");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("OPENCLAW_STATE_DIR", d)]);
        let paths = Paths::resolve(&env, None);
        fs::write(&paths.config, config).unwrap();
        let snapshot = load::load(&paths, &env);
        (Ground::of(snapshot), dir)
    }

    fn cure(ground: &mut Ground) -> Vec<String> {
        let mut done = Vec::new();
        for finding in look(ground) {
            if let Cure::Ours { run, .. } = finding.cure {
                done.extend(run().unwrap());
            }
        }
        ground.reload();
        done
    }

    #[test]
    fn settings_of_earlier_versions_are_moved_and_what_a_person_wrote_stays() {
        let (mut ground, dir) = ground(
            "{\n  // mine\n  gateway: {mode: 'local', token: '${TOK:-x}', bogus: 1},\n  agent: {model: 'a/b'},\n}\n",
        );
        ground
            .snapshot
            .env
            .lay_over([("TOK:-x".into(), "t".into())].into());
        let done = cure(&mut ground);
        assert!(done.contains(&"gateway.token → gateway.auth.token".to_string()));
        assert!(done.contains(&"gateway.bogus: taken out".to_string()));
        let text = fs::read_to_string(&ground.snapshot.paths.config).unwrap();
        assert!(
            text.contains("// mine") && text.contains("\"doctor\""),
            "{text}"
        );
        assert!(ground.snapshot.valid, "{:?}", ground.snapshot.issues);
        let model = &ground.snapshot.parsed["agents"]["defaults"]["model"]["primary"];
        assert_eq!(model, "a/b");
        assert!(look(&ground).is_empty());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_fault_that_needs_a_person_is_told_and_keys_of_a_later_version_stay() {
        let (ground, dir) = ground(
            "{meta:{lastTouchedVersion:'2027.1.1'},gateway:{mode:'local',port:'x',teleport:1}}",
        );
        let found = look(&ground);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].topic, "Invalid config");
        assert_eq!(found[0].details.len(), 2);
        assert!(matches!(&found[0].cure, Cure::Yours(how) if how.starts_with("edit ")));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_is_no_json5_is_answered_with_the_last_good_backup() {
        let (ground, dir) = ground("{gateway:");
        let backup = format!("{}.bak.1", ground.snapshot.paths.config.display());
        fs::write(
            format!("{}.bak", ground.snapshot.paths.config.display()),
            "{",
        )
        .unwrap();
        fs::write(&backup, "{gateway:{mode:'local'}}").unwrap();
        let found = look(&ground);
        assert!(
            matches!(&found[0].cure, Cure::Yours(how) if how.contains(&format!("cp {backup} ")))
        );
        fs::remove_dir_all(dir).unwrap();
    }
}
