//! The unmodified official client, every command that asks the gateway something: the same exit
//! code, the same JSON keys and the same errors from ours as from the original's gateway.
//!
//! The expectations in tests/fixtures/parity/official-commands.json were written by a run against
//! the original (`OPENCLAW_PARITY=record`); `OPENCLAW_PARITY=original` checks that they still hold.

use super::server::{self, Server};
use super::{official, shape};
use crate::harness::{self, ws::Device};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

/// One command, its words separated by spaces (a word with a space in it stands in
/// backquotes). `=NAME:/a/b`
/// as the last word keeps that part of its JSON for later words `$NAME`.
type Lane = &'static [&'static str];

/// Each lane in order, the lanes two at a time: a call costs the client two seconds of processor.
const LANES: &[Lane] = &[
    &[
        "health --json",
        "health --verbose",
        "status --json",
        "status --deep --json",
        "gateway probe --json",
        "gateway status --json",
        "gateway health --json",
        "status --all",
        "channels status --json",
        "system presence --json",
        "system heartbeat last --json",
        "logs --limit 3 --json",
        "gateway call no.such.method",
        "gateway call chat.history --params {\"sessionKey\":7}",
        "security audit --deep --json",
    ],
    &[
        "agent --agent main --message hello --json",
        "agent --agent none --message hello",
        "devices list --json",
        "devices approve none",
        "devices reject none",
        "devices rotate --device none --role operator",
        "devices rotate --device $DEVICE --role operator --json",
        "devices revoke --device $DEVICE --role operator --json",
    ],
    &[
        "cron list --json",
        "cron add --name Report --every 10m --message `status please` --no-deliver --json =REPORT:/id",
        "cron add --name Once --at 20m --system-event ping --wake now --delete-after-run --json =ONCE:/id",
        "cron add --name Daily --cron `0 7 * * *` --tz Europe/Vienna --system-event up --json",
        "cron add --name Never --cron nonsense --system-event x",
        "cron list --all --json",
        "cron edit $REPORT --name Renamed --every 1h",
        "cron disable $REPORT",
        "cron enable $REPORT",
        "cron run $REPORT",
        "cron run $REPORT --force --timeout 60000",
        "cron run none --force",
        "cron runs --id $REPORT --limit 5",
        "cron rm $ONCE --json",
        "cron rm none",
        "cron status",
    ],
    &[
        "gateway usage-cost --json",
        "gateway call usage.status --json",
        "system event --text hello --mode next-heartbeat --json",
        "system heartbeat disable --json",
        "system heartbeat enable --json",
        "approvals get --gateway --json",
        "approvals allowlist add /usr/bin/uptime --agent main --gateway --json",
        "approvals allowlist remove /usr/bin/uptime --agent main --gateway --json",
        "gateway call sessions.patch --json --params {\"key\":\"agent:main:cli\",\"label\":\"Cli\",\"thinkingLevel\":\"high\"}",
        "gateway call sessions.patch --params {\"key\":\"agent:main:cli\",\"thinkingLevel\":\"much\"}",
        "gateway call sessions.delete --json --params {\"key\":\"agent:main:cli\"}",
        "gateway call sessions.delete --params {\"key\":\"agent:main:main\"}",
    ],
];

/// After the others: the original starts again when its configuration is written.
const LAST: Lane = &[
    "gateway call config.get --json =HASH:/hash",
    "gateway call config.set --params {\"raw\":\"{}\"}",
    "gateway call config.patch --params {\"raw\":\"{ui:5}\",\"baseHash\":\"$HASH\"}",
    "gateway call config.patch --json --params {\"raw\":\"{ui:{assistant:{name:'Claw'}}}\",\"baseHash\":\"$HASH\"}",
];

/// Values that follow the machine or what is built in, not the protocol.
const ELSEWHERE: &[&str] = &[
    // What a security audit finds.
    "$.findings[",
    "$.securityAudit.findings[",
    // A session's optional fields are its history.
    "$.sessions[",
    "$.sessions.recent[",
    "$.sessions.byAgent[",
    "$.targets[0].summary.sessions.",
];

/// Refused by both, each in the words of its own parser.
const OWN_WORDS: &[&str] = &["cron add --name Never --cron nonsense --system-event x"];

/// What `gateway call` of the original's client asks here; one that is there, one that is not.
const CALLED: &[&str] = &["usage.status", "no.such.method"];

/// Commands whose words are the same without the plugins, which cost the client two seconds of
/// processor to load.
const NEEDS_NO_PLUGINS: &[&str] = &["devices", "cron", "system", "approvals", "logs"];

struct Seen {
    exit: i32,
    /// One outline of the whole output when it is JSON, else of its first line, else nothing.
    json: Value,
    error: String,
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/official-commands.json")
}

