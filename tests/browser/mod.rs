//! The Control UI as a person meets it, in headless Chromium.

mod webdriver;

use crate::harness::{self, Gateway};
use webdriver::Browser;

const HELLO: [&str; 6] = [
    "Hello ",
    "from ",
    "the ",
    "model.",
    "\n\nI can, for example:\n\n- **read** and change files of the workspace\n- run a command and say what it `printed`",
    "\n\n```sh\nopenclaw status --deep\n```",
];

const CHATTED: &str =
    "return [...document.querySelectorAll('.bubble.assistant:not(.streaming)')].at(-1)?.innerText";

fn browser(gateway: &Gateway, test: &str) -> Option<Browser> {
    match Browser::open(&gateway.home()) {
        Ok(browser) => Some(browser),
        Err(why) => {
            harness::skip(test, &why);
            None
        }
    }
}

fn page(gateway: &Gateway, token: &str) -> String {
    format!("http://127.0.0.1:{}/?token={token}", gateway.port())
}

#[test]
fn the_page_chats_streams_aborts_and_survives_a_core_restart() {
    let gateway = Gateway::with_fake_model();
    let Some(browser) = browser(
        &gateway,
        "the_page_chats_streams_aborts_and_survives_a_core_restart",
    ) else {
        return;
    };
    browser.goto(&page(&gateway, gateway.token()));
    browser.wait(
        "the page connects",
        10,
        "return document.querySelector('.state').dataset.state === 'open'",
    );
    let url = browser.eval("return location.href");
    assert!(
        !url.as_str().unwrap().contains("token"),
        "the token stays in the address bar: {url}"
    );

    gateway.model().say_slowly(&HELLO, 120);
    browser.type_into("textarea", "Good morning\u{e007}");
    browser.wait(
        "the reply streams",
        10,
        "return document.querySelector('.streaming')?.innerText.startsWith('Hello')",
    );
    browser.wait(
        "the reply ends",
        10,
        &format!("{}?.includes('status --deep')", CHATTED),
    );
    if let Some(path) = std::env::var_os("OPENCLAW_SCREENSHOT") {
        std::fs::write(path, browser.screenshot()).expect("the screenshot is written");
    }

    gateway.model().say_slowly(&["one "; 200], 50);
    browser.type_into("textarea", "Count for ever\u{e007}");
    browser.wait(
        "the second reply streams",
        10,
        "return document.querySelector('.streaming')?.innerText.startsWith('one')",
    );
    browser.click("button.stop");
    browser.wait(
        "the page says that it stopped",
        5,
        "return document.querySelector('.notice').innerText === 'Stopped.'",
    );
    gateway.model().wait_hung_up();

    gateway.restart_core();
    browser.wait(
        "the page is back after the restart",
        20,
        "return document.querySelector('.state').dataset.state === 'open'",
    );
    gateway.model().say(&["Still here."]);
    browser.type_into("textarea", "And now?\u{e007}");
    browser.wait(
        "it chats again",
        15,
        &format!("{}?.includes('Still here.')", CHATTED),
    );
}

#[test]
fn a_wrong_token_gets_a_page_that_says_so_and_takes_the_right_one() {
    let gateway = Gateway::with_fake_model();
    let Some(browser) = browser(
        &gateway,
        "a_wrong_token_gets_a_page_that_says_so_and_takes_the_right_one",
    ) else {
        return;
    };
    browser.goto(&page(&gateway, "wrong"));
    let shown = browser.wait(
        "the refusal",
        10,
        "return document.querySelector('.refused')?.innerText",
    );
    assert!(
        shown.as_str().unwrap().contains("gateway token mismatch"),
        "{shown}"
    );
    browser.type_into("input[name=token]", &format!("{}\u{e007}", gateway.token()));
    browser.wait(
        "it connects",
        10,
        "return document.querySelector('.state').dataset.state === 'open'",
    );
}
