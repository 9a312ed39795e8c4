//! `openclaw agent` where no gateway runs: the turn is run all the same, in the same files.

use crate::harness::model::asked;
use crate::harness::{Gateway, Setup, eventually};
use openclaw::base::lock;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);
const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

fn is_served(gateway: &Gateway) -> bool {
    lock::holder(&gateway.state().join("rs/gateway.lock")).is_some()
}

#[test]
fn a_turn_without_a_gateway_is_in_the_session_the_next_gateway_shows() {
    let mut setup = Setup::with_fake_model();
    // No channel is started for one command, and nothing that is due is done.
    setup.config["channels"] = json!({"telegram": {"botToken": "1:x"}});
    let mut gateway = setup.start();
    gateway.stop();

    let words = ["agent", "--local", "--message", "one", "--json"];
    let (status, out, error) = gateway.openclaw(&words);
    assert!(status.success(), "{error}");
    assert_eq!(error, "");
    let out: Value = serde_json::from_str(&out).expect("JSON alone");
    assert_eq!(
        out["payloads"],
        json!([{"text": "Hello from the fake model.", "mediaUrl": null}])
    );
    assert_eq!(out["meta"]["agentMeta"]["provider"], "fake");
    assert!(out.get("status").is_none(), "{out}");
    // The words alone: no time before them.
    assert_eq!(asked(&gateway.model().requests()[0]), "one");

    // Without being told to, too, and says so.
    let words = ["agent", "--verbose", "on", "--message", "two"];
    let (status, out, error) = gateway.openclaw(&words);
    assert!(status.success(), "{error}");
    assert_eq!(out, "Hello from the fake model.\n");
    assert!(
        error.starts_with("Gateway agent failed; falling back to embedded: Error: "),
        "{error}"
    );
    assert!(
        gateway.model().requests()[1]
            .to_string()
            .contains("\"one\"")
    );
    let deliver = ["agent", "--local", "--deliver", "--message", "x"];
    let (status, _, error) = gateway.openclaw(&deliver);
    assert!(!status.success());
    assert!(error.contains("--deliver: no gateway runs"), "{error}");
    assert!(!is_served(&gateway));

    gateway.start_again();
    // `--local` while one runs: a state folder has one owner.
    let (status, out, error) = gateway.openclaw(&["agent", "--local", "--message", "three"]);
    assert!(status.success(), "{error}");
    assert_eq!(out, "Hello from the fake model.\n");
    let mut ws = gateway.connect();
    let key = json!({"sessionKey": "agent:main:main"});
    let history = ws.call("chat.history", key).unwrap();
    let said = history["messages"].as_array().unwrap().iter();
    assert_eq!(said.filter(|m| m["role"] == "user").count(), 3, "{history}");
    let list = ws.call("sessions.list", json!({})).unwrap();
    assert_eq!(list["sessions"][0]["verboseLevel"], "on", "{list}");
}

#[test]
fn what_ran_for_a_command_ends_when_the_command_is_killed() {
    let mut gateway = Gateway::with_fake_model();
    gateway.stop();
    gateway.model().say_slowly(&["never", "whole"], 60_000);
    let mut child = gateway
        .command(OPENCLAW)
        .args(["agent", "--local", "--message", "wait"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    gateway.model().wait_request(1);
    assert!(is_served(&gateway));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the end of the gateway of one command", PATIENCE, || {
        (!is_served(&gateway)).then_some(())
    });
}
