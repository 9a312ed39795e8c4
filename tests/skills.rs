//! Skills: found, judged, told to the model, configured, installed.

use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

fn put(dir: &Path, name: &str, front: &str) {
    let dir = dir.join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(
        dir.join("SKILL.md"),
        format!("---\n{front}\n---\n\n# How\n"),
    )
    .unwrap();
}

fn status(ws: &mut Ws) -> Value {
    ws.call("skills.status", json!({})).unwrap()
}

fn skill<'a>(status: &'a Value, name: &str) -> &'a Value {
    let all = status["skills"].as_array().unwrap();
    all.iter()
        .find(|skill| skill["name"] == name)
        .unwrap_or(&Value::Null)
}

#[test]
fn skills_of_every_place_are_listed_and_judged() {
    let mut setup = Setup::with_fake_model();
    let dir = setup.dir.path().to_path_buf();
    setup.config["skills"] = json!({
        "load": {"extraDirs": [dir.join("extra")]}, "allowBundled": ["other"],
        "entries": {"off": {"enabled": false}}
    });
    let setup = setup.env(
        "OPENCLAW_BUNDLED_SKILLS_DIR",
        dir.join("bundled").to_str().unwrap(),
    );
    put(&dir.join("extra"), "one", "name: one\ndescription: extra");
    put(
        &dir.join("bundled"),
        "own",
        "name: own\ndescription: bundled",
    );
    put(
        &dir.join("state/skills"),
        "one",
        "name: one\ndescription: managed",
    );
    put(
        &dir.join("workspace/skills"),
        "off",
        "name: off\ndescription: d",
    );
    put(
        &dir.join("workspace/skills"),
        "needy",
        r#"name: needy
description: d
homepage: https://example.org
metadata: {"openclaw":{"emoji":"X","primaryEnv":"KEY","requires":{"bins":["nosuchprogram"],"env":["KEY"],"config":["gateway.port"]},"install":[{"kind":"uv","package":"p","bins":["nosuchprogram"]}]}}"#,
    );
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let status = status(&mut ws);
    assert_eq!(
        status["workspaceDir"],
        gateway.workspace().to_str().unwrap()
    );
    assert_eq!(
        status["managedSkillsDir"],
        gateway.state().join("skills").to_str().unwrap()
    );
    let one = skill(&status, "one");
    assert_eq!(
        (&one["source"], &one["description"]),
        (&json!("openclaw-managed"), &json!("managed"))
    );
    assert_eq!(one["eligible"], true);
    let own = skill(&status, "own");
    assert_eq!(
        (&own["bundled"], &own["blockedByAllowlist"]),
        (&json!(true), &json!(true))
    );
    let off = skill(&status, "off");
    assert_eq!(
        (&off["disabled"], &off["eligible"]),
        (&json!(true), &json!(false))
    );
    let file = gateway.workspace().join("skills/needy/SKILL.md");
    assert_eq!(
        *skill(&status, "needy"),
        json!({
            "name": "needy", "description": "d", "source": "openclaw-workspace", "bundled": false,
            "filePath": file, "baseDir": file.parent(), "skillKey": "needy", "primaryEnv": "KEY",
            "emoji": "X", "homepage": "https://example.org", "always": false, "disabled": false,
            "blockedByAllowlist": false, "eligible": false,
            "requirements": {"bins": ["nosuchprogram"], "anyBins": [], "env": ["KEY"],
                "config": ["gateway.port"], "os": []},
            "missing": {"bins": ["nosuchprogram"], "anyBins": [], "env": ["KEY"], "config": [], "os": []},
            "configChecks": [{"path": "gateway.port", "value": gateway.port(), "satisfied": true}],
            "install": [{"id": "uv-0", "kind": "uv", "label": "Install p (uv)", "bins": ["nosuchprogram"]}]
        })
    );
    let unknown = ws
        .call("skills.status", json!({"agentId": "nope"}))
        .unwrap_err();
    assert_eq!(unknown["message"], "unknown agent id \"nope\"");
    let role = ws.call("skills.bins", json!({})).unwrap_err();
    assert_eq!(role["message"], "unauthorized role: operator");
}

#[test]
fn the_model_is_told_of_usable_skills_and_of_new_ones_in_the_next_turn() {
    let gateway = Gateway::with_fake_model();
    let skills = gateway.workspace().join("skills");
    put(&skills, "tea", "name: tea\ndescription: Makes <tea>");
    put(
        &skills,
        "no",
        "name: no\ndescription: d\nmetadata: {\"openclaw\":{\"os\":[\"plan9\"]}}",
    );
    let mut ws = gateway.connect();
    let say = |ws: &mut Ws, id: &str| {
        let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": id});
        ws.call("chat.send", params).unwrap();
        ws.event_where("chat", |p| p["runId"] == id && p["state"] == "final");
        let asked = gateway.model().requests().pop().unwrap();
        asked["messages"][0]["content"].to_string()
    };
    let prompt = say(&mut ws, "s1");
    assert!(prompt.contains("## Skills (mandatory)"), "{prompt}");
    assert!(prompt.contains("<name>tea</name>") && prompt.contains("Makes &lt;tea&gt;"));
    assert!(!prompt.contains("<name>no</name>"));
    put(&skills, "coffee", "name: coffee\ndescription: Makes coffee");
    assert!(say(&mut ws, "s2").contains("<name>coffee</name>"));
    let stored = eventually("the snapshot on disk", Duration::from_secs(5), || {
        let text = fs::read(gateway.state().join("agents/main/sessions/sessions.json")).ok()?;
        let stored: Value = serde_json::from_slice(&text).ok()?;
        let snapshot = &stored["agent:main:main"]["skillsSnapshot"];
        (snapshot["skills"].as_array()?.len() == 2).then(|| snapshot.clone())
    });
    assert_eq!(stored["version"], 0);
    assert_eq!(stored["resolvedSkills"][0]["name"], "coffee");
}

