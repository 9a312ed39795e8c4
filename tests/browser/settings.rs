//! Logs and debug.

use super::{fill, looks_right, open, press, shows};
use crate::harness::Gateway;
use serde_json::json;

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
