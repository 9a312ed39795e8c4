//! Our commands against the original's gateway.

use super::official;
use super::server::Original;
use crate::harness::{Setup, skip};
use serde_json::Value;
use std::process::{Command, Stdio};

fn ours(original: &Original, program: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TZ", "UTC")
        .envs(original.environment())
        .stdin(Stdio::null())
        .output()
        .expect("our program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn our_commands_work_with_the_gateway_of_the_original() {
    let name = "our_commands_work_with_the_gateway_of_the_original";
    if let Err(why) = official::program() {
        return skip(name, &why);
    }
    let original = Original::start(Setup::new());
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
            let (code, out, err) = ours(&original, openclaw, args);
            assert_eq!(code, Some(0), "{args:?}: {err}");
            let value: Value = serde_json::from_str(&out).expect("one JSON document");
            match args[0] {
                "status" => assert_eq!(value["gateway"]["reachable"], true),
                "health" => assert_eq!(value["ok"], true),
                _ => {}
            }
        }
    }
    let (code, out, err) = ours(&original, openclaw, &["logs", "--limit", "5"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("Log file: "), "{out}");
    let (code, _, err) = ours(&original, openclaw, &["health", "--token", "wrong"]);
    assert_eq!(code, Some(1));
    assert!(
        err.contains("unauthorized: gateway token mismatch"),
        "{err}"
    );
    assert_eq!(ours(&original, ctl, &["status"]).0, Some(0));
    assert_eq!(ours(&original, ctl, &["call", "no.such"]).0, Some(1));
    // The original takes the key and the tokens we wrote.
    let program = official::program()
        .expect("checked")
        .to_string_lossy()
        .into_owned();
    let (code, _, err) = ours(&original, &program, &["health", "--json"]);
    assert_eq!(code, Some(0), "{err}");
}
