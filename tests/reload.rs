//! A configuration that is edited while the gateway runs: taken up as it is saved, a fresh core
//! where one is needed, the former one kept when the file is broken.

use crate::front::{body, get};
use crate::harness::{Gateway, Setup, Ws, eventually, free_port, proc};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn logged(gateway: &Gateway, text: &str) {
    eventually(text, PATIENCE, || {
        gateway.log().contains(text).then_some(())
    });
}

fn health(gateway: &Gateway) -> Value {
    serde_json::from_str(body(&get(gateway, "/health"))).expect("JSON")
}

fn quick(setup: Setup) -> Setup {
    let mut setup = setup;
    setup.config["gateway"]["reload"] = json!({"debounceMs": 20});
    setup
}

#[test]
fn a_saved_setting_is_in_force_without_a_restart() {
    let gateway = quick(Setup::new()).start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    gateway.edit_config(|config| {
        config["agents"]["list"] = json!([{"id": "ada", "name": "Ada"}]);
        config["meta"] = json!({"lastTouchedAt": "2026-01-01T00:00:00.000Z"});
    });
    logged(&gateway, "config hot reload applied (agents.list)");
    let agents = ws.call("agents.list", json!({})).expect("an answer");
    assert_eq!(agents["agents"][0]["id"], "ada");
    assert_eq!(gateway.core_pid(), core);
}

#[test]
fn a_setting_that_needs_a_fresh_core_gets_one_and_no_connection_is_refused() {
    let gateway = quick(Setup::new()).start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    gateway.edit_config(|config| config["commands"] = json!({"restart": true}));
    let shutdown = ws.event("shutdown");
    assert_eq!(shutdown["payload"]["reason"], "gateway restarting");
    assert_eq!(ws.closed().code, Some(1012));
    // The listener never closed, so this waits for the new core at worst.
    gateway.connect();
    assert_ne!(gateway.core_pid(), core);
    logged(
        &gateway,
        "config change requires gateway restart (commands.restart)",
    );
}

#[test]
fn a_changed_port_is_listened_on_and_a_taken_one_is_not_followed() {
    let gateway = quick(Setup::new()).start();
    let fresh = free_port();
    gateway.edit_config(|config| config["gateway"]["port"] = json!(fresh));
    eventually("the new port", PATIENCE, || {
        std::net::TcpStream::connect(("127.0.0.1", fresh))
            .ok()
            .map(|_| ())
    });
    Ws::operator(fresh, gateway.token());
    assert!(std::net::TcpStream::connect(("127.0.0.1", gateway.port())).is_err());

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let number = taken.local_addr().expect("bound").port();
    let core = gateway.core_pid();
    gateway.edit_config(|config| config["gateway"]["port"] = json!(number));
    eventually("a fresh core", PATIENCE, || {
        (gateway.core_pid() != core).then_some(())
    });
    Ws::operator(fresh, gateway.token());
    logged(&gateway, "listening where it was before");
}

#[test]
fn a_broken_file_keeps_the_former_configuration_and_everybody_is_told() {
    let gateway = quick(Setup::new()).start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    let good = fs::read(gateway.config_path()).expect("a config");
    fs::write(gateway.config_path(), "{gateway: {port: 'soon'}}").expect("written");
    let told = ws.event_where("health", |p| !p["config"].is_null());
    let fault = &told["payload"]["config"];
    assert_eq!(fault["valid"], false);
    assert_eq!(fault["issues"][0]["path"], "gateway.port");
    assert_eq!(health(&gateway)["config"]["issues"], 1);
    let status = ws.call("status", json!({})).expect("an answer");
    assert!(
        status["config"]["note"]
            .as_str()
            .unwrap()
            .contains("the former configuration runs")
    );
    let get = ws.call("config.get", json!({})).expect("an answer");
    assert_eq!(get["valid"], false);
    assert_eq!(get["issues"][0]["path"], "gateway.port");
    logged(
        &gateway,
        "config reload skipped (invalid config): gateway.port",
    );
    let (_, out, _) = gateway.openclaw(&["status"]);
    assert!(out.contains("the former configuration runs"), "{out}");

    // Neither an operator's signal nor the file's disappearance brings it down.
    gateway.signal("USR1");
    eventually("a refusal", PATIENCE, || {
        gateway.stderr().contains("not restarting").then_some(())
    });
    fs::remove_file(gateway.config_path()).expect("removed");
    ws.event_where("health", |p| {
        p["config"]["issues"][0]["message"] == "the file is gone"
    });
    assert_eq!(gateway.core_pid(), core);

    fs::write(gateway.config_path(), good).expect("written");
    ws.event_where("health", |p| p["config"].is_null());
    assert!(health(&gateway)["config"].is_null());
    assert_eq!(gateway.core_pid(), core);
}

