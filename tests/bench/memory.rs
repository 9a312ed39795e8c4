//! What an idle gateway and an idle client weigh.

use crate::harness::{Gateway, Ws, proc};
use crate::report::{Report, mib};
use std::path::Path;
use std::time::Duration;

/// Long enough for the last health refresh and log line of a start.
const SETTLE: Duration = Duration::from_millis(2_500);
const CLIENTS: u64 = 200;

pub fn rows(report: &Report) {
    let gateway = Gateway::start();
    std::thread::sleep(SETTLE);
    let tree = proc::tree(gateway.pid());
    let sum = |field| {
        tree.iter()
            .map(|pid| proc::memory(*pid, field))
            .sum::<u64>()
    };
    report.row(
        "idle gateway (supervisor + core): PSS · anonymous",
        "≤ 2.4 MiB · ≤ 0.8",
        format!("{:.2} MiB · {:.2}", mib(sum("Pss")), mib(sum("Anonymous"))),
    );

    // A thread that ends takes its count along; an idle gateway starts and ends none.
    let wakeups = || tree.iter().map(|pid| proc::wakeups(*pid)).sum::<u64>();
    std::thread::sleep(SETTLE);
    let before = wakeups();
    std::thread::sleep(Duration::from_secs(10));
    report.row(
        "idle wakeups of the whole tree",
        "≤ 2 / s",
        format!("{:.1} / s", wakeups().saturating_sub(before) as f64 / 10.0),
    );

    let (each, kept) = crowd(&gateway, "cli");
    // The protocol lists every other client for five minutes after it has left.
    let (_, listed) = crowd(&gateway, "test");
    report.row(
        "each idle WebSocket client, in the core; kept after close; the same where it stays listed",
        "≤ 16 KiB; given back",
        format!("{each:.1} KiB; {kept:.1} KiB; {listed:.1} KiB"),
    );
    drop(gateway);
    report.row(
        "smallest memory cgroup in which it starts, answers and stays up",
        "≤ 4 MiB",
        smallest_cgroup(),
    );
    report.row(
        "each idle channel worker with its TLS connection up, PSS",
        "≤ 2.5 MiB more",
        "no channel is built yet",
    );
}

/// Tries 1 to 16 MiB in quarter steps, in a memory cgroup of its own where this user may make one.
fn smallest_cgroup() -> String {
    let (group, limit) = if Path::new("/sys/fs/cgroup/memory/tasks").exists() {
        (
            "/sys/fs/cgroup/memory/openclaw-bench",
            "memory.limit_in_bytes",
        )
    } else {
        ("/sys/fs/cgroup/openclaw-bench", "memory.max")
    };
    if std::fs::create_dir_all(group).is_err() {
        return "no memory cgroup to be made here".into();
    }
    let group = Path::new(group);
    let mut found = "more than 16 MiB".to_string();
    for quarter in 4..=64_u64 {
        let bytes = quarter * 256 * 1024;
        if std::fs::write(group.join(limit), bytes.to_string()).is_err() {
            found = "the limit cannot be set here".into();
            break;
        }
        if survives(group) {
            found = format!("{:.2} MiB", bytes as f64 / 1048576.0);
            break;
        }
    }
    // Empty by now; a group that cannot be removed harms nobody.
    let _ = std::fs::remove_dir(group);
    found
}

fn survives(group: &Path) -> bool {
    use std::process::{Command, Stdio};
    let setup = crate::harness::Setup::new();
    let port = setup.port;
    let text = serde_json::to_vec(&setup.config).expect("JSON");
    openclaw::base::atomic::write(&setup.dir.path().join("state/openclaw.json"), &text)
        .expect("written");
    let dir = setup.dir.path();
    // A copy that is in nobody's page cache: the group is charged for every page of it.
    let program = dir.join("openclaw-gateway");
    std::fs::copy(crate::harness::gateway::BINARY, &program).expect("copied");
    // Only pages that are on the disk can be dropped.
    std::fs::File::open(&program)
        .and_then(|file| file.sync_all())
        .expect("synced");
    let dropped = Command::new("dd")
        .arg(format!("if={}", program.display()))
        .args(["iflag=nocache", "count=0", "status=none", "of=/dev/null"])
        .status();
    assert!(
        dropped.is_ok_and(|status| status.success()),
        "dd drops the cache"
    );
    let enter = format!(
        "echo $$ > {}/cgroup.procs && exec {}",
        group.display(),
        program.display()
    );
    let mut child = Command::new("sh")
        .args(["-c", &enter])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.join("home"))
        .env("OPENCLAW_STATE_DIR", dir.join("state"))
        .env("OPENCLAW_RUNTIME_DIR", dir.join("run"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    std::thread::sleep(Duration::from_millis(700));
    let core = proc::children(child.id());
    let answers = crate::http::health(port).is_some_and(|body| body.contains("\"ok\":true"));
    let steady = answers && core == proc::children(child.id()) && !core.is_empty();
    proc::signal(child.id(), "TERM");
    let _ = child.wait();
    steady
}

/// A client that says it is `mode`: `cli` is not listed, others are for five minutes.
pub fn client(gateway: &Gateway, mode: &str) -> Ws {
    let mut ws = Ws::open(gateway.port());
    let mut params = ws.params(gateway.token());
    params["client"]["id"] = mode.into();
    params["client"]["mode"] = mode.into();
    ws.hello(&params).expect("accepted");
    ws
}

/// KiB that each of `CLIENTS` clients of this mode takes in the core, and what is left of it when
/// they have gone.
fn crowd(gateway: &Gateway, mode: &str) -> (f64, f64) {
    let connect = || client(gateway, mode);
    let core = gateway.core_pid();
    // One client before the reading: what the first one makes for all is not its own.
    let first = connect();
    std::thread::sleep(SETTLE);
    let before = proc::memory(core, "Anonymous");
    let clients: Vec<Ws> = (0..CLIENTS).map(|_| connect()).collect();
    std::thread::sleep(SETTLE);
    let with = proc::memory(core, "Anonymous");
    drop(clients);
    std::thread::sleep(SETTLE);
    let after = proc::memory(core, "Anonymous");
    drop(first);
    let each = |reading: u64| reading.saturating_sub(before) as f64 / CLIENTS as f64;
    (each(with), each(after))
}
