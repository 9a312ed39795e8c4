//! The official client 2026.2.3: found, or installed once below `target/` by the script that comes
//! with the reading material.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Longest an official command may take; it needs seconds to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the client sets for itself by starting itself again, a second of processor time each call.
pub const READY: (&str, &str) = ("NODE_OPTIONS", "--disable-warning=ExperimentalWarning");

/// The program, or why there is none. `OPENCLAW_OFFICIAL` names one that is installed elsewhere.
pub fn program() -> Result<&'static Path, String> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(find);
    found.as_ref().map(PathBuf::as_path).map_err(String::clone)
}

fn find() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("OPENCLAW_OFFICIAL") {
        return Ok(named.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = root.join("target/official");
    let program = dir.join("openclaw");
    if program.exists() {
        return Ok(program);
    }
    let script = root.join("../shared/interop/setup.sh");
    if !script.exists() {
        return Err("no official client here, and no ../shared/interop to install it".into());
    }
    eprintln!(
        "installing the official client into {} (a minute)",
        dir.display()
    );
    let output = Command::new("bash")
        .arg(script)
        .arg(&dir)
        .stdin(Stdio::null())
        .output()
        .map_err(|err| format!("bash: {err}"))?;
    match output.status.success() && program.exists() {
        true => Ok(program),
        false => Err(format!(
            "installing the official client failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// A configuration beside the one in `state`, with which the client loads no plugins: two seconds of
/// processor less each call.
pub fn without_plugins(state: &Path) -> PathBuf {
    let file = state.join("without-plugins.json");
    let text = r#"{"$include":"./openclaw.json","plugins":{"enabled":false}}"#;
    std::fs::write(&file, text).expect("written");
    file
}

/// Runs the client to its end with nothing of our environment but `PATH`; killed after two minutes.
pub fn run(args: &[&str], env: &[(&str, impl AsRef<OsStr>)]) -> Output {
    let program = program().expect("the caller checked that it is here");
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NO_COLOR", "1")
        .env("TERM", "dumb")
        .env("TZ", "UTC")
        .env(READY.0, READY.1)
        .envs(env.iter().map(|(name, value)| (name, value.as_ref())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the official client starts");
    let id = child.id();
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let started = Instant::now();
        if is_done.recv_timeout(PATIENCE).is_err() && started.elapsed() >= PATIENCE {
            let _ = Command::new("kill").arg("-9").arg(id.to_string()).status();
        }
    });
    let _ = child.stdin.take();
    let output = child.wait_with_output().expect("the official client ends");
    drop(done);
    let _ = watch.join();
    output
}
