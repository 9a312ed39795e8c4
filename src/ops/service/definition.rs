//! What a service is made of, whoever runs it.

use crate::base::sys::peer::own_uid;
use crate::config::{Env, Paths, Snapshot, listen};
use crate::wire::version::BEHAVIOUR;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Set in the installing shell, they are the service's too.
const HANDED: [&str; 3] = [
    "OPENCLAW_PROFILE",
    "OPENCLAW_STATE_DIR",
    "OPENCLAW_CONFIG_PATH",
];
/// Folders of package and version managers below variables of theirs.
const BY_VARIABLE: [(&str, &str); 7] = [
    ("PNPM_HOME", ""),
    ("NPM_CONFIG_PREFIX", "bin"),
    ("BUN_INSTALL", "bin"),
    ("VOLTA_HOME", "bin"),
    ("ASDF_DATA_DIR", "shims"),
    ("NVM_DIR", "current/bin"),
    ("FNM_DIR", "current/bin"),
];
/// The same below the home folder: commands of the agent may need them.
const BELOW_HOME: [&str; 9] = [
    ".local/bin",
    ".npm-global/bin",
    "bin",
    ".nvm/current/bin",
    ".fnm/current/bin",
    ".volta/bin",
    ".asdf/shims",
    ".local/share/pnpm",
    ".bun/bin",
];
#[cfg(target_os = "macos")]
pub const SYSTEM_FOLDERS: [&str; 4] = ["/opt/homebrew/bin", "/usr/local/bin", "/usr/bin", "/bin"];
#[cfg(not(target_os = "macos"))]
pub const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// `OpenClaw Gateway (v2026.2.3)`.
    pub description: String,
    /// `PROGRAM gateway --port P`.
    pub argv: Vec<String>,
    /// No secret is among them: these files are read by everybody.
    pub env: Vec<(String, String)>,
    /// Who it runs as where the manager is root's; `None` is root.
    pub user: Option<String>,
    /// Folder of its output where the manager keeps none.
    pub logs: PathBuf,
}

impl Definition {
    /// `program` is `openclaw` by its whole path.
    pub fn of(snapshot: &Snapshot, program: &Path, port: Option<u16>) -> Definition {
        let (env, paths) = (&snapshot.env, &snapshot.paths);
        let port = port.unwrap_or_else(|| listen::port(snapshot));
        let about = match &paths.profile {
            Some(profile) => format!("profile: {profile}, v{BEHAVIOUR}"),
            None => format!("v{BEHAVIOUR}"),
        };
        let mut set = vec![
            ("HOME".to_string(), paths.home.display().to_string()),
            ("PATH".to_string(), path(env, &paths.home)),
        ];
        for name in HANDED {
            set.extend(env.get(name).map(|value| (name.into(), value.into())));
        }
        for (name, value) in [
            ("OPENCLAW_GATEWAY_PORT", port.to_string()),
            ("OPENCLAW_SERVICE_MARKER", "openclaw".into()),
            ("OPENCLAW_SERVICE_KIND", "gateway".into()),
            ("OPENCLAW_SERVICE_VERSION", BEHAVIOUR.into()),
        ] {
            set.push((name.into(), value));
        }
        Definition {
            description: format!("OpenClaw Gateway ({about})"),
            argv: vec![
                program.display().to_string(),
                "gateway".into(),
                "--port".into(),
                port.to_string(),
            ],
            env: set,
            user: owner(paths),
            logs: paths.state.join("logs"),
        }
    }
}

/// `openclaw-gateway`, `openclaw-gateway-<profile>`, unless a variable names it.
pub fn name(snapshot: &Snapshot, variable: &str) -> String {
    if let Some(name) = snapshot.env.get(variable) {
        return name.trim_end_matches(".service").to_string();
    }
    match &snapshot.paths.profile {
        Some(profile) => format!("openclaw-gateway-{profile}"),
        None => "openclaw-gateway".into(),
    }
}

/// What a service needs of the PATH of the shell that installs it, and not more.
fn path(env: &Env, home: &Path) -> String {
    let by_variable = BY_VARIABLE
        .iter()
        .filter_map(|(name, below)| Some(Path::new(env.get(name)?).join(below)));
    let below_home = BELOW_HOME.iter().map(|below| home.join(below));
    let system = SYSTEM_FOLDERS.iter().map(PathBuf::from);
    let mut folders: Vec<String> = Vec::new();
    for folder in by_variable.chain(below_home).chain(system) {
        let folder = folder.display().to_string();
        let folder = folder.trim_end_matches('/').to_string();
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.join(":")
}

/// The name of whom the state folder belongs to, ours when it does not exist.
fn owner(paths: &Paths) -> Option<String> {
    let uid = std::fs::metadata(&paths.state).map_or_else(|_| own_uid(), |meta| meta.uid());
    if uid == 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_string())
    });
    Some(named.unwrap_or_else(|| uid.to_string()))
}