#[test]
fn every_command_that_asks_the_gateway_ends_the_same_with_the_same_keys() {
    let test = "every_command_that_asks_the_gateway_ends_the_same_with_the_same_keys";
    if let Err(why) = official::program() {
        return harness::skip(test, &why);
    }
    let server = Server::start();
    let device = Device::new();
    drop(server.connect_device(&device));
    let seen = Mutex::new(BTreeMap::new());
    let light = official::without_plugins(&server.dir().join("state"));
    let run = |lane: Lane| {
        let mut names = BTreeMap::from([("DEVICE".to_string(), device.id())]);
        for command in lane {
            let outcome = ask(&server, &light, command, &mut names);
            seen.lock()
                .expect("no panic")
                .insert(command.to_string(), outcome);
        }
    };
    // The first connection of the client makes its key; two at once would make two.
    official::run(&["health"], &server.environment());
    for pair in LANES.chunks(2) {
        std::thread::scope(|scope| {
            for lane in pair {
                scope.spawn(|| run(lane));
            }
        });
    }
    run(LAST);
    let seen = seen.into_inner().expect("no panic");
    if server::is_recording() {
        return record(&seen);
    }
    let text = std::fs::read(fixture()).expect("the fixture");
    let expected: Map<String, Value> = serde_json::from_slice(&text).expect("JSON");
    let mut found = Vec::new();
    for (command, ours) in &seen {
        let mut differences = compare(&expected[command.as_str()], ours);
        if OWN_WORDS.contains(&command.as_str()) {
            differences.retain(|line| !line.starts_with('"'));
        }
        found.extend(differences.iter().map(|d| format!("{command}: {d}")));
    }
    assert!(
        found.is_empty(),
        "not as the original:\n  {}",
        found.join("\n  ")
    );
}

fn ask(server: &Server, light: &Path, command: &str, names: &mut BTreeMap<String, String>) -> Seen {
    let mut words = words(command);
    let keep = words
        .last()
        .and_then(|last| last.strip_prefix('='))
        .map(str::to_string);
    if keep.is_some() {
        words.pop();
    }
    for word in &mut words {
        for (name, value) in names.iter() {
            *word = word.replace(&format!("${name}"), value);
        }
    }
    let args: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut environment = server.environment();
    if NEEDS_NO_PLUGINS.contains(&args[0]) {
        let light = light.to_str().expect("UTF-8").to_string();
        environment.push(("OPENCLAW_CONFIG_PATH", light));
    }
    let output = match args[..2] == ["gateway", "call"] && !CALLED.contains(&args[2]) {
        true if !server::is_recording() => ours(&args, server),
        _ => official::run(&args, &environment),
    };
    let out = String::from_utf8_lossy(&output.stdout);
    let parsed = serde_json::from_str::<Value>(&out)
        .or_else(|_| serde_json::from_str(out.lines().next().unwrap_or_default()));
    let value = parsed
        .ok()
        .filter(|value| !value.is_number() && !value.is_string());
    if let Some((name, place)) = keep.as_deref().and_then(|keep| keep.split_once(':')) {
        let kept = value
            .as_ref()
            .and_then(|value| value.pointer(place)?.as_str());
        names.insert(name.into(), kept.unwrap_or("none").into());
    }
    Seen {
        exit: output.status.code().unwrap_or(-1),
        json: value.unwrap_or(Value::Null),
        error: first_line(&String::from_utf8_lossy(&output.stderr), server),
    }
}

/// Our own client, for what the original's only carries to the gateway and back.
fn ours(args: &[&str], server: &Server) -> Output {
    Command::new(env!("CARGO_BIN_EXE_openclaw"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NO_COLOR", "1")
        .envs(server.environment())
        .stdin(Stdio::null())
        .output()
        .expect("openclaw starts")
}

fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        match c {
            '`' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("one at least").push(c),
        }
    }
    words
}

/// What the client complained of first, without what differs from run to run.
fn first_line(text: &str, server: &Server) -> String {
    let line = text.lines().next().unwrap_or_default();
    let line = line.replace(server.dir().to_str().expect("UTF-8"), "$DIR");
    line.replace(&server.port().to_string(), "$PORT")
}

fn compare(expected: &Value, ours: &Seen) -> Vec<String> {
    let mut found = shape::differences(&expected["json"], &ours.json);
    found.retain(|line| !ELSEWHERE.iter().any(|place| line.starts_with(place)));
    if expected["json"].is_null() != ours.json.is_null() {
        found.push(format!("JSON: {}", !ours.json.is_null()));
    }
    if expected["exit"] != ours.exit {
        found.push(format!(
            "exit {} where the original has {}",
            ours.exit, expected["exit"]
        ));
    }
    if expected["exit"] != 0 && expected["error"] != ours.error.as_str() {
        found.push(format!(
            "{:?} where the original has {}",
            ours.error, expected["error"]
        ));
    }
    found
}

fn record(seen: &BTreeMap<String, Seen>) {
    let rows: Vec<String> = seen
        .iter()
        .map(|(command, seen)| {
            let mut row = json!({"exit": seen.exit});
            if !seen.json.is_null() {
                row["json"] = shape::outline(&seen.json);
            }
            if seen.exit != 0 {
                row["error"] = json!(seen.error);
            }
            format!("{}: {row}", json!(command))
        })
        .collect();
    let text = format!("{{\n{}\n}}\n", rows.join(",\n"));
    std::fs::create_dir_all(fixture().parent().expect("a folder")).expect("a folder");
    std::fs::write(fixture(), text).expect("written");
}
