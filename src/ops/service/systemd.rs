//! systemd: a unit of the user, or of the system for root's gateways.

use super::definition::{self, Definition};
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::base::sys::peer::own_uid;
use crate::config::Snapshot;
use std::path::{Path, PathBuf};

const PROGRAM: &str = "systemctl";
const SYSTEM_UNITS: &str = "/etc/systemd/system";
/// A package's, which only it takes away.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];
/// Root's to write, everybody's to read.
const MODE: u32 = 0o644;

pub struct Systemd {
    user: bool,
    words: Words,
    file: PathBuf,
    /// Who asks.
    person: Option<String>,
}

impl Systemd {
    pub fn of_user(snapshot: &Snapshot) -> Systemd {
        let folder = snapshot.paths.home.join(".config/systemd/user");
        Systemd::at(snapshot, true, &folder)
    }

    /// The administrator's, else a package's; that one is none of a plain user's business.
    pub fn of_system(snapshot: &Snapshot) -> Systemd {
        let own = Systemd::at(snapshot, false, Path::new(SYSTEM_UNITS));
        if own.file.exists() || own_uid() != 0 {
            return own;
        }
        let packaged = PACKAGED.map(|folder| Systemd::at(snapshot, false, Path::new(folder)));
        let found = packaged.into_iter().find(|it| it.file.exists());
        found.unwrap_or(own)
    }

    fn at(snapshot: &Snapshot, user: bool, folder: &Path) -> Systemd {
        let unit = format!(
            "{}.service",
            definition::name(snapshot, "OPENCLAW_SYSTEMD_UNIT")
        );
        Systemd {
            user,
            file: folder.join(&unit),
            person: snapshot.env.first(&["USER", "LOGNAME"]).map(str::to_string),
            words: Words {
                label: "systemd",
                noun: "systemd service",
                loaded: "enabled",
                not_loaded: "disabled",
                name: unit,
            },
        }
    }

    fn scoped<'a>(&self, words: &[&'a str]) -> Vec<&'a str> {
        let scope = self.user.then_some("--user");
        scope.into_iter().chain(words.iter().copied()).collect()
    }

    fn must(&self, words: &[&str]) -> Result<String, Error> {
        program::must(PROGRAM, &self.scoped(words))
    }

    fn refuse_packaged(&self) -> Result<(), Error> {
        match PACKAGED.iter().any(|folder| self.file.starts_with(folder)) {
            true => Err(Error::Packaged {
                path: self.file.clone(),
            }),
            false => Ok(()),
        }
    }

    fn unit(&self) -> &str {
        &self.words.name
    }

    fn text(&self, definition: &Definition) -> String {
        let exec: Vec<String> = definition.argv.iter().map(|word| command(word)).collect();
        let mut env: String = definition.env.iter().map(variable).collect();
        env.push_str(&variable(&(
            "OPENCLAW_SYSTEMD_UNIT".into(),
            self.unit().into(),
        )));
        let user = definition.user.as_ref().filter(|_| !self.user);
        let user = user.map_or(String::new(), |name| format!("User={name}\n"));
        let target = if self.user { "default" } else { "multi-user" };
        format!(
            "[Unit]\n\
             Description={}\n\
             Documentation=man:openclaw-gateway(8) man:openclaw.json(5)\n\
             After=network-online.target\n\
             Wants=network-online.target\n\
             \n\
             [Service]\n\
             Type=notify\n\
             NotifyAccess=main\n\
             ExecStart={}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             WatchdogSec=60\n\
             Restart=always\n\
             RestartSec=5\n\
             # Called wrongly, not permitted, bad configuration: starting again changes nothing.\n\
             RestartPreventExitStatus=64 77 78\n\
             # SIGTERM goes to the supervisor, which stops its children in order.\n\
             KillMode=mixed\n\
             TimeoutStopSec=30\n\
             OOMPolicy=continue\n\
             UMask=0077\n\
             {user}{env}\n\
             [Install]\n\
             WantedBy={target}.target\n",
            definition.description.replace('%', "%%"),
            exec.join(" "),
        )
    }
}

