//! The original's own page, unchanged, served by our gateway (or, with `OPENCLAW_PARITY=original`,
//! by its own): every tab that its methods carry.
//!
//! `OPENCLAW_SCREENSHOTS=DIR` keeps a picture of each tab.

use super::ENTER;
use super::webdriver::Seat;
use crate::harness::{self, Setup, eventually};
use crate::parity::official;
use crate::parity::server::{self, Server};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;

/// Helpers in the page: the field with a label, and giving it a value as a person would.
const PRELUDE: &str = "
    const text = () => document.body.innerText;
    const field = (label) => [...document.querySelectorAll('label.field, .cfg-field')]
        .find((one) => one.querySelector('span, .cfg-field__label')?.innerText.trim() === label)
        ?.querySelector('input, select, textarea');
    const fill = (input, value) => {
        input.value = value;
        input.dispatchEvent(new Event('input', {bubbles: true}));
        input.dispatchEvent(new Event('change', {bubbles: true}));
        return true;
    };
    const press = (label) => {
        const button = [...document.querySelectorAll('button')]
            .find((one) => one.innerText.trim() === label && !one.disabled);
        button?.click();
        return button !== undefined;
    };
";

struct Page<'g> {
    gateway: &'g Server,
    browser: Seat,
}

impl Page<'_> {
    fn wait(&self, what: &str, script: &str) -> Value {
        self.browser
            .wait(what, 15, &format!("{PRELUDE} return {script}"))
    }

    /// Opens a tab by its link, as the page does without loading itself again.
    fn tab(&self, name: &str) {
        let found = format!(
            "(() => {{ const link = document.querySelector('a.nav-item[href$=\"/{name}\"]');
                link?.click(); return link?.classList.contains('active'); }})()"
        );
        self.wait(&format!("the tab {name} opens"), &found);
    }

    /// A picture for a person to look at.
    fn picture(&self, name: &str) {
        if let Some(dir) = std::env::var_os("OPENCLAW_SCREENSHOTS") {
            let path = PathBuf::from(dir).join(format!("official-{name}.png"));
            std::fs::write(path, self.browser.screenshot()).expect("the picture is written");
        }
    }
}

/// The page's files, or why there are none.
fn root() -> Result<PathBuf, String> {
    let program = official::program()?;
    let root = program.with_file_name("node_modules/openclaw/dist/control-ui");
    match root.join("index.html").exists() {
        true => Ok(root),
        false => Err(format!("no page in {}", root.display())),
    }
}

#[test]
fn the_page_of_the_original_works_on_every_tab() {
    let test = "the_page_of_the_original_works_on_every_tab";
    let root = match root() {
        Ok(root) => root,
        Err(why) => return harness::skip(test, &why),
    };
    let mut setup = Setup::with_fake_model();
    setup.config["gateway"]["controlUi"] = json!({"root": root});
    let gateway = Server::of(setup);
    let Some(browser) = Seat::take(test) else {
        return;
    };
    browser.window(1400, 900, "light");
    let (port, token) = (gateway.port(), gateway.token());
    browser.goto(&format!("http://127.0.0.1:{port}/?token={token}"));
    let page = Page {
        gateway: &gateway,
        browser,
    };
    chat(&page);
    overview(&page);
    sessions(&page);
    logs(&page);
    debug(&page);
    cron(&page);
    agents(&page);
    approvals(&page);
    // Last: the original starts again when its configuration was written.
    config(&page);
}

fn chat(page: &Page) {
    page.wait(
        "the page connects",
        "document.querySelector('.chat-compose textarea:not([disabled])')",
    );
    let model = page.gateway.model();
    model.say_slowly(&["The reply ", "streams ", "in **pieces**."], 150);
    page.browser
        .type_into(".chat-compose textarea", &format!("Good morning{ENTER}"));
    page.wait("the reply", "text().includes('streams in pieces.')");
    page.wait("what was said", "text().includes('Good morning')");
    page.picture("chat");

    model.say_slowly(&["one "; 200], 50);
    page.browser
        .type_into(".chat-compose textarea", &format!("Count for ever{ENTER}"));
    page.wait("the second reply", "text().includes('one one')");
    page.wait("Stop is pressed", "press('Stop')");
    model.wait_hung_up();
    page.wait(
        "it may be asked again",
        "[...document.querySelectorAll('button')].some((b) => b.innerText.trim() === 'New session')",
    );
}

fn overview(page: &Page) {
    page.tab("overview");
    page.wait("it says that it is connected", "/Connected/i.test(text())");
    page.wait("it counts the sessions", "/SESSIONS\\s+1\\b/i.test(text())");
    page.picture("overview");
}

