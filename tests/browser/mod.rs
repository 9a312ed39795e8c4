//! The Control UI as a person meets it, in headless Chromium: one file for each view.
//!
//! `OPENCLAW_SCREENSHOTS=<folder>` keeps pictures of each view, to be looked at.

mod a2ui;
mod access;
mod chat;
pub mod control;
mod hostile;
mod official_ui;
pub mod settings;
pub mod webdriver;

use crate::harness::Gateway;
use serde_json::Value;
use webdriver::Seat;

pub const ENTER: &str = "\u{e007}";

/// The page at `path`, connected.
fn open(test: &str, gateway: &Gateway, path: &str) -> Option<Seat> {
    open_at(test, gateway.port(), gateway.token(), path)
}

pub fn open_at(test: &str, port: u16, token: &str, path: &str) -> Option<Seat> {
    let browser = Seat::take(test)?;
    let address = format!("http://127.0.0.1:{port}/{path}?token={token}");
    // Lines of the test before are not this one's.
    browser.complaints();
    browser.goto(&address);
    connected(&browser);
    Some(browser)
}

fn connected(browser: &Seat) {
    browser.wait(
        "the page connects",
        20,
        "return document.querySelector('nav .state')?.dataset.state === 'open'",
    );
}

pub fn go(browser: &Seat, tab: &str) {
    let script = format!("document.querySelector('nav a[data-tab={tab}]').click()");
    browser.eval(&script);
}

/// Waits until the text of what `selector` finds contains `text`.
pub fn shows(browser: &Seat, selector: &str, text: &str) {
    let script = format!(
        "return [...document.querySelectorAll({})].some((n) => n.innerText.includes({}))",
        Value::from(selector),
        Value::from(text)
    );
    browser.wait(&format!("{selector} shows {text:?}"), 20, &script);
}

/// Presses the button that reads `text` inside of what `selector` finds first.
fn press(browser: &Seat, selector: &str, text: &str) {
    let script = format!(
        "const button = [...(document.querySelector({})?.querySelectorAll('button') ?? [])]\
           .find((b) => !b.disabled && (b.innerText.trim() === {text} || b.ariaLabel === {text}));\
         button?.click(); return Boolean(button)",
        Value::from(selector),
        text = Value::from(text),
    );
    browser.wait(&format!("{text} is pressed"), 10, &script);
}

/// Sets a control as a person would, and tells the page.
fn fill(browser: &Seat, selector: &str, value: &str) {
    let there = format!("return document.querySelector({})", Value::from(selector));
    browser.wait(&format!("{selector} is there"), 10, &there);
    let script = format!(
        "const control = document.querySelector({});\
         control.value = {};\
         control.dispatchEvent(new Event('input', {{bubbles: true}}));\
         control.dispatchEvent(new Event('change', {{bubbles: true}}));\
         return control.value",
        Value::from(selector),
        Value::from(value)
    );
    assert_eq!(browser.eval(&script), Value::from(value), "{selector}");
}

/// What must hold in every view: it fits a phone, every control has a name, ids are unique, the
/// console is silent. Takes the pictures.
fn looks_right(browser: &Seat, view: &str) {
    let faults = browser.eval(NAMELESS);
    assert_eq!(faults, Value::from(Vec::<Value>::new()), "{view}");
    for (size, width, height) in [("desktop", 1280, 860), ("phone", 360, 740)] {
        for colours in ["light", "dark"] {
            browser.window(width, height, colours);
            let wide = browser.eval(TOO_WIDE);
            assert_eq!(wide, Value::from(Vec::<Value>::new()), "{view} on a {size}");
            if let Some(folder) = std::env::var_os("OPENCLAW_SCREENSHOTS") {
                let name = format!("{view}-{size}-{colours}.png");
                let path = std::path::Path::new(&folder).join(name);
                std::fs::write(path, browser.screenshot()).expect("the picture is written");
            }
        }
    }
    browser.window(1100, 800, "light");
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{view}");
}

const NAMELESS: &str = "
    const faults = [];
    for (const node of document.querySelectorAll('button, input, select, textarea, a[href], summary, dialog')) {
      if (node.closest('[hidden]') || node.hidden) continue;
      const labels = [...(node.labels ?? [])].map((label) => label.innerText).join(' ');
      const referred = (node.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.innerText ?? '').join(' ');
      const name = node.ariaLabel || labels || referred || node.textContent || node.title;
      if (!name?.trim()) faults.push('no name: ' + node.outerHTML.slice(0, 160));
    }
    const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
    for (const id of new Set(ids)) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('twice: ' + id);
    return faults";

const TOO_WIDE: &str = "
    const most = innerWidth + 1;
    if (document.documentElement.scrollWidth <= most) {
      const nodes = [...document.querySelectorAll('main *')]
        .filter((n) => n.getBoundingClientRect().right > most && n.checkVisibility() && !n.closest('.scroll, pre, .loglines, textarea, .offscreen, svg'));
      return nodes.map((n) => `${n.tagName}.${n.className}`).slice(0, 5);
    }
    return ['the page itself']";
