//! What the tests share: real programs in private folders, a WebSocket client of their own, a
//! scripted model for the faults the real one will not produce, and readings from `/proc`.
//!
//! A test that needs what this machine lacks calls `skip` and returns.

// The tests and the benches each use their part of this.
#![allow(dead_code, unused_imports)]

pub mod gateway;
pub mod heard;
pub mod local_model;
pub mod model;
pub mod proc;
pub mod schema;
pub mod ws;

pub use gateway::{Gateway, Setup};
pub use model::FakeModel;
pub use ws::Ws;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// For what takes a few milliseconds on a quiet machine, 100 at most; here every other test runs,
/// too.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// The name of a service that no host has: what is asked of "the" service, and repaired, must never
/// be that of the machine the tests run on.
pub const NO_SERVICE: (&str, &str) = ("OPENCLAW_SYSTEMD_UNIT", "openclaw-tests-have-none");

/// Says in the test's output what was not tested and why.
pub fn skip(test: &str, why: &str) {
    use std::io::Write;
    // Not through the macro: the test runner keeps what that prints to itself when a test passes.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("it is bound").port()
}

/// Repeats `check` until it gives something; panics with `what` after `patience`.
pub fn eventually<T>(what: &str, patience: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            started.elapsed() < patience,
            "{what} did not happen within {patience:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A private folder, removed when dropped.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new(name: &str) -> Dir {
        Dir(openclaw::base::id::temp_dir(name))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What is left behind by a failing test lies below the system's temp folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
