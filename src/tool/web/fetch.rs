//! `web_fetch`: a page from the internet as text.
//!
//! Redirects are followed here, one request each: every hop's name is checked anew, and its address
//! where it is connected to. A host of `tools.web.fetch.allowHosts` may be a private one; what it
//! redirects to may not. Nothing of ours goes along: no cookie, no key.

use super::super::external::{beginning, wrap, wrap_within};
use super::super::{Call, Context, Error, Output, Tool};
use super::address::Address;
use super::firecrawl::{Firecrawl, Scraped};
use super::memo::Memo;
use super::{Settings, charset, page};
use crate::base::time;
use crate::net::fetch::{self, Limits, Policy, Request};
use serde_json::{Map, Value};
use std::io::Read;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const MAX_CHARS: usize = 50_000;
const MIN_CHARS: usize = 100;
const REDIRECTS: usize = 3;
/// Most an operator can allow.
const MAX_REDIRECTS: usize = 20;
/// Bytes read of one page; what is behind them is left.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// Characters shown of what comes with an error status.
const MAX_DETAIL: usize = 4000;
/// Bytes looked at to tell text from other things.
const SNIFF: usize = 1024;
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/122.0.0.0 Safari/537.36";
const SOURCE: &str = "Web Fetch";

pub const TOOL: Tool = Tool {
    name: "web_fetch",
    summary: "Fetch and extract readable content from a URL",
    description: "Fetches an http(s) address and gives its readable content: the main text of a \
        page as Markdown or plain text, JSON indented, other text as it is.",
    parameters: r#"{"type":"object","required":["url"],"properties":{
        "url":{"description":"HTTP or HTTPS URL to fetch.","type":"string"},
        "extractMode":{"type":"string","enum":["markdown","text"],"description":"Extraction mode (\"markdown\" or \"text\").","default":"markdown"},
        "maxChars":{"description":"Maximum characters to return (truncates when exceeded).","type":"number"}}}"#,
    run,
};

static MEMO: Memo = Memo::new();

struct Wanted<'a> {
    settings: Settings<'a>,
    ctx: &'a Context<'a>,
    markdown: bool,
    max: usize,
    until: Instant,
}

/// What came back, before it is framed.
struct Page {
    text: String,
    title: Option<String>,
    extractor: &'static str,
    final_url: String,
    status: u64,
    content_type: String,
    cut: bool,
    warning: Option<String>,
}

struct Answer {
    address: Address,
    status: u16,
    content_type: String,
    bytes: Vec<u8>,
    cut: bool,
}

/// Why there is no page; some may be had from Firecrawl.
enum Fault {
    Final(Error),
    Other(Error),
}

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let url = call.first_of(&["url"]).ok_or("url required")?.trim();
    let settings = Settings::of(&ctx.config.value, "fetch");
    let number = |key: &str| settings.number(key).map(|n| n.max(1.0) as usize);
    let cap = number("maxCharsCap").unwrap_or(MAX_CHARS);
    let asked = call.number("maxChars").map(|n| n.max(0.0) as usize);
    let max = asked.or(number("maxChars")).unwrap_or(MAX_CHARS);
    let wanted = Wanted {
        markdown: call.str("extractMode") != Some("text"),
        max: max.min(cap).max(MIN_CHARS),
        until: Instant::now() + settings.patience(),
        settings,
        ctx,
    };
    let address = Address::parse(url)?;
    wanted.policy(&address)?;
    let mode = if wanted.markdown { "markdown" } else { "text" };
    // Paths differ by case, so the key is not folded.
    let key = format!("{mode} {} {address}", wanted.max);
    if let Some(answer) = MEMO.get(&key) {
        return Ok(Output::json(answer));
    }
    let started = Instant::now();
    let page = wanted.page(&address)?;
    let (text, taken) = wrap_within(&page.text, SOURCE, wanted.max);
    let truncated = page.cut || taken < page.text.chars().count();
    let length = text.chars().count();
    let mut answer = Map::new();
    let mut put = |key: &str, value: Value| answer.insert(key.into(), value);
    put("url", url.into());
    put("finalUrl", page.final_url.into());
    put("status", page.status.into());
    put("contentType", page.content_type.into());
    if let Some(title) = &page.title {
        put("title", wrap(title, SOURCE, false).into());
    }
    put("extractMode", mode.into());
    put("extractor", page.extractor.into());
    put("truncated", truncated.into());
    put("length", length.into());
    put("rawLength", taken.into());
    put("wrappedLength", length.into());
    put("fetchedAt", time::now_iso().into());
    put("tookMs", (started.elapsed().as_millis() as u64).into());
    put("text", text.into());
    if let Some(warning) = &page.warning {
        put("warning", wrap(warning, SOURCE, false).into());
    }
    let answer = Value::Object(answer);
    MEMO.put(key, &answer, wanted.settings.keep());
    Ok(Output::json(answer))
}

