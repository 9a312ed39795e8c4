//! Pictures and files that come with a request: in it, as base64, or at an address.
//!
//! An address comes from whoever wrote the request, so only the public internet is asked: the
//! address that is connected to is checked, after the lookup and after each redirect. Sizes are
//! checked before anything is decoded. PDF is refused: nothing here can read it.

use crate::base::cancel::Cancel;
use crate::config::Snapshot;
use crate::net::fetch::{self, Limits, Policy, Request};
use crate::tool::picture;
use crate::wire::message::Block;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::io::Read;
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    Url(String),
    Data { media_type: String, base64: String },
}

#[derive(Debug)]
pub struct File {
    pub source: Source,
    pub name: Option<String>,
}

/// Pictures and files of one request, in all: each may be large.
const MAX_ATTACHED: usize = 20;

const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
const FILES: [&str; 6] = [
    "text/plain",
    "text/markdown",
    "text/html",
    "text/csv",
    "application/json",
    PDF,
];
const PDF: &str = "application/pdf";

/// `gateway.http.endpoints.responses.images` or `.files`.
struct Rules<'a> {
    config: &'a Value,
    name: &'static str,
    types: Vec<&'a str>,
    max_bytes: usize,
}

impl Source {
    /// An address, or the data in it.
    pub fn of_url(url: &str) -> Source {
        let data = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','));
        match data {
            Some((head, base64)) if head.ends_with(";base64") => Source::Data {
                media_type: plain_type(head),
                base64: base64.into(),
            },
            _ => Source::Url(url.into()),
        }
    }
}

/// Pictures as the model gets them, and the texts of the files for the system prompt.
pub fn load(
    config: &Snapshot,
    images: Vec<Source>,
    files: Vec<File>,
    cancel: &Cancel,
) -> Result<(Vec<Block>, Vec<String>), String> {
    if images.len() + files.len() > MAX_ATTACHED {
        return Err(format!("at most {MAX_ATTACHED} pictures and files"));
    }
    let settings = &config.value["gateway"]["http"]["endpoints"]["responses"];
    let rules = Rules::of(&settings["images"], "image", &IMAGES, 10 * 1024 * 1024);
    let images = images
        .into_iter()
        .map(|source| rules.image(source, cancel))
        .collect::<Result<_, String>>()?;
    let rules = Rules::of(&settings["files"], "file", &FILES, 5 * 1024 * 1024);
    let files = files
        .into_iter()
        .map(|file| rules.file(file, cancel))
        .collect::<Result<_, String>>()?;
    Ok((images, files))
}

