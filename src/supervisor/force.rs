//! `--force`: whoever listens on our port is asked to go, then killed.
//!
//! What belongs to other users cannot be seen nor signalled, and stays.

use crate::base::sys::child;
use crate::base::sys::port;
use crate::base::sys::process;
use crate::base::sys::signals::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(700);
/// For the port to become free, in all.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);

pub fn free(number: u16) {
    let first = holders(number);
    if first.is_empty() {
        log::info!(target: "gateway", "force: no listeners on port {number}");
        return;
    }
    for pid in &first {
        log::info!(target: "gateway", "force: killed pid {pid} ({}) on port {number}", process::name(*pid));
        child::send(*pid, Signal::Terminate);
    }
    let start = Instant::now();
    let mut escalated = false;
    while !holders(number).is_empty() && start.elapsed() < PATIENCE {
        if start.elapsed() > GRACE && !std::mem::replace(&mut escalated, true) {
            log::warn!(target: "gateway", "force: escalated to SIGKILL while freeing port {number}");
            for pid in holders(number) {
                child::send(pid, Signal::Kill);
            }
        }
        std::thread::sleep(POLL);
    }
    log::info!(
        target: "gateway",
        "force: waited {}ms for port {number} to free",
        start.elapsed().as_millis()
    );
}

fn holders(number: u16) -> BTreeSet<u32> {
    port::holders(&port::listeners(number))
}