impl Wanted<'_> {
    /// Whom this address may lead to.
    fn policy(&self, address: &Address) -> Result<Policy, Error> {
        let allowed = self.settings.0.get("allowHosts").and_then(Value::as_array);
        if address.is_in(allowed.into_iter().flatten().filter_map(Value::as_str)) {
            return Ok(Policy::Any);
        }
        if address.is_private_name() {
            return Err(Error(format!("Blocked hostname: {}", address.host)));
        }
        Ok(Policy::Public)
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn page(&self, address: &Address) -> Result<Page, Error> {
        let fault = match self.fetched(address).and_then(|answer| self.read(answer)) {
            Ok(page) => return Ok(page),
            Err(Fault::Final(err)) => return Err(err),
            Err(Fault::Other(err)) => err,
        };
        let env = &self.ctx.config.env;
        let Some(firecrawl) = Firecrawl::of(self.settings.part("firecrawl"), env) else {
            return Err(fault);
        };
        let patience = self.settings.patience();
        match firecrawl.scrape(&address.to_string(), patience, self.ctx.cancel) {
            Ok(scraped) => Ok(self.scraped(address, scraped)),
            // Its own complaint says less about the page.
            Err(err) if self.ctx.cancel.is_cancelled() => Err(err),
            Err(_) => Err(fault),
        }
    }

    fn scraped(&self, address: &Address, scraped: Scraped) -> Page {
        let text = match self.markdown {
            true => scraped.text,
            false => plain(&scraped.text),
        };
        Page {
            text,
            title: scraped.title,
            extractor: "firecrawl",
            final_url: scraped.url.unwrap_or_else(|| address.to_string()),
            status: scraped.status.unwrap_or(200),
            content_type: "text/markdown".into(),
            cut: false,
            warning: scraped.warning,
        }
    }

    /// Follows redirects to an answer that is none.
    fn fetched(&self, start: &Address) -> Result<Answer, Fault> {
        let redirects = self.settings.number("maxRedirects");
        let redirects = redirects
            .map_or(REDIRECTS, |n| n as usize)
            .min(MAX_REDIRECTS);
        let agent = self.settings.text("userAgent").unwrap_or(AGENT);
        let mut address = start.clone();
        for _ in 0..=redirects {
            let policy = self.policy(&address).map_err(Fault::Final)?;
            let left = self.left();
            let url = address.to_string();
            let request = Request {
                method: "GET",
                url: &url,
                headers: &[
                    ("user-agent", agent),
                    ("accept", "*/*"),
                    ("accept-language", "en-US,en;q=0.9"),
                    // What is packed would have to be unpacked, and may be a bomb.
                    ("accept-encoding", "identity"),
                ],
                body: None,
                policy,
                limits: Limits {
                    head: left,
                    idle: left,
                    total: left,
                    // The bound is where reading stops.
                    body: u64::MAX,
                    redirects: 0,
                },
            };
            let mut response =
                fetch::send(&request, self.ctx.cancel).map_err(|err| fault(&address, &err))?;
            if matches!(response.status, 301 | 302 | 303 | 307 | 308) {
                let Some(link) = response.header("location") else {
                    return Err(Fault::Other("Redirect missing location header".into()));
                };
                address = address.join(link).ok_or_else(|| {
                    let link = beginning(link, 200);
                    Fault::Final(Error(format!("Blocked redirect to {link:?}: not http(s)")))
                })?;
                continue;
            }
            let content_type = response
                .header("content-type")
                .unwrap_or_default()
                .to_string();
            let packed = response
                .header("content-encoding")
                .map(str::to_ascii_lowercase);
            if let Some(packed) = packed.filter(|p| !matches!(p.trim(), "" | "identity")) {
                let packed = beginning(&packed, 40);
                return Err(Fault::Other(Error(format!(
                    "The server sends the page packed ({packed:?}) although it was asked not to"
                ))));
            }
            let mut bytes = Vec::new();
            (&mut response)
                .take(MAX_BODY as u64 + 1)
                .read_to_end(&mut bytes)
                .map_err(|err| fault(&address, &err.into()))?;
            let cut = bytes.len() > MAX_BODY;
            bytes.truncate(MAX_BODY);
            return Ok(Answer {
                address,
                status: response.status,
                content_type,
                bytes,
                cut,
            });
        }
        Err(Fault::Final(Error(format!(
            "Too many redirects (limit: {redirects})"
        ))))
    }

    fn read(&self, answer: Answer) -> Result<Page, Fault> {
        let kind = answer.content_type.split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let ok = (200..300).contains(&answer.status);
        if is_binary(&kind, &answer.bytes) {
            let kind = if kind.is_empty() { "unknown" } else { &kind };
            let (kind, status) = (beginning(kind, 80), answer.status);
            return Err(Fault::Final(Error(match ok {
                true => format!(
                    "{kind:?} is no text that could be shown. To keep the file, download it with \
                     exec (curl)."
                ),
                false => format!("Web fetch failed ({status}): {kind:?} is no text"),
            })));
        }
        let is_html = is_html(&kind, &answer.bytes);
        let (text, unknown) = charset::decode(&answer.bytes, &answer.content_type, is_html);
        drop(answer.bytes);
        let mut page = Page {
            text: String::new(),
            title: None,
            extractor: "raw",
            final_url: answer.address.to_string(),
            status: answer.status.into(),
            content_type: match kind.as_str() {
                "" => "application/octet-stream".into(),
                kind => beginning(kind, 80).into(),
            },
            cut: answer.cut,
            warning: unknown.map(|name| {
                let name = beginning(&name, 40);
                format!("The encoding {name} is not known here; some characters are wrong.")
            }),
        };
        if is_html {
            let whole = self.settings.flag("readability") == Some(false);
            let read = page::read(&text, &answer.address, self.markdown, whole, self.max);
            page.text = read.text;
            page.title = read.title;
            page.cut |= read.cut;
            page.extractor = "readability";
        } else if kind == "application/json" || kind.ends_with("+json") {
            page.text = match serde_json::from_str::<Value>(&text) {
                Ok(value) => {
                    page.extractor = "json";
                    format!("{value:#}")
                }
                Err(_) => text,
            };
        } else {
            page.text = text;
        }
        if !ok {
            let (detail, _) = wrap_within(&page.text, SOURCE, MAX_DETAIL);
            let status = answer.status;
            return Err(Fault::Other(Error(format!(
                "Web fetch failed ({status}): {detail}"
            ))));
        }
        if is_html && page.text.trim().is_empty() {
            return Err(Fault::Other(
                "Web fetch extraction failed: the page has no text of its own (it may need a \
                 browser to show it)"
                    .into(),
            ));
        }
        Ok(page)
    }
}

