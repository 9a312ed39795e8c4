//! s6: a service folder in the scan folder, ready when the gateway says so on a descriptor.

use super::definition::{self, Definition, exports, of_script, shell, shell_line};
use super::{Error, Manager, Runtime, Words, Written, program, put, take_away};
use crate::config::Snapshot;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of the systems that have one.
pub const SCAN_FOLDER: &str = "/run/service/.s6-svscan";
const SCANNED: [&str; 3] = ["/run/service", "/service", "/etc/s6/service"];
const MODE: u32 = 0o755;
/// 125 means: stay down. Called wrongly, not permitted, bad configuration.
const FINISH: &str = "#!/bin/sh\ncase \"$1\" in 64 | 77 | 78) exit 125 ;; esac\n";
/// For the log of a service that is taken away to end.
const LET_GO: Duration = Duration::from_secs(3);
/// For the scanner to start a supervisor on a new folder; a busy small host needs seconds.
const TAKE_UP: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The descriptor a newline on which says that the gateway is ready.
const READY: &str = "3";

pub struct S6 {
    words: Words,
    log: PathBuf,
    folder: PathBuf,
    scan: Option<PathBuf>,
}

impl S6 {
    pub fn new(snapshot: &Snapshot) -> S6 {
        let name = definition::name(snapshot, "OPENCLAW_SYSTEMD_UNIT");
        let named = snapshot.env.get("S6_SCANDIR").map(PathBuf::from);
        let known = || {
            SCANNED
                .iter()
                .map(PathBuf::from)
                .find(|dir| dir.join(".s6-svscan").exists())
        };
        let scan = named.or_else(known);
        let folder = scan.clone().unwrap_or_else(|| PathBuf::from(SCANNED[0]));
        S6 {
            folder: folder.join(&name),
            scan,
            log: snapshot.paths.state.join("logs/service/current"),
            words: Words {
                label: "s6",
                noun: "s6 service",
                loaded: "enabled",
                not_loaded: "disabled",
                name,
            },
        }
    }

    fn scan(&self) -> Result<String, Error> {
        let scan = self.scan.as_ref().ok_or_else(|| Error::NoPlace {
            what: "s6",
            looked: format!("S6_SCANDIR, {}", SCANNED.join(", ")),
        })?;
        Ok(scan.display().to_string())
    }

