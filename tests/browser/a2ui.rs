//! The page that shows an agent's surfaces, with the test in the place of the app around it.

use super::{ENTER, looks_right, shows};
use crate::harness::Gateway;
use serde_json::{Value, json};

use super::webdriver::Seat;

/// The page, with an app that keeps what it is told.
fn page(test: &str, gateway: &Gateway) -> Option<Seat> {
    let browser = Seat::take(test)?;
    browser.complaints();
    browser.goto(&format!(
        "http://127.0.0.1:{}/__openclaw__/a2ui/",
        gateway.port()
    ));
    browser.wait(
        "the page is ready",
        20,
        "return Boolean(globalThis.openclawA2UI)",
    );
    browser.eval(
        "globalThis.told = []; globalThis.openclawCanvasA2UIAction = \
         { postMessage: (text) => told.push(JSON.parse(text).userAction) }",
    );
    Some(browser)
}

fn apply(browser: &Seat, messages: &Value) -> Value {
    browser.eval(&format!(
        "try {{ return openclawA2UI.applyMessages({messages}) }} catch (err) {{ return err.message }}"
    ))
}

fn component(id: &str, kind: &str, props: Value) -> Value {
    json!({"id": id, "component": {kind: props}})
}

fn literal(text: &str) -> Value {
    json!({"literalString": text})
}

fn form() -> Value {
    let children = [
        "title", "name", "colour", "many", "agree", "amount", "list", "tabs", "modal", "send",
    ];
    json!([
        {"surfaceUpdate": {"surfaceId": "main", "components": [
            component("root", "Column", json!({"children": {"explicitList": children}})),
            component("title", "Text", json!({"text": literal("Order <b>now</b>"), "usageHint": "h2"})),
            component("name", "TextField", json!({"label": literal("Name"), "text": {"path": "/order/name"}})),
            component("colour", "MultipleChoice", json!({
                "selections": {"path": "/order/colour"}, "maxAllowedSelections": 1,
                "options": [{"label": literal("Red"), "value": "red"}, {"label": literal("Blue"), "value": "blue"}],
            })),
            component("many", "Slider", json!({"value": {"path": "/order/many"}, "minValue": 1, "maxValue": 9})),
            component("agree", "CheckBox", json!({"label": literal("I agree"), "value": {"path": "/order/agree"}})),
            component("amount", "Text", json!({"text": {"path": "/order/many"}, "usageHint": "caption"})),
            component("list", "List", json!({"children": {"template": {"componentId": "item", "dataBinding": "/items"}}})),
            component("item", "Card", json!({"child": "itemText"})),
            component("itemText", "Text", json!({"text": {"path": "label"}})),
            component("tabs", "Tabs", json!({"tabItems": [
                {"title": literal("First"), "child": "one"}, {"title": literal("Second"), "child": "two"}]})),
            component("one", "Text", json!({"text": literal("page one")})),
            component("two", "Text", json!({"text": literal("page two")})),
            component("modal", "Modal", json!({"entryPointChild": "more", "contentChild": "inside"})),
            component("more", "Text", json!({"text": literal("More")})),
            component("inside", "Text", json!({"text": literal("inside the dialog")})),
            component("send", "Button", json!({"child": "sendText", "primary": true, "action": {
                "name": "order", "context": [
                    {"key": "who", "value": {"path": "/order/name"}},
                    {"key": "colour", "value": {"path": "/order/colour"}},
                    {"key": "agreed", "value": {"path": "/order/agree"}},
                    {"key": "fixed", "value": {"literalNumber": 7}}]}})),
            component("sendText", "Text", json!({"text": literal("Send")})),
        ]}},
        {"dataModelUpdate": {"surfaceId": "main", "contents": [
            {"key": "order", "valueMap": [{"key": "name", "valueString": "Ann"}, {"key": "many", "valueNumber": 3},
                {"key": "agree", "valueBoolean": false}]},
            {"key": "items", "valueMap": [
                {"key": "a", "valueMap": [{"key": "label", "valueString": "apple"}]},
                {"key": "b", "valueMap": [{"key": "label", "valueString": "pear"}]}]},
        ]}},
        {"beginRendering": {"surfaceId": "main", "root": "root", "styles": {"primaryColor": "#a03060"}}},
    ])
}

