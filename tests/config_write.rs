//! Changing the configuration through the gateway: `config.set`, `config.patch`, `config.apply`,
//! by many at once, and a hand at the file meanwhile.

use crate::harness::{Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn start(config: impl FnOnce(&mut Value)) -> Gateway {
    let mut setup = Setup::new();
    setup.config["gateway"]["reload"] = json!({"debounceMs": 20});
    config(&mut setup.config);
    setup.start()
}

fn get(ws: &mut Ws) -> Value {
    ws.call("config.get", json!({})).expect("an answer")
}

fn refused(ws: &mut Ws, method: &str, params: Value) -> Value {
    ws.call(method, params).expect_err("a refusal")
}

#[test]
fn a_patch_is_answered_written_and_told_by_the_next_core() {
    let gateway = start(|_| {});
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    let hash = get(&mut ws)["hash"].clone();
    let params = json!({
        "raw": "{ui:{seamColor:'#ff8800'}}", "baseHash": hash, "note": "test patch",
        "sessionKey": "agent:main:main", "restartDelayMs": 50,
    });
    let answer = ws.call("config.patch", params).expect("it is written");
    assert_eq!(answer["ok"], true);
    assert_eq!(answer["path"], gateway.config_path().to_str().unwrap());
    assert_eq!(answer["config"]["ui"]["seamColor"], "#ff8800");
    assert_eq!(answer["config"]["commands"]["native"], "auto");
    assert!(answer["config"]["meta"].is_null());
    let restart = &answer["restart"];
    assert_eq!(restart["pid"], gateway.pid());
    assert_eq!(restart["signal"], "SIGUSR1");
    assert_eq!(restart["delayMs"], 50);
    assert_eq!(restart["reason"], "config.patch");
    assert_eq!(restart["mode"], "emit");
    let payload = &answer["sentinel"]["payload"];
    assert_eq!(payload["kind"], "config-apply");
    assert_eq!(payload["message"], "test patch");
    assert_eq!(payload["stats"]["mode"], "config.patch");

    assert_eq!(
        ws.event("shutdown")["payload"]["reason"],
        "gateway restarting"
    );
    assert_eq!(ws.closed().code, Some(1012));
    let mut ws = gateway.connect();
    assert_ne!(gateway.core_pid(), core);
    let status = ws.call("status", json!({})).expect("an answer");
    let told = status["queuedSystemEvents"][0].as_str().expect("a note");
    assert!(
        told.starts_with("GatewayRestart:\n") && told.contains("test patch"),
        "{told}"
    );
    assert!(!gateway.state().join("restart-sentinel.json").exists());
    let file: Value = serde_json::from_slice(&fs::read(gateway.config_path()).unwrap()).unwrap();
    assert_eq!(file["meta"]["lastTouchedVersion"], "2026.2.3");
    assert!(file["commands"].is_null(), "defaults are not written");
    assert!(gateway.state().join("openclaw.json.bak").exists());
}

#[test]
fn setting_a_whole_text_is_taken_up_without_a_restart_where_none_is_needed() {
    let gateway = start(|_| {});
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    let now = get(&mut ws);
    let mut config = now["parsed"].clone();
    config["agents"]["list"] = json!([{"id": "ada"}]);
    let params = json!({"raw": config.to_string(), "baseHash": now["hash"]});
    let answer = ws.call("config.set", params).expect("it is written");
    assert!(answer["restart"].is_null() && answer["sentinel"].is_null());
    eventually("the new agent", PATIENCE, || {
        let agents = ws.call("agents.list", json!({})).expect("an answer");
        (agents["agents"][0]["id"] == "ada").then_some(())
    });
    assert_eq!(gateway.core_pid(), core);
    // The answer comes before the restart where one is needed.
    let now = get(&mut ws);
    config["commands"] = json!({"text": false});
    let params = json!({"raw": config.to_string(), "baseHash": now["hash"]});
    ws.call("config.set", params).expect("it is written");
    assert_eq!(ws.closed().code, Some(1012));
}

#[test]
fn the_schema_is_told_in_one_answer_of_bounded_size() {
    let gateway = start(|_| {});
    let mut ws = gateway.connect();
    let answer = ws.call("config.schema", json!({})).expect("an answer");
    let root = &answer["schema"]["properties"];
    assert_eq!(root["gateway"]["properties"]["port"]["type"], "integer");
    let telegram = &root["channels"]["properties"]["telegram"];
    assert!(telegram["properties"]["botToken"].is_object());
    assert_eq!(answer["uiHints"]["gateway.auth.token"]["sensitive"], true);
    assert_eq!(answer["version"], "2026.2.3");
    assert!(answer["generatedAt"].as_str().unwrap().ends_with('Z'));
    let size = answer.to_string().len();
    assert!(size < 400 * 1024, "{size} bytes");
    // A fault of a channel nobody serves yet is found all the same.
    let hash = get(&mut ws)["hash"].clone();
    let params = json!({"raw": "{channels:{telegram:{botTokn:'x'}}}", "baseHash": hash});
    let error = refused(&mut ws, "config.patch", params);
    assert_eq!(
        error["details"]["issues"][0],
        json!({"path": "channels.telegram", "message": "Unrecognized key: \"botTokn\""})
    );
}

#[test]
fn refusals_have_the_words_clients_know() {
    let gateway = start(|_| {});
    let mut ws = gateway.connect();
    let hash = get(&mut ws)["hash"].clone();
    let said = |ws: &mut Ws, method: &str, params: Value| {
        let error = refused(ws, method, params);
        assert_eq!(error["code"], "INVALID_REQUEST");
        error["message"].as_str().expect("text").to_string()
    };
    assert_eq!(
        said(&mut ws, "config.set", json!({"raw": "{}"})),
        "config base hash required; re-run config.get and retry"
    );
    assert_eq!(
        said(
            &mut ws,
            "config.apply",
            json!({"raw": "{}", "baseHash": "x"})
        ),
        "config changed since last load; re-run config.get and retry"
    );
    assert_eq!(
        said(
            &mut ws,
            "config.patch",
            json!({"raw": "[1]", "baseHash": hash})
        ),
        "config.patch raw must be an object"
    );
    assert_eq!(
        said(
            &mut ws,
            "config.set",
            json!({"raw": "{gateway:", "baseHash": hash})
        ),
        "SyntaxError: JSON5: invalid end of input at 1:10"
    );
    assert!(
        said(&mut ws, "config.set", json!({"raw": ""})).starts_with("invalid config.set params: ")
    );
    let error = refused(
        &mut ws,
        "config.set",
        json!({"raw": "{gateway:{port:'x'},nope:1}", "baseHash": hash}),
    );
    assert_eq!(error["message"], "invalid config");
    assert_eq!(
        error["details"]["issues"],
        json!([
            {"path": "gateway.port", "message": "Invalid input: expected number, received string"},
            {"path": "", "message": "Unrecognized key: \"nope\""},
        ])
    );
    fs::write(gateway.config_path(), "{nope:1}").unwrap();
    let hash = get(&mut ws)["hash"].clone();
    assert_eq!(
        said(
            &mut ws,
            "config.patch",
            json!({"raw": "{}", "baseHash": hash})
        ),
        "invalid config; fix before patching"
    );
}

#[test]
fn a_form_that_sends_everything_back_leaves_variables_comments_and_includes_alone() {
    let gateway = start(|_| {});
    let text = fs::read_to_string(gateway.config_path()).unwrap();
    let token = format!("\"{}\"", gateway.token());
    let text = text
        .replacen('{', "{ // by hand\n  $include: './part.json',", 1)
        .replace(&token, "'${TOKEN_OF_TEST}'");
    fs::write(
        gateway.state().join(".env"),
        format!("TOKEN_OF_TEST={}\n", gateway.token()),
    )
    .unwrap();
    fs::write(
        gateway.state().join("part.json"),
        "{ui: {seamColor: '00aa00'}}",
    )
    .unwrap();
    // The variable comes with the next start of the whole gateway.
    let mut gateway = gateway;
    assert!(gateway.stop().success());
    fs::write(gateway.config_path(), text).unwrap();
    gateway.start_again();
    let mut ws = gateway.connect();
    let now = get(&mut ws);
    assert_eq!(now["config"]["gateway"]["auth"]["token"], gateway.token());
    let mut form = now["config"].clone();
    form["agents"]["list"] = json!([{"id": "ada"}]);
    let raw = serde_json::to_string_pretty(&form).unwrap();
    let params = json!({"raw": raw, "baseHash": now["hash"]});
    ws.call("config.set", params).expect("it is written");
    let written = fs::read_to_string(gateway.config_path()).unwrap();
    for kept in [
        "// by hand",
        "$include: './part.json'",
        "'${TOKEN_OF_TEST}'",
        "\"ada\"",
    ] {
        assert!(written.contains(kept), "{kept}: {written}");
    }
    assert!(!written.contains("seamColor") && !written.contains(gateway.token()));
}

#[test]
fn eight_writers_and_a_hand_at_the_file_lose_nothing() {
    const EACH: usize = 4;
    let gateway = start(|config| config["gateway"]["reload"]["mode"] = json!("off"));
    let done = std::sync::atomic::AtomicBool::new(false);
    let by_hand = std::thread::scope(|scope| {
        let hand = scope.spawn(|| {
            // An editor takes no lock: it saves over what it read, and says which saves it made
            // on the newest text.
            let mut saved = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(text) = fs::read_to_string(gateway.config_path()) else {
                    continue;
                };
                let remark = format!("// hand {saved}\n");
                let temp = gateway.state().join("hand.swp");
                fs::write(&temp, format!("{remark}{text}")).unwrap();
                let lock = gateway.state().join("rs/config.lock");
                // Between reading and moving a program may have written; a real editor asks then.
                let taken = openclaw::base::lock::try_take(&lock, "hand");
                let same = fs::read_to_string(gateway.config_path()).is_ok_and(|now| now == text);
                if taken.is_ok() && same {
                    fs::rename(&temp, gateway.config_path()).unwrap();
                    saved += 1;
                }
                drop(taken);
                std::thread::sleep(Duration::from_millis(30));
            }
            saved
        });
        let commands: Vec<_> = (0..4)
            .map(|n| {
                let gateway = &gateway;
                scope.spawn(move || {
                    for i in 0..EACH {
                        let path = format!("env.vars.C{n}_{i}");
                        eventually("a place in the queue", PATIENCE, || {
                            let (status, _, err) =
                                gateway.openclaw(&["config", "set", &path, "\"x\""]);
                            assert!(status.success() || err.contains("changed since"), "{err}");
                            status.success().then_some(())
                        });
                    }
                })
            })
            .collect();
        let calls: Vec<_> = (0..4)
            .map(|n| {
                let gateway = &gateway;
                scope.spawn(move || {
                    let mut ws = gateway.connect();
                    for i in 0..EACH {
                        eventually("a write on the newest text", PATIENCE, || {
                            let now = get(&mut ws);
                            let mut config = now["parsed"].clone();
                            config["env"]["vars"][format!("R{n}_{i}")] = json!("x");
                            let params =
                                json!({"raw": config.to_string(), "baseHash": now["hash"]});
                            match ws.call("config.set", params) {
                                Ok(_) => Some(()),
                                Err(error) => {
                                    let text = error["message"].to_string();
                                    assert!(text.contains("changed since"), "{text}");
                                    None
                                }
                            }
                        });
                    }
                })
            })
            .collect();
        for writer in commands.into_iter().chain(calls) {
            writer.join().expect("no panic");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        hand.join().expect("no panic")
    });
    let mut ws = gateway.connect();
    let now = get(&mut ws);
    assert_eq!(now["valid"], true, "{}", now["issues"]);
    let vars = now["parsed"]["env"]["vars"].as_object().expect("variables");
    assert_eq!(vars.len(), 8 * EACH, "{vars:?}");
    assert!(by_hand > 0);
}
