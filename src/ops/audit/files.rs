//! Who on this machine can read or change the files with secrets and conversations in them.

use super::{Finding, Severity};
use crate::config::{Snapshot, paths};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const WRITABLE: u32 = 0o022;
const READABLE: u32 = 0o044;
const ALL_WRITE: u32 = 0o002;
const GROUP_WRITE: u32 = 0o020;
const ALL_READ: u32 = 0o004;
const GROUP_READ: u32 = 0o040;

/// Parts of a path that say that other machines get what lies there.
const SYNCED: [&str; 5] = [
    "icloud",
    "dropbox",
    "google drive",
    "googledrive",
    "onedrive",
];

/// One way a file can be too open.
struct Rule {
    bits: u32,
    id: &'static str,
    severity: Severity,
    title: &'static str,
}

/// A file or folder, the rules for it (the first that holds counts) and the mode it should have.
struct Kind {
    name: &'static str,
    why: &'static str,
    mode: u32,
    rules: &'static [Rule],
}

const STATE: Kind = Kind {
    name: "fs.state_dir",
    why: "Everything is in it: keys, conversations, settings.",
    mode: 0o700,
    rules: &[
        rule(
            ALL_WRITE,
            "perms_world_writable",
            Severity::Critical,
            "Anybody can change the state folder",
        ),
        rule(
            GROUP_WRITE,
            "perms_group_writable",
            Severity::Warn,
            "A group can change the state folder",
        ),
        rule(
            READABLE,
            "perms_readable",
            Severity::Warn,
            "Others can look into the state folder",
        ),
    ],
};
const CONFIG: Kind = Kind {
    name: "fs.config",
    why: "Who writes it decides what the gateway does; who reads it has its tokens.",
    mode: 0o600,
    rules: CONFIG_RULES,
};
const INCLUDE: Kind = Kind {
    name: "fs.config_include",
    why: "It is part of the configuration.",
    mode: 0o600,
    rules: CONFIG_RULES,
};
const CONFIG_RULES: &[Rule] = &[
    rule(
        WRITABLE,
        "perms_writable",
        Severity::Critical,
        "Others can change the configuration",
    ),
    rule(
        ALL_READ,
        "perms_world_readable",
        Severity::Critical,
        "Anybody can read the configuration",
    ),
    rule(
        GROUP_READ,
        "perms_group_readable",
        Severity::Warn,
        "A group can read the configuration",
    ),
];
const CREDENTIALS: Kind = Kind {
    name: "fs.credentials_dir",
    why: "Logins of channels and lists of who may write are in it.",
    mode: 0o700,
    rules: &[
        rule(
            WRITABLE,
            "perms_writable",
            Severity::Critical,
            "Others can change the credentials",
        ),
        rule(
            READABLE,
            "perms_readable",
            Severity::Warn,
            "Others can look into the credentials folder",
        ),
    ],
};
const PROFILES: Kind = Kind {
    name: "fs.auth_profiles",
    why: "The keys of the model providers are in it.",
    mode: 0o600,
    rules: &[
        rule(
            WRITABLE,
            "perms_writable",
            Severity::Critical,
            "Others can change the keys of models",
        ),
        rule(
            READABLE,
            "perms_readable",
            Severity::Warn,
            "Others can read the keys of models",
        ),
    ],
};
const SESSIONS: Kind = Kind {
    name: "fs.sessions_store",
    why: "It says who talks with the agent, and about what.",
    mode: 0o600,
    rules: &[rule(
        READABLE,
        "perms_readable",
        Severity::Warn,
        "Others can read the list of sessions",
    )],
};
const LOG: Kind = Kind {
    name: "fs.log_file",
    why: "Names, numbers and texts of tools are in it.",
    mode: 0o600,
    rules: &[rule(
        READABLE,
        "perms_readable",
        Severity::Warn,
        "Others can read the log",
    )],
};

const fn rule(bits: u32, id: &'static str, severity: Severity, title: &'static str) -> Rule {
    Rule {
        bits,
        id,
        severity,
        title,
    }
}

pub fn synced(snapshot: &Snapshot) -> Vec<Finding> {
    let all = [&snapshot.paths.state, &snapshot.path];
    let hit = all.iter().any(|path| {
        let text = path.display().to_string().to_lowercase();
        SYNCED.iter().any(|name| text.contains(name))
    });
    let found = hit.then(|| {
        Finding::new(
            "fs.synced_dir",
            Severity::Warn,
            "State or configuration are in a synchronised folder",
            format!(
                "state {}, configuration {}: a cloud and other machines get the secrets, and two \
                 machines that write at once damage files.",
                all[0].display(),
                all[1].display()
            ),
        )
        .fix("Keep both on a local disk: OPENCLAW_STATE_DIR, OPENCLAW_CONFIG_PATH.")
    });
    found.into_iter().collect()
}

