//! What others wrote is shown and never run: labels, replies, tool output, log lines, events.

use super::{ENTER, go, open, press, shows};
use crate::harness::model::Reply;
use crate::harness::{Gateway, Setup};
use serde_json::json;
use std::time::Instant;

const EVIL: &str =
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

const UNTOUCHED: &str = "
    const alien = document.querySelectorAll('main img[src=x], main script, main iframe, main svg[onload], main style').length;
    return alien === 0 && !document.title.includes('owned')";

#[test]
fn hostile_text_of_every_kind_stays_text() {
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["list"] =
        json!([{"id": "main", "default": true, "identity": {"name": EVIL}}]);
    let gateway = setup.start();
    std::fs::write(gateway.workspace().join("evil.txt"), EVIL).unwrap();
    gateway.set_session("agent:main:evil", json!({"label": EVIL, "subject": EVIL}));
    let Some(browser) = open("hostile_text_of_every_kind_stays_text", &gateway, "chat") else {
        return;
    };
    let call = (
        "read".to_string(),
        json!({"path": "evil.txt", "note": EVIL}),
    );
    gateway.model().reply(Reply::TextAndTools(
        format!("# {EVIL}\n\n- {EVIL}"),
        vec![call],
    ));
    let reply = format!(
        "{EVIL}\n\n| a |\n|---|\n| {EVIL} |\n\n```{EVIL}\n{EVIL}\n```\n\n\
         [run](javascript:document.title='owned') [data](data:text/html,x) ![far](https://evil.example/p.png) \
         [good](https://example.org/\"onclick=\"x)\n\nThe end."
    );
    gateway.model().say(&[&reply]);
    browser.type_into("textarea", &format!("{EVIL}{ENTER}"));
    shows(&browser, ".turn.assistant:not(.streaming)", "The end.");
    browser.eval("document.querySelectorAll('details').forEach((d) => { d.open = true })");
    shows(&browser, "details.tool pre", "<script>");
    assert_eq!(browser.eval(UNTOUCHED), true, "chat");
    let links =
        browser.eval("return [...document.querySelectorAll('.markdown a')].map((a) => a.protocol)");
    assert_eq!(
        links,
        json!(["https:", "https:"]),
        "only web links are links"
    );
    let far = browser.eval("return performance.getEntriesByType('resource').filter((r) => r.name.includes('evil')).length");
    assert_eq!(far, 0, "no picture was fetched");

    // A line that somebody else's name got into.
    browser.eval("window.name = ''");
    let line = json!({"0": EVIL, "1": EVIL, "_meta": {"logLevelName": "ERROR", "name": EVIL}, "time": EVIL});
    append(&gateway, &format!("{line}\n{EVIL}\n"));
    for (tab, place) in [
        ("overview", ".rows"),
        ("sessions", ".session code"),
        ("logs", ".loglines"),
        ("debug", ".events"),
    ] {
        go(&browser, tab);
        shows(
            &browser,
            place,
            match tab {
                "sessions" => "agent:main:evil",
                "debug" => "chat",
                "overview" => "openclaw-control-ui",
                _ => "onerror",
            },
        );
        assert_eq!(browser.eval(UNTOUCHED), true, "{tab}");
    }
    super::fill(&browser, "input[name=method]", "agents.list");
    press(&browser, ".view", "Call");
    shows(&browser, ".json", "onerror");
    assert_eq!(browser.eval(UNTOUCHED), true, "an answer");
}

#[test]
fn hostile_markdown_costs_no_more_time_than_its_length() {
    let gateway = Gateway::start();
    let Some(browser) = open(
        "hostile_markdown_costs_no_more_time_than_its_length",
        &gateway,
        "debug",
    ) else {
        return;
    };
    let texts = "
        const n = 39000;
        const many = (text) => text.repeat(Math.floor(n / text.length));
        window.texts = [many('`'), many('`a``b'), many('*'), many('**a '), many('_a*b~~'), many('['), many('[a]('), many('> '),
          many('- '), '>'.repeat(200), many(' -\\n'), many('|'), 'a|b\\n' + many('-|'), many('#'), '# ' + many('#'), '```' + many('a`'),
          'http://' + many('.'), many('http://'), many('\\\\'), many('<think>'), '`' + many(' ') + 'x`', many('1. a\\n  '), many('![a](b')];
        window.done = import('./assets/markdown.js').then(({ markdown }) => window.texts.map((text) => {
          const started = performance.now();
          markdown(text);
          return Math.round(performance.now() - started);
        })).then((times) => { window.times = times; });";
    let started = Instant::now();
    browser.eval(texts);
    let times = browser.wait("all are drawn", 50, "return window.times");
    let longest = times
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|t| t.as_u64())
        .max();
    // Nesting makes many nodes; a second on a busy machine is far from the minutes of a bad pattern.
    assert!(longest < Some(4000), "{times} in {:?}", started.elapsed());
}

fn append(gateway: &Gateway, text: &str) {
    use std::io::Write;
    let mut log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(gateway.log_path())
        .expect("the log");
    log.write_all(text.as_bytes()).expect("written");
}