fn sessions(page: &Page) {
    page.tab("sessions");
    page.wait(
        "the session is listed",
        "text().includes('agent:main:main')",
    );
    let label = "document.querySelector('input[placeholder=\"(optional)\"]')";
    page.wait(
        "it takes a label",
        &format!("{label} && fill({label}, 'Morning')"),
    );
    eventually("the label is stored", Duration::from_secs(10), || {
        let listed = page.gateway.connect().call("sessions.list", json!({}));
        (listed.expect("a list")["sessions"][0]["label"] == "Morning").then_some(())
    });
    page.picture("sessions");
}

fn logs(page: &Page) {
    page.tab("logs");
    // The original's gateway says little to a file.
    if !server::is_original() {
        page.wait("lines of the log", "text().includes('listening on ws://')");
    }
    page.picture("logs");
}

fn debug(page: &Page) {
    page.tab("debug");
    page.wait(
        "a method is named",
        "field('Method') && fill(field('Method'), 'agents.list')",
    );
    page.wait("it is called", "press('Call')");
    page.wait(
        "its answer is shown",
        "text().includes('\"defaultId\": \"main\"')",
    );
    page.picture("debug");
}

fn cron(page: &Page) {
    page.tab("cron");
    page.wait(
        "a name",
        "field('Name') && fill(field('Name'), 'Water the plants')",
    );
    page.wait("a note", "fill(field('Payload'), 'systemEvent')");
    page.wait("main session", "fill(field('Session'), 'main')");
    page.wait(
        "its text",
        "field('System text') && fill(field('System text'), 'water them')",
    );
    page.wait("it is added", "press('Add job')");
    page.wait(
        "it is listed",
        "[...document.querySelectorAll('.list-title')].some((t) => t.innerText.includes('Water the plants'))",
    );
    page.wait("it runs", "press('Run')");
    eventually("the run is told", Duration::from_secs(20), || {
        let listed = page.gateway.connect().call("cron.list", json!({}));
        let state = &listed.expect("jobs")["jobs"][0]["state"];
        (state["lastStatus"] == "ok").then_some(())
    });
    page.wait("its history", "press('Runs')");
    page.wait("the run is in it", "/\\bok\\b/.test(text())");
    page.picture("cron");
}

fn agents(page: &Page) {
    page.tab("agents");
    page.wait("the agent is listed", "text().includes('main')");
    page.picture("agents");
    page.tab("skills");
    page.wait("skills are counted", "/\\d+ shown/.test(text())");
    page.picture("skills");
}

fn approvals(page: &Page) {
    page.tab("nodes");
    page.wait("the approvals", "text().includes('Exec approvals')");
    page.wait("this browser's device", "/Paired/i.test(text())");
    page.picture("nodes");
}

fn config(page: &Page) {
    page.tab("config");
    page.wait(
        "the form",
        "document.querySelector('.config-search__input')",
    );
    page.wait(
        "the page's own settings are shown",
        "(() => { const link = [...document.querySelectorAll('.config-nav__item')]
            .find((one) => /^ui$/i.test(one.querySelector('.config-nav__label').innerText.trim()));
            link?.click(); return link?.classList.contains('active'); })()",
    );
    page.wait(
        "the assistant is named",
        // The original's words for it, and ours: the page shows what the server calls a setting.
        "(() => { const name = field('Assistant Name') ?? field('Name');
            return name && fill(name, 'Claw Three'); })()",
    );
    page.picture("config");
    saved(page, "Claw Three");
    page.picture("config-saved");
    page.wait("the text", "press('Raw')");
    let raw = "document.querySelector('.config-raw-field textarea')";
    page.wait(
        "the text is there",
        &format!("{raw}?.value.includes('fake-1')"),
    );
    page.wait(
        "it is changed",
        &format!(
            "fill({raw}, JSON.stringify(Object.assign(JSON.parse({raw}.value), \
             {{ui: {{assistant: {{name: 'Claw Four'}}}}}}), null, 2))"
        ),
    );
    saved(page, "Claw Four");
    page.picture("config-raw");
}

/// Presses Save; the file has `text`, and the page is connected afterwards.
fn saved(page: &Page, text: &str) {
    page.wait("it is saved", "press('Save')");
    eventually("the file has it", Duration::from_secs(10), || {
        let file = std::fs::read_to_string(page.gateway.dir().join("state/openclaw.json"))
            .expect("a file");
        file.contains(text).then_some(())
    });
    page.wait(
        "the page has the new one",
        "text().includes('No changes') && /Health\\s+OK/.test(text())",
    );
}