pub fn look(snapshot: &Snapshot) -> Vec<Finding> {
    let state = &snapshot.paths.state;
    let mut found = Vec::new();
    found.extend(symlink(state, &STATE));
    found.extend(mode(state, &STATE));
    found.extend(symlink(&snapshot.path, &CONFIG));
    found.extend(mode(&snapshot.path, &CONFIG));
    for file in &snapshot.includes {
        found.extend(mode(file, &INCLUDE));
    }
    found.extend(mode(&snapshot.paths.credentials, &CREDENTIALS));
    for agent in agents(snapshot) {
        found.extend(mode(
            &agent_dir(snapshot, &agent).join("auth-profiles.json"),
            &PROFILES,
        ));
        found.extend(mode(
            &snapshot.paths.sessions(&agent).join("sessions.json"),
            &SESSIONS,
        ));
    }
    if let Some(file) = &snapshot.config.logging.file {
        found.extend(mode(&paths::expand(file, &snapshot.paths.home), &LOG));
    }
    found.extend(extensions(snapshot));
    found
}

/// Those of the configuration, and those that have left a folder.
pub(super) fn agents(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = snapshot.config.agent_ids().into_iter().collect();
    let folders = fs::read_dir(snapshot.paths.state.join("agents"));
    for folder in folders.into_iter().flatten().flatten() {
        if folder.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(folder.file_name().into_string());
        }
    }
    all
}

pub(super) fn agent_dir(snapshot: &Snapshot, agent: &str) -> PathBuf {
    match agent {
        "main" => snapshot.paths.agent_dir.clone(),
        other => snapshot.paths.agent(other).join("agent"),
    }
}

fn symlink(path: &Path, kind: &Kind) -> Option<Finding> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    is_link.then(|| {
        Finding::new(
            format!("{}.symlink", kind.name),
            Severity::Warn,
            "A private place is reached by a symbolic link",
            format!(
                "{} leads elsewhere: whoever may change that place has it.",
                path.display()
            ),
        )
    })
}

/// A file that is not there is no finding.
fn mode(path: &Path, kind: &Kind) -> Option<Finding> {
    let has = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    let rule = kind.rules.iter().find(|rule| has & rule.bits != 0)?;
    let finding = Finding::new(
        format!("{}.{}", kind.name, rule.id),
        rule.severity,
        rule.title,
        format!("{} mode={has:o}. {}", path.display(), kind.why),
    );
    Some(finding.fix(format!("chmod {:o} {}", kind.mode, path.display())))
}

/// This program loads no extensions; the original, on the same folder, loads all it finds.
fn extensions(snapshot: &Snapshot) -> Option<Finding> {
    let folders = fs::read_dir(snapshot.paths.state.join("extensions")).ok()?;
    let mut names: Vec<String> = folders
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    if names.is_empty() || !super::entries(&snapshot.value["plugins"]["allow"]).is_empty() {
        return None;
    }
    names.sort();
    let finding = Finding::new(
        "plugins.extensions_no_allowlist",
        Severity::Warn,
        "Extensions are there and nothing says which are meant",
        format!(
            "In extensions/: {}. This program runs none of them, the Node program all.",
            names.join(", ")
        ),
    );
    Some(finding.fix("Name those you trust in plugins.allow, and remove the others."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    #[test]
    fn modes_are_told_by_the_worst_that_holds() {
        let dir = id::temp_dir("audit-files");
        let home = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        let paths = Paths::resolve(&env, None);
        let profiles = dir.join("agents/gone/agent/auth-profiles.json");
        let store = dir.join("agents/main/sessions/sessions.json");
        let more = dir.join("more.json");
        for file in [&profiles, &store, &more, &dir.join("extensions/x/index.js")] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "{}").unwrap();
        }
        fs::create_dir(&paths.credentials).unwrap();
        fs::write(
            &paths.config,
            "{\"$include\": \"more.json\", logging: {file: 'log'}}",
        )
        .unwrap();
        let chmod = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let look = || -> Vec<String> {
            let snapshot = load::load(&paths, &env);
            look(&snapshot)
                .into_iter()
                .map(|finding| finding.check_id)
                .collect()
        };
        chmod(&dir, 0o755);
        chmod(&paths.config, 0o640);
        chmod(&more, 0o644);
        chmod(&paths.credentials, 0o755);
        chmod(&profiles, 0o664);
        chmod(&store, 0o644);
        assert_eq!(
            look(),
            [
                "fs.state_dir.perms_readable",
                "fs.config.perms_group_readable",
                "fs.config_include.perms_world_readable",
                "fs.credentials_dir.perms_readable",
                "fs.auth_profiles.perms_writable",
                "fs.sessions_store.perms_readable",
                "plugins.extensions_no_allowlist",
            ]
        );
        chmod(&dir, 0o777);
        assert_eq!(look()[0], "fs.state_dir.perms_world_writable");
        chmod(&dir, 0o775);
        assert_eq!(look()[0], "fs.state_dir.perms_group_writable");
        chmod(&paths.config, 0o660);
        assert_eq!(look()[1], "fs.config.perms_writable");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_of_a_cloud_and_a_link_are_told() {
        let dir = id::temp_dir("audit-synced");
        let state = dir.join("Dropbox/state");
        fs::create_dir_all(dir.join("real")).unwrap();
        fs::create_dir_all(state.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(dir.join("real"), &state).unwrap();
        let env = Env::from_pairs(&[
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", state.to_str().unwrap()),
        ]);
        let snapshot = load::load(&Paths::resolve(&env, None), &env);
        assert_eq!(synced(&snapshot)[0].check_id, "fs.synced_dir");
        assert_eq!(look(&snapshot)[0].check_id, "fs.state_dir.symlink");
        fs::remove_dir_all(dir).unwrap();
    }
}