impl Manager for Systemd {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn available(&self) -> Result<(), Error> {
        let what = if self.user {
            "systemctl --user"
        } else {
            "systemctl"
        };
        let asked = program::run(PROGRAM, &self.scoped(&["status"]));
        asked.map(drop).map_err(|detail| Error::Unavailable {
            what,
            // Its first line says why, the others what is running.
            detail: detail.lines().next().unwrap_or_default().to_string(),
        })
    }

    fn loaded(&self) -> Result<bool, Error> {
        let enabled = program::run(PROGRAM, &self.scoped(&["is-enabled", self.unit()])).is_ok();
        if !enabled {
            // Or nobody is there who could say so.
            self.available()?;
        }
        Ok(enabled)
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        self.refuse_packaged()?;
        put(&self.file, &self.text(definition), MODE)?;
        self.must(&["daemon-reload"])?;
        self.must(&["enable", self.unit()])?;
        self.restart()
    }

    fn restart(&self) -> Result<(), Error> {
        self.must(&["restart", self.unit()]).map(drop)
    }

    fn stop(&self) -> Result<(), Error> {
        self.must(&["stop", self.unit()]).map(drop)
    }

    fn uninstall(&self) -> Result<bool, Error> {
        self.refuse_packaged()?;
        // Of a unit that is not there it only complains.
        let disabled = self.must(&["disable", "--now", self.unit()]);
        let there = take_away(&self.file)?;
        if there {
            disabled?;
            self.must(&["daemon-reload"])?;
        }
        Ok(there)
    }

    fn written(&self) -> Option<Written> {
        std::fs::read_to_string(&self.file)
            .ok()
            .map(|text| read(&text))
    }

    fn runtime(&self) -> Runtime {
        const ASKED: &str = "ActiveState,SubState,MainPID,ExecMainStatus,ExecMainCode";
        let show = ["show", self.unit(), "--no-page", "--property", ASKED];
        match program::run(PROGRAM, &self.scoped(&show)) {
            Ok(said) => shown(&said),
            Err(detail) => match self.available() {
                Err(err) => Runtime::unknown(format!("Error: {err}")),
                Ok(()) => Runtime {
                    missing_unit: detail.to_lowercase().contains("not found"),
                    ..Runtime::of(false, None, "")
                },
            },
        }
    }

    fn start_hint(&self) -> String {
        let scope = if self.user { "--user " } else { "" };
        format!("systemctl {scope}start {}", self.unit())
    }

    fn log_hint(&self) -> String {
        let scope = if self.user { "--user " } else { "" };
        format!("journalctl {scope}-u {} -n 200 --no-pager", self.unit())
    }

    fn ends_with_login(&self) -> Option<String> {
        let name = self.person.as_deref().filter(|_| self.user)?;
        let lingers = program::run("loginctl", &["show-user", name, "-p", "Linger"]);
        lingers.is_ok_and(|said| said.trim() == "Linger=no").then(|| {
            format!(
                "Systemd lingering is disabled for {name}: the service ends with the last login. \
                 Run: sudo loginctl enable-linger {name}"
            )
        })
    }

    fn outlive_login(&self) -> Option<Result<String, String>> {
        let warning = self.ends_with_login()?;
        let name = self.person.as_deref()?;
        // What root must do is done where it needs no password.
        let done = program::run("loginctl", &["enable-linger", name])
            .or_else(|_| program::run("sudo", &["-n", "loginctl", "enable-linger", name]));
        Some(match done {
            Ok(_) => Ok(format!("Enabled systemd lingering for {name}.")),
            Err(_) => Err(warning),
        })
    }
}

fn shown(said: &str) -> Runtime {
    let of = |name: &str| {
        said.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == name && !value.is_empty()).then(|| value.to_string())
        })
    };
    let state = of("ActiveState");
    Runtime {
        status: match state.as_deref() {
            Some("active") => "running",
            _ => "stopped",
        },
        sub_state: of("SubState"),
        pid: of("MainPID")
            .and_then(|pid| pid.parse().ok())
            .filter(|pid| *pid != 0),
        last_exit_status: of("ExecMainStatus").and_then(|status| status.parse().ok()),
        last_exit_reason: of("ExecMainCode"),
        state,
        ..Runtime::default()
    }
}

/// A word of `ExecStart=`.
fn command(word: &str) -> String {
    quoted(&word.replace('%', "%%").replace('$', "$$"))
}

