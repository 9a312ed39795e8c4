//! Hooks: what happens at commands, turns and starts, and `openclaw hooks`.

use crate::harness::{Dir, Gateway, Setup, eventually, skip};
use crate::parity::official;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a HOOK.md and a handler.
fn hook(dir: &Path, name: &str, events: &[&str], handler: &str, text: &str) {
    fs::create_dir_all(dir).unwrap();
    let meta = json!({"openclaw": {"emoji": "🎯", "events": events, "requires": {"bins": ["sh"]}}});
    let front =
        format!("---\nname: {name}\ndescription: \"Does something\"\nmetadata: {meta}\n---\n");
    fs::write(dir.join("HOOK.md"), front).unwrap();
    let path = dir.join(handler);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn switched_on(entries: Value) -> Value {
    json!({"internal": {"enabled": true, "entries": entries}})
}

fn chat(gateway: &Gateway, text: &str) {
    let mut ws = gateway.connect();
    let id = openclaw::base::id::uuid();
    let params = json!({"message": text, "sessionKey": "main", "idempotencyKey": id});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |event| {
        event["state"] == "final" && event["runId"] == id.as_str()
    });
}

fn system(request: &Value) -> String {
    request["messages"][0]["content"].to_string()
}

#[test]
fn a_new_conversation_is_logged_noted_and_told_to_handlers() {
    let mut setup = Setup::with_fake_model();
    setup.config["hooks"] = switched_on(json!({"mine": {"env": {"GREETING": "Bye, old talk"}}}));
    let state = setup.dir.path().join("state");
    let seen = setup.dir.path().join("seen.json");
    let script = format!(
        "#!/bin/sh\ncat > '{0}.part'\nmv '{0}.part' '{0}'\necho working\n\
         printf '{{\"messages\":[\"%s\"]}}\\n' \"$GREETING\"\n",
        seen.display()
    );
    hook(
        &state.join("hooks/mine"),
        "mine",
        &["command:new"],
        "handler",
        &script,
    );
    // What the agent itself put there is not run, whatever its name.
    let stolen = setup.dir.path().join("stolen");
    let thief = format!("#!/bin/sh\ntouch '{}'\n", stolen.display());
    let workspace = setup.dir.path().join("workspace");
    hook(
        &workspace.join("hooks/mine"),
        "mine",
        &["command"],
        "handler",
        &thief,
    );
    hook(
        &workspace.join("hooks/other"),
        "other",
        &["command"],
        "handler",
        &thief,
    );
    let gateway = setup.start();
    chat(&gateway, "my cat is called Miezi");
    let mut watcher = gateway.connect();
    gateway.model().say(&["Hello again."]);
    gateway.model().say(&["cat-names"]);
    chat(&gateway, "/new");
    let told = watcher.event_where("chat", |event| {
        event["message"]["content"][0]["text"] == "Bye, old talk"
    });
    assert_eq!(told["payload"]["sessionKey"], "agent:main:main");
    let event: Value = serde_json::from_slice(&fs::read(&seen).unwrap()).unwrap();
    assert_eq!(event["type"], "command");
    assert_eq!(event["action"], "new");
    assert_eq!(event["sessionKey"], "agent:main:main");
    assert_eq!(event["context"]["commandSource"], "webchat");
    let (old, new) = (
        &event["context"]["previousSessionEntry"]["sessionId"],
        &event["context"]["sessionEntry"]["sessionId"],
    );
    assert!(old.is_string() && new.is_string() && old != new, "{event}");
    assert!(
        !event.to_string().contains(gateway.token()),
        "no secret of ours"
    );
    let log = fs::read_to_string(state.join("logs/commands.log")).unwrap();
    let line: Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(
        (&line["action"], &line["source"]),
        (&json!("new"), &json!("webchat"))
    );
    let note = eventually("a note", PATIENCE, || {
        let files = fs::read_dir(workspace.join("memory")).ok()?;
        let path = files.flatten().next()?.path();
        let text = fs::read_to_string(&path)
            .ok()
            .filter(|text| text.ends_with('\n'))?;
        Some((path, text))
    });
    assert!(
        note.1.contains("user: my cat is called Miezi\n"),
        "{}",
        note.1
    );
    assert!(
        note.1.contains("assistant: Hello from the fake model."),
        "{}",
        note.1
    );
    assert!(!stolen.exists());
    // And a stop.
    let mut ws = gateway.connect();
    let stop = json!({"message": "/stop", "sessionKey": "main", "idempotencyKey": "s"});
    ws.call("chat.send", stop).unwrap();
    eventually("the stop in the log", PATIENCE, || {
        let log = fs::read_to_string(state.join("logs/commands.log")).unwrap();
        log.contains(r#""action":"stop""#).then_some(())
    });
}

#[test]
fn handlers_change_what_a_turn_is_shown() {
    let mut setup = Setup::with_fake_model();
    setup.config["hooks"] = switched_on(json!({
        "soul-evil": {"enabled": true, "env": {"CHANCE": "1"}},
    }));
    let workspace = setup.dir.path().join("workspace");
    fs::write(workspace.join("SOUL.md"), "I am kind.").unwrap();
    fs::write(workspace.join("SOUL_EVIL.md"), "I am mean.").unwrap();
    let gateway = setup.start();
    chat(&gateway, "hello");
    let shown = system(&gateway.model().requests()[0]);
    assert!(shown.contains("I am mean.") && !shown.contains("I am kind."));
    assert_eq!(
        fs::read_to_string(workspace.join("SOUL.md")).unwrap(),
        "I am kind."
    );
    // A program in its place.
    gateway.edit_config(|config| config["hooks"] = switched_on(json!({})));
    let answer = r#"{"bootstrapFiles":[{"name":"SOUL.md","content":"I am a program."}]}"#;
    let script = format!("#!/bin/sh\ncat > /dev/null\necho '{answer}'\n");
    let dir = gateway.state().join("hooks/mine");
    hook(&dir, "mine", &["agent:bootstrap"], "handler", &script);
    eventually("the other files", PATIENCE, || {
        gateway.model().forget();
        chat(&gateway, "hello");
        let shown = system(&gateway.model().requests()[0]);
        shown.contains("I am a program.").then_some(())
    });
    // One that fails changes nothing.
    fs::write(dir.join("handler"), "#!/bin/sh\nexit 3\n").unwrap();
    gateway.model().forget();
    chat(&gateway, "hello");
    assert!(system(&gateway.model().requests()[0]).contains("I am kind."));
    assert!(gateway.log().contains("mine at agent:bootstrap"));
}

#[test]
fn boot_md_is_done_at_the_start() {
    let mut setup = Setup::with_fake_model();
    setup.config["hooks"] = switched_on(json!({}));
    let workspace = setup.dir.path().join("workspace");
    fs::write(workspace.join("BOOT.md"), "Water the plants.").unwrap();
    let gateway = setup.start();
    let request = gateway.model().wait_request(1);
    assert!(
        request["messages"]
            .to_string()
            .contains("Water the plants.")
    );
}

#[test]
fn a_module_for_node_is_called_as_the_original_calls_it() {
    const NAME: &str = "a_module_for_node_is_called_as_the_original_calls_it";
    if Command::new("node").arg("--version").output().is_err() {
        return skip(NAME, "no node");
    }
    let mut setup = Setup::with_fake_model();
    setup.config["hooks"] = switched_on(json!({"session-memory": {"enabled": false}}));
    let module = "export default async (event) => {
        if (!(event.timestamp instanceof Date)) throw new Error('no date');
        event.messages.push(`${event.type} ${event.action}`);
    };";
    let dir = setup.dir.path().join("state/hooks/mine");
    hook(&dir, "mine", &["command"], "handler.mjs", module);
    let gateway = setup.start();
    let mut watcher = gateway.connect();
    chat(&gateway, "/reset");
    watcher.event_where("chat", |event| {
        event["message"]["content"][0]["text"] == "command reset"
    });
}