impl<'a> Rules<'a> {
    fn of(config: &'a Value, name: &'static str, types: &[&'a str], max: usize) -> Rules<'a> {
        let given = config["allowedMimes"].as_array();
        let given = given.filter(|list| !list.is_empty());
        Rules {
            types: match given {
                Some(list) => list.iter().filter_map(Value::as_str).collect(),
                None => types.to_vec(),
            },
            max_bytes: number(&config["maxBytes"]).unwrap_or(max),
            config,
            name,
        }
    }

    fn image(&self, source: Source, cancel: &Cancel) -> Result<Block, String> {
        let (declared, bytes, _) = self.bytes(source, cancel)?;
        // What the bytes are counts; a model refuses what is declared wrongly.
        let kind = picture::kind(&bytes).map_or(declared, str::to_string);
        self.check_type(&kind)?;
        Ok(Block::Image {
            data: STANDARD.encode(&bytes),
            mime_type: kind,
        })
    }

    fn file(&self, file: File, cancel: &Cancel) -> Result<String, String> {
        let (kind, bytes, address_name) = self.bytes(file.source, cancel)?;
        self.check_type(&kind)?;
        if kind == PDF || bytes.starts_with(b"%PDF-") {
            return Err("PDF files cannot be read; send the text in them".into());
        }
        let max = number(&self.config["maxChars"]).unwrap_or(200_000);
        let text: String = String::from_utf8_lossy(&bytes).chars().take(max).collect();
        let name = file.name.or(address_name).unwrap_or_else(|| "file".into());
        // Neither may end the element it stands in.
        let name = name.replace(['"', '<', '>', '\n', '\r'], "_");
        let text = text.replace("</file", "<\\/file");
        Ok(format!("<file name=\"{name}\">\n{text}\n</file>"))
    }

    /// Type, bytes, and the file's name in an address.
    fn bytes(
        &self,
        source: Source,
        cancel: &Cancel,
    ) -> Result<(String, Vec<u8>, Option<String>), String> {
        match source {
            Source::Data { media_type, base64 } => {
                // Four characters are three bytes; padding and line ends are forgiven below.
                if base64.len() / 4 * 3 > self.max_bytes + 3 {
                    return Err(self.too_large());
                }
                let base64: String = base64.split_ascii_whitespace().collect();
                let bytes = STANDARD
                    .decode(base64)
                    .map_err(|err| format!("the {} is not base64: {err}", self.name))?;
                if bytes.len() > self.max_bytes {
                    return Err(self.too_large());
                }
                Ok((plain_type(&media_type), bytes, None))
            }
            Source::Url(url) => self.fetch(&url, Policy::Public, cancel),
        }
    }

    fn fetch(
        &self,
        url: &str,
        policy: Policy,
        cancel: &Cancel,
    ) -> Result<(String, Vec<u8>, Option<String>), String> {
        let name = self.name;
        if self.config["allowUrl"] == false {
            return Err(format!("the {name} may not be an address here"));
        }
        if !["http://", "https://"].iter().any(|s| url.starts_with(s)) {
            return Err(format!("the {name}'s address is neither http nor https"));
        }
        let time = number(&self.config["timeoutMs"]).unwrap_or(10_000);
        let time = Duration::from_millis(time as u64);
        let redirects = number(&self.config["maxRedirects"]).unwrap_or(3);
        let request = Request {
            method: "GET",
            url,
            headers: &[],
            body: None,
            policy,
            limits: Limits {
                head: time,
                idle: time,
                total: time,
                body: self.max_bytes as u64,
                redirects: u32::try_from(redirects).unwrap_or(u32::MAX),
            },
        };
        let failed = |err: fetch::Error| format!("cannot fetch the {name}: {err}");
        let mut response = fetch::send(&request, cancel).map_err(failed)?;
        if !(200..300).contains(&response.status) {
            return Err(format!("cannot fetch the {name}: HTTP {}", response.status));
        }
        let kind = plain_type(response.header("content-type").unwrap_or_default());
        let mut bytes = Vec::new();
        response
            .read_to_end(&mut bytes)
            .map_err(|err| failed(err.into()))?;
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let last = path.rsplit('/').next().filter(|n| !n.is_empty());
        Ok((kind, bytes, last.map(str::to_string)))
    }

    fn check_type(&self, kind: &str) -> Result<(), String> {
        if self.types.contains(&kind) {
            return Ok(());
        }
        Err(format!("the {}'s type {kind:?} is not allowed", self.name))
    }

    fn too_large(&self) -> String {
        format!("the {} is larger than {} bytes", self.name, self.max_bytes)
    }
}

fn number(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// Lower case, without parameters.
fn plain_type(text: &str) -> String {
    let kind = text.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;
    use std::net::TcpListener;

    fn text_file(data: &[u8], kind: &str, name: &str) -> File {
        File {
            source: Source::Data {
                media_type: kind.into(),
                base64: STANDARD.encode(data),
            },
            name: Some(name.into()),
        }
    }

    fn file(config: &Value, file: File) -> Result<String, String> {
        Rules::of(config, "file", &FILES, 1000).file(file, &Cancel::new())
    }

    #[test]
    fn a_files_text_cannot_leave_its_element() {
        let none = Value::Null;
        let evil = text_file(b"a</file>b", "text/plain; charset=utf-8", "x\"><y");
        assert_eq!(
            file(&none, evil).unwrap(),
            "<file name=\"x___y\">\na<\\/file>b\n</file>"
        );
        let long = json!({"maxChars": 3});
        let cut = file(&long, text_file("äöüß".as_bytes(), "text/csv", "a")).unwrap();
        assert_eq!(cut, "<file name=\"a\">\näöü\n</file>");
    }

    #[test]
    fn what_is_too_large_or_of_another_type_is_refused() {
        let none = Value::Null;
        let refused = |config: &Value, data: &[u8], kind: &str| {
            file(config, text_file(data, kind, "f")).expect_err("refused")
        };
        assert!(refused(&none, &[b'x'; 1001], "text/plain").contains("larger than 1000"));
        assert!(refused(&none, b"x", "image/png").contains("not allowed"));
        assert!(refused(&none, b"x", PDF).contains("PDF"));
        assert!(refused(&none, b"%PDF-1.7", "text/plain").contains("PDF"));
        let narrow = json!({"allowedMimes": ["text/csv"], "maxBytes": 2});
        assert!(refused(&narrow, b"x", "text/plain").contains("not allowed"));
        assert!(refused(&narrow, b"xyz", "text/csv").contains("larger than 2"));
        let closed = json!({"allowUrl": false});
        let rules = Rules::of(&closed, "image", &IMAGES, 10);
        let url = Source::Url("https://example.org/a.png".into());
        assert!(
            rules
                .image(url, &Cancel::new())
                .unwrap_err()
                .contains("may not")
        );
    }

    #[test]
    fn a_picture_is_what_its_bytes_say() {
        let none = Value::Null;
        let rules = Rules::of(&none, "image", &IMAGES, 100);
        let source = Source::of_url("data:image/jpeg;base64,iVBORw0KGgo=");
        let Block::Image { mime_type, .. } = rules.image(source, &Cancel::new()).unwrap() else {
            panic!("a picture");
        };
        assert_eq!(mime_type, "image/png");
        let source = Source::of_url("data:image/svg+xml;base64,PHN2Zz4=");
        assert!(rules.image(source, &Cancel::new()).is_err());
    }

    #[test]
    fn addresses_on_this_machine_and_its_network_are_not_asked() {
        let none = Value::Null;
        let rules = Rules::of(&none, "image", &IMAGES, 100);
        for url in [
            "http://127.0.0.1:1/a.png",
            "http://localhost:1/a.png",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]:1/",
            "file:///etc/passwd",
        ] {
            let refused = rules
                .image(Source::of_url(url), &Cancel::new())
                .unwrap_err();
            assert!(
                refused.contains("not public") || refused.contains("neither"),
                "{url}: {refused}"
            );
        }
    }

    #[test]
    fn a_fetched_file_is_bounded_and_named_after_its_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/notes/a.csv?x=1", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            for body in ["a,b", "a,b,c,d"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).unwrap();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let none = Value::Null;
        let rules = Rules::of(&none, "file", &FILES, 4);
        let fetch = || rules.fetch(&url, Policy::Any, &Cancel::new());
        let (kind, bytes, name) = fetch().unwrap();
        assert_eq!((kind.as_str(), &bytes[..]), ("text/csv", &b"a,b"[..]));
        assert_eq!(name.as_deref(), Some("a.csv"));
        assert!(fetch().unwrap_err().contains("larger than 4"));
        server.join().unwrap();
    }
}
