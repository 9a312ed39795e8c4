//! Config, logs, debug, and the agents' files.

use super::webdriver::Seat;
use super::{connected, fill, go, looks_right, open, press, shows};
use crate::harness::{Gateway, Setup, Ws, eventually};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_log_is_followed_filtered_and_bounded() {
    let gateway = Gateway::start();
    let Some(browser) = open("the_log_is_followed_filtered_and_bounded", &gateway, "logs") else {
        return;
    };
    shows(&browser, ".loglines", "openclaw");
    let line = |level: &str, text: &str| {
        json!({"0": "{\"subsystem\":\"garden\"}", "1": text, "_meta": {"logLevelName": level}, "time": "2026-11-27T05:00:00Z"}).to_string() + "\n"
    };
    append(
        &gateway,
        &(line("WARN", "the tomatoes are dry") + &line("INFO", "the hose is on")),
    );
    shows(&browser, ".loglines .warn", "the tomatoes are dry");
    looks_right(&browser, "logs");
    press(&browser, ".chips", "info");
    browser.wait(
        "info is hidden",
        5,
        "return !document.querySelector('.loglines').innerText.includes('the hose is on')",
    );
    press(&browser, ".chips", "info");
    fill(&browser, "input[name=filter]", "GARDEN");
    browser.wait(
        "two are left",
        5,
        "return document.querySelectorAll('.loglines li').length === 2",
    );
    fill(&browser, "input[name=filter]", "");
    for batch in 0..6 {
        let text: String = (0..450)
            .map(|i| line("DEBUG", &format!("line {batch}.{i}")))
            .collect();
        append(&gateway, &text);
        shows(&browser, ".loglines", &format!("line {batch}.449"));
    }
    let count = browser.eval("return document.querySelectorAll('.loglines li').length");
    assert!(count.as_u64() <= Some(2000), "{count} lines are kept");
    let bottom = browser.eval("const n = document.querySelector('.loglines'); return n.scrollHeight - n.scrollTop - n.clientHeight");
    assert!(bottom.as_f64() < Some(60.0), "it follows: {bottom}");
}

#[test]
fn any_method_can_be_called_and_events_are_seen() {
    let gateway = Gateway::with_fake_model();
    let Some(browser) = open(
        "any_method_can_be_called_and_events_are_seen",
        &gateway,
        "debug",
    ) else {
        return;
    };
    fill(&browser, "input[name=method]", "agents.list");
    press(&browser, ".view", "Call");
    shows(&browser, ".json", "\"defaultId\": \"main\"");
    fill(&browser, "textarea[name=params]", "{\"surplus\": 1}");
    press(&browser, ".view", "Call");
    shows(
        &browser,
        ".notice.error",
        "INVALID_REQUEST: invalid agents.list params",
    );
    fill(&browser, "textarea[name=params]", "{not json");
    press(&browser, ".view", "Call");
    shows(&browser, ".notice.error", "The params are no JSON");
    browser.eval("document.querySelector('details.fold-card').open = true");
    shows(&browser, "details.fold-card", "\"sessions\"");
    gateway.connect();
    shows(&browser, ".events", "presence");
    looks_right(&browser, "debug");
}

fn append(gateway: &Gateway, text: &str) {
    use std::io::Write;
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .open(gateway.log_path())
        .expect("the log");
    log.write_all(text.as_bytes()).expect("written");
}

#[test]
fn the_configuration_is_checked_as_it_is_edited_and_keeps_its_comments() {
    let test = "the_configuration_is_checked_as_it_is_edited_and_keeps_its_comments";
    let gateway = Gateway::with_fake_model();
    let text = std::fs::read_to_string(gateway.config_path()).expect("a config");
    let noted = text.replacen("\"logging\"", "// quiet, please\n  \"logging\"", 1);
    openclaw::base::atomic::write(
        &gateway.config_path(),
        format!("// mine\n{noted}").as_bytes(),
    )
    .expect("written");
    let Some(browser) = open(test, &gateway, "config") else {
        return;
    };
    use_wrong_config(&browser);
    use_config_form(&browser);
    let text = std::fs::read_to_string(gateway.config_path()).expect("a config");
    assert!(text.contains("\"warn\""), "{text}");
}

