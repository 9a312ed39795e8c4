//! Firecrawl: a service that reads pages for us which do not want to be read, or are nothing without
//! their scripts. Used only with a key.

use super::super::Error;
use super::Settings;
use crate::base::cancel::Cancel;
use crate::config::Env;
use crate::net::fetch::{self, Limits, Policy, Request};
use serde_json::{Value, json};
use std::time::Duration;

const BASE: &str = "https://api.firecrawl.dev";
/// How old a stored copy may be that the service answers with.
const MAX_AGE_MS: f64 = 172_800_000.0;
const MAX_ANSWER: u64 = 8 * 1024 * 1024;

pub struct Firecrawl<'a> {
    settings: Settings<'a>,
    key: &'a str,
}

pub struct Scraped {
    pub text: String,
    pub title: Option<String>,
    pub url: Option<String>,
    pub status: Option<u64>,
    pub warning: Option<String>,
}

impl<'a> Firecrawl<'a> {
    pub fn of(settings: Settings<'a>, env: &'a Env) -> Option<Firecrawl<'a>> {
        let key = settings
            .text("apiKey")
            .or_else(|| env.get("FIRECRAWL_API_KEY"))?;
        (settings.flag("enabled") != Some(false)).then_some(Firecrawl { settings, key })
    }

    pub fn scrape(&self, url: &str, patience: Duration, cancel: &Cancel) -> Result<Scraped, Error> {
        let patience = match self.settings.number("timeoutSeconds") {
            Some(_) => self.settings.patience(),
            None => patience,
        };
        let base = self.settings.text("baseUrl").unwrap_or(BASE);
        let body = json!({
            "url": url,
            "formats": ["markdown"],
            "onlyMainContent": self.settings.flag("onlyMainContent").unwrap_or(true),
            "timeout": patience.as_millis() as u64,
            "maxAge": self.settings.number("maxAgeMs").unwrap_or(MAX_AGE_MS) as u64,
            "proxy": "auto",
            "storeInCache": true,
        })
        .to_string();
        let token = format!("Bearer {}", self.key);
        let request = Request {
            method: "POST",
            url: &format!("{}/v2/scrape", base.trim_end_matches('/')),
            headers: &[
                ("authorization", &token),
                ("content-type", "application/json"),
            ],
            body: Some(body.as_bytes()),
            policy: Policy::Any,
            limits: Limits::within(patience, MAX_ANSWER),
        };
        let failed = |why: &str| Error(format!("Firecrawl fetch failed: {why}"));
        let response = fetch::send(&request, cancel).map_err(|err| failed(&err.to_string()))?;
        let status = response.status;
        let text = response.text().map_err(|err| failed(&err.to_string()))?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if !(200..300).contains(&status) || answer["success"] == false {
            let said = answer["error"].as_str().unwrap_or_default();
            let said: String = said.chars().take(MAX_SAID).collect();
            return Err(failed(&format!("({status}) {said}")));
        }
        let data = &answer["data"];
        let meta = &data["metadata"];
        let string = |value: &Value| value.as_str().map(str::to_string);
        let text = string(&data["markdown"]).or_else(|| string(&data["content"]));
        let text = text.filter(|text| !text.trim().is_empty());
        Ok(Scraped {
            text: text.ok_or_else(|| failed("no content in the answer"))?,
            title: string(&meta["title"]),
            url: string(&meta["sourceURL"]),
            status: meta["statusCode"].as_u64(),
            warning: string(&answer["warning"]),
        })
    }
}

/// Of the service's own complaint.
const MAX_SAID: usize = 400;
