//! The chat.

use super::{ENTER, connected, fill, go, looks_right, open, press, shows};
use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup};
use serde_json::json;
use std::time::Duration;

const HELLO: [&str; 6] = [
    "Hello ",
    "from ",
    "the ",
    "model.",
    "\n\nI can, for example:\n\n- **read** and change files of the workspace\n- run a command and say what it `printed`",
    "\n\n```sh\nopenclaw status --deep\n```",
];

#[test]
fn the_page_chats_streams_aborts_and_survives_a_core_restart() {
    let gateway = Gateway::with_fake_model();
    let test = "the_page_chats_streams_aborts_and_survives_a_core_restart";
    let Some(browser) = open(test, &gateway, "") else {
        return;
    };
    let url = browser.eval("return location.href");
    assert!(
        !url.as_str().unwrap().contains("token"),
        "the token stays in the address bar: {url}"
    );

    gateway.model().say_slowly(&HELLO, 120);
    browser.type_into("textarea", &format!("Good morning{ENTER}"));
    shows(&browser, ".streaming", "Hello");
    shows(
        &browser,
        ".turn.assistant:not(.streaming) pre",
        "status --deep",
    );
    let shown = browser
        .eval("return document.querySelectorAll('.turn.assistant .markdown li strong').length");
    assert_eq!(shown, 1, "Markdown is drawn");

    gateway.model().say_slowly(&["one "; 200], 50);
    browser.type_into("textarea", &format!("Count for ever{ENTER}"));
    shows(&browser, ".streaming", "one");
    press(&browser, ".composer", "Stop");
    shows(&browser, ".chat > .notice", "Stopped.");
    shows(&browser, ".turn.assistant:not(.streaming)", "Stopped here.");
    gateway.model().wait_hung_up();

    gateway.restart_core();
    connected(&browser);
    gateway.model().say(&["Still here."]);
    browser.type_into("textarea", &format!("And now?{ENTER}"));
    shows(&browser, ".turn.assistant:not(.streaming)", "Still here.");
    looks_right(&browser, "chat");
}

#[test]
fn what_is_written_while_the_agent_is_busy_waits_its_turn_and_can_be_taken_back() {
    let gateway = Gateway::with_fake_model();
    let test = "what_is_written_while_the_agent_is_busy_waits_its_turn_and_can_be_taken_back";
    let Some(browser) = open(test, &gateway, "chat") else {
        return;
    };
    gateway.model().say_slowly(&["slowly "; 40], 50);
    browser.type_into("textarea", &format!("First{ENTER}"));
    shows(&browser, ".streaming", "slowly");
    browser.type_into("textarea", &format!("Second{ENTER}"));
    browser.type_into("textarea", &format!("Third{ENTER}"));
    shows(&browser, ".queue", "Queued (2)");
    browser.eval("document.querySelector('.queue li:last-child button').click()");
    shows(&browser, ".queue", "Queued (1)");
    gateway.model().say(&["The second answer."]);
    shows(
        &browser,
        ".turn.assistant:not(.streaming)",
        "The second answer.",
    );
    let asked = gateway.model().requests();
    let last = asked.last().unwrap()["messages"].to_string();
    assert!(last.contains("Second") && !last.contains("Third"), "{last}");
}

#[test]
fn a_draft_is_kept_for_its_session_and_through_a_reload() {
    let gateway = Gateway::with_fake_model();
    gateway.set_session("agent:main:other", json!({"label": "Another one"}));
    let test = "a_draft_is_kept_for_its_session_and_through_a_reload";
    let Some(browser) = open(test, &gateway, "chat") else {
        return;
    };
    browser.type_into("textarea", "Half a thought");
    shows(&browser, ".chat select", "Another one");
    fill(&browser, ".chat select", "agent:main:other");
    let text = "return document.querySelector('.composer textarea').value";
    assert_eq!(browser.eval(text), "");
    fill(&browser, ".chat select", "agent:main:main");
    assert_eq!(browser.eval(text), "Half a thought");
    browser.goto(&format!("http://127.0.0.1:{}/chat", gateway.port()));
    connected(&browser);
    assert_eq!(browser.eval(text), "Half a thought");
    // Not asked for, so not sent.
    assert!(gateway.model().requests().is_empty());
}

#[test]
fn tool_calls_are_cards_with_what_was_asked_and_what_came_back() {
    let gateway = Gateway::with_fake_model();
    std::fs::write(
        gateway.workspace().join("note.txt"),
        "the content of the note",
    )
    .unwrap();
    let test = "tool_calls_are_cards_with_what_was_asked_and_what_came_back";
    let Some(browser) = open(test, &gateway, "chat") else {
        return;
    };
    let call = ("read".to_string(), json!({"path": "note.txt"}));
    let first = "I look at it.".to_string();
    gateway
        .model()
        .reply(Reply::TextAndTools(first, vec![call]));
    gateway.model().say(&["It is a note."]);
    browser.type_into("textarea", &format!("What is in note.txt?{ENTER}"));
    shows(&browser, ".turn.assistant:not(.streaming)", "It is a note.");
    shows(&browser, "details.tool summary", "note.txt");
    browser.eval("document.querySelector('details.tool').open = true");
    shows(&browser, "details.tool", "the content of the note");
    looks_right(&browser, "chat-tools");
    // One toggle hides what the machinery said.
    press(&browser, ".chat .bar", "Show thinking and tool output");
    let seen = "return document.querySelector('details.tool').innerText.includes('the content of the note')";
    assert_eq!(browser.eval(seen), false);
}

