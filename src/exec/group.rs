//! A control group (cgroup v2) per command, where one was delegated to us: its limits hold for all
//! processes of the command together, and all of them are killed at once.
//!
//! Delegation is what systemd's `Delegate=yes` writes on the folder (`user.delegate` or
//! `trusted.delegate`); a folder that is merely writable belongs to somebody else. Controllers can
//! be handed down only from a group without processes, so a runner that is alone in its group moves
//! to one below it. Without any of this the keeper's watch and the limits per process hold alone.

use crate::base::sys::xattr;
use crate::wire::exec::RunLimits;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The group of the runner itself.
const RUNNER: &str = "runner";
/// Those of value to us.
const CONTROLLERS: [&str; 3] = ["pids", "memory", "cpu"];
/// The period `cpu.max` counts in, microseconds: the kernel's default.
const PERIOD: u64 = 100_000;
/// An emptied group can be removed when its last process is reaped, which is at once.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// The delegated folder.
pub struct Home {
    folder: PathBuf,
    controllers: Vec<&'static str>,
}

/// The group of one command. Removed when dropped.
pub struct Group {
    folder: PathBuf,
}

impl Home {
    /// `None`: nothing was delegated to us.
    pub fn find() -> Option<Home> {
        let of_us = fs::read_to_string("/proc/self/cgroup").ok()?;
        let name = of_us.lines().find_map(|line| line.strip_prefix("0::/"))?;
        let folder = mount_point()?.join(name);
        let delegated = |name| xattr::get(&folder, name).is_some_and(|value| value == b"1");
        if !delegated(c"user.delegate") && !delegated(c"trusted.delegate") {
            return None;
        }
        Home::settle(folder)
    }

    /// Makes the folder ready for groups below it.
    fn settle(folder: PathBuf) -> Option<Home> {
        let us = std::process::id().to_string();
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let has = |list: &str, name: &str| list.split_ascii_whitespace().any(|word| word == name);
        if read("cgroup.procs").trim() == us {
            let runner = folder.join(RUNNER);
            // It may be there from a runner before us.
            let _ = fs::create_dir(&runner);
            if put(&runner, "cgroup.procs", &us) {
                let offered = read("cgroup.controllers");
                for name in CONTROLLERS.iter().filter(|name| has(&offered, name)) {
                    put(&folder, "cgroup.subtree_control", &format!("+{name}"));
                }
            }
        }
        let enabled = read("cgroup.subtree_control");
        let controllers = CONTROLLERS
            .into_iter()
            .filter(|name| has(&enabled, name))
            .collect();
        Some(Home {
            folder,
            controllers,
        })
    }

    pub fn controllers(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.controllers.iter().copied()
    }

    /// A new group for the run whose keeper is `keeper`; `None` when the kernel refuses.
    pub fn group(&self, keeper: u32, limits: &RunLimits) -> Option<Group> {
        let folder = self.folder_of(keeper);
        fs::create_dir(&folder).ok()?;
        let group = Group { folder };
        let set = |controller: &str, file: &str, value: Option<String>| {
            if let Some(value) = value.filter(|_| self.controllers.contains(&controller)) {
                put(&group.folder, file, &value);
            }
        };
        let number = |limit: Option<u64>| limit.map(|limit| limit.to_string());
        set("pids", "pids.max", number(limits.processes));
        set("memory", "memory.max", number(limits.memory));
        // One process that is out of memory ends all of them: half a command is no use.
        set(
            "memory",
            "memory.oom.group",
            limits.memory.map(|_| "1".into()),
        );
        let share = limits.cpu_millis.map(|millis| millis * PERIOD / 1000);
        set(
            "cpu",
            "cpu.max",
            share.map(|share| format!("{share} {PERIOD}")),
        );
        Some(group)
    }

    /// Ends what a killed keeper left in its group.
    pub fn end(&self, keeper: u32) {
        let folder = self.folder_of(keeper);
        if folder.is_dir() {
            let group = Group { folder };
            group.kill();
        }
    }

    fn folder_of(&self, keeper: u32) -> PathBuf {
        self.folder.join(format!("run-{keeper}"))
    }
}

impl Group {
    /// Whoever writes a zero here joins.
    pub fn entrance(&mut self) -> Option<OwnedFd> {
        let file = OpenOptions::new()
            .write(true)
            .open(self.folder.join("cgroup.procs"));
        file.ok().map(File::into)
    }

    /// Kills everything in it (Linux 5.14).
    pub fn kill(&self) {
        put(&self.folder, "cgroup.kill", "1");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for _ in 0..TRIES {
            match fs::remove_dir(&self.folder) {
                Err(err) if err.kind() == std::io::ErrorKind::ResourceBusy => thread::sleep(PAUSE),
                _ => return,
            }
        }
    }
}

/// Where the unified hierarchy is mounted: `/sys/fs/cgroup`, or beside the old one.
fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let place = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
    })
}

/// Writes to a file of the kernel's; false when it refuses.
fn put(folder: &Path, file: &str, value: &str) -> bool {
    fs::write(folder.join(file), value).is_ok()
}
