//! Live reload: sockets of canvas pages that are told `reload` when a file below the root changes.
//!
//! Pages say nothing that matters. One thread watches, for as long as a page is open; it needs
//! inotify, and without it pages are simply never told.

use crate::base::sys::inotify::{Inotify, Seen};
use crate::config::Live;
use crate::config::canvas::{is_live, is_on, root};
use crate::gateway::core::Core;
use crate::gateway::outbox::{Outbox, Slow};
use crate::net::frame;
use crate::net::listen::Admitted;
use crate::net::stream::Stream;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, WebSocket};

/// Pages at once; each is a connection with a thread.
const MAX_PAGES: usize = 64;
/// A page has nothing to say; what it says is read and dropped.
const MAX_MESSAGE: usize = 64 * 1024;
/// Files are still being written for so long after a change.
const QUIET: Duration = Duration::from_millis(75);
/// Files that never come to rest are shown anyway after this.
const LONGEST: Duration = Duration::from_secs(2);
/// How often the thread looks whether anybody is left and the root is still the same.
const LOOK: Duration = Duration::from_secs(5);
/// Folders below the root that are watched: a canvas is a handful.
const MAX_FOLDERS: usize = 256;
/// The watcher walks folders and calls nothing deep.
const STACK: usize = 128 * 1024;

#[derive(Default)]
pub struct Reload(Mutex<State>);

#[derive(Default)]
struct State {
    next: u64,
    pages: HashMap<u64, Arc<Outbox>>,
    watching: bool,
}

/// A page's socket as tungstenite sees it.
struct Io {
    stream: Arc<Stream>,
    outbox: Arc<Outbox>,
}

/// Whether an upgrade may become a page's socket.
pub fn is_offered(config: &Live) -> bool {
    let config = config.current();
    is_on(&config) && is_live(&config)
}

/// Serves a page whose upgrade request was read, until it leaves. `rest` is what came after its
/// head.
pub fn serve(core: &Arc<Core>, place: &Admitted, key: &str, rest: Vec<u8>) {
    let outbox = Outbox::new(place.stream.clone(), core.flusher.clone());
    let Some(number) = core.reload.add(&outbox) else {
        let full = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
                     Content-Length: 0\r\n\r\n";
        outbox.send(Bytes::from_static(full), Slow::Queue);
        return outbox.end();
    };
    place.attended();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    outbox.send(answer.into_bytes().into(), Slow::Queue);
    start(core);
    let io = Io {
        stream: place.stream.clone(),
        outbox: outbox.clone(),
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = WebSocket::from_partially_read(io, rest, Role::Server, Some(config));
    while socket.read().is_ok() {}
    core.reload.state().pages.remove(&number);
    outbox.end();
}

impl Reload {
    fn add(&self, outbox: &Arc<Outbox>) -> Option<u64> {
        let mut state = self.state();
        if state.pages.len() >= MAX_PAGES {
            return None;
        }
        state.next += 1;
        let number = state.next;
        state.pages.insert(number, outbox.clone());
        Some(number)
    }

    pub fn pages(&self) -> usize {
        self.state().pages.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        let pages: Vec<Arc<Outbox>> = self.state().pages.values().cloned().collect();
        for page in pages {
            page.send(frame::text(&["reload"]), Slow::Close);
        }
    }

    /// The watcher asks: false ends it.
    fn goes_on(&self) -> bool {
        let mut state = self.state();
        state.watching = !state.pages.is_empty();
        state.watching
    }
}

/// Starts the watcher unless it runs.
fn start(core: &Arc<Core>) {
    {
        let mut state = core.reload.state();
        if std::mem::replace(&mut state.watching, true) {
            return;
        }
    }
    let watched = core.clone();
    let started = std::thread::Builder::new()
        .name("canvas".into())
        .stack_size(STACK)
        .spawn(move || {
            if let Err(err) = watch(&watched) {
                log::warn!("canvas: live reload stops: {err}");
                watched.reload.state().watching = false;
            }
        });
    if let Err(err) = started {
        log::error!("no thread for live reload: {err}");
        core.reload.state().watching = false;
    }
}

fn watch(core: &Core) -> io::Result<()> {
    while core.reload.goes_on() {
        let folder = root(&core.config.current(), core.config.paths());
        let inotify = Inotify::open()?;
        if let Err(err) = watch_folders(&inotify, &folder) {
            log::debug!("canvas: {}: {err}", folder.display());
        }
        follow(core, &inotify, &folder)?;
    }
    Ok(())
}

/// Tells of changes until nobody listens, the root is another, or it is gone.
fn follow(core: &Core, inotify: &Inotify, folder: &PathBuf) -> io::Result<()> {
    loop {
        let mut seen = inotify.next(Some(LOOK))?;
        if seen.is_empty() {
            let now = root(&core.config.current(), core.config.paths());
            if !core.reload.goes_on() || now != *folder || watch_folders(inotify, folder).is_err() {
                return Ok(());
            }
            continue;
        }
        let until = Instant::now() + LONGEST;
        let mut changed = false;
        while !seen.is_empty() {
            changed |= seen.iter().any(matters);
            if Instant::now() > until {
                break;
            }
            seen = inotify.next(Some(QUIET))?;
        }
        // New folders are watched from now on.
        let there = watch_folders(inotify, folder).is_ok();
        if changed {
            core.reload.tell();
        }
        if !there {
            return Ok(());
        }
    }
}

fn matters(seen: &Seen) -> bool {
    seen.name.to_str().is_none_or(|name| !is_passed_over(name))
}

fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || name == "node_modules"
}

/// Watches the root and the folders below it. Only names inside the root are passed over: the usual
/// root itself lies below a dot folder.
fn watch_folders(inotify: &Inotify, root: &Path) -> io::Result<()> {
    let mut folders = vec![root.to_path_buf()];
    let mut at = 0;
    while at < folders.len() && at < MAX_FOLDERS {
        let folder = folders[at].clone();
        at += 1;
        let watched = inotify.watch(&folder);
        if at == 1 {
            watched?;
        }
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let plain = name.to_str().is_some_and(|name| !is_passed_over(name));
            // Symlinks are not served, so what is behind them does not matter.
            if plain && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    Ok(())
}

impl Read for Io {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(buf)
    }
}

impl Write for Io {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outbox.send(Bytes::copy_from_slice(buf), Slow::Close);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_inside_the_root_are_passed_over() {
        let dir = crate::base::id::temp_dir("reload");
        let root = dir.join(".openclaw/canvas");
        std::fs::create_dir_all(root.join("sub/.git")).unwrap();
        let inotify = Inotify::open().unwrap();
        watch_folders(&inotify, &root).unwrap();
        std::fs::write(root.join("sub/a.html"), "x").unwrap();
        let now = Some(Duration::ZERO);
        assert!(inotify.next(now).unwrap().iter().any(matters));
        std::fs::write(root.join("sub/.git/x"), "x").unwrap();
        std::fs::write(root.join(".hidden"), "x").unwrap();
        assert!(!inotify.next(now).unwrap().iter().any(matters));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
