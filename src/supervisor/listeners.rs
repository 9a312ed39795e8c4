//! The sockets others connect to. We bind them (or a service manager did) and hand them on; nobody
//! here accepts.
//!
//! Names, as in `LISTEN_FDNAMES`: `gateway` (TCP, one or more), `canvas` (TCP, when the canvas has
//! a port of its own), `unix` (the local front), `workers`, `exec`. A descriptor from a service manager that has another name is known by its
//! address: a TCP one is `gateway`, a Unix one is what its file name says.

use crate::base::sys::socket::listen_private;
use crate::base::sys::{fds, peer};
use crate::base::{atomic, exit};
use crate::config::{Paths, listen::Listen};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Connections that may wait while a core restarts.
const BACKLOG: i32 = 1024;

pub const GATEWAY: &str = "gateway";
pub const CANVAS: &str = "canvas";
pub const UNIX: &str = "unix";
pub const WORKERS: &str = "workers";
pub const EXEC: &str = "exec";

pub struct Listeners {
    all: Vec<(&'static str, OwnedFd)>,
    /// Of the TCP ones, where we were asked to bind; empty when a service manager bound them.
    wanted: Vec<SocketAddr>,
    /// The same for the canvas; empty when it has no port of its own.
    canvas: Vec<SocketAddr>,
    /// Socket files we made, removed at the end.
    files: Vec<PathBuf>,
}

#[derive(Debug)]
pub enum Error {
    Taken { addr: SocketAddr, url: String },
    Bind { at: String, err: io::Error },
    Folder { path: PathBuf, why: String },
    NotAListener { name: String },
    Open { addr: SocketAddr },
}

impl Listeners {
    /// What the service manager handed over, completed by what is missing.
    pub fn open(
        handed: Vec<(String, OwnedFd)>,
        listen: &Listen,
        paths: &Paths,
    ) -> Result<Listeners, Error> {
        let mut listeners = Listeners {
            all: Vec::new(),
            wanted: Vec::new(),
            canvas: Vec::new(),
            files: Vec::new(),
        };
        for (name, fd) in handed {
            let known = listeners.known(&name, fd)?;
            if let (GATEWAY, Some(addr)) = (known.0, local_addr(known.1.as_fd())) {
                if !addr.ip().is_loopback() && listen.auth.secret().is_none() {
                    return Err(Error::Open { addr });
                }
            }
            listeners.all.push(known);
        }
        if !listeners.has(GATEWAY) {
            listeners.bind_tcp(listen)?;
            listeners.wanted = wanted(listen);
        }
        if !listeners.has(CANVAS) {
            listeners.follow_canvas(listen);
        }
        let files = [
            (UNIX, paths.gateway_sock()),
            (WORKERS, paths.workers_sock()),
            (EXEC, paths.exec_sock()),
        ];
        for (name, path) in files {
            // For one command no channel runs; the socket of a runner that systemd starts is systemd's.
            let wanted = match name {
                WORKERS => !listen.embedded,
                EXEC => paths.runner.is_none(),
                _ => true,
            };
            if wanted && !listeners.has(name) {
                listeners.bind_unix(name, path)?;
            }
        }
        Ok(listeners)
    }

    /// Listens where a changed configuration says. What stays is kept, so that it refuses nobody;
    /// when the new place cannot be had, the old one is bound again.
    pub fn follow(&mut self, listen: &Listen) {
        if !(self.has(CANVAS) && self.canvas.is_empty()) {
            self.follow_canvas(listen);
        }
        let fresh = wanted(listen);
        if self.wanted.is_empty() || fresh == self.wanted || listen.port == 0 {
            return;
        }
        let old = self.addresses();
        let keep = |addr: &SocketAddr| fresh.contains(addr);
        self.all.retain(|(name, fd)| {
            *name != GATEWAY || local_addr(fd.as_fd()).is_none_or(|addr| keep(&addr))
        });
        let mut missing = listen.clone();
        missing
            .addresses
            .retain(|address| !old.contains(&address.addr));
        match self.bind_tcp(&missing) {
            Ok(()) => self.wanted = fresh,
            Err(err) => {
                log::error!(target: "gateway", "{err}; listening where it was before");
                self.all.retain(|(name, fd)| {
                    let addr = local_addr(fd.as_fd());
                    *name != GATEWAY || addr.is_none_or(|addr| old.contains(&addr))
                });
                for addr in old.iter().filter(|addr| !keep(addr)) {
                    match bind(*addr) {
                        Ok(listener) => self.all.push((GATEWAY, listener.into())),
                        Err(err) => log::error!(target: "gateway", "{addr}: {err}"),
                    }
                }
            }
        }
    }