#[test]
fn an_agents_form_is_filled_in_and_its_button_tells_the_app() {
    let gateway = Gateway::start();
    let Some(browser) = page(
        "an_agents_form_is_filled_in_and_its_button_tells_the_app",
        &gateway,
    ) else {
        return;
    };
    assert_eq!(
        apply(&browser, &form()),
        json!({"ok": true, "surfaces": ["main"]})
    );
    shows(&browser, "h2", "Order <b>now</b>");
    shows(&browser, ".card", "pear");
    shows(&browser, ".caption", "3");
    // The field keeps the focus though the surface is drawn again at every key.
    browser.type_into("label.field input", " Bee");
    browser.click("input[type=radio][data-key$=' 1']");
    browser.click("input[type=checkbox]");
    browser.click("[role=tab]:nth-child(2)");
    shows(&browser, "[role=tabpanel]", "page two");
    looks_right(&browser, "a2ui");
    browser.eval("document.querySelector('[data-component=more]').click()");
    shows(&browser, "dialog[open]", "inside the dialog");
    browser.eval("document.querySelector('dialog button').click()");
    browser.wait(
        "the dialog closes",
        10,
        "return !document.querySelector('dialog')",
    );
    browser.eval("document.querySelector('button.primary').focus()");
    browser.keys(ENTER);
    let told = browser.wait("the app is told", 10, "return told[0]");
    assert_eq!(
        (
            &told["name"],
            &told["surfaceId"],
            &told["sourceComponentId"]
        ),
        (&json!("order"), &json!("main"), &json!("send"))
    );
    assert_eq!(
        told["context"],
        json!({"who": "Ann Bee", "colour": ["blue"], "agreed": true, "fixed": 7})
    );
    assert!(told["id"].as_str().is_some_and(|id| !id.is_empty()));
    assert!(
        told["timestamp"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z'))
    );
    browser.eval(&format!(
        "dispatchEvent(new CustomEvent('openclaw:a2ui-action-status', \
         {{ detail: {{ id: {}, ok: false, error: 'no card' }} }}))",
        told["id"]
    ));
    shows(&browser, "#openclaw-toast", "Failed order: no card");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn hostile_surfaces_stay_text_and_end() {
    let gateway = Gateway::start();
    let Some(browser) = page("hostile_surfaces_stay_text_and_end", &gateway) else {
        return;
    };
    for (message, said) in [
        (json!({"createSurface": {}}), "expected exactly one of"),
        (
            json!({"beginRendering": {}, "deleteSurface": {}}),
            "expected exactly one of",
        ),
        (
            json!({"surfaceUpdate": {"surfaceId": "x", "components": [{"id": "a"}]}}),
            "needs an id",
        ),
        (
            json!({"dataModelUpdate": {"surfaceId": "x", "contents": [{"key": "__proto__", "valueMap": []}]}}),
            "cannot be a key",
        ),
    ] {
        let answer = apply(&browser, &json!([message]));
        assert!(
            answer.as_str().is_some_and(|a| a.contains(said)),
            "{answer}"
        );
    }
    let looping = json!([
        {"surfaceUpdate": {"surfaceId": "loop", "components": [
            component("root", "Column", json!({"children": {"explicitList": vec!["root"; 3]}})),
        ]}},
        {"beginRendering": {"surfaceId": "loop", "root": "root"}},
        {"surfaceUpdate": {"surfaceId": "bad", "components": [
            component("root", "Column", json!({"children": {"explicitList": ["image", "what", "text"]}})),
            component("image", "Image", json!({"url": literal("javascript:globalThis.broken = 1")})),
            component("what", "constructor", json!({})),
            component("text", "Text", json!({"text": literal("<img src=x onerror=globalThis.broken=1>")})),
        ]}},
        {"beginRendering": {"surfaceId": "bad", "root": "root"}},
    ]);
    assert_eq!(apply(&browser, &looping)["ok"], true);
    shows(&browser, "[data-surface=loop]", "too many components");
    shows(&browser, "[data-surface=bad]", "no component constructor");
    shows(&browser, "[data-surface=bad]", "<img src=x");
    assert_eq!(
        browser.eval("return globalThis.broken ?? null"),
        Value::Null
    );
    browser.eval("openclawA2UI.reset()");
    browser.wait(
        "all surfaces are gone",
        10,
        "return openclawA2UI.getSurfaces().length === 0 && !document.querySelector('.surface')",
    );
}
