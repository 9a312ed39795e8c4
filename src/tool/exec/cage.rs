//! What a sandboxed command reaches and how much it may use: its room, and the limits that
//! `sandbox.docker` sets for a container, or ours where it sets none.

use crate::base::sys::space;
use crate::tool::confine::Room;
use crate::wire::exec::{RunLimits, Sandbox};
use serde_json::Value;

/// Enough for a parallel build; a fork bomb is caught early.
const PROCESSES: u64 = 256;
const FILE_SIZE: u64 = 1024 * 1024 * 1024;
const OPEN_FILES: u64 = 1024;
/// What of a disk stays free for the gateway and the rest of the system, bytes.
const DISK_RESERVE: u64 = 256 * 1024 * 1024;
/// Commands get half of the machine's memory, and this much on a small one, bytes.
const MEMORY_LEAST: u64 = 512 * 1024 * 1024;

pub fn fences(room: &Room) -> Sandbox {
    Sandbox {
        read: room.also.clone(),
        write: vec![room.root.clone()],
        network: room.settings.network(),
    }
}

pub fn limits(room: &Room) -> RunLimits {
    let (_, all) = space::memory();
    let processes = room.limit("pidsLimit").or(room.ulimit("nproc"));
    let cpus = room.settings.docker.get("cpus").and_then(Value::as_f64);
    RunLimits {
        memory: Some(room.limit("memory").unwrap_or(MEMORY_LEAST.max(all / 2))),
        file_size: Some(room.ulimit("fsize").unwrap_or(FILE_SIZE)),
        open_files: Some(room.ulimit("nofile").unwrap_or(OPEN_FILES)),
        processes: Some(processes.unwrap_or(PROCESSES)),
        // The timeout bounds it.
        cpu_seconds: room.ulimit("cpu"),
        cpu_millis: cpus
            .filter(|cpus| *cpus > 0.0)
            .map(|cpus| (cpus * 1000.0) as u64),
        disk_reserve: Some(DISK_RESERVE),
    }
}
