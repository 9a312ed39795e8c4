//! As much of the W3C WebDriver protocol as a test needs, spoken to Debian's chromedriver.

use crate::harness::{self, Dir};
use serde_json::{Value, json};
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::time::{Duration, Instant};

/// The key WebDriver uses for element references.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    driver: Child,
    base: String,
    agent: ureq::Agent,
    _profile: Dir,
    taken: Mutex<bool>,
    free: Condvar,
}

/// The one browser while a test has it. Starting Chromium takes seconds and half a gigabyte, so the
/// tests take turns; each has a gateway on a port of its own, and with it storage of its own.
pub struct Seat(Arc<Browser>);

static SHARED: Mutex<Weak<Browser>> = Mutex::new(Weak::new());

impl Seat {
    /// Waits for the browser, or says why there is none.
    pub fn take(test: &str) -> Option<Seat> {
        let browser = {
            let mut shared = SHARED.lock().unwrap_or_else(|err| err.into_inner());
            match shared.upgrade() {
                Some(browser) => browser,
                None => match Browser::open() {
                    Ok(browser) => {
                        let browser = Arc::new(browser);
                        *shared = Arc::downgrade(&browser);
                        browser
                    }
                    Err(why) => {
                        harness::skip(test, &why);
                        return None;
                    }
                },
            }
        };
        let mut taken = browser.taken.lock().expect("no panic holds it");
        while *taken {
            taken = browser.free.wait(taken).expect("no panic holds it");
        }
        *taken = true;
        drop(taken);
        let seat = Seat(browser);
        seat.window(1100, 800, "light");
        Some(seat)
    }
}

impl Deref for Seat {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Leaves the page, and with it what it keeps asking a gateway that is about to go.
        let _ = self.post("/url", &json!({"url": "about:blank"}));
        *self.taken.lock().expect("no panic holds it") = false;
        self.free.notify_one();
    }
}

impl Browser {
    /// Headless Chromium with an empty profile, or why there is none.
    fn open() -> Result<Browser, String> {
        for program in ["chromium", "chromedriver"] {
            let found = Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if found.is_err() {
                return Err(format!("no {program} on this machine"));
            }
        }
        let port = harness::free_port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|err| format!("chromedriver: {err}"))?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let profile = Dir::new("chromium");
        let arguments = [
            "--headless=new".to_string(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--hide-scrollbars".into(),
            "--lang=en-US".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let mut browser = Browser {
            driver,
            base: format!("http://127.0.0.1:{port}"),
            agent,
            _profile: profile,
            taken: Mutex::new(false),
            free: Condvar::new(),
        };
        let started = Instant::now();
        while browser
            .agent
            .get(format!("{}/status", browser.base))
            .call()
            .is_err()
        {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("chromedriver did not answer within 20 s".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let options = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": arguments},
            "unhandledPromptBehavior": "accept",
        }}});
        let session = browser.post("/session", &options)?;
        let id = session["sessionId"].as_str().ok_or("no sessionId")?;
        browser.base = format!("{}/session/{id}", browser.base);
        Ok(browser)
    }

    /// The size of the page, and what it believes of the system's colours.
    pub fn window(&self, width: u32, height: u32, colours: &str) {
        let phone = width < 500;
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        );
        self.cdp(
            "Emulation.setEmulatedMedia",
            json!({"features": [
                {"name": "prefers-color-scheme", "value": colours},
                // No picture of a half-way animation.
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ]}),
        );
    }

    fn cdp(&self, command: &str, params: Value) {
        let body = json!({"cmd": command, "params": params});
        self.post("/goog/cdp/execute", &body)
            .expect("a DevTools command");
    }

    /// What the console said since the last call, without what a closing connection makes it say.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self
            .post("/se/log", &json!({"type": "browser"}))
            .expect("the console's lines");
        let lines = lines.as_array().expect("a list").iter();
        lines
            .filter(|line| line["level"] == "SEVERE" || line["level"] == "WARNING")
            .map(|line| line["message"].as_str().unwrap_or_default().to_string())
            .filter(|text| !text.contains("WebSocket"))
            .collect()
    }

    pub fn goto(&self, url: &str) {
        self.post("/url", &json!({ "url": url }))
            .expect("navigates");
    }

    /// Evaluates a function body and returns what it returns.
    pub fn eval(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({"script": script, "args": []}))
            .expect("the script runs")
    }

    /// Repeats `script` until it returns something truthy.
    pub fn wait(&self, what: &str, seconds: u64, script: &str) -> Value {
        let started = Instant::now();
        loop {
            let value = self.eval(script);
            let truthy =
                !matches!(&value, Value::Null | Value::Bool(false)) && value.as_str() != Some("");
            if truthy {
                return value;
            }
            if started.elapsed() > Duration::from_secs(seconds) {
                let page = self.eval("return document.body.innerText");
                panic!("{what} did not happen within {seconds} s; the page shows: {page}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn type_into(&self, selector: &str, keys: &str) {
        let id = self.element(selector);
        self.post(&format!("/element/{id}/value"), &json!({ "text": keys }))
            .expect("types");
    }

    /// Keys for whatever has the focus.
    pub fn keys(&self, keys: &str) {
        let presses: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                let key = key.to_string();
                [
                    json!({"type": "keyDown", "value": key}),
                    json!({"type": "keyUp", "value": key}),
                ]
            })
            .collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]});
        self.post("/actions", &body).expect("presses keys");
    }

    pub fn click(&self, selector: &str) {
        let started = Instant::now();
        loop {
            let id = self.element(selector);
            let clicked = self.post(&format!("/element/{id}/click"), &json!({}));
            match clicked {
                Ok(_) => return,
                // Drawn anew between the two requests.
                Err(why) if why.contains("stale") && started.elapsed().as_secs() < 5 => {}
                Err(why) => panic!("{selector}: {why}"),
            }
        }
    }

    /// PNG bytes of the window.
    pub fn screenshot(&self) -> Vec<u8> {
        use base64::Engine;
        let value = self.get("/screenshot").expect("a screenshot");
        base64::engine::general_purpose::STANDARD
            .decode(value.as_str().expect("base64 text"))
            .expect("base64")
    }

    fn element(&self, selector: &str) -> String {
        let found = self
            .post(
                "/element",
                &json!({"using": "css selector", "value": selector}),
            )
            .unwrap_or_else(|err| panic!("{selector}: {err}"));
        found[ELEMENT].as_str().expect("an element id").to_string()
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        let mut answer = self
            .agent
            .post(format!("{}{path}", self.base))
            .send(body.to_string())
            .map_err(|err| err.to_string())?;
        unwrap_value(
            &answer
                .body_mut()
                .read_to_string()
                .map_err(|err| err.to_string())?,
        )
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let mut answer = self
            .agent
            .get(format!("{}{path}", self.base))
            .call()
            .map_err(|err| err.to_string())?;
        let text = answer
            .body_mut()
            .with_config()
            .limit(64 * 1024 * 1024)
            .read_to_string()
            .map_err(|err| err.to_string())?;
        unwrap_value(&text)
    }
}

fn unwrap_value(text: &str) -> Result<Value, String> {
    let mut answer: Value = serde_json::from_str(text).map_err(|err| format!("{err}: {text}"))?;
    let value = answer["value"].take();
    match value.get("error") {
        Some(error) => Err(format!("{error}: {}", value["message"])),
        None => Ok(value),
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium; the driver itself is then killed.
        let _ = self.agent.delete(&self.base).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