    fn known(&self, name: &str, fd: OwnedFd) -> Result<(&'static str, OwnedFd), Error> {
        let fail = || Error::NotAListener { name: name.into() };
        if local_addr(fd.as_fd()).is_some() {
            return Ok((if name == CANVAS { CANVAS } else { GATEWAY }, fd));
        }
        let unix = UnixListener::from(fd);
        let addr = unix.local_addr().map_err(|_| fail())?;
        let file = addr
            .as_pathname()
            .and_then(|path| path.file_name()?.to_str().map(str::to_string));
        let known = match (name, file.as_deref()) {
            (UNIX, _) => UNIX,
            (WORKERS, _) => WORKERS,
            (EXEC, _) => EXEC,
            (_, Some("gateway.sock")) => UNIX,
            (_, Some("workers.sock")) => WORKERS,
            (_, Some("exec.sock")) => EXEC,
            _ => return Err(fail()),
        };
        Ok((known, unix.into()))
    }

    fn bind_tcp(&mut self, listen: &Listen) -> Result<(), Error> {
        let mut port = listen.port;
        for address in &listen.addresses {
            let mut addr = address.addr;
            addr.set_port(port);
            let bound = bind(addr).and_then(|listener| {
                // Port 0: the kernel chose, and the aliases follow.
                port = listener.local_addr()?.port();
                Ok(listener)
            });
            match bound {
                Ok(listener) => self.all.push((GATEWAY, listener.into())),
                Err(err) if address.optional => log::debug!(target: "gateway", "{addr}: {err}"),
                Err(err) if err.kind() == io::ErrorKind::AddrInUse => {
                    return Err(Error::Taken {
                        addr,
                        url: listen.url(),
                    });
                }
                Err(err) => {
                    return Err(Error::Bind {
                        at: listen.url(),
                        err,
                    });
                }
            }
        }
        Ok(())
    }

    /// A port that cannot be had is no reason not to start: the canvas is on the gateway's, too.
    fn follow_canvas(&mut self, listen: &Listen) {
        let port = listen.canvas_port.filter(|port| *port != listen.port);
        let addresses = listen.addresses.iter();
        let wanted: Vec<(SocketAddr, bool)> = port
            .into_iter()
            .flat_map(|port| {
                let own = move |ip| SocketAddr::new(ip, port);
                addresses
                    .clone()
                    .map(move |a| (own(a.addr.ip()), a.optional))
            })
            .collect();
        let fresh: Vec<SocketAddr> = wanted.iter().map(|(addr, _)| *addr).collect();
        if fresh == self.canvas {
            return;
        }
        self.all.retain(|(name, _)| *name != CANVAS);
        for (addr, optional) in wanted {
            match bind(addr) {
                Ok(listener) => self.all.push((CANVAS, listener.into())),
                Err(err) if optional => log::debug!(target: "gateway", "{addr}: {err}"),
                Err(err) => log::warn!(target: "gateway", "canvasHost.port: {addr}: {err}"),
            }
        }
        self.canvas = fresh;
    }