#[test]
fn a_skills_key_is_written_to_the_configuration_and_given_to_commands() {
    let mut setup = Setup::with_fake_model();
    setup.config["skills"] =
        json!({"entries": {"tea": {"apiKey": "leaf", "env": {"POT": "blue"}}}});
    let gateway = setup.start();
    put(
        &gateway.workspace().join("skills"),
        "tea",
        "name: tea\ndescription: d\nmetadata: {\"openclaw\":{\"primaryEnv\":\"TEA_KEY\"}}",
    );
    let mut ws = gateway.connect();
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": "echo $TEA_KEY-$POT"}),
    )]));
    let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "k1"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["state"] == "final");
    let asked = gateway.model().requests().pop().unwrap();
    assert!(
        asked["messages"].to_string().contains("leaf-blue"),
        "{asked}"
    );

    let update = |ws: &mut Ws, params: Value| ws.call("skills.update", params);
    let done = update(
        &mut ws,
        json!({"skillKey": "tea", "enabled": false, "apiKey": " new ", "env": {"POT": "", "CUP": " x "}}),
    )
    .unwrap();
    assert_eq!(
        done,
        json!({"ok": true, "skillKey": "tea",
            "config": {"apiKey": "new", "env": {"CUP": "x"}, "enabled": false}})
    );
    let raw = fs::read(gateway.config_path()).unwrap();
    let written: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(written["skills"]["entries"]["tea"]["apiKey"], "new");
    let cleared = update(&mut ws, json!({"skillKey": "tea", "apiKey": ""})).unwrap();
    assert!(cleared["config"].get("apiKey").is_none());
    let bad = update(&mut ws, json!({"skillKey": "tea", "env": {"A": 5}})).unwrap_err();
    assert_eq!(
        bad["message"],
        "invalid skills.update params: at /env/A: must be string"
    );
}

#[test]
fn an_installer_runs_through_the_tool_runner_and_says_how_it_went() {
    let setup = Setup::with_fake_model();
    let bin = setup.dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let uv = "#!/bin/sh\necho \"uv $*\"\n[ \"$3\" = good ] || { echo 'error: no such package' >&2; exit 3; }\n";
    fs::write(bin.join("uv"), uv).unwrap();
    fs::set_permissions(bin.join("uv"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let gateway = setup.env("PATH", &path).start();
    let skills = gateway.workspace().join("skills");
    let front = |package: &str| {
        format!(
            "name: {package}\ndescription: d\nmetadata: {{\"openclaw\":{{\"install\":[{{\"id\":\"get\",\"kind\":\"uv\",\"package\":\"{package}\"}}]}}}}"
        )
    };
    put(&skills, "good", &front("good"));
    put(&skills, "bad", &front("bad"));
    put(&skills, "evil", &front("--evil"));
    let mut ws = gateway.connect();
    let install = |ws: &mut Ws, name: &str, id: &str| {
        let sent = ws.send("skills.install", json!({"name": name, "installId": id}));
        ws.response(&sent)
    };
    let good = install(&mut ws, "good", "get");
    assert_eq!(
        good["payload"],
        json!({"ok": true, "message": "Installed", "stdout": "uv tool install good", "stderr": "", "code": 0}),
        "{good}"
    );
    let bad = install(&mut ws, "bad", "get");
    assert_eq!(
        (&bad["ok"], &bad["payload"]["code"]),
        (&json!(false), &json!(3))
    );
    assert_eq!(bad["error"]["code"], "UNAVAILABLE");
    assert_eq!(
        bad["error"]["message"],
        "Install failed (exit 3): error: no such package"
    );
    for (name, id, why) in [
        ("nope", "get", "Skill not found: nope"),
        ("good", "x", "Installer not found: x"),
        (
            "--evil",
            "get",
            "\"--evil\" is not a name that can be installed",
        ),
    ] {
        let refused = install(&mut ws, name, id);
        assert_eq!(refused["error"]["message"], why);
        assert_eq!(
            refused["payload"],
            json!({"ok": false, "message": why, "stdout": "", "stderr": "", "code": null})
        );
    }
}

#[test]
fn an_agent_with_a_list_of_skills_uses_no_others() {
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["list"] = json!([{"id": "main", "skills": ["tea"]}]);
    let gateway = setup.start();
    let skills = gateway.workspace().join("skills");
    put(&skills, "tea", "name: tea\ndescription: d");
    put(&skills, "coffee", "name: coffee\ndescription: d");
    let mut ws = gateway.connect();
    let params = json!({"sessionKey": "main", "message": "hi", "idempotencyKey": "l1"});
    ws.call("chat.send", params).unwrap();
    ws.event_where("chat", |p| p["state"] == "final");
    let asked = gateway.model().requests().pop().unwrap()["messages"][0].to_string();
    assert!(asked.contains("<name>tea</name>") && !asked.contains("<name>coffee</name>"));
}
