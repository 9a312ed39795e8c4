//! `--force`: whoever listens on our port is asked to go, then killed.
//!
//! Who that is, the kernel tells: the port's socket in /proc/net, and the process that has it open.
//! What belongs to other users cannot be seen nor signalled, and stays.

use crate::base::sys::child;
use crate::base::sys::signals::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_millis(700);
/// For the port to become free, in all.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(20);
/// TCP_LISTEN, as /proc/net/tcp writes it.
const LISTENING: &str = "0A";

pub fn free_port(port: u16) {
    let holders = holders(port);
    if holders.is_empty() {
        log::info!(target: "gateway", "force: no listeners on port {port}");
        return;
    }
    for pid in &holders {
        log::info!(target: "gateway", "force: killed pid {pid} ({}) on port {port}", name(*pid));
        child::send(*pid, Signal::Terminate);
    }
    let start = Instant::now();
    let mut escalated = false;
    while !self::holders(port).is_empty() && start.elapsed() < PATIENCE {
        if start.elapsed() > GRACE && !std::mem::replace(&mut escalated, true) {
            log::warn!(target: "gateway", "force: escalated to SIGKILL while freeing port {port}");
            for pid in self::holders(port) {
                child::send(pid, Signal::Kill);
            }
        }
        std::thread::sleep(POLL);
    }
    log::info!(
        target: "gateway",
        "force: waited {}ms for port {port} to free",
        start.elapsed().as_millis()
    );
}

/// The processes that have a listener on `port` open, without ourselves.
fn holders(port: u16) -> BTreeSet<u32> {
    let links: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| listeners(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if links.is_empty() {
        return BTreeSet::new();
    }
    let has_one = |pid: &u32| {
        fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok())
            .any(|to| links.iter().any(|link| to.as_os_str() == link.as_str()))
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter(has_one)
        .collect()
}

/// The inodes of the listeners on `port` in a table of /proc/net.
fn listeners(table: &str, port: u16) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (_, local) = fields.get(1)?.rsplit_once(':')?;
            let ours = u16::from_str_radix(local, 16) == Ok(port) && fields[3] == LISTENING;
            fields.get(9).filter(|_| ours)?.parse().ok()
        })
        .collect()
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| name.trim().to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_on_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1\n   \
            1: 0100007F:4965 0100007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 222 1\n   \
            2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1\n   \
            3: broken\n";
        assert_eq!(listeners(table, 18789), [111]);
        assert!(holders(1).is_empty());
    }
}
