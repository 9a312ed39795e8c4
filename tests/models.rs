//! `openclaw models`: choosing models, keeping their keys, trying them.

use crate::harness::model::Reply;
use crate::harness::{Dir, FakeModel};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Output, Stdio};

const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

struct Home(Dir);

impl Home {
    fn new(config: &Value) -> Home {
        let home = Home(Dir::new("models"));
        std::fs::create_dir_all(home.0.path().join(".openclaw")).unwrap();
        home.write("openclaw.json", config);
        home
    }

    fn write(&self, name: &str, value: &Value) {
        let path = self.0.path().join(".openclaw").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }

    fn read(&self, name: &str) -> Value {
        let text = std::fs::read(self.0.path().join(".openclaw").join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(OPENCLAW);
        command
            .arg("models")
            .args(args.split_whitespace())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().expect("openclaw starts")
    }

    fn says(&self, args: &str) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args}: {}", err(&output));
        out(&output)
    }

    fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.says(&format!("{args} --json"))).expect("JSON")
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const STORE: &str = "agents/main/agent/auth-profiles.json";

#[test]
fn models_aliases_and_fallbacks_are_set_in_the_originals_words() {
    let home = Home::new(&json!({}));
    assert_eq!(
        home.says("set openai/gpt-5.2"),
        "Updated ~/.openclaw/openclaw.json\nDefault model: openai/gpt-5.2\n"
    );
    assert_eq!(
        home.says("aliases add fast openai/gpt-5.2"),
        "Updated ~/.openclaw/openclaw.json\nAlias fast -> openai/gpt-5.2\n"
    );
    home.says("fallbacks add sonnet");
    assert_eq!(
        home.says("fallbacks add fake/m1"),
        "Updated ~/.openclaw/openclaw.json\nFallbacks: anthropic/sonnet, fake/m1\n"
    );
    home.says("fallbacks add fake/m1");
    home.says("fallbacks remove anthropic/sonnet");
    assert_eq!(home.says("fallbacks list"), "Fallbacks (1):\n- fake/m1\n");
    home.says("image-fallbacks add fast");
    home.says("set-image google/gemini-3-flash");
    let defaults = home.read("openclaw.json")["agents"]["defaults"].clone();
    assert_eq!(
        defaults["model"],
        json!({"primary": "openai/gpt-5.2", "fallbacks": ["fake/m1"]})
    );
    assert_eq!(
        defaults["imageModel"],
        json!({"fallbacks": ["openai/gpt-5.2"], "primary": "google/gemini-3-flash-preview"})
    );
    // One that is built in came with the model.
    assert_eq!(
        home.says("aliases list --plain"),
        "fast openai/gpt-5.2\ngemini-flash google/gemini-3-flash-preview\n"
    );
    home.says("image-fallbacks clear");
    assert_eq!(home.json("image-fallbacks list"), json!({"fallbacks": []}));
    for (args, complaint) in [
        (
            "aliases add bad!alias openai/gpt-5.2",
            "Error: Alias must use letters, numbers, dots, underscores, colons, or dashes.\n",
        ),
        (
            "aliases add fast anthropic/x",
            "Error: Alias fast already points to openai/gpt-5.2.\n",
        ),
        ("aliases remove none", "Error: Alias not found: none\n"),
        ("fallbacks remove a/b", "Error: Fallback not found: a/b\n"),
        ("set /x", "Error: Invalid model reference: /x\n"),
        (
            "status --json --plain",
            "Error: Choose either --json or --plain, not both.\n",
        ),
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert_eq!(err(&output), complaint);
    }
}

#[test]
fn a_token_comes_on_stdin_and_never_shows_and_its_end_is_told_in_time() {
    let home = Home::new(&json!({"auth": {"order": {"anthropic": ["anthropic:other"]}}}));
    let mut child = home
        .command("auth paste-token --provider anthropic --expires-in 12h")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"sk-ant-oat01-secret-secret\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        out(&output),
        "Updated ~/.openclaw/openclaw.json\nAuth profile: anthropic:manual (anthropic/token)\n"
    );
    let profile = home.read(STORE)["profiles"]["anthropic:manual"].clone();
    assert_eq!(profile["token"], "sk-ant-oat01-secret-secret");
    let auth = home.read("openclaw.json")["auth"].clone();
    assert_eq!(
        auth["profiles"]["anthropic:manual"],
        json!({"provider": "anthropic", "mode": "token"})
    );
    assert_eq!(
        auth["order"]["anthropic"],
        json!(["anthropic:manual", "anthropic:other"])
    );
    let check = home.run("status --check --json");
    assert_eq!(check.status.code(), Some(2), "{}", err(&check));
    assert!(!out(&check).contains("secret-secret"));
    let nothing = home.run("auth paste-token --provider anthropic");
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        err(&nothing).contains("nothing on stdin"),
        "{}",
        err(&nothing)
    );
    for args in [
        "auth setup-token",
        "auth add",
        "auth login",
        "auth login-github-copilot",
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            err(&output).contains("requires an interactive TTY.\n  fix:"),
            "{args}"
        );
    }
}

