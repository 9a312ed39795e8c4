//! Our page on the original's gateway: what it asks for is what the original serves.

use super::official;
use super::server::Original;
use crate::browser::{self, ENTER, control, go, settings, shows};
use crate::harness::{Setup, skip};
use serde_json::json;

#[test]
fn our_page_works_with_the_gateway_of_the_original() {
    let test = "our_page_works_with_the_gateway_of_the_original";
    if let Err(why) = official::program() {
        return skip(test, &why);
    }
    let mut setup = Setup::with_fake_model();
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/gateway/ui");
    setup.config["gateway"]["controlUi"] = json!({"root": page});
    setup.config["agents"]["defaults"]["heartbeat"] = json!({"every": "0m"});
    let port = setup.port;
    let token = setup.config["gateway"]["auth"]["token"].clone();
    let _original = Original::start(setup);
    let token = token.as_str().expect("a token");
    let Some(browser) = browser::open_at(test, port, token, "chat") else {
        return;
    };
    browser.type_into("textarea", &format!("Good morning{ENTER}"));
    shows(
        &browser,
        ".turn.assistant:not(.streaming)",
        "Hello from the fake model.",
    );
    for (tab, place, text) in [
        ("overview", ".facts", "fake-1"),
        ("sessions", ".session code", "agent:main:main"),
        ("devices", ".card", "this browser"),
        ("devices", ".view", "When nobody answers"),
        ("logs", ".view .head", "lines"),
        ("debug", ".events", "chat"),
        ("agents", ".rows", "1password"),
    ] {
        go(&browser, tab);
        shows(&browser, place, text);
        let faults =
            "return [...document.querySelectorAll('.notice.error')].map((n) => n.innerText).join()";
        assert_eq!(browser.eval(faults), "", "{tab}");
    }
    control::use_cron(&browser, "Hello from the fake model.");
    settings::use_agent_file(&browser);
    settings::use_wrong_config(&browser);
    settings::use_config_form(&browser);
}
