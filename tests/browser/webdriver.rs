//! As much of the W3C WebDriver protocol as a test needs, spoken to Debian's chromedriver.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The key WebDriver uses for element references.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    driver: Child,
    base: String,
    agent: ureq::Agent,
}

impl Browser {
    /// Headless Chromium with an empty profile in `dir`, or why there is none.
    pub fn open(dir: &Path) -> Result<Browser, String> {
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
        let port = super::super::harness::free_port();
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
        let mut browser = Browser {
            driver,
            base: format!("http://127.0.0.1:{port}"),
            agent,
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
        let options = json!({"capabilities":{"alwaysMatch":{"goog:chromeOptions":{"args":[
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--window-size=1100,800", format!("--user-data-dir={}", dir.join("chromium").display()),
        ]}}}});
        let session = browser.post("/session", &options)?;
        let id = session["sessionId"].as_str().ok_or("no sessionId")?;
        browser.base = format!("{}/session/{id}", browser.base);
        Ok(browser)
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

    pub fn click(&self, selector: &str) {
        let id = self.element(selector);
        self.post(&format!("/element/{id}/click"), &json!({}))
            .expect("clicks");
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
