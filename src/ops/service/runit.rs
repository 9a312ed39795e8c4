//! runit: a folder with the scripts `run`, `finish` and `log/run`, linked where `runsvdir` looks.

use super::definition::{self, Definition, exports, of_script, shell, shell_line};
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::config::Snapshot;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PROGRAM: &str = "sv";
const DEFINITIONS: &str = "/etc/sv";
/// Where `runsvdir` looks on the systems that have one; `SVDIR` names another.
const SCANNED: [&str; 4] = [
    "/var/service",
    "/etc/service",
    "/service",
    "/etc/runit/runsvdir/default",
];
const MODE: u32 = 0o755;
/// `runsvdir` looks every five seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(8);
/// Called wrongly, not permitted, bad configuration: starting again changes nothing.
const FINISH: &str = "#!/bin/sh\ncase \"$1\" in 64 | 77 | 78) sv down . ;; esac\n";

pub struct Runit {
    words: Words,
    log: PathBuf,
    /// With the scripts.
    folder: PathBuf,
    /// The link `runsvdir` sees.
    link: Option<PathBuf>,
}

impl Runit {
    pub fn new(snapshot: &Snapshot) -> Runit {
        let name = definition::name(snapshot, "OPENCLAW_SYSTEMD_UNIT");
        let own = snapshot.env.get("SVDIR").map(PathBuf::from);
        // Who has a service folder of his own keeps the scripts beside the state.
        let folder = match &own {
            Some(_) => snapshot.paths.state.join("rs/sv").join(&name),
            None => Path::new(DEFINITIONS).join(&name),
        };
        let known = SCANNED.iter().map(PathBuf::from).find(|dir| dir.is_dir());
        Runit {
            folder,
            link: own.or(known).map(|dir| dir.join(&name)),
            log: snapshot.paths.state.join("logs/service/current"),
            words: Words {
                label: "runit",
                noun: "runit service",
                loaded: "enabled",
                not_loaded: "disabled",
                name,
            },
        }
    }

    fn link(&self) -> Result<&Path, Error> {
        self.link.as_deref().ok_or_else(|| Error::NoPlace {
            what: "runit",
            looked: format!("SVDIR, {}", SCANNED.join(", ")),
        })
    }

    fn sv(&self, words: &[&str]) -> Result<String, Error> {
        let link = self.link()?.display().to_string();
        let words: Vec<&str> = words.iter().copied().chain([link.as_str()]).collect();
        program::must(PROGRAM, &words)
    }
}

fn run_script(definition: &Definition) -> String {
    let user = definition.user.as_ref();
    let user = user.map_or(String::new(), |name| format!("chpst -u {} ", shell(name)));
    format!(
        "#!/bin/sh\n# Written by openclaw gateway install.\n{}exec {user}{} 2>&1\n",
        exports(&definition.env),
        shell_line(&definition.argv)
    )
}

fn log_script(definition: &Definition) -> String {
    let logs = shell(&definition.logs.join("service").display().to_string());
    format!("#!/bin/sh\nmkdir -p {logs}\nexec svlogd -tt {logs}\n")
}

impl Manager for Runit {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.folder
    }

    fn available(&self) -> Result<(), Error> {
        self.link()?;
        // Without an argument it says how it is called, and that it exists.
        match program::run(PROGRAM, &[]) {
            Err(detail) if detail.ends_with("not found") => Err(Error::Unavailable {
                what: "runit",
                detail,
            }),
            _ => Ok(()),
        }
    }

    fn loaded(&self) -> Result<bool, Error> {
        self.available()?;
        Ok(self.link()?.exists())
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        let link = self.link()?;
        put(&self.folder.join("run"), &run_script(definition), MODE)?;
        put(&self.folder.join("finish"), FINISH, MODE)?;
        put(&self.folder.join("log/run"), &log_script(definition), MODE)?;
        let failed = |err| Error::File {
            path: link.to_path_buf(),
            err,
        };
        if link.exists() {
            return self.restart();
        }
        take_away(link)?;
        std::os::unix::fs::symlink(&self.folder, link).map_err(failed)?;
        // Nothing can be asked of it before it was seen.
        let started = Instant::now();
        while self.sv(&["status"]).is_err() && started.elapsed() < SEEN_WITHIN {
            std::thread::sleep(Duration::from_millis(100));
        }
        self.sv(&["up"]).map(drop)
    }

    fn restart(&self) -> Result<(), Error> {
        self.sv(&["-w", "40", "restart"]).map(drop)
    }

    fn stop(&self) -> Result<(), Error> {
        self.sv(&["-w", "40", "down"]).map(drop)
    }

    fn uninstall(&self) -> Result<bool, Error> {
        if !self.folder.exists() {
            return Ok(false);
        }
        if self.link.as_ref().is_some_and(|link| link.exists()) {
            self.sv(&["-w", "40", "force-shutdown"])?;
            take_away(self.link()?)?;
        }
        take_away(&self.folder)
    }

    fn written(&self) -> Option<Written> {
        let text = std::fs::read_to_string(self.folder.join("run")).ok()?;
        Some(of_script(&text))
    }

    fn runtime(&self) -> Runtime {
        if !self.folder.exists() {
            return Runtime::missing();
        }
        match self.sv(&["status"]) {
            Ok(said) => status(&said),
            Err(err) => Runtime::unknown(format!("Error: {err}")),
        }
    }

    fn start_hint(&self) -> String {
        format!("sv up {}", self.words.name)
    }

    fn log_hint(&self) -> String {
        format!("tail -n 200 {}", self.log.display())
    }
}

/// `run: NAME: (pid 12) 3s; run: log: (pid 13) 3s`
fn status(said: &str) -> Runtime {
    let state = said.split(':').next().unwrap_or_default();
    let pid = said.split_once("(pid ").and_then(|(_, rest)| {
        let digits = rest.split_once(')')?.0;
        digits.parse().ok()
    });
    Runtime::of(state == "run", pid.filter(|_| state == "run"), state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_script_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/home/ann"), ("SVDIR", "/home/ann/service")]);
        let manager = Runit::new(&snapshot);
        assert_eq!(
            manager.file(),
            Path::new("/home/ann/.openclaw/rs/sv/openclaw-gateway")
        );
        let mut made = Definition::of(&snapshot, Path::new("/opt/o c/openclaw"), Some(7));
        made.user = Some("ann".into());
        let text = run_script(&made);
        assert!(text.contains("exec chpst -u ann '/opt/o c/openclaw' gateway --port 7 2>&1\n"));
        let read = of_script(&text);
        assert_eq!((&read.argv, &read.env), (&made.argv, &made.env));
        assert!(log_script(&made).contains("svlogd -tt /home/ann/.openclaw/logs/service"));
    }

    #[test]
    fn what_it_says_of_a_service_is_told() {
        let up = status("run: /var/service/openclaw-gateway: (pid 12) 3s; run: log: (pid 13) 3s");
        assert_eq!((up.status, up.pid), ("running", Some(12)));
        let down =
            status("down: /var/service/openclaw-gateway: 3s, normally up; run: log: (pid 13) 3s");
        assert_eq!((down.status, down.pid), ("stopped", None));
    }
}
