//! OpenRC: a script in /etc/init.d that `supervise-daemon` runs.

use super::definition::{self, Definition, shell, shell_line, words};
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::config::Snapshot;
use std::path::{Path, PathBuf};

const SERVICE: &str = "rc-service";
const UPDATE: &str = "rc-update";
const MODE: u32 = 0o755;
const HEAD: &str = "#!/sbin/openrc-run\n";
const ARGS: &str = "command_args=";

pub struct OpenRc {
    words: Words,
    file: PathBuf,
    logs: PathBuf,
}

impl OpenRc {
    pub fn new(snapshot: &Snapshot) -> OpenRc {
        let name = definition::name(snapshot, "OPENCLAW_SYSTEMD_UNIT");
        OpenRc {
            file: Path::new("/etc/init.d").join(&name),
            logs: snapshot.paths.state.join("logs"),
            words: Words {
                label: "OpenRC",
                noun: "OpenRC service",
                loaded: "enabled",
                not_loaded: "disabled",
                name,
            },
        }
    }

    fn service(&self, verb: &str) -> Result<String, Error> {
        program::must(SERVICE, &[&self.words.name, verb])
    }

    fn text(&self, definition: &Definition) -> String {
        let user = definition.user.as_ref();
        let user = user.map_or(String::new(), |name| {
            format!("command_user={}\n", shell(name))
        });
        let owner = definition.user.as_ref();
        let owner = owner.map_or(String::new(), |name| format!("--owner {} ", shell(name)));
        let logs = shell(&definition.logs.display().to_string());
        let log = |name: &str| shell(&definition.logs.join(name).display().to_string());
        // OpenRC needs its own PATH in here.
        let pairs = definition
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let words: Vec<String> = pairs.chain(definition.argv.iter().cloned()).collect();
        format!(
            "{HEAD}\
             # Written by openclaw gateway install; openclaw gateway uninstall takes it away.\n\
             name={}\n\
             supervisor=supervise-daemon\n\
             command=/usr/bin/env\n\
             {ARGS}{}\n\
             {user}\
             respawn_delay=5\n\
             respawn_max=10\n\
             respawn_period=120\n\
             retry=TERM/30/KILL/5\n\
             output_log={}\n\
             error_log={}\n\
             extra_started_commands=reload\n\
             \n\
             depend() {{\n\
             \tafter localmount\n\
             \tuse net dns logger\n\
             }}\n\
             \n\
             start_pre() {{\n\
             \tcheckpath --directory {owner}{logs}\n\
             }}\n\
             \n\
             reload() {{\n\
             \tsupervise-daemon \"$RC_SVCNAME\" --signal HUP\n\
             }}\n",
            shell(&definition.description),
            // Split again by the shell that starts it.
            shell(&shell_line(&words)),
            log("gateway.log"),
            log("gateway.err.log"),
        )
    }
}

/// The command and its variables, as we wrote them.
fn read(text: &str) -> Option<Written> {
    // The init of System V has its scripts in the same folder.
    let rest = text.strip_prefix(HEAD)?;
    let line = rest.lines().find_map(|line| line.strip_prefix(ARGS))?;
    let mut argv = words(&words(line).concat());
    let variables = argv
        .iter()
        .take_while(|word| !word.starts_with('/'))
        .count();
    let pairs = argv.drain(..variables);
    let env = pairs.filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((name.to_string(), value.to_string()))
    });
    let env = env.collect();
    Some(Written {
        env,
        argv,
        folder: None,
        text: text.to_string(),
    })
}

impl Manager for OpenRc {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn available(&self) -> Result<(), Error> {
        let asked = program::run(SERVICE, &["--version"]);
        asked.map(drop).map_err(|detail| Error::Unavailable {
            what: "OpenRC",
            detail,
        })
    }

    fn loaded(&self) -> Result<bool, Error> {
        self.available()?;
        let shown = program::run(UPDATE, &["show", "default"]).unwrap_or_default();
        let mut names = shown
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        Ok(names.any(|name| name == self.words.name))
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        put(&self.file, &self.text(definition), MODE)?;
        program::must(UPDATE, &["add", &self.words.name, "default"])?;
        self.restart()
    }

    fn restart(&self) -> Result<(), Error> {
        self.service("restart").map(drop)
    }

    fn stop(&self) -> Result<(), Error> {
        self.service("stop").map(drop)
    }

    fn uninstall(&self) -> Result<bool, Error> {
        if !self.file.exists() {
            return Ok(false);
        }
        if self.runtime().status == "running" {
            self.stop()?;
        }
        program::must(UPDATE, &["del", &self.words.name, "default"])?;
        take_away(&self.file)
    }

    fn written(&self) -> Option<Written> {
        std::fs::read_to_string(&self.file)
            .ok()
            .and_then(|text| read(&text))
    }

    fn runtime(&self) -> Runtime {
        if let Err(err) = self.available() {
            return Runtime::unknown(format!("Error: {err}"));
        }
        match program::run(SERVICE, &[&self.words.name, "status"]) {
            Ok(said) => Runtime::of(true, None, last_word(&said)),
            Err(said) => Runtime {
                missing_unit: !self.file.exists(),
                ..Runtime::of(false, None, last_word(&said))
            },
        }
    }

    fn start_hint(&self) -> String {
        format!("rc-service {} start", self.words.name)
    }

    fn log_hint(&self) -> String {
        format!(
            "tail -n 200 {}",
            self.logs.join("gateway.err.log").display()
        )
    }
}

/// ` * status: started`
fn last_word(said: &str) -> &str {
    said.split_whitespace().last().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_script_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/home/it's")]);
        let manager = OpenRc::new(&snapshot);
        let mut made = Definition::of(&snapshot, Path::new("/opt/o c/openclaw"), Some(7));
        made.user = Some("ann".into());
        let text = manager.text(&made);
        assert!(text.contains("command_user=ann\n"));
        let read = read(&text).expect("ours");
        assert_eq!((read.argv, read.env), (made.argv, made.env));
    }
}