#[test]
fn the_order_of_profiles_is_the_agents_own() {
    let home = Home::new(&json!({"agents": {"list": [{"id": "main"}, {"id": "ops"}]}}));
    let profile = |key: &str| json!({"type": "api_key", "provider": "openai", "key": key});
    home.write(STORE, &json!({"version": 1, "profiles": {"openai:a": profile("k1"), "openai:b": profile("k2")}, "mine": 1}));
    assert_eq!(
        home.json("auth order get --provider openai")["order"],
        Value::Null
    );
    let set = home.says("auth order set --provider openai openai:b openai:a --agent ops");
    assert_eq!(
        set,
        "Agent: ops\nProvider: openai\nOrder override: openai:b, openai:a\n"
    );
    assert_eq!(
        home.json("auth order get --provider openai")["order"],
        Value::Null
    );
    let own = home.json("auth order get --provider openai --agent ops");
    assert_eq!(own["order"], json!(["openai:b", "openai:a"]));
    home.says("auth order set --provider openai openai:b");
    home.says("auth order clear --provider openai");
    let store = home.read(STORE);
    assert!(
        store.get("order").is_none() && store["mine"] == 1,
        "{store}"
    );
    for (args, complaint) in [
        (
            "auth order set --provider openai openai:c",
            "Error: Auth profile \"openai:c\" not found in ",
        ),
        (
            "auth order set --provider zai openai:a",
            "Error: Auth profile \"openai:a\" is for openai, not zai.",
        ),
        (
            "auth order get --provider zai --agent no",
            "Error: Unknown agent id \"no\".",
        ),
        (
            "auth order get",
            "error: required option '--provider <name>' not specified",
        ),
    ] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(1), "{args}");
        assert!(
            err(&output).starts_with(complaint),
            "{args}: {}",
            err(&output)
        );
    }
}

#[test]
fn a_probe_tells_a_key_that_works_from_one_that_is_refused_and_wakes_a_resting_one() {
    let good = FakeModel::start();
    let bad = FakeModel::start();
    bad.otherwise(Reply::Error(
        401,
        json!({"error": {"message": "Incorrect API key provided"}}),
    ));
    let hung = FakeModel::start();
    hung.otherwise(Reply::Hang);
    let provider = |model: &FakeModel| {
        json!({"baseUrl": model.base_url(), "apiKey": "sk-0123456789abcdefgh",
            "api": "openai-completions", "models": [{"id": "m", "name": "M"}]})
    };
    let home = Home::new(&json!({
        "agents": {"defaults": {"model": {"primary": "good/m"}}},
        "models": {"providers": {"good": provider(&good), "bad": provider(&bad), "hung": provider(&hung)}},
    }));
    let soon = u64::MAX >> 14;
    home.write(
        STORE,
        &json!({"version": 1,
        "profiles": {"good:x": {"type": "api_key", "provider": "good", "key": "sk-x"}},
        "usageStats": {"good:x": {"errorCount": 3, "cooldownUntil": soon}}}),
    );
    assert_eq!(
        home.json("status")["auth"]["unusableProfiles"][0]["kind"],
        "cooldown"
    );
    let status = home.json("status --probe --probe-timeout 400 --probe-concurrency 3");
    let results = status["auth"]["probes"]["results"].as_array().unwrap();
    let told: Vec<(&str, &str, &str)> = results
        .iter()
        .map(|r| {
            ["provider", "label", "status"]
                .map(|key| r[key].as_str().unwrap())
                .into()
        })
        .collect();
    assert_eq!(
        told,
        [
            ("bad", "models.json", "auth"),
            ("good", "good:x", "ok"),
            ("hung", "models.json", "timeout")
        ]
    );
    assert_eq!(status["auth"]["probes"]["totalTargets"], 3);
    assert_eq!(good.requests()[0]["max_completion_tokens"], 8);
    let store = home.read(STORE);
    assert_eq!(store["usageStats"]["good:x"]["errorCount"], 0);
    assert_eq!(store["lastGood"]["good"], "good:x");
    assert_eq!(home.json("status")["auth"]["unusableProfiles"], json!([]));
    let only = home.says("status --probe --probe-provider bad");
    assert!(
        only.contains("Probed 1 target in ") && only.contains("↳ 401 Incorrect"),
        "{only}"
    );
}
