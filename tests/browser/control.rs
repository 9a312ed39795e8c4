//! Overview and devices.

use super::{looks_right, open, press, shows};
use crate::harness::ws::Device;
use crate::harness::{Gateway, Ws};
use serde_json::json;

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
    browser.eval("[...document.querySelectorAll('[data-device]')].find((n) => n.innerText.includes('Kitchen')).classList.add('theirs')");
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
    browser.eval("[...document.querySelectorAll('[data-device]')].find((n) => n.innerText.includes('Kitchen')).classList.add('theirs')");
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