#[test]
fn what_could_not_start_is_refused_though_it_is_well_formed() {
    let gateway = quick(Setup::new()).start();
    let core = gateway.core_pid();
    let mut ws = gateway.connect();
    gateway.edit_config(|config| config["gateway"]["auth"] = json!({"mode": "token"}));
    let told = ws.event_where("health", |p| !p["config"].is_null());
    let message = told["payload"]["config"]["issues"][0]["message"].to_string();
    assert!(message.contains("no token is configured"), "{message}");
    assert_eq!(gateway.core_pid(), core);
}

#[test]
fn each_mode_does_as_it_says() {
    let mut setup = quick(Setup::new());
    setup.config["gateway"]["reload"]["mode"] = json!("hot");
    let mut gateway = setup.start();
    let core = gateway.core_pid();
    gateway.edit_config(|config| config["commands"] = json!({"restart": true}));
    logged(&gateway, "hot mode ignoring (commands.restart)");
    let (_, out, _) = gateway.openclaw(&["status"]);
    assert!(out.contains("waits for a restart"), "{out}");
    gateway.edit_config(|config| config["gateway"]["reload"]["mode"] = json!("off"));
    logged(&gateway, "config reload disabled (gateway.reload.mode=off)");
    assert_eq!(gateway.core_pid(), core);
    // Asked for plainly it is done.
    gateway.signal("HUP");
    gateway.wait_for("RELOADING=1");
    gateway.wait_for("READY=1");
    eventually("a fresh core", PATIENCE, || {
        (gateway.core_pid() != core).then_some(())
    });
    let core = gateway.core_pid();
    gateway.edit_config(|config| {
        config["gateway"]["reload"]["mode"] = json!("restart");
        config["ui"] = json!({"seamColor": "00aa00"});
    });
    eventually("a fresh core", PATIENCE, || {
        (gateway.core_pid() != core).then_some(())
    });
}

#[test]
fn included_files_links_and_editors_that_move_files_are_seen() {
    let mut setup = quick(Setup::new());
    setup.config["$include"] = json!("parts/agents.json");
    let part = setup.dir.path().join("state/parts/agents.json");
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    let agent = |id: &str| json!({"agents": {"list": [{"id": id}]}}).to_string();
    fs::write(&part, agent("one")).unwrap();
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let mut becomes = |id: &str| {
        eventually(id, PATIENCE, || {
            let agents = ws.call("agents.list", json!({})).expect("an answer");
            (agents["agents"][0]["id"] == id).then_some(())
        })
    };
    becomes("one");
    fs::write(&part, agent("two")).unwrap();
    becomes("two");
    // As vim does it: the old file is moved away, a new one written and moved in.
    fs::rename(&part, part.with_extension("bak")).unwrap();
    fs::write(part.with_extension("new"), agent("three")).unwrap();
    fs::rename(part.with_extension("new"), &part).unwrap();
    becomes("three");
    // The include becomes a link, and the link's end changes.
    let end = gateway.dir().join("agents-elsewhere.json");
    fs::write(&end, agent("four")).unwrap();
    fs::remove_file(&part).unwrap();
    std::os::unix::fs::symlink(&end, &part).unwrap();
    becomes("four");
    fs::write(&end, agent("five")).unwrap();
    becomes("five");
    // Byte by byte, as a slow copy.
    let text = agent("six");
    for n in 1..=text.len() {
        fs::write(&end, &text[..n]).unwrap();
    }
    becomes("six");
}

#[test]
fn watching_costs_no_wakeups() {
    let gateway = Gateway::start();
    let core = gateway.core_pid();
    // The start's own stragglers first.
    std::thread::sleep(Duration::from_secs(2));
    let before = proc::wakeups(core);
    std::thread::sleep(Duration::from_secs(2));
    // A thread that ended takes its count with it.
    let woken = proc::wakeups(core).saturating_sub(before);
    assert!(woken <= 2, "{woken} wakeups in 2 s");
}
