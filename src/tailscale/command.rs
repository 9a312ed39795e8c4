//! Running `tailscale`: no shell, a deadline, a bounded answer, and a stop from another thread.

use crate::base::sys::poll::{For, Poll};
use serde_json::Value;
use std::fmt;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// `serve`, `funnel`, `status`: as long as the original waits.
const PATIENCE: Duration = Duration::from_secs(15);
/// `whois`: a client waits for it.
const WHOIS: Duration = Duration::from_secs(5);
/// `reset`, at the end: below what the supervisor grants us to go.
const RESET: Duration = Duration::from_secs(4);
/// Of what it prints; `status` lists every machine of the tailnet.
const MAX_OUTPUT: usize = 1024 * 1024;
/// Of what it complains.
const MAX_COMPLAINT: usize = 4 * 1024;
/// Between two looks whether it has ended, once it says nothing more.
const LOOK: Duration = Duration::from_millis(5);

const BINARY: &str = "tailscale";
/// Where the Mac's app has it.
const APP: &str = "/Applications/Tailscale.app/Contents/MacOS/Tailscale";

/// Complaints that more rights would cure, in any case.
const NO_RIGHTS: [&str; 8] = [
    "permission denied",
    "access denied",
    "not permitted",
    "requires root",
    "must be run as root",
    "must be run with sudo",
    "requires sudo",
    "need sudo",
];

#[derive(Debug)]
pub enum Error {
    /// The program cannot be started.
    Start(io::Error),
    Io(io::Error),
    Late(Duration),
    /// It failed with these words.
    Failed(String),
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Serve,
    Funnel,
}

impl Mode {
    pub fn parse(word: &str) -> Option<Mode> {
        match word {
            "serve" => Some(Mode::Serve),
            "funnel" => Some(Mode::Funnel),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Serve => "serve",
            Mode::Funnel => "funnel",
        }
    }
}

/// Runs one command at a time for each caller; `stop` ends those that publish.
#[derive(Default)]
pub struct Tailscale {
    publishing: Mutex<Publishing>,
}

#[derive(Default)]
struct Publishing {
    child: Option<Child>,
    stopped: bool,
}

impl Tailscale {
    /// Publishes the port and returns the host's name in the tailnet, when it is known.
    pub fn publish(&self, mode: Mode, port: u16) -> Result<Option<String>, Error> {
        let host = self
            .run(BINARY, &["status", "--json"], PATIENCE, true)
            .ok()
            .and_then(|text| host(&text));
        let port = port.to_string();
        self.with_rights(&[mode.name(), "--bg", "--yes", &port], PATIENCE, true)?;
        Ok(host)
    }

    /// Nothing is published any more. Ends a `publish` that is under way first.
    pub fn reset(&self, mode: Mode) -> Result<(), Error> {
        self.with_rights(&[mode.name(), "reset"], RESET, false)
            .map(drop)
    }

    pub fn stop(&self) {
        let mut publishing = self.publishing();
        publishing.stopped = true;
        if let Some(child) = &mut publishing.child {
            // It may have ended in between.
            let _ = child.kill();
        }
    }

    /// The login name of an address in the tailnet.
    pub fn whois(&self, ip: IpAddr) -> Result<Option<String>, Error> {
        let ip = ip.to_string();
        let text = self.run(BINARY, &["whois", "--json", &ip], WHOIS, false)?;
        Ok(login(&text))
    }

    /// Once as we are, and once as root when that is why it failed.
    fn with_rights(&self, args: &[&str], patience: Duration, held: bool) -> Result<String, Error> {
        let plain = self.run(BINARY, args, patience, held);
        let Err(Error::Failed(why)) = &plain else {
            return plain;
        };
        let lower = why.to_lowercase();
        if !NO_RIGHTS.iter().any(|words| lower.contains(words)) {
            return plain;
        }
        let as_root: Vec<&str> = ["-n", BINARY].iter().chain(args).copied().collect();
        // Without sudo, or with one that asks, the first complaint is the one that helps.
        self.run("sudo", &as_root, patience, held).or(plain)
    }

    /// What it printed. `held` commands are those that `stop` ends.
    fn run(
        &self,
        program: &str,
        args: &[&str],
        patience: Duration,
        held: bool,
    ) -> Result<String, Error> {
        let until = Instant::now() + patience;
        let mut child = start(program, args)?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::Io(io::ErrorKind::BrokenPipe.into()));
        };
        let mut loose = None;
        {
            let mut publishing = self.publishing();
            match held {
                true if publishing.stopped => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(Error::Stopped);
                }
                true => publishing.child = Some(child),
                false => loose = Some(child),
            }
        }
        let said = read_both(out, err, until);
        let status = loop {
            let ended = match &mut loose {
                Some(child) => child.try_wait(),
                None => match &mut self.publishing().child {
                    Some(child) => child.try_wait(),
                    None => return Err(Error::Stopped),
                },
            };
            match ended {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if said.is_ok() && Instant::now() < until => std::thread::sleep(LOOK),
                Ok(None) => break Err(Error::Late(patience)),
                Err(err) => break Err(Error::Io(err)),
            }
        };
        let child = loose.or_else(|| self.publishing().child.take());
        if let (Some(mut child), true) = (child, status.is_err()) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if held && self.publishing().stopped {
            return Err(Error::Stopped);
        }
        let status = status?;
        let (out, err) = said.map_err(Error::Io)?;
        match status.success() {
            true => Ok(out),
            false => Err(Error::Failed(match err.trim() {
                "" => status.to_string(),
                words => words.to_string(),
            })),
        }
    }

    fn publishing(&self) -> MutexGuard<'_, Publishing> {
        self.publishing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn start(program: &str, args: &[&str]) -> Result<Child, Error> {
    let spawn = |program: &str| {
        Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    match spawn(program) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && program == BINARY => {
            spawn(APP).map_err(|_| Error::Start(err))
        }
        other => other.map_err(Error::Start),
    }
}

