//! Our commands against the original's gateway.

use super::official;
use crate::harness::{Dir, eventually, free_port, proc, skip};
use serde_json::Value;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TOKEN: &str = "parity-token-0123456789abcdef";

/// The original's gateway in private folders.
struct Original {
    dir: Dir,
    port: u16,
    child: Child,
}

impl Original {
    fn start() -> Original {
        let dir = Dir::new("original");
        let port = free_port();
        let program = official::program().expect("the caller checked that it is here");
        let mut command = Command::new(program);
        command
            .args([
                "gateway",
                "--allow-unconfigured",
                "--token",
                TOKEN,
                "--port",
            ])
            .arg(port.to_string())
            .env_clear()
            .env("OPENCLAW_SKIP_CHANNELS", "1")
            .env("OPENCLAW_DISABLE_BONJOUR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        environment(&mut command, &dir, port);
        let child = command.spawn().expect("the original starts");
        let original = Original { dir, port, child };
        eventually(
            "the original's gateway listening",
            Duration::from_secs(180),
            || TcpStream::connect(("127.0.0.1", port)).ok(),
        );
        original
    }

    fn ours(&self, program: &str, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .stdin(Stdio::null());
        environment(&mut command, &self.dir, self.port);
        let output = command.output().expect("our program starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

fn environment(command: &mut Command, dir: &Dir, port: u16) {
    command
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("OPENCLAW_STATE_DIR", dir.path().join("state"))
        .env("OPENCLAW_GATEWAY_PORT", port.to_string())
        .env("TZ", "UTC");
}

impl Drop for Original {
    fn drop(&mut self) {
        // It starts itself again as a child, which outlives a parent that is killed alone.
        for pid in proc::tree(self.child.id()) {
            proc::signal(pid, "KILL");
        }
        let _ = self.child.wait();
    }
}

#[test]
fn our_commands_work_with_the_gateway_of_the_original() {
    let name = "our_commands_work_with_the_gateway_of_the_original";
    if let Err(why) = official::program() {
        return skip(name, &why);
    }
    let original = Original::start();
    let openclaw = env!("CARGO_BIN_EXE_openclaw");
    let ctl = env!("CARGO_BIN_EXE_openclawctl");
    // Twice: the second time with the device token the first one brought.
    for _ in 0..2 {
        for args in [
            &["health", "--json"][..],
            &["status", "--json"],
            &["gateway", "probe", "--json"],
            &["gateway", "status", "--json"],
            &["gateway", "call", "health", "--json"],
            &["sessions", "--json"],
        ] {
            let (code, out, err) = original.ours(openclaw, args);
            assert_eq!(code, Some(0), "{args:?}: {err}");
            let value: Value = serde_json::from_str(&out).expect("one JSON document");
            match args[0] {
                "status" => assert_eq!(value["gateway"]["reachable"], true),
                "health" => assert_eq!(value["ok"], true),
                _ => {}
            }
        }
    }
    let (code, out, err) = original.ours(openclaw, &["logs", "--limit", "5"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("Log file: "), "{out}");
    let (code, _, err) = original.ours(openclaw, &["health", "--token", "wrong"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("unauthorized: gateway token mismatch"),
        "{err}"
    );
    assert_eq!(original.ours(ctl, &["status"]).0, Some(0));
    assert_eq!(original.ours(ctl, &["call", "no.such"]).0, Some(1));
    // The original takes the key and the tokens we wrote.
    let program = official::program()
        .expect("checked")
        .to_string_lossy()
        .into_owned();
    let (code, _, err) = original.ours(&program, &["health", "--json"]);
    assert_eq!(code, Some(0), "{err}");
}
