//! What no limit of the kernel bounds for a whole command without a control group of its own: how
//! many processes it has, how much memory they hold together, how much of the disk it has filled.
//! The keeper looks often while something grows, else rarely, and ends a command that has too much.

use super::tree;
use crate::base::sys::{reaper, space};
use crate::wire::exec::RunLimits;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often is looked: often at first and while something grows, else rarely. A fork bomb makes
/// some hundreds of processes meanwhile, a fast disk takes 100 MB.
const SOONEST: Duration = Duration::from_millis(4);
const LATEST: Duration = Duration::from_millis(64);
/// Memory is added up at least this often: what grows slowly is no sign.
const ADD_UP: Duration = Duration::from_secs(1);
/// What a command may write to a disk that has less than its reserve free at the start, bytes.
const LAST_BYTES: u64 = 16 * 1024 * 1024;

/// Of what a command had too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    Processes,
    Memory,
    Disk,
}

impl Excess {
    /// As the keeper says it.
    pub fn number(self) -> u32 {
        self as u32
    }

    /// For the reader of the command's output.
    pub fn what(number: u32) -> &'static str {
        match number {
            0 => "it had more processes than the limit allows",
            1 => "its processes used more memory than the limit allows",
            _ => "the disk was nearly full",
        }
    }
}

pub struct Watch {
    processes: Option<Crowd>,
    memory: Option<Weight>,
    /// Folder, and the bytes that must stay free there.
    disks: Vec<(PathBuf, u64)>,
    pause: Duration,
}

/// Processes. The kernel's own limit (RLIMIT_NPROC) counts per user, and does not hold for root.
struct Crowd {
    most: u64,
    /// Of the whole machine: a cheap sign that a closer look is due.
    before: u64,
}

/// Memory of all processes together.
struct Weight {
    most: u64,
    /// Free on the whole machine: the cheap sign.
    before: u64,
    looked: Instant,
}

impl Watch {
    /// `places`: folders the command can write to. `None`: there is nothing to watch.
    pub fn new(limits: &RunLimits, places: Vec<PathBuf>) -> Option<Watch> {
        let disks: Vec<(PathBuf, u64)> = places
            .into_iter()
            .filter_map(|place| {
                let free = space::on_disk(&place)?;
                Some((
                    place,
                    limits.disk_reserve?.min(free.saturating_sub(LAST_BYTES)),
                ))
            })
            .collect();
        let watch = Watch {
            processes: limits.processes.map(|most| Crowd {
                most,
                before: reaper::count_all(),
            }),
            memory: limits.memory.map(|most| Weight {
                most,
                before: space::memory().0,
                looked: Instant::now(),
            }),
            disks,
            pause: SOONEST,
        };
        let any = watch.processes.is_some() || watch.memory.is_some() || !watch.disks.is_empty();
        any.then_some(watch)
    }

    pub fn pause(&self) -> Duration {
        self.pause
    }

    pub fn look(&mut self) -> Option<Excess> {
        let crowd = self.processes.as_mut().map(Crowd::look);
        let weight = self.memory.as_mut().map(Weight::look);
        let grows = [crowd, weight].contains(&Some(Look::Grows));
        self.pause = if grows {
            SOONEST
        } else {
            (self.pause * 2).min(LATEST)
        };
        if crowd == Some(Look::TooMuch) {
            return Some(Excess::Processes);
        }
        if weight == Some(Look::TooMuch) {
            return Some(Excess::Memory);
        }
        let full = |(place, reserve): &(PathBuf, u64)| {
            space::on_disk(place).is_some_and(|free| free < *reserve)
        };
        self.disks.iter().any(full).then_some(Excess::Disk)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Quiet,
    Grows,
    TooMuch,
}

impl Crowd {
    fn look(&mut self) -> Look {
        // A quarter of the limit at once is suspicious; slow growth is seen at the latest when the
        // sum of it is.
        let now = reaper::count_all();
        if now < self.before.saturating_add(self.most / 4) {
            self.before = self.before.min(now);
            return Look::Quiet;
        }
        self.before = now;
        match tree::below(std::process::id()).len() as u64 > self.most {
            true => Look::TooMuch,
            false => Look::Grows,
        }
    }
}

impl Weight {
    fn look(&mut self) -> Look {
        let free = space::memory().0;
        let shrinks = self.before.saturating_sub(free) > self.most / 8;
        if !shrinks && self.looked.elapsed() < ADD_UP {
            self.before = self.before.max(free);
            return Look::Quiet;
        }
        self.before = free;
        self.looked = Instant::now();
        match (tree::memory_below(std::process::id()) > self.most, shrinks) {
            (true, _) => Look::TooMuch,
            (false, true) => Look::Grows,
            (false, false) => Look::Quiet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_already_leaves_room_for_a_little() {
        let limits = RunLimits {
            disk_reserve: Some(u64::MAX),
            ..RunLimits::default()
        };
        let mut watch = Watch::new(&limits, vec![std::env::temp_dir()]).unwrap();
        assert!(watch.disks[0].1 < u64::MAX);
        assert_eq!(watch.look(), None);
        watch.disks[0].1 = u64::MAX;
        assert_eq!(watch.look(), Some(Excess::Disk));
        assert!(Watch::new(&RunLimits::default(), Vec::new()).is_none());
    }
}