fn fault(address: &Address, err: &fetch::Error) -> Fault {
    match err {
        fetch::Error::Denied(host, _) if host.parse::<IpAddr>().is_ok() || is_numeric(host) => {
            Fault::Final("Blocked: private/internal IP address".into())
        }
        fetch::Error::Denied(..) => {
            Fault::Final("Blocked: resolves to private/internal IP address".into())
        }
        fetch::Error::Cancelled => Fault::Final("Operation aborted".into()),
        err => Fault::Other(Error(format!("Web fetch failed: {}: {err}", address.host))),
    }
}

/// An IPv4 address in one of its older spellings: `2130706433`, `0x7f.1`, `0177.0.0.1`.
fn is_numeric(host: &str) -> bool {
    host.split('.').all(|part| {
        let hex = part.strip_prefix("0x");
        let digits = hex.unwrap_or(part);
        !digits.is_empty()
            && digits
                .bytes()
                .all(|b| b.is_ascii_digit() || (hex.is_some() && b.is_ascii_hexdigit()))
    })
}

fn is_html(kind: &str, bytes: &[u8]) -> bool {
    if matches!(kind, "text/html" | "application/xhtml+xml") {
        return true;
    }
    let head = bytes[..bytes.len().min(SNIFF)].to_ascii_lowercase();
    let head = String::from_utf8_lossy(&head);
    let head = head.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    kind.is_empty() && (head.starts_with("<!doctype html") || head.starts_with("<html"))
}

/// Pictures, archives and the like, by what they are called and what they are.
fn is_binary(kind: &str, bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(SNIFF)];
    let sixteen = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let text = kind.starts_with("text/")
        || matches!(kind, "" | "application/octet-stream" | "application/json")
        || [
            "xml",
            "json",
            "javascript",
            "ecmascript",
            "yaml",
            "toml",
            "x-sh",
            "sql",
            "graphql",
            "x-www-form-urlencoded",
            "x-ndjson",
            "markdown",
        ]
        .iter()
        .any(|part| kind.starts_with("application/") && kind.ends_with(part))
        || kind == "image/svg+xml";
    !text || (!sixteen && head.contains(&0))
}

/// Markdown without the marks that are easily taken away.
fn plain(markdown: &str) -> String {
    let lines = markdown.lines().map(|line| {
        let line = line.trim_start_matches('#').trim_start();
        line.replace("**", "").replace('`', "")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_content_are_told_apart() {
        for kind in [
            "text/plain",
            "application/ld+json",
            "",
            "application/xml",
            "text/csv",
        ] {
            assert!(!is_binary(kind, b"hello"), "{kind}");
        }
        for kind in [
            "image/png",
            "application/pdf",
            "video/mp4",
            "application/zip",
        ] {
            assert!(is_binary(kind, b"hello"), "{kind}");
        }
        assert!(is_binary("text/plain", b"a\0b") && is_binary("", b"PK\x03\x04\0"));
        assert!(!is_binary("text/plain", b"\xff\xfea\0"));
        assert!(is_html("", b" \n<!DOCTYPE HTML>") && is_html("text/html", b""));
        assert!(!is_html("text/plain", b"<html>"));
    }

    #[test]
    fn numeric_hosts_are_known_in_their_older_spellings() {
        for host in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
            assert!(is_numeric(host), "{host}");
        }
        for host in ["example.com", "0x", "cafe", "1.example"] {
            assert!(!is_numeric(host), "{host}");
        }
    }
}
