//! Other gateways that this host would start: two with one state, or on one port, disturb each
//! other.

use serde::Serialize;
use std::path::Path;

/// As much of a file as says what it starts.
const MAX_FILE: u64 = 64 * 1024;
const MAX_FOUND: usize = 32;
const MARKERS: [&str; 3] = ["openclaw", "clawdbot", "moltbot"];
/// Ours of any profile, by name.
const OWN: [&str; 2] = ["openclaw-gateway", "openclaw-exec"];
const SYSTEM_FOLDERS: [&str; 3] = [
    "/etc/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    pub platform: &'static str,
    pub label: String,
    pub detail: String,
    pub scope: &'static str,
    pub marker: &'static str,
    /// Of the program's earlier names.
    pub legacy: bool,
}

/// systemd units of this user, and with `deep` of the system. `own` is the unit that is ours.
pub fn find(home: &Path, own: &Path, deep: bool) -> Vec<Other> {
    let mut found = of_folder(&home.join(".config/systemd/user"), "user", own);
    if deep {
        for folder in SYSTEM_FOLDERS {
            found.extend(of_folder(Path::new(folder), "system", own));
        }
    }
    found.truncate(MAX_FOUND);
    found
}

fn of_folder(folder: &Path, scope: &'static str, own: &Path) -> Vec<Other> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Other> = entries
        .filter_map(|entry| {
            let path = entry.path();
            let name = entry.file_name().to_str()?.to_string();
            if !name.ends_with(".service") || path == own {
                return None;
            }
            // A profile's gateway is meant to run beside ours; the system's is not.
            if scope == "user" && OWN.iter().any(|start| name.starts_with(start)) {
                return None;
            }
            let text = read(&path)?.to_lowercase();
            let marker = MARKERS.into_iter().find(|marker| text.contains(marker))?;
            Some(Other {
                platform: "linux",
                detail: format!("unit: {}", path.display()),
                label: name,
                scope,
                marker,
                legacy: marker != MARKERS[0],
            })
        })
        .collect();
    found.sort_by(|a, b| a.label.cmp(&b.label));
    found
}

fn read(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

impl Other {
    /// What takes it away.
    pub fn cleanup(&self) -> [String; 2] {
        let file = self.detail.trim_start_matches("unit: ");
        let scope = if self.scope == "user" { "--user " } else { "" };
        [
            format!("systemctl {scope}disable --now {}", self.label),
            format!("rm {file}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_under_another_name_is_found_and_profiles_are_not() {
        let home = crate::base::id::temp_dir("others");
        let units = home.join(".config/systemd/user");
        std::fs::create_dir_all(&units).unwrap();
        for (name, text) in [
            ("openclaw-gateway.service", "ExecStart=openclaw gateway"),
            ("openclaw-gateway-x.service", "ExecStart=openclaw gateway"),
            ("bot.service", "ExecStart=/opt/ClawdBot/run"),
            ("web.service", "ExecStart=nginx"),
        ] {
            std::fs::write(units.join(name), text).unwrap();
        }
        let found = find(&home, &units.join("openclaw-gateway.service"), false);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].label.as_str(), found[0].legacy),
            ("bot.service", true)
        );
        assert_eq!(
            found[0].cleanup()[0],
            "systemctl --user disable --now bot.service"
        );
        std::fs::remove_dir_all(home).unwrap();
    }
}