/// A word of a shell script.
pub fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_-.=:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A whole command line of a shell script.
pub fn shell_line(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| shell(word)).collect();
    quoted.join(" ")
}

/// `export NAME=VALUE` lines.
pub fn exports(env: &[(String, String)]) -> String {
    let line = |(name, value): &(String, String)| format!("export {name}={}\n", shell(value));
    env.iter().map(line).collect()
}

/// The reverse of `exports` and of a last line `exec …`, for scripts we wrote ourselves.
pub fn of_script(text: &str) -> super::Written {
    let mut written = super::Written {
        text: text.to_string(),
        ..super::Written::default()
    };
    for line in text.lines().map(str::trim) {
        if let Some((name, value)) = line.strip_prefix("export ").and_then(|l| l.split_once('=')) {
            let value = words(value).concat();
            written.env.push((name.to_string(), value));
        }
        let command = ["exec ", "run) exec "].iter().find_map(|start| {
            let rest = line.strip_prefix(start)?;
            rest.contains("gateway").then_some(rest)
        });
        if let Some(command) = command {
            let mut argv = words(command.split(" 2>").next().unwrap_or(command));
            // `exec chpst -u NAME PROGRAM …`: what counts is the program.
            if let Some(at) = argv.iter().position(|word| word.ends_with("/openclaw")) {
                argv.drain(..at);
            }
            written.argv = argv;
        }
    }
    written
}

/// Splits as a shell does, without expanding anything.
pub fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(letters.next()),
            letter if letter.is_whitespace() && !quoted => out.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    out.extend(word);
    out
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::config::load;

    pub fn snapshot(pairs: &[(&str, &str)]) -> Snapshot {
        let env = Env::from_pairs(pairs);
        let paths = Paths::resolve(&env, None);
        load::from_text(&paths, &env, "{gateway: {port: 18990}}".into())
    }

    #[test]
    fn a_service_has_what_it_needs_and_no_secret() {
        let snapshot = snapshot(&[
            ("HOME", "/home/ann"),
            ("OPENCLAW_STATE_DIR", "/srv/oc"),
            ("OPENCLAW_PROFILE", "rescue"),
            ("OPENCLAW_GATEWAY_TOKEN", "secret"),
            ("ANTHROPIC_API_KEY", "secret"),
            ("VOLTA_HOME", "/opt/volta"),
            ("PATH", "/home/ann/.cargo/bin:/usr/bin"),
        ]);
        let made = Definition::of(&snapshot, Path::new("/usr/bin/openclaw"), None);
        assert_eq!(
            made.argv,
            ["/usr/bin/openclaw", "gateway", "--port", "18990"]
        );
        assert_eq!(
            made.description,
            format!("OpenClaw Gateway (profile: rescue, v{BEHAVIOUR})")
        );
        let names: Vec<&str> = made.env.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "HOME",
                "PATH",
                "OPENCLAW_PROFILE",
                "OPENCLAW_STATE_DIR",
                "OPENCLAW_GATEWAY_PORT",
                "OPENCLAW_SERVICE_MARKER",
                "OPENCLAW_SERVICE_KIND",
                "OPENCLAW_SERVICE_VERSION"
            ]
        );
        let path = &made.env[1].1;
        assert!(path.starts_with("/opt/volta/bin:/home/ann/.local/bin:"));
        assert!(path.ends_with("/usr/local/bin:/usr/bin:/bin") && !path.contains(".cargo"));
        assert!(made.env.iter().all(|(_, value)| !value.contains("secret")));
        let other = Definition::of(&snapshot, Path::new("/usr/bin/openclaw"), Some(7));
        assert_eq!(other.argv[3], "7");
        assert_eq!(
            name(&snapshot, "OPENCLAW_SYSTEMD_UNIT"),
            "openclaw-gateway-rescue"
        );
    }

    #[test]
    fn a_script_is_read_back_as_it_was_written() {
        let argv = ["/opt/o c/openclaw", "gateway", "--port", "1"].map(String::from);
        let env = [("A".to_string(), "it's $HOME".to_string())];
        let text = format!(
            "#!/bin/sh\n{}exec {} 2>&1\n",
            exports(&env),
            shell_line(&argv)
        );
        let read = of_script(&text);
        assert_eq!(read.argv, argv);
        assert_eq!(read.env, env);
        assert_eq!(read.port(), Some(1));
        assert_eq!(shell(""), "''");
    }
}