/// `openclaw ARGS` with a state of its own and no gateway.
struct House(Dir);

impl House {
    fn new(name: &str) -> House {
        let house = House(Dir::new(name));
        fs::create_dir_all(house.state()).unwrap();
        fs::write(house.state().join("openclaw.json"), "{}").unwrap();
        house
    }

    fn state(&self) -> std::path::PathBuf {
        self.0.path().join("state")
    }

    fn env(&self) -> [(&'static str, std::path::PathBuf); 4] {
        [
            ("HOME", self.0.path().into()),
            ("OPENCLAW_STATE_DIR", self.state()),
            ("OPENCLAW_CONFIG_PATH", self.state().join("openclaw.json")),
            ("OPENCLAW_RUNTIME_DIR", self.0.path().join("run")),
        ]
    }

    fn openclaw(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.env())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn text(&self, args: &[&str]) -> String {
        let output = self.openclaw(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.text(args)).unwrap()
    }

    fn config(&self) -> Value {
        serde_json::from_slice(&fs::read(self.state().join("openclaw.json")).unwrap()).unwrap()
    }
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let hooks = list["hooks"].as_array().unwrap();
    hooks.iter().find(|hook| hook["name"] == name).unwrap()
}

#[test]
fn hooks_are_listed_told_of_and_switched_as_in_the_original() {
    const NAME: &str = "hooks_are_listed_told_of_and_switched_as_in_the_original";
    let house = House::new("hooks-cli");
    hook(
        &house.state().join("hooks/my-hook"),
        "my-hook",
        &["command:new"],
        "handler.js",
        "",
    );
    let list = house.json(&["hooks", "list", "--json"]);
    assert_eq!(list["hooks"].as_array().unwrap().len(), 5);
    assert_eq!(named(&list, "command-logger")["source"], "openclaw-bundled");
    assert_eq!(named(&list, "soul-evil")["eligible"], false);
    let check = house.json(&["hooks", "check", "--json"]);
    assert_eq!(check["notEligible"], 1);
    assert_eq!(check["hooks"]["notEligible"][0]["name"], "soul-evil");
    assert!(house.text(&["hooks"]).starts_with("Hooks (4/5 ready)"));
    let missing = house.text(&["hooks", "info", "none"]);
    assert!(missing.starts_with("Hook \"none\" not found."));
    assert!(
        house
            .text(&["hooks", "enable", "soul-evil"])
            .starts_with("✓ Enabled hook: 😈")
    );
    assert!(
        house
            .text(&["hooks", "disable", "my-hook"])
            .starts_with("⏸ Disabled hook: 🎯")
    );
    let internal = &house.config()["hooks"]["internal"];
    assert_eq!(internal["enabled"], true);
    assert_eq!(internal["entries"]["soul-evil"]["enabled"], true);
    assert_eq!(internal["entries"]["my-hook"]["enabled"], false);
    let failed = house.openclaw(&["hooks", "enable", "none"]);
    assert_eq!(failed.status.code(), Some(1));
    assert_eq!(failed.stderr, b"Error: Hook \"none\" not found\n");
    if let Err(why) = official::program() {
        return skip(NAME, &why);
    }
    let theirs = |args: &[&str]| -> Value {
        let output = official::run(args, &house.env());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    };
    let (ours, other) = (
        house.json(&["hooks", "list", "--json"]),
        theirs(&["hooks", "list", "--json"]),
    );
    assert_eq!(named(&ours, "my-hook"), named(&other, "my-hook"));
    assert_eq!(ours["managedHooksDir"], other["managedHooksDir"]);
    let (mut ours, other) = (
        house.json(&["hooks", "info", "my-hook", "--json"]),
        theirs(&["hooks", "info", "my-hook", "--json"]),
    );
    // A module needs node here, and says so.
    assert_eq!(ours["requirements"]["bins"], json!(["sh", "node"]));
    ours["requirements"]["bins"] = json!(["sh"]);
    assert_eq!(ours, other);
}

#[test]
fn packs_are_installed_from_folders_and_archives_and_linked() {
    let house = House::new("hooks-install");
    let pack = house.0.path().join("pack");
    hook(
        &pack.join("hooks/one"),
        "one",
        &["command"],
        "handler",
        "#!/bin/sh\n",
    );
    let package = json!({"name": "@acme/my-pack", "version": "0.1.0", "openclaw": {"hooks": ["./hooks/one"]}});
    fs::write(pack.join("package.json"), package.to_string()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", pack.join("hooks/one/link")).unwrap();
    let path = pack.to_str().unwrap();
    let said = house.text(&["hooks", "install", path]);
    assert!(said.contains("Installed hooks: one\n"), "{said}");
    let place = house.state().join("hooks/my-pack");
    assert!(place.join("hooks/one/handler").exists());
    assert!(!place.join("hooks/one/link").exists());
    let record = &house.config()["hooks"]["internal"]["installs"]["my-pack"];
    assert_eq!(record["source"], "path");
    assert_eq!(record["hooks"], json!(["one"]));
    let again = house.openclaw(&["hooks", "install", path]);
    let text = String::from_utf8(again.stderr).unwrap();
    assert!(text.starts_with("hook pack already exists: "), "{text}");
    let update = house.text(&["hooks", "update", "--all"]);
    assert_eq!(update, "Skipping \"my-pack\" (source: path).\n");

    let single = house.0.path().join("single");
    hook(&single, "single", &["command"], "handler", "#!/bin/sh\n");
    let archive = house.0.path().join("single.tgz");
    let tar = Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .args(["-C", house.0.path().to_str().unwrap(), "single"])
        .status();
    assert!(tar.unwrap().success());
    let said = house.text(&["hooks", "install", archive.to_str().unwrap()]);
    assert!(said.contains("Installed hooks: single\n"), "{said}");
    assert!(house.state().join("hooks/single/HOOK.md").exists());

    let linked = house.0.path().join("linked");
    hook(&linked, "linked", &["command"], "handler", "#!/bin/sh\n");
    house.text(&["hooks", "install", "-l", linked.to_str().unwrap()]);
    let list = house.json(&["hooks", "list", "--json", "--eligible"]);
    assert_eq!(named(&list, "linked")["source"], "openclaw-extra");
    let none = house.openclaw(&["hooks", "install", house.0.path().to_str().unwrap()]);
    assert!(
        String::from_utf8(none.stderr)
            .unwrap()
            .contains("no hooks in it")
    );
    let left = fs::read_dir(house.state().join("hooks")).unwrap().count();
    assert_eq!(left, 2, "nothing half installed is left");
}
