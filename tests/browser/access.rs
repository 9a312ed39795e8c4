//! Getting in: the pages of a refused connection, and the frame around the views.

use super::webdriver::Seat;
use super::{ENTER, connected, go, looks_right, open, shows};
use crate::harness::{Gateway, Setup};
use serde_json::json;

#[test]
fn a_wrong_token_gets_a_page_that_says_so_and_takes_the_right_one() {
    let gateway = Gateway::with_fake_model();
    let test = "a_wrong_token_gets_a_page_that_says_so_and_takes_the_right_one";
    let Some(browser) = Seat::take(test) else {
        return;
    };
    browser.goto(&format!("http://127.0.0.1:{}/?token=wrong", gateway.port()));
    shows(&browser, ".refused", "gateway token mismatch");
    shows(&browser, ".refused", "openclaw dashboard");
    looks_right(&browser, "refused");
    // The wrong token is not sent again and again: the gateway counts.
    let refusals = || gateway.log().matches("token mismatch").count();
    let before = refusals();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(refusals(), before);
    browser.eval("document.querySelector('input[name=token]').select()");
    browser.type_into("input[name=token]", &format!("{}{ENTER}", gateway.token()));
    connected(&browser);
    shows(&browser, ".chat", "is listening");
}

#[test]
fn an_unpaired_browser_is_told_the_command_and_goes_on_when_it_was_run() {
    let mut setup = Setup::new();
    setup.config["gateway"]["bind"] = "lan".into();
    let gateway = setup.start();
    let test = "an_unpaired_browser_is_told_the_command_and_goes_on_when_it_was_run";
    let Some(browser) = Seat::take(test) else {
        return;
    };
    // 127.0.0.2 is loopback, and a secure context for the browser, but not "local" to the gateway.
    let address = format!(
        "http://127.0.0.2:{}/?token={}",
        gateway.port(),
        gateway.token()
    );
    browser.goto(&address);
    shows(&browser, ".refused", "openclaw devices approve");
    looks_right(&browser, "pairing");
    let command = browser.eval("return document.querySelector('.refused code').innerText");
    let id = command.as_str().unwrap().split(' ').next_back();
    let approve = json!({ "requestId": id });
    gateway
        .connect()
        .call("device.pair.approve", approve)
        .expect("the id in the command is the request's");
    connected(&browser);
}

#[test]
fn the_keyboard_reaches_everything_and_escape_leads_back() {
    let gateway = Gateway::start();
    let test = "the_keyboard_reaches_everything_and_escape_leads_back";
    let Some(browser) = open(test, &gateway, "overview") else {
        return;
    };
    shows(&browser, ".facts", "State");
    let focus = "const n = document.activeElement; return n.ariaLabel || (n.id === 'main' ? 'main' : n.innerText.trim())";
    browser.keys("\u{e004}");
    assert_eq!(browser.eval(focus), "Skip to content");
    browser.keys(ENTER);
    assert_eq!(browser.eval(focus), "main");
    browser.keys("\u{e004}");
    let first = browser.eval(focus);
    assert_eq!(first, "Refresh");
    // On a phone the views are behind a menu.
    browser.window(360, 740, "light");
    browser.eval("document.querySelector('.top button').focus()");
    browser.keys(ENTER);
    let menu = "return document.querySelector('.top button').getAttribute('aria-expanded')";
    assert_eq!(browser.eval(menu), "true");
    assert_eq!(browser.eval(focus), "Overview");
    browser.keys("\u{e00c}");
    assert_eq!(browser.eval(menu), "false");
    assert_eq!(browser.eval(focus), "Menu");
    browser.window(1100, 800, "light");
    go(&browser, "logs");
    assert_eq!(
        browser.eval("return document.title"),
        "Logs · OpenClaw Control"
    );
    browser.eval("history.back()");
    browser.wait(
        "back is the view before",
        5,
        "return document.title.startsWith('Overview')",
    );
}

#[test]
fn another_gateway_named_by_a_link_is_asked_about_first() {
    let gateway = Gateway::start();
    let test = "another_gateway_named_by_a_link_is_asked_about_first";
    let Some(browser) = Seat::take(test) else {
        return;
    };
    browser.goto(&format!(
        "http://127.0.0.1:{}/?token={}&gatewayUrl=ws://127.0.0.1:9/",
        gateway.port(),
        gateway.token()
    ));
    shows(&browser, "dialog", "ws://127.0.0.1:9/");
    super::press(&browser, "dialog", "Cancel");
    connected(&browser);
    let url = browser.eval("return location.href");
    assert!(!url.as_str().unwrap().contains("gatewayUrl"), "{url}");
}

#[test]
fn the_theme_follows_the_system_until_one_is_chosen() {
    let gateway = Gateway::start();
    let test = "the_theme_follows_the_system_until_one_is_chosen";
    let Some(browser) = open(test, &gateway, "overview") else {
        return;
    };
    let colour = "return getComputedStyle(document.body).backgroundColor";
    let light = browser.eval(colour);
    browser.window(1100, 800, "dark");
    let dark = browser.eval(colour);
    assert_ne!(light, dark);
    // From the system's to light.
    browser.click("button.theme");
    assert_eq!(browser.eval(colour), light);
    browser.click("button.theme");
    browser.window(1100, 800, "light");
    assert_eq!(browser.eval(colour), dark);
    browser.goto(&format!("http://127.0.0.1:{}/overview", gateway.port()));
    connected(&browser);
    assert_eq!(browser.eval(colour), dark);
}