    /// The gateway lock is held, so a file that is there is a dead gateway's.
    fn bind_unix(&mut self, name: &'static str, path: PathBuf) -> Result<(), Error> {
        if let Some(dir) = path.parent() {
            private_folder(dir)?;
        }
        let fail = |err| Error::Bind {
            at: path.display().to_string(),
            err,
        };
        let listener = listen_private(&path).map_err(fail)?;
        fds::deepen_backlog(&listener, BACKLOG).map_err(fail)?;
        self.all.push((name, listener.into()));
        self.files.push(path);
        Ok(())
    }

    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(have, _)| *have == name)
    }

    /// Those of the core, in order.
    pub fn of_core(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        self.named(|name| name != EXEC)
    }

    pub fn of_exec(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        self.named(|name| name == EXEC)
    }

    fn named(&self, keep: impl Fn(&str) -> bool) -> Vec<(&str, BorrowedFd<'_>)> {
        self.all
            .iter()
            .filter(|(name, _)| keep(name))
            .map(|(name, fd)| (*name, fd.as_fd()))
            .collect()
    }

    /// The gateway's TCP addresses, for people.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.all
            .iter()
            .filter(|(name, _)| *name == GATEWAY)
            .filter_map(|(_, fd)| local_addr(fd.as_fd()))
            .collect()
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for path in &self.files {
            // A file left behind is removed by the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(addr)?;
    fds::deepen_backlog(&listener, BACKLOG)?;
    Ok(listener)
}

fn wanted(listen: &Listen) -> Vec<SocketAddr> {
    listen
        .addresses
        .iter()
        .map(|address| address.addr)
        .collect()
}

/// The address of a TCP listener; `None` for any other descriptor.
fn local_addr(fd: BorrowedFd) -> Option<SocketAddr> {
    let fd = fd.try_clone_to_owned().ok()?;
    TcpListener::from(fd).local_addr().ok()
}

/// Whoever may write to the folder of a socket may put another in its place.
fn private_folder(dir: &Path) -> Result<(), Error> {
    let fail = |why: String| Error::Folder {
        path: dir.into(),
        why,
    };
    atomic::create_private_dir(dir).map_err(|err| fail(err.to_string()))?;
    let meta = std::fs::metadata(dir).map_err(|err| fail(err.to_string()))?;
    if meta.uid() != peer::own_uid() && meta.uid() != 0 {
        return Err(fail(format!("belongs to uid {}", meta.uid())));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(fail(format!(
            "mode {:o} lets others write to it",
            meta.mode() & 0o7777
        )));
    }
    Ok(())
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Taken { addr, url } => write!(
                f,
                "Gateway failed to start: another gateway instance is already listening on {url}\n\
                 If the gateway is supervised, stop it with: openclaw gateway stop\n\
                 Port {} is already in use.",
                addr.port()
            ),
            Error::Bind { at, err } => write!(
                f,
                "Gateway failed to start: failed to bind gateway socket on {at}: {err}"
            ),
            Error::Folder { path, why } => {
                write!(f, "Gateway failed to start: {}: {why}", path.display())
            }
            Error::NotAListener { name } => write!(
                f,
                "Gateway failed to start: the service manager's descriptor {name:?} is no socket \
                 of ours"
            ),
            Error::Open { addr } => write!(
                f,
                "Refusing to bind gateway to {addr} without auth.\n\
                 Set gateway.auth.token/password (or OPENCLAW_GATEWAY_TOKEN/\
                 OPENCLAW_GATEWAY_PASSWORD) or pass --token/--password."
            ),
        }
    }
}

impl std::error::Error for Error {}

impl exit::Report for Error {
    fn exit(&self) -> exit::Exit {
        match self {
            Error::Open { .. } => exit::Exit::Config,
            Error::Folder { .. } => exit::Exit::Denied,
            _ => exit::Exit::Failed,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Taken { .. } => {
                Some("openclaw gateway stop, or another port with --port".into())
            }
            Error::Folder { .. } | Error::Bind { .. } => {
                Some("set OPENCLAW_RUNTIME_DIR to a short path that only you can write to".into())
            }
            Error::NotAListener { .. } => {
                Some("FileDescriptorName= one of gateway, canvas, unix, workers, exec".into())
            }
            Error::Open { .. } => None,
        }
    }
}