#[test]
fn two_people_who_change_the_config_lose_nothing() {
    let test = "two_people_who_change_the_config_lose_nothing";
    let gateway = Gateway::with_fake_model();
    let Some(browser) = open(test, &gateway, "config") else {
        return;
    };
    shows(&browser, ".section", "Gateway");
    press(&browser, ".sections", "Logging");
    fill(&browser, "[id='f-logging.level']", "\"warn\"");
    gateway.edit_config(|config| config["ui"] = json!({"assistant": {"name": "Somebody else's"}}));
    press(&browser, ".view", "Save");
    shows(&browser, ".notice.warn", "changed by somebody else");
    let text = std::fs::read_to_string(gateway.config_path()).unwrap();
    assert!(
        text.contains("Somebody else's") && !text.contains("\"warn\""),
        "{text}"
    );
    press(&browser, ".notice.warn", "Take theirs, drop mine");
    press(&browser, ".view", "File");
    let raw = browser.eval("return document.querySelector('textarea[name=raw]').value");
    assert!(raw.as_str().unwrap().contains("Somebody else's"), "{raw}");
}

#[test]
fn an_agents_file_is_read_changed_and_not_lost_by_leaving() {
    let test = "an_agents_file_is_read_changed_and_not_lost_by_leaving";
    let gateway = Gateway::with_fake_model();
    let Some(browser) = open(test, &gateway, "agents") else {
        return;
    };
    use_agent_file(&browser);
    let text = std::fs::read_to_string(gateway.workspace().join("SOUL.md")).expect("the file");
    assert_eq!(text, "Be kind, and brief.");
}

#[test]
fn any_edits_of_the_text_equal_the_same_edits_of_its_meaning() {
    let gateway = Gateway::start();
    let test = "any_edits_of_the_text_equal_the_same_edits_of_its_meaning";
    let Some(browser) = open(test, &gateway, "debug") else {
        return;
    };
    let seed = openclaw::base::id::random::<4>();
    let seed = u32::from_le_bytes(seed) >> 1;
    let run = format!(
        "edits(4000, {seed}).then((found) => {{ window.found = found; }}, (err) => {{ window.found = String(err); }});"
    );
    browser.eval(&format!(
        "{}{run}",
        include_str!("../fixtures/browser/edits.js")
    ));
    let found = browser.wait("the edits", 60, "return window.found");
    assert_eq!(found, 12_000, "seed {seed}");
}

/// Wrong values are named by both editors, and what is dropped is gone. The file has a provider's
/// model `fake-1` in it.
pub fn use_wrong_config(browser: &Seat) {
    go(browser, "config");
    shows(browser, ".section", "Gateway");
    press(browser, ".sections", "Gateway");
    shows(browser, ".settings", "gateway.port");
    fill(browser, "[id='f-gateway.port']", "-5");
    shows(browser, ".issues", "gateway.port must be more than 0");
    shows(browser, ".setting .bad", "must be more than 0");
    looks_right(browser, "config-wrong");
    press(browser, ".view", "File");
    let raw = "return document.querySelector('textarea[name=raw]').value";
    let text = browser.eval(raw).as_str().unwrap().to_string();
    assert!(text.contains(": -5"), "both editors have one draft: {text}");
    fill(
        browser,
        "textarea[name=raw]",
        "{ gateway: { moode: 'local' } ",
    );
    shows(browser, ".notice.error", "line 1, column 31");
    fill(
        browser,
        "textarea[name=raw]",
        "{ gateway: { moode: 'local' } }",
    );
    shows(browser, ".issues", "gateway.moode is no known key; mode is");
    press(browser, ".view", "Discard");
    let text = browser.eval(raw).as_str().unwrap().to_string();
    assert!(text.contains("fake-1") && !text.contains(": -5"), "{text}");
    looks_right(browser, "config-file");
}

