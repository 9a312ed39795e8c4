//! The init of System V: a script in /etc/init.d with an LSB header, kept by `start-stop-daemon`.

use super::definition::{self, Definition, exports, of_script, shell, shell_line};
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::config::Snapshot;
use std::path::{Path, PathBuf};

const UPDATE: &str = "update-rc.d";
const MODE: u32 = 0o755;
const HEAD: &str = "#!/bin/sh\n";

pub struct SysVInit {
    words: Words,
    file: PathBuf,
    logs: PathBuf,
}

impl SysVInit {
    pub fn new(snapshot: &Snapshot) -> SysVInit {
        let name = definition::name(snapshot, "OPENCLAW_SYSTEMD_UNIT");
        SysVInit {
            file: Path::new("/etc/init.d").join(&name),
            logs: snapshot.paths.state.join("logs"),
            words: Words {
                label: "sysvinit",
                noun: "init script",
                loaded: "enabled",
                not_loaded: "disabled",
                name,
            },
        }
    }

    fn script(&self, verb: &str) -> Result<String, String> {
        program::run(&self.file.display().to_string(), &[verb])
    }

    fn must(&self, verb: &str) -> Result<(), Error> {
        self.script(verb).map(drop).map_err(|detail| Error::Tool {
            what: format!("{} {verb}", self.file.display()),
            detail,
        })
    }

    fn text(&self, definition: &Definition) -> String {
        let user = definition.user.as_ref();
        let user = user.map_or(String::new(), |name| format!(" --chuid {}", shell(name)));
        let logs = shell(&definition.logs.display().to_string());
        let own = definition.user.as_ref();
        let own = own.map_or(String::new(), |name| {
            format!("\tchown {} {logs}\n", shell(name))
        });
        let log = definition
            .logs
            .join("gateway.err.log")
            .display()
            .to_string();
        include_str!("sysvinit.sh")
            .replace("@NAME@", &self.words.name)
            .replace("@DESCRIPTION@", &definition.description)
            .replace("@EXPORTS@\n", &exports(&definition.env))
            .replace("@COMMAND@", &shell_line(&definition.argv))
            .replace("@USER@", &user)
            .replace("@OWN@\n", &own)
            .replace("@LOGS@", &logs)
            .replace("@LOG@", &shell(&log))
    }
}

impl Manager for SysVInit {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn available(&self) -> Result<(), Error> {
        let asked = program::run("start-stop-daemon", &["--version"]);
        asked.map(drop).map_err(|detail| Error::Unavailable {
            what: "start-stop-daemon",
            detail,
        })
    }

    fn loaded(&self) -> Result<bool, Error> {
        let start = |folder: std::fs::DirEntry| {
            let name = folder.file_name();
            let name = name.to_string_lossy();
            name.starts_with('S') && name.ends_with(&self.words.name)
        };
        let levels = (2..=5).map(|level| format!("/etc/rc{level}.d"));
        let links = levels.filter_map(|level| std::fs::read_dir(level).ok());
        Ok(links.flatten().flatten().any(start))
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        put(&self.file, &self.text(definition), MODE)?;
        program::must(UPDATE, &[&self.words.name, "defaults"])?;
        self.restart()
    }

    fn restart(&self) -> Result<(), Error> {
        self.must("restart")
    }

    fn stop(&self) -> Result<(), Error> {
        self.must("stop")
    }

    fn uninstall(&self) -> Result<bool, Error> {
        if !self.file.exists() {
            return Ok(false);
        }
        if self.runtime().status == "running" {
            self.stop()?;
        }
        let gone = take_away(&self.file)?;
        program::must(UPDATE, &[&self.words.name, "remove"])?;
        Ok(gone)
    }

    fn written(&self) -> Option<Written> {
        let text = std::fs::read_to_string(&self.file).ok()?;
        // OpenRC has its scripts in the same folder.
        text.starts_with(HEAD).then(|| of_script(&text))
    }

    fn runtime(&self) -> Runtime {
        if !self.file.exists() {
            return Runtime::missing();
        }
        match self.script("status") {
            Ok(said) => {
                let pid = said
                    .split_whitespace()
                    .filter_map(|word| word.parse().ok())
                    .next();
                Runtime::of(true, pid, "running")
            }
            Err(said) => Runtime::of(false, None, &said),
        }
    }

    fn start_hint(&self) -> String {
        format!("service {} start", self.words.name)
    }

    fn log_hint(&self) -> String {
        format!(
            "tail -n 200 {}",
            self.logs.join("gateway.err.log").display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_script_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/home/it's")]);
        let manager = SysVInit::new(&snapshot);
        let mut made = Definition::of(&snapshot, Path::new("/opt/o c/openclaw"), Some(7));
        made.user = Some("ann".into());
        let text = manager.text(&made);
        assert!(text.contains("# Provides:          openclaw-gateway\n"));
        assert!(
            text.contains(" --chuid ann ") && text.matches('@').count() == 1,
            "{text}"
        );
        let read = of_script(&text);
        assert_eq!((read.argv, read.env), (made.argv, made.env));
    }
}
