//! A state directory the original wrote: ours works on it, the original takes it back, and ours
//! again goes on with that.

use crate::harness::ws::Device;
use crate::harness::{Gateway, Setup, Ws, eventually, free_port, proc, skip};
use crate::parity::official;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const MAIN: &str = "agent:main:main";
const NOTES: &str = "agent:main:notes";

/// Files that nothing here concerns: they stay as they are, byte for byte.
const UNTOUCHED: [&str; 5] = [
    "credentials/telegram-allowFrom.json",
    "credentials/telegram-pairing.json",
    "telegram/update-offset-default.json",
    "settings/tts.json",
    "settings/voicewake.json",
];

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/state-samples")
}

/// The sample as it would lie in `state`, with its modes.
fn install(from: &Path, state: &Path) {
    fn copy(from: &Path, to: &Path, home: &str) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target, home);
            } else {
                let text = fs::read_to_string(entry.path()).unwrap();
                fs::write(target, text.replace("/home/user/.openclaw", home)).unwrap();
            }
        }
    }
    copy(&from.join("openclaw"), state, state.to_str().unwrap());
    for line in fs::read_to_string(from.join("MODES.tsv"))
        .unwrap()
        .lines()
        .skip(1)
    {
        let mut fields = line.split('\t');
        let (mode, path) = (fields.next().unwrap(), fields.nth(1).unwrap());
        let path = state.join(path);
        if let (Ok(mode), true) = (u32::from_str_radix(mode, 8), path.exists()) {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// The original's gateway on the folders of ours.
struct Original {
    child: Child,
    port: u16,
}

impl Original {
    fn start(ours: &Gateway) -> Original {
        let port = free_port();
        let mut command = Command::new(official::program().expect("the caller checked"));
        command
            .args(["gateway", "--port", &port.to_string()])
            .env_clear()
            .envs(environment(ours))
            .env("OPENCLAW_GATEWAY_PORT", port.to_string())
            .env("OPENCLAW_SKIP_CHANNELS", "1")
            .env("OPENCLAW_DISABLE_BONJOUR", "1")
            .env(official::READY.0, official::READY.1)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("the original starts");
        eventually(
            "the original's gateway listening",
            Duration::from_secs(180),
            || TcpStream::connect(("127.0.0.1", port)).ok(),
        );
        Original { child, port }
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // It may start itself again as a child, which outlives a parent that is killed alone.
        let pids = proc::tree(self.child.id());
        for pid in &pids {
            proc::signal(*pid, "TERM");
        }
        let gone = || {
            let _ = self.child.try_wait();
            pids.iter().all(|pid| !proc::is_alive(*pid))
        };
        let mut gone = gone;
        for _ in 0..2_000 {
            if gone() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for pid in &pids {
            proc::signal(*pid, "KILL");
        }
        let _ = self.child.wait();
    }
}

fn environment(ours: &Gateway) -> Vec<(String, String)> {
    let text = |path: PathBuf| path.to_str().unwrap().to_string();
    vec![
        ("PATH".into(), std::env::var("PATH").unwrap_or_default()),
        ("HOME".into(), text(ours.home())),
        ("OPENCLAW_STATE_DIR".into(), text(ours.state())),
        ("OPENCLAW_CONFIG_PATH".into(), text(ours.config_path())),
        ("TZ".into(), "UTC".into()),
    ]
}

fn official_cli(ours: &Gateway, args: &[&str]) -> (Option<i32>, String) {
    let env = environment(ours);
    let env: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let output = official::run(args, &env);
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn say(ws: &mut Ws, key: &str, text: &str, id: &str) {
    let params = json!({"sessionKey": key, "message": text, "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
}

fn history(ws: &mut Ws, key: &str) -> String {
    let shown = ws.call("chat.history", json!({"sessionKey": key})).unwrap();
    shown["messages"].to_string()
}

fn keys(list: &Value) -> Vec<String> {
    let rows = list["sessions"].as_array().unwrap();
    let mut keys: Vec<String> = rows
        .iter()
        .map(|row| row["key"].as_str().unwrap().to_string())
        .collect();
    keys.sort();
    keys
}

/// What the model was asked last.
fn asked(gateway: &Gateway) -> String {
    gateway.model().requests().pop().unwrap()["messages"].to_string()
}

#[test]
fn a_state_of_the_original_goes_through_ours_and_back() {
    let name = "a_state_of_the_original_goes_through_ours_and_back";
    let Some(setup) = on_the_sample() else {
        return skip(name, NO_SAMPLES);
    };
    let state = setup.dir.path().join("state");
    let before: Vec<Vec<u8>> = UNTOUCHED
        .map(|file| fs::read(state.join(file)).unwrap())
        .into();
    let mut gateway = setup.start();

    let mut ws = gateway.connect();
    let list = ws.call("sessions.list", json!({})).unwrap();
    let child = keys(&list)
        .into_iter()
        .find(|key| key.contains(":subagent:"))
        .unwrap();
    say(&mut ws, MAIN, "a word from ours", "o1");
    assert!(
        asked(&gateway).contains("Sample reply 1."),
        "the old conversation goes on"
    );
    say(&mut ws, NOTES, "the note of ours", "o2");
    let patch = json!({"key": NOTES, "label": "Kept", "thinkingLevel": "medium"});
    ws.call("sessions.patch", patch).unwrap();
    let cut = json!({"key": NOTES, "maxLines": 3});
    assert_eq!(ws.call("sessions.compact", cut).unwrap()["compacted"], true);
    ws.call(
        "sessions.patch",
        json!({"key": "Extra", "execHost": "gateway"}),
    )
    .unwrap();
    say(&mut ws, "agent:main:extra", "one more", "o2b");
    let gone = ws.call("sessions.delete", json!({"key": child})).unwrap();
    assert_eq!(gone["deleted"], true);
    let left = keys(&ws.call("sessions.list", json!({})).unwrap());
    assert!(left.contains(&"agent:main:extra".to_string()) && !left.contains(&child));
    drop(ws);
    assert!(gateway.stop().success());
    for (file, before) in UNTOUCHED.iter().zip(&before) {
        assert_eq!(&fs::read(state.join(file)).unwrap(), before, "{file}");
    }

    if let Err(why) = official::program() {
        return skip(name, &why);
    }
    let (code, out) = official_cli(&gateway, &["sessions", "--json"]);
    assert_eq!(code, Some(0), "{out}");
    let listed: Value = serde_json::from_str(&out[out.find('{').unwrap()..]).unwrap();
    assert_eq!(keys(&listed), left);
    let (code, out) = official_cli(&gateway, &["doctor", "--non-interactive"]);
    assert_eq!(code, Some(0), "{out}");
    for complaint in [
        "missing transcripts",
        "Main session transcript",
        "Legacy state",
    ] {
        assert!(!out.contains(complaint), "{out}");
    }
    {
        let original = Original::start(&gateway);
        let mut ws = Ws::operator(original.port, gateway.token());
        assert_eq!(keys(&ws.call("sessions.list", json!({})).unwrap()), left);
        let found = ws
            .call("sessions.resolve", json!({"label": "Kept"}))
            .unwrap();
        assert_eq!(found["key"], NOTES);
        assert!(history(&mut ws, MAIN).contains("a word from ours"));
        assert!(history(&mut ws, NOTES).contains("the note of ours"));
        say(&mut ws, MAIN, "a word from the original", "n1");
        let request = asked(&gateway);
        assert!(request.contains("a word from ours") && request.contains("Sample reply 1."));
        say(&mut ws, NOTES, "the original's note", "n2");
        assert!(
            asked(&gateway).contains("the note of ours"),
            "the shortened file has its header"
        );
    }
    gateway.start_again();
    let mut ws = gateway.connect();
    assert_eq!(keys(&ws.call("sessions.list", json!({})).unwrap()), left);
    say(&mut ws, MAIN, "ours again", "o3");
    let request = asked(&gateway);
    assert!(request.contains("a word from ours") && request.contains("a word from the original"));
    say(&mut ws, NOTES, "ours again", "o4");
    let request = asked(&gateway);
    assert!(request.contains("the note of ours") && request.contains("the original's note"));
}

const NO_SAMPLES: &str = "no ../shared/data/state-samples";

/// Ours on a copy of the sample, with a model of the harness.
fn on_the_sample() -> Option<Setup> {
    let samples = samples();
    if !samples.is_dir() {
        return None;
    }
    let mut setup = Setup::with_fake_model();
    let state = setup.dir.path().join("state");
    install(&samples, &state);
    let home = setup.dir.path().join("home/.openclaw");
    fs::create_dir_all(home.join("identity")).unwrap();
    for file in ["identity/device.json", "exec-approvals.json"] {
        fs::copy(state.join(file), home.join(file)).unwrap();
    }
    let text = fs::read(state.join("openclaw.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    config["gateway"] = setup.config["gateway"].clone();
    config["logging"] = setup.config["logging"].clone();
    let model = setup.model.as_ref().unwrap().base_url();
    config["models"]["providers"]["fake"]["baseUrl"] = model.into();
    // The sample is older than a day by now.
    config["session"] = json!({"reset": {"mode": "idle", "idleMinutes": 100_000_000}});
    setup.config = config;
    // So is its sub-agent, whose session is archived an hour after it began.
    let runs = state.join("subagents/runs.json");
    let text = fs::read_to_string(&runs).unwrap();
    let old = r#""archiveAtMs": 1795243418983"#;
    assert!(text.contains(old), "the sample has other times");
    fs::write(&runs, text.replace(old, r#""archiveAtMs": 9999999999999"#)).unwrap();
    Some(setup)
}

/// A hot change, so that no restart cuts the caller off.
fn edit(ws: &mut Ws, raw: &str) {
    let hash = ws.call("config.get", json!({})).unwrap()["hash"].clone();
    let params = json!({"raw": raw, "baseHash": hash, "restartDelayMs": 600_000});
    assert_eq!(ws.call("config.patch", params).unwrap()["ok"], true);
}

fn configured(ws: &mut Ws) -> Value {
    ws.call("config.get", json!({})).unwrap()["config"].clone()
}

/// Adds a job that nothing starts but this call, and runs it.
fn run_a_job(ws: &mut Ws, name: &str) -> String {
    let job = json!({
        "name": name, "enabled": true, "sessionTarget": "isolated", "wakeMode": "next-heartbeat",
        "schedule": {"kind": "cron", "expr": "0 0 1 1 *", "tz": "UTC"},
        "payload": {"kind": "agentTurn", "message": format!("do {name}")},
        "delivery": {"mode": "none"},
    });
    let id = ws.call("cron.add", job).unwrap()["id"].clone();
    let ran = ws
        .call("cron.run", json!({"id": id, "mode": "force"}))
        .unwrap();
    assert_eq!(ran["ran"], true, "{ran}");
    id.as_str().unwrap().into()
}

/// Every job has run once more and its log says so.
fn has_run(ws: &mut Ws, id: &str) {
    let jobs = ws
        .call("cron.list", json!({"includeDisabled": true}))
        .unwrap();
    let jobs = jobs["jobs"].as_array().unwrap();
    let job = jobs.iter().find(|job| job["id"] == id).expect("listed");
    assert_eq!(job["state"]["lastStatus"], "ok", "{job}");
    let runs = ws.call("cron.runs", json!({"id": id})).unwrap();
    assert_eq!(runs["entries"][0]["status"], "ok", "{runs}");
}

/// A device from elsewhere asks and is let in; it stays until its token is checked again.
fn approve(port: u16, token: &str, device: &Device) {
    let from_afar = [("X-Forwarded-For", "192.0.2.7")];
    let mut ws = Ws::open_with(port, &from_afar);
    let params = ws.signed(ws.params(token), device);
    let (error, _) = ws.hello(&params).unwrap_err();
    let id = error["details"]["requestId"].clone();
    let mut admin = Ws::operator(port, token);
    admin
        .call("device.pair.approve", json!({"requestId": id}))
        .unwrap();
    comes_in(port, token, device);
}

fn comes_in(port: u16, token: &str, device: &Device) {
    let mut ws = Ws::open_with(port, &[("X-Forwarded-For", "192.0.2.7")]);
    let params = ws.signed(ws.params(token), device);
    ws.hello(&params).expect("it is paired");
}

#[test]
fn edits_cron_runs_and_devices_of_each_program_are_the_others() {
    let name = "edits_cron_runs_and_devices_of_each_program_are_the_others";
    let Some(setup) = on_the_sample() else {
        return skip(name, NO_SAMPLES);
    };
    let mut gateway = setup.start();
    let token = gateway.token();
    let (ours, theirs) = (Device::new(), Device::new());
    let mut ws = gateway.connect();
    let listed = |ws: &mut Ws| {
        let jobs = ws.call("cron.list", json!({"includeDisabled": true}));
        jobs.unwrap()["jobs"].as_array().unwrap().len()
    };
    let sampled = listed(&mut ws);
    edit(&mut ws, "{messages: {responsePrefix: '[ours]'}}");
    let our_job = run_a_job(&mut ws, "a job of ours");
    approve(gateway.port(), token, &ours);
    drop(ws);
    assert!(gateway.stop().success());

    if let Err(why) = official::program() {
        return skip(name, &why);
    }
    let their_job = {
        let original = Original::start(&gateway);
        let mut ws = Ws::operator(original.port, token);
        assert_eq!(configured(&mut ws)["messages"]["responsePrefix"], "[ours]");
        assert_eq!(listed(&mut ws), sampled + 1);
        has_run(&mut ws, &our_job);
        comes_in(original.port, token, &ours);
        approve(original.port, token, &theirs);
        let job = run_a_job(&mut ws, "a job of the original");
        // The last: it starts itself anew two seconds later, whatever the edit was.
        edit(&mut ws, "{messages: {ackReaction: '🦞'}}");
        job
    };
    gateway.start_again();
    let mut ws = gateway.connect();
    let messages = &configured(&mut ws)["messages"];
    assert_eq!(messages["responsePrefix"], "[ours]");
    assert_eq!(messages["ackReaction"], "🦞");
    assert_eq!(listed(&mut ws), sampled + 2);
    for job in [&our_job, &their_job] {
        has_run(&mut ws, job);
    }
    for device in [&ours, &theirs] {
        comes_in(gateway.port(), token, device);
    }
}