/// One value by the form.
pub fn use_config_form(browser: &Seat) {
    go(browser, "config");
    press(browser, ".tabs", "Form");
    press(browser, ".sections", "Logging");
    shows(browser, ".settings", "logging.level");
    fill(browser, "[id='f-logging.level']", "\"warn\"");
    press(browser, ".view", "Save");
    shows(browser, ".toasts", "Saved");
    // The gateway may restart for it.
    connected(browser);
    press(browser, ".view", "Reload");
    press(browser, ".tabs", "File");
    browser.wait(
        "the file has the new value",
        30,
        "const text = document.querySelector('textarea[name=raw]').value;\
         return text.includes('\"warn\"') && text.includes('fake-1')",
    );
}

/// A file of the agent's is read, changed, and not left unsaved without a question.
pub fn use_agent_file(browser: &Seat) {
    go(browser, "agents");
    shows(browser, ".sections", "SOUL.md");
    browser.click(".sections [data-name='SOUL.md']");
    let text = "return document.querySelector('textarea[name=file]').value";
    browser.wait(
        "it is read",
        10,
        "return !document.querySelector('.file-editor').hidden",
    );
    looks_right(browser, "agents");
    fill(browser, "textarea[name=file]", "Be kind, and brief.");
    browser.click(".sections [data-name='USER.md']");
    shows(browser, "dialog", "SOUL.md is lost");
    press(browser, "dialog", "Cancel");
    press(browser, ".file-editor", "Save");
    shows(browser, ".toasts", "SOUL.md saved");
    browser.click(".sections [data-name='USER.md']");
    shows(browser, ".file-editor h2", "USER.md");
    browser.click(".sections [data-name='SOUL.md']");
    shows(browser, ".file-editor h2", "SOUL.md");
    assert_eq!(browser.eval(text), "Be kind, and brief.");
}