#[test]
fn a_tool_call_is_seen_while_the_agent_still_works() {
    let gateway = Gateway::with_fake_model();
    gateway.set_session("agent:main:main", json!({"verboseLevel": "full"}));
    std::fs::write(
        gateway.workspace().join("note.txt"),
        "the content of the note",
    )
    .unwrap();
    let test = "a_tool_call_is_seen_while_the_agent_still_works";
    let Some(browser) = open(test, &gateway, "chat") else {
        return;
    };
    let call = ("read".to_string(), json!({"path": "note.txt"}));
    gateway.model().reply(Reply::Tools(vec![call]));
    gateway.model().reply(Reply::Hang);
    browser.type_into("textarea", &format!("What is in note.txt?{ENTER}"));
    shows(&browser, ".streaming details.tool", "note.txt");
    browser.eval("document.querySelector('.streaming details.tool').open = true");
    shows(
        &browser,
        ".streaming details.tool",
        "the content of the note",
    );
    press(&browser, ".composer", "Stop");
    shows(&browser, ".chat > .notice", "Stopped.");
}

/// The smallest GIF.
const DOT: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

#[test]
fn pictures_are_dropped_pasted_chosen_shown_removed_and_sent() {
    let mut setup = Setup::with_fake_model();
    setup.config["models"]["providers"]["fake"]["models"][0]["input"] = json!(["text", "image"]);
    let gateway = setup.start();
    let Some(browser) = open(
        "pictures_are_dropped_pasted_chosen_shown_removed_and_sent",
        &gateway,
        "chat",
    ) else {
        return;
    };
    // A picture of noise does not compress: larger than a frame, it must be made smaller.
    browser.eval(
        "window.draw = (size) => new Promise((done) => {
           const canvas = document.createElement('canvas');
           canvas.width = canvas.height = size;
           const context = canvas.getContext('2d');
           const pixels = context.createImageData(size, size);
           for (let i = 0; i < pixels.data.length; i += 65536) crypto.getRandomValues(pixels.data.subarray(i, i + 65536));
           for (let i = 3; i < pixels.data.length; i += 4) pixels.data[i] = 255;
           context.putImageData(pixels, 0, 0);
           canvas.toBlob((blob) => done(new File([blob], `noise${size}.png`, {type: 'image/png'})));
         });
         window.drop = async (size) => {
           const data = new DataTransfer();
           data.items.add(await window.draw(size));
           document.querySelector('.chat').dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
         };
         window.paste = async (size) => {
           const data = new DataTransfer();
           data.items.add(await window.draw(size));
           document.querySelector('.composer textarea').dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
         };
         window.drop(8)",
    );
    let previews = "return document.querySelectorAll('.previews img').length";
    browser.wait("the first preview", 10, &format!("{previews} === 1"));
    browser.eval("window.drop(900)");
    browser.wait("the second preview", 20, &format!("{previews} === 2"));
    shows(&browser, ".toasts", "was made smaller");
    press(&browser, ".previews", "Remove noise8.png");
    browser.wait("one preview less", 5, &format!("{previews} === 1"));
    browser.eval("window.paste(9)");
    browser.wait("a pasted one", 10, &format!("{previews} === 2"));
    // Chosen from the disk; what is no picture is said and left out.
    let folder = gateway.workspace();
    std::fs::write(folder.join("dot.gif"), DOT).unwrap();
    std::fs::write(folder.join("words.txt"), "no picture").unwrap();
    let chosen = ["dot.gif", "words.txt"].map(|name| folder.join(name).display().to_string());
    browser.type_into(".composer input[type=file]", &chosen.join("\n"));
    browser.wait("a chosen one", 10, &format!("{previews} === 3"));
    shows(
        &browser,
        ".toasts",
        "words.txt: only pictures can be attached",
    );
    gateway.model().say(&["Noise."]);
    browser.type_into("textarea", &format!("What is this?{ENTER}"));
    shows(&browser, ".turn.assistant:not(.streaming)", "Noise.");
    let asked = gateway.model().wait_request(1).to_string();
    for kind in ["jpeg", "png", "gif"] {
        let sent = asked.matches(&format!("image/{kind};base64,")).count();
        assert_eq!(sent, 1, "{kind}: {}", &asked[..400]);
    }
    looks_right(&browser, "chat-picture");
}

#[test]
fn what_is_written_without_a_gateway_is_sent_when_it_is_back() {
    let mut gateway = Gateway::with_fake_model();
    let test = "what_is_written_without_a_gateway_is_sent_when_it_is_back";
    let Some(browser) = open(test, &gateway, "chat") else {
        return;
    };
    gateway.stop();
    browser.wait(
        "the page sees it",
        10,
        "return document.querySelector('nav .state').dataset.state === 'closed'",
    );
    browser.type_into("textarea", &format!("Are you back?{ENTER}"));
    shows(&browser, ".queue", "Are you back?");
    gateway.model().say(&["I am."]);
    gateway.start_again();
    connected(&browser);
    shows(&browser, ".turn.assistant:not(.streaming)", "I am.");
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn a_new_session_begins_empty() {
    let gateway = Gateway::with_fake_model();
    let Some(browser) = open("a_new_session_begins_empty", &gateway, "chat") else {
        return;
    };
    browser.type_into("textarea", &format!("/status{ENTER}"));
    shows(&browser, ".turn.assistant:not(.streaming)", "OpenClaw 2026");
    browser.type_into("textarea", &format!("Remember this{ENTER}"));
    shows(
        &browser,
        ".turn.assistant:not(.streaming)",
        "Hello from the fake model.",
    );
    press(&browser, ".chat .bar", "New session");
    browser.wait(
        "the old talk is gone",
        20,
        "return !document.querySelector('.log').innerText.includes('Remember this')",
    );
    go(&browser, "overview");
    go(&browser, "chat");
    std::thread::sleep(Duration::from_millis(200));
    let left =
        browser.eval("return document.querySelector('.log').innerText.includes('Remember this')");
    assert_eq!(left, false);
}
