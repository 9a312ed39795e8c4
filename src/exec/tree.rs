//! The processes below one, as /proc shows them now.

use crate::base::sys::reaper;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;

/// All descendants of `root` that have not ended, nearest first.
pub fn below(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<(u32, bool)>> = HashMap::new();
    for (pid, parent, ended) in processes() {
        children.entry(parent).or_default().push((pid, ended));
    }
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut next = vec![root];
    while let Some(parent) = next.pop() {
        for (pid, ended) in children.remove(&parent).unwrap_or_default() {
            // The listing is no snapshot: a number reused meanwhile must not make a circle.
            if seen.insert(pid) {
                next.push(pid);
                if !ended {
                    found.push(pid);
                }
            }
        }
    }
    found
}

/// The children of `parent` that have not ended.
pub fn children(parent: u32) -> Vec<u32> {
    processes()
        .filter(|(_, of, ended)| *of == parent && !ended)
        .map(|(pid, _, _)| pid)
        .collect()
}

/// Processes and threads of the user `uid`, as RLIMIT_NPROC counts them.
pub fn threads_of(uid: u32) -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = entries.filter(|entry| entry.metadata().is_ok_and(|meta| meta.uid() == uid));
    own.filter_map(|entry| {
        let stat = std::fs::read(entry.path().join("stat")).ok()?;
        let rest = after_name(&stat)?;
        // num_threads is field 20; `rest` begins with field 3.
        rest.split_ascii_whitespace().nth(17)?.parse::<u64>().ok()
    })
    .sum()
}

/// Bytes of memory that the descendants of `root` have now and that no file can give back. What they
/// share is counted for each.
pub fn memory_below(root: u32) -> u64 {
    let held = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let kib = |line: &str| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok();
        let counts = |line: &&str| line.starts_with("RssAnon:") || line.starts_with("RssShmem:");
        Some(status.lines().filter(counts).filter_map(kib).sum::<u64>() * 1024)
    };
    below(root).into_iter().filter_map(held).sum()
}

/// TERM to everything below `root`. Stopped processes are woken, or they would not notice.
pub fn terminate(root: u32) {
    for pid in below(root) {
        reaper::send(pid, reaper::TERM);
        reaper::send(pid, reaper::CONT);
    }
}

/// KILL to everything below `root`. First all are stopped, until no new one turns up, so that a
/// fork bomb does not outrun us; true when nothing was left.
pub fn kill(root: u32) -> bool {
    /// A process stopped in each round cannot fork in the next: new ones come only from those that
    /// were not seen yet.
    const ROUNDS: usize = 8;
    let mut stopped = HashSet::new();
    for _ in 0..ROUNDS {
        let fresh: Vec<u32> = below(root)
            .into_iter()
            .filter(|pid| stopped.insert(*pid))
            .collect();
        if fresh.is_empty() {
            break;
        }
        for pid in fresh {
            reaper::send(pid, reaper::STOP);
        }
    }
    for pid in &stopped {
        reaper::send(*pid, reaper::KILL);
    }
    stopped.is_empty()
}

/// (pid, parent, whether it has ended) of every process we can see.
fn processes() -> impl Iterator<Item = (u32, u32, bool)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read(entry.path().join("stat")).ok()?;
        let mut fields = after_name(&stat)?.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        Some((pid, parent, matches!(state, "Z" | "X")))
    })
}

/// The fields of /proc/PID/stat from the third on. The second, the name in parentheses, may hold
/// anything: it ends at the last parenthesis.
fn after_name(stat: &[u8]) -> Option<&str> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    std::str::from_utf8(&stat[end + 1..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_below_us_until_it_ends() {
        let us = std::process::id();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        assert!(below(us).contains(&child.id()));
        assert!(children(us).contains(&child.id()));
        assert!(below(child.id()).is_empty());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!below(us).contains(&child.id()));
    }
}