    /// The scanner answers before the supervisor it starts can be asked.
    fn supervised(&self, folder: &str) -> Result<(), Error> {
        let started = Instant::now();
        let status = self.folder.join("supervise/status");
        while !status.exists() || program::run("s6-svok", &[folder]).is_err() {
            if started.elapsed() > TAKE_UP {
                return Err(Error::Tool {
                    what: "s6-svscan".into(),
                    detail: format!("no supervisor for {folder} after {} s", TAKE_UP.as_secs()),
                });
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn control(&self, words: &[&str]) -> Result<(), Error> {
        let folder = self.folder.display().to_string();
        let words: Vec<&str> = words.iter().copied().chain([folder.as_str()]).collect();
        program::must("s6-svc", &words).map(drop)
    }
}

fn run_script(definition: &Definition) -> String {
    let user = definition.user.as_ref();
    let user = user.map_or(String::new(), |name| {
        format!("s6-setuidgid {} ", shell(name))
    });
    format!(
        "#!/bin/sh\n# Written by openclaw gateway install.\n{}exec {user}{} --notify-fd {READY} 2>&1\n",
        exports(&definition.env),
        shell_line(&definition.argv)
    )
}

fn log_script(definition: &Definition) -> String {
    let logs = shell(&definition.logs.join("service").display().to_string());
    format!("#!/bin/sh\nmkdir -p {logs}\nexec s6-log t n20 s1000000 {logs}\n")
}

impl Manager for S6 {
    fn words(&self) -> &Words {
        &self.words
    }

    fn file(&self) -> &Path {
        &self.folder
    }

    fn available(&self) -> Result<(), Error> {
        self.scan()?;
        match program::run("s6-svc", &[]) {
            Err(detail) if detail.ends_with("not found") => {
                Err(Error::Unavailable { what: "s6", detail })
            }
            _ => Ok(()),
        }
    }

    fn loaded(&self) -> Result<bool, Error> {
        self.available()?;
        Ok(self.folder.join("run").exists() && !self.folder.join("down").exists())
    }

    fn install(&self, definition: &Definition) -> Result<(), Error> {
        let scan = self.scan()?;
        let known = self.folder.join("supervise").exists();
        put(&self.folder.join("run"), &run_script(definition), MODE)?;
        put(&self.folder.join("finish"), FINISH, MODE)?;
        put(
            &self.folder.join("notification-fd"),
            &format!("{READY}\n"),
            MODE,
        )?;
        put(&self.folder.join("log/run"), &log_script(definition), MODE)?;
        program::must("s6-svscanctl", &["-a", &scan])?;
        match known {
            true => self.restart(),
            false => {
                let folder = self.folder.display().to_string();
                self.supervised(&folder)?;
                program::must("s6-svwait", &["-U", "-t", "40000", &folder]).map(drop)
            }
        }
    }

    fn restart(&self) -> Result<(), Error> {
        // Whether it is up or down now, it is up and ready afterwards.
        self.stop()?;
        self.control(&["-wU", "-T", "40000", "-u"])
    }

    fn stop(&self) -> Result<(), Error> {
        self.control(&["-wD", "-T", "40000", "-d"])
    }

    fn uninstall(&self) -> Result<bool, Error> {
        if !self.folder.exists() {
            return Ok(false);
        }
        self.stop()?;
        // Out of sight first: what is still supervised must not lose its folder.
        let aside = self.folder.with_file_name(format!(".{}", self.words.name));
        take_away(&aside)?;
        std::fs::rename(&self.folder, &aside).map_err(|err| Error::File {
            path: self.folder.clone(),
            err,
        })?;
        program::must("s6-svscanctl", &["-an", &self.scan()?])?;
        let log = aside.join("log").display().to_string();
        let started = Instant::now();
        while program::run("s6-svok", &[&log]).is_ok() && started.elapsed() < LET_GO {
            std::thread::sleep(LOOK_AGAIN);
        }
        take_away(&aside)
    }

    fn written(&self) -> Option<Written> {
        let text = std::fs::read_to_string(self.folder.join("run")).ok()?;
        Some(of_script(&text))
    }

    fn runtime(&self) -> Runtime {
        let folder = self.folder.display().to_string();
        if !self.folder.exists() {
            return Runtime::missing();
        }
        match program::run("s6-svstat", &[&folder]) {
            Ok(said) => status(&said),
            Err(err) => Runtime::unknown(format!("Error: {err}")),
        }
    }

    fn start_hint(&self) -> String {
        format!("s6-svc -u {}", self.folder.display())
    }

    fn log_hint(&self) -> String {
        format!("tail -n 200 {}", self.log.display())
    }
}

/// `up (pid 12) 3 seconds, ready 2 seconds`, `down (exitcode 78) 1 seconds`
fn status(said: &str) -> Runtime {
    let number = |name: &str| {
        let (_, rest) = said.split_once(&format!("({name} "))?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    };
    let state = said.split_whitespace().next().unwrap_or_default();
    Runtime {
        last_exit_status: number("exitcode").and_then(|code| code.try_into().ok()),
        ..Runtime::of(state == "up", number("pid"), state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::service::definition::tests::snapshot;

    #[test]
    fn a_script_is_read_back_as_it_was_written() {
        let snapshot = snapshot(&[("HOME", "/home/ann"), ("S6_SCANDIR", "/home/ann/scan")]);
        let manager = S6::new(&snapshot);
        assert_eq!(manager.file(), Path::new("/home/ann/scan/openclaw-gateway"));
        let made = Definition::of(&snapshot, Path::new("/opt/o c/openclaw"), Some(7));
        let read = of_script(&run_script(&made));
        assert_eq!(read.argv[..made.argv.len()], made.argv);
        assert_eq!((read.port(), read.env), (Some(7), made.env));
    }

    #[test]
    fn what_it_says_of_a_service_is_told() {
        let up = status("up (pid 12) 3 seconds, ready 2 seconds");
        assert_eq!((up.status, up.pid), ("running", Some(12)));
        let down = status("down (exitcode 78) 1 seconds, normally up");
        assert_eq!((down.status, down.last_exit_status), ("stopped", Some(78)));
    }
}