fn variable((name, value): &(String, String)) -> String {
    let pair = format!("{name}={value}").replace('%', "%%");
    format!("Environment={}\n", quoted(&pair))
}

fn quoted(word: &str) -> String {
    let odd = |c: char| c.is_whitespace() || c == '"' || c == '\'' || c == '\\';
    match word.is_empty() || word.contains(odd) {
        true => format!("\"{}\"", word.replace('\\', r"\\").replace('"', "\\\"")),
        false => word.to_string(),
    }
}

/// A unit as the original writes it, or we.
fn read(text: &str) -> Written {
    let mut written = Written {
        text: text.to_string(),
        ..Written::default()
    };
    for line in text.lines().map(str::trim) {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        match key {
            "ExecStart" => {
                written.argv = words(value).iter().map(|w| w.replace("$$", "$")).collect();
            }
            "WorkingDirectory" => written.folder = Some(value.to_string()),
            "Environment" => {
                let pairs = words(value);
                let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
                written
                    .env
                    .extend(pairs.map(|(name, value)| (name.to_string(), value.to_string())));
            }
            _ => {}
        }
    }
    written
}

/// Splits as systemd does: quotes of both kinds, backslashes, `%%`.
fn words(value: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', _) => word.get_or_insert_default().extend(letters.next()),
            (letter, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (letter, None) if letter.is_whitespace() => out.extend(word.take()),
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    out.extend(word);
    out.iter().map(|word| word.replace("%%", "%")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_unit_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/home/ann b"), ("OPENCLAW_PROFILE", "x")]);
        let manager = Systemd::of_user(&snapshot);
        assert_eq!(
            manager.file(),
            Path::new("/home/ann b/.config/systemd/user/openclaw-gateway-x.service")
        );
        let program = Path::new("/opt/100% \"odd\" $HOME/openclaw");
        let made = Definition::of(&snapshot, program, Some(7));
        let text = manager.text(&made);
        assert!(
            text.contains(
                "ExecStart=\"/opt/100%% \\\"odd\\\" $$HOME/openclaw\" gateway --port 7\n"
            )
        );
        assert!(text.contains("WantedBy=default.target") && !text.contains("User="));
        let read = read(&text);
        assert_eq!(read.argv, made.argv);
        assert_eq!(read.port(), Some(7));
        assert_eq!(read.env[..made.env.len()], made.env);
        assert_eq!(
            read.env("OPENCLAW_SYSTEMD_UNIT"),
            Some("openclaw-gateway-x.service")
        );
    }

    #[test]
    fn a_unit_of_the_system_says_who_it_runs_as() {
        let snapshot = snapshot(&[("HOME", "/home/ann")]);
        let mut made = Definition::of(&snapshot, Path::new("/usr/bin/openclaw"), None);
        made.user = Some("ann".into());
        let text = Systemd::of_system(&snapshot).text(&made);
        assert!(text.contains("User=ann\n") && text.contains("WantedBy=multi-user.target"));
    }

    #[test]
    fn a_unit_of_the_original_is_understood() {
        let text = "[Service]\nExecStart=\"/usr/bin/node\" \"/p/dist/index.js\" gateway --port=18990\n\
            Environment=HOME=/h\nEnvironment=\"PATH=/a:/b\"\nWorkingDirectory=/w\n";
        let read = read(text);
        assert_eq!(
            read.argv,
            [
                "/usr/bin/node",
                "/p/dist/index.js",
                "gateway",
                "--port=18990"
            ]
        );
        assert_eq!(
            (read.port(), read.env("PATH")),
            (Some(18990), Some("/a:/b"))
        );
        assert_eq!(read.folder.as_deref(), Some("/w"));
    }

    #[test]
    fn what_it_says_of_a_service_is_told() {
        let up = shown(
            "ActiveState=active\nSubState=running\nMainPID=9\nExecMainStatus=0\nExecMainCode=0",
        );
        assert_eq!(
            (up.status, up.pid, up.last_exit_status),
            ("running", Some(9), Some(0))
        );
        let down = shown("ActiveState=failed\nSubState=failed\nMainPID=0\nExecMainStatus=78");
        assert_eq!(
            (down.status, down.pid, down.last_exit_status),
            ("stopped", None, Some(78))
        );
    }
}