/// Reads both to their ends, and keeps what is within the bounds.
fn read_both(
    mut out: impl Read + AsFd,
    mut err: impl Read + AsFd,
    until: Instant,
) -> io::Result<(String, String)> {
    let mut texts = [Vec::new(), Vec::new()];
    let mut open = [true, true];
    let mut chunk = [0; 4096];
    while open[0] || open[1] {
        let mut ready = [false, false];
        {
            let mut poll = Poll::new();
            let out = open[0].then(|| poll.add(out.as_fd(), For::Reading));
            let err = open[1].then(|| poll.add(err.as_fd(), For::Reading));
            let left = until.saturating_duration_since(Instant::now());
            if !poll.wait(Some(left))? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for (at, place) in [out, err].into_iter().enumerate() {
                ready[at] = place.is_some_and(|place| poll.ready(place));
            }
        }
        for at in 0..2 {
            if !ready[at] {
                continue;
            }
            let read = match at {
                0 => out.read(&mut chunk)?,
                _ => err.read(&mut chunk)?,
            };
            open[at] = read > 0;
            let bound = [MAX_OUTPUT, MAX_COMPLAINT][at];
            let room = bound.saturating_sub(texts[at].len()).min(read);
            texts[at].extend_from_slice(&chunk[..room]);
        }
    }
    let [out, err] = texts.map(|text| String::from_utf8_lossy(&text).into_owned());
    Ok((out, err))
}

/// Warnings may stand around the object.
fn object(text: &str) -> Option<Value> {
    let (from, to) = (text.find('{')?, text.rfind('}')?);
    serde_json::from_str(text.get(from..=to)?).ok()
}

fn host(text: &str) -> Option<String> {
    let status = object(text)?;
    let own = &status["Self"];
    let name = own["DNSName"].as_str().unwrap_or_default();
    let name = match name.trim_end_matches('.') {
        "" => own["TailscaleIPs"][0].as_str()?,
        name => name,
    };
    Some(name.to_string())
}

fn login(text: &str) -> Option<String> {
    let whois = object(text)?;
    let login = whois["UserProfile"]["LoginName"].as_str()?.trim();
    (!login.is_empty()).then(|| login.to_string())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Start(err) if err.kind() == io::ErrorKind::NotFound => {
                f.write_str("there is no tailscale program in PATH")
            }
            Error::Start(err) => write!(f, "tailscale cannot be started: {err}"),
            Error::Io(err) => write!(f, "tailscale: {err}"),
            Error::Late(patience) => write!(f, "tailscale took more than {patience:?}"),
            Error::Failed(why) => f.write_str(why),
            Error::Stopped => f.write_str("stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_among_warnings() {
        let status = "# warning\n{\"Self\":{\"DNSName\":\"box.tail1.ts.net.\"}}\n";
        assert_eq!(host(status).as_deref(), Some("box.tail1.ts.net"));
        let bare = r#"{"Self":{"DNSName":"","TailscaleIPs":["100.64.0.1"]}}"#;
        assert_eq!(host(bare).as_deref(), Some("100.64.0.1"));
        let who = r#"{"Node":{},"UserProfile":{"LoginName":"a@b.example"}}"#;
        assert_eq!(login(who).as_deref(), Some("a@b.example"));
        for none in ["", "{}", "}{", r#"{"UserProfile":{"LoginName":" "}}"#] {
            assert_eq!(login(none), None, "{none}");
        }
    }

    #[test]
    fn a_command_is_bounded_in_time_and_its_words_are_kept() {
        let tailscale = Tailscale::default();
        let run = |script: &str, ms| {
            let patience = Duration::from_millis(ms);
            tailscale.run("sh", &["-c", script], patience, false)
        };
        assert_eq!(run("echo yes", 5000).unwrap(), "yes\n");
        let failed = run("echo no >&2; exit 3", 5000).unwrap_err();
        assert_eq!(failed.to_string(), "no");
        assert!(matches!(run("exec sleep 20", 50), Err(Error::Late(_))));
        tailscale.stop();
        let held = tailscale.run("sh", &["-c", "exit 0"], PATIENCE, true);
        assert!(matches!(held, Err(Error::Stopped)));
    }
}