#[test]
fn a_skill_is_switched_off_given_its_key_and_what_it_lacks_is_installed() {
    let setup = Setup::with_fake_model();
    let skill = setup.dir.path().join("workspace/skills/weather");
    std::fs::create_dir_all(&skill).unwrap();
    let front = r#"name: weather
description: How the weather will be.
metadata: {"openclaw":{"emoji":"☀","primaryEnv":"WEATHER_KEY","requires":{"env":["WEATHER_KEY"]}}}"#;
    std::fs::write(
        skill.join("SKILL.md"),
        format!("---\n{front}\n---\n\n# How\n"),
    )
    .unwrap();
    let tea = setup.dir.path().join("workspace/skills/tea");
    std::fs::create_dir_all(&tea).unwrap();
    let front = r#"name: tea
description: Makes tea.
metadata: {"openclaw":{"requires":{"bins":["teapot"]},"install":[{"id":"pot","kind":"uv","package":"teapot","bins":["teapot"]}]}}"#;
    std::fs::write(
        tea.join("SKILL.md"),
        format!("---\n{front}\n---\n\n# How\n"),
    )
    .unwrap();
    // Stands for uv: it fails once, then it puts the program on the path.
    let bin = setup.dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let uv = format!(
        "#!/bin/sh\ncd {}\n[ -e asked ] || {{ : > asked; echo 'error: no network' >&2; exit 3; }}\n\
         cp uv teapot\n",
        bin.display()
    );
    std::fs::write(bin.join("uv"), uv).unwrap();
    std::fs::set_permissions(bin.join("uv"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let gateway = setup.env("PATH", &path).start();
    let test = "a_skill_is_switched_off_given_its_key_and_what_it_lacks_is_installed";
    let Some(browser) = open(test, &gateway, "agents") else {
        return;
    };
    let row = ".rows li[data-key=tea]";
    shows(&browser, row, "needs teapot");
    press(&browser, row, "Install teapot (uv)");
    shows(
        &browser,
        ".toasts",
        "Install failed (exit 3): error: no network",
    );
    shows(&browser, &format!("{row} .badge"), "not ready");
    press(&browser, row, "Install teapot (uv)");
    shows(&browser, ".toasts", "Installed");
    shows(&browser, &format!("{row} .badge"), "ready");
    // With what it lacks there, there is nothing to install any more.
    let buttons = format!("return document.querySelectorAll('{row} button').length");
    assert_eq!(browser.eval(&buttons), 0);
    let row = ".rows li[data-key=weather]";
    shows(&browser, row, "needs WEATHER_KEY");
    shows(&browser, &format!("{row} .badge"), "not ready");
    fill(
        &browser,
        &format!("{row} input[name=apiKey]"),
        "sunny-secret",
    );
    press(&browser, row, "Save key");
    shows(&browser, &format!("{row} .badge"), "ready");
    let mut ws = gateway.connect();
    let mut entry = || -> Value {
        let config = ws.call("config.get", json!({})).unwrap();
        config["parsed"]["skills"]["entries"]["weather"].clone()
    };
    assert_eq!(entry()["apiKey"], "sunny-secret");
    let page = browser.eval("return document.documentElement.outerHTML");
    assert!(
        !page.as_str().unwrap().contains("sunny-secret"),
        "the key is shown again"
    );
    looks_right(&browser, "skills");
    browser.click(&format!("{row} input[type=checkbox]"));
    shows(&browser, &format!("{row} .badge"), "off");
    assert_eq!(entry()["enabled"], false);
}

#[test]
fn what_the_agent_may_run_is_changed_and_an_older_view_changes_nothing() {
    let gateway = Gateway::start();
    let always = json!({"version": 1, "agents": {"main": {"allowlist": [
        {"id": "a", "pattern": "/usr/bin/make"}, {"id": "b", "pattern": "/usr/bin/git"}]}}});
    let mut ws = gateway.connect();
    let set = |ws: &mut Ws, file: &Value| {
        let now = ws.call("exec.approvals.get", json!({})).unwrap();
        let params = json!({"file": file, "baseHash": now["hash"]});
        ws.call("exec.approvals.set", params).unwrap()
    };
    set(&mut ws, &always);
    let test = "what_the_agent_may_run_is_changed_and_an_older_view_changes_nothing";
    let Some(browser) = open(test, &gateway, "devices") else {
        return;
    };
    let agent = "article[aria-label='Agent main']";
    shows(&browser, agent, "/usr/bin/make");
    fill(
        &browser,
        "article[aria-label=Defaults] select[name=security]",
        "allowlist",
    );
    shows(&browser, ".toasts", "Saved");
    fill(&browser, &format!("{agent} select[name=ask]"), "always");
    let stored = |ws: &mut Ws| ws.call("exec.approvals.get", json!({})).unwrap()["file"].clone();
    eventually("both are stored", PATIENCE, || {
        let file = stored(&mut ws);
        let both = file["defaults"]["security"] == "allowlist"
            && file["agents"]["main"]["ask"] == "always";
        both.then_some(())
    });
    press(&browser, &format!("{agent} li:first-child"), "Remove");
    browser.wait(
        "one is left",
        10,
        "return document.querySelectorAll('article[aria-label=\"Agent main\"] li').length === 1",
    );
    looks_right(&browser, "exec-policy");
    // Somebody else was there since this page was drawn.
    let mut other = stored(&mut ws);
    other["defaults"]["askFallback"] = "deny".into();
    set(&mut ws, &other);
    press(&browser, &format!("{agent} li"), "Remove");
    browser.wait(
        "the other's change is shown",
        10,
        "return document.querySelector('article[aria-label=Defaults] select[name=askFallback]').value === 'deny'",
    );
    shows(&browser, agent, "/usr/bin/git");
    assert_eq!(
        stored(&mut ws)["agents"]["main"]["allowlist"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_update_says_what_installed_the_gateway_and_starts_it_anew() {
    let gateway = Gateway::with_fake_model();
    let test = "an_update_says_what_installed_the_gateway_and_starts_it_anew";
    let Some(browser) = open(test, &gateway, "overview") else {
        return;
    };
    let first = gateway.core_pid();
    press(&browser, ".card", "Update");
    press(&browser, "dialog", "Cancel");
    press(&browser, ".card", "Update");
    press(&browser, "dialog", "Update and restart");
    shows(&browser, ".card .notice", "Not updated: this program ");
    eventually("the next core", PATIENCE, || {
        (gateway.core_pid() != first).then_some(())
    });
    connected(&browser);
    looks_right(&browser, "update");
}
