//! Telling a service manager how we are: systemd's `$NOTIFY_SOCKET` lines, and the single newline
//! on a descriptor that s6 and OpenRC read.
//!
//! Nothing here is fatal: a manager that cannot be told decides by its own time limits.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

pub struct Notifier {
    socket: Option<UnixDatagram>,
    ready_fd: Option<OwnedFd>,
    /// How long the manager waits for a sign of life; `None` when it does not.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// From the environment, and the descriptor number of `--notify-fd`.
    pub fn open(ready_fd: Option<RawFd>) -> io::Result<Notifier> {
        let var = |name| std::env::var(name).ok().filter(|v| !v.is_empty());
        let socket = var("NOTIFY_SOCKET").and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(err) => {
                log::warn!("NOTIFY_SOCKET={name}: {err}");
                None
            }
        });
        let ours = var("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let watchdog = var("WATCHDOG_USEC")
            .filter(|_| ours && socket.is_some())
            .and_then(|usec| usec.parse().ok())
            .filter(|usec| *usec > 0)
            .map(Duration::from_micros);
        Ok(Notifier {
            socket,
            ready_fd: ready_fd.map(super::fds::take).transpose()?,
            watchdog,
        })
    }

    /// The newline goes to standard output, where a command that started us reads it.
    pub fn say_on_stdout(&mut self) {
        match std::io::stdout().as_fd().try_clone_to_owned() {
            Ok(fd) => self.ready_fd = Some(fd),
            Err(err) => log::warn!("standard output: {err}"),
        }
    }

    /// Serving. The newline on the descriptor is written once, at the first call.
    pub fn ready(&mut self, status: &str) {
        if let Some(fd) = self.ready_fd.take() {
            if let Err(err) = File::from(fd).write_all(b"\n") {
                log::warn!("--notify-fd: {err}");
            }
        }
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// A `ready` follows.
    pub fn reloading(&self, status: &str) {
        let usec = super::process::monotonic_usec();
        self.send(&format!(
            "RELOADING=1\nMONOTONIC_USEC={usec}\nSTATUS={}",
            one_line(status)
        ));
    }

    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    fn send(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // The manager may be restarting itself; the next line tries again.
            if let Err(err) = socket.send(text.as_bytes()) {
                log::debug!("service manager: {err}");
            }
        }
    }
}

fn connect(name: &str) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    let addr = match name.strip_prefix('@') {
        Some(name) => abstract_address(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    socket.connect_addr(&addr)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &str) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &str) -> io::Result<SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A newline would start another assignment.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_cannot_smuggle_a_second_line() {
        let dir = super::super::super::id::temp_dir("notify");
        let path = dir.join("s");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier {
            socket: Some(connect(path.to_str().unwrap()).unwrap()),
            ready_fd: None,
            watchdog: None,
        };
        notifier.ready("up\nSTOPPING=1");
        let mut bytes = [0; 100];
        let n = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..n], b"READY=1\nSTATUS=up STOPPING=1");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
