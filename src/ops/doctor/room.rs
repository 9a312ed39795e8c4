//! What the machine must have: room on the disk, memory, a clock that is right.

use super::{Cure, Finding, Ground};
use crate::base::sys::space;
use crate::base::time;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

const MIB: u64 = 1024 * 1024;
/// Below this a transcript, a backup of the configuration or a picture may not fit.
const DISK_LITTLE: u64 = 200 * MIB;
/// Below this nothing should be expected to be kept.
const DISK_NONE: u64 = 16 * MIB;
/// A gateway with its helpers and one model call.
const MEMORY_LITTLE: u64 = 48 * MIB;
/// This program did not exist before: 2026-01-01.
const FIRST_MS: u64 = 1_767_225_600_000;
/// Time zones and drift.
const AHEAD: Duration = Duration::from_secs(26 * 3600);

/// What was measured.
struct Seen {
    disk: Option<u64>,
    memory: Option<u64>,
    now_ms: u64,
    /// How far the newest file of the state is ahead of the clock.
    ahead: Option<Duration>,
}

pub fn look(ground: &Ground) -> Vec<Finding> {
    let state = &ground.paths().state;
    let there = state.ancestors().find(|dir| dir.exists());
    let seen = Seen {
        disk: there.and_then(space::on_disk),
        memory: available(),
        now_ms: time::now_ms(),
        ahead: newest_ahead(ground),
    };
    judge(&seen, &ground.shown(state))
}

fn judge(seen: &Seen, state: &str) -> Vec<Finding> {
    let finding = |topic, grave, what: String, why, how: &str| Finding {
        topic,
        grave,
        what,
        details: Vec::new(),
        why,
        cure: Cure::Yours(how.into()),
    };
    let mut found = Vec::new();
    if let Some(free) = seen.disk.filter(|free| *free < DISK_LITTLE) {
        found.push(finding(
            "Disk",
            free < DISK_NONE,
            format!("Only {} MiB are free where {state} is.", free / MIB),
            "What cannot be written is lost: messages are refused then.",
            "make room; openclaw sessions shows which sessions there are, old logs are in the log \
             folder",
        ));
    }
    if let Some(free) = seen.memory.filter(|free| *free < MEMORY_LITTLE) {
        found.push(finding(
            "Memory",
            false,
            format!("Only {} MiB of memory are available.", free / MIB),
            "The kernel may end the gateway or a command of the agent.",
            "end what is not needed, or add swap",
        ));
    }
    let early = seen.now_ms < FIRST_MS;
    if early || seen.ahead.is_some_and(|ahead| ahead > AHEAD) {
        let what = match early {
            true => format!("The clock is wrong: it says {}.", time::iso(seen.now_ms)),
            false => "The clock is behind what was written before.".to_string(),
        };
        found.push(finding(
            "Clock",
            true,
            what,
            "Certificates and device signatures are refused, and jobs run at the wrong time.",
            "set it: timedatectl set-ntp true, or ntpd -q",
        ));
    }
    found
}

/// What programs could get, caches given up; not the kernel's bare free pages.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn newest_ahead(ground: &Ground) -> Option<Duration> {
    let paths = ground.paths();
    let sessions = paths.sessions(&ground.default_agent());
    let files = [
        paths.config.clone(),
        sessions.join("sessions.json"),
        paths.state.join("cron/jobs.json"),
    ];
    let modified = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let newest = files.iter().filter_map(|path| modified(path)).max()?;
    newest.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_and_a_wrong_clock_are_told_and_enough_is_not() {
        let good = || Seen {
            disk: Some(DISK_LITTLE),
            memory: Some(MEMORY_LITTLE),
            now_ms: FIRST_MS + 1,
            ahead: Some(Duration::from_secs(3600)),
        };
        assert!(judge(&good(), "~/s").is_empty());
        let topics = |seen: Seen| {
            let found = judge(&seen, "~/s");
            let told = found.iter().map(|f| (f.topic, f.grave));
            told.collect::<Vec<_>>()
        };
        let full = Seen {
            disk: Some(0),
            ..good()
        };
        assert_eq!(topics(full), [("Disk", true)]);
        let little = Seen {
            disk: Some(DISK_NONE),
            ..good()
        };
        assert_eq!(topics(little), [("Disk", false)]);
        let tight = Seen {
            memory: Some(1),
            ..good()
        };
        assert_eq!(topics(tight), [("Memory", false)]);
        for wrong in [
            Seen {
                now_ms: 0,
                ..good()
            },
            Seen {
                ahead: Some(AHEAD * 2),
                ..good()
            },
        ] {
            assert_eq!(topics(wrong), [("Clock", true)]);
        }
    }
}
