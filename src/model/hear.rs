//! The words of a recording, from a service that hears: OpenAI's form (Groq and servers of one's own
//! speak it, too), Deepgram's, Gemini's. One request, no retry: who listens to voice messages has
//! another service to ask, or does without.

use super::aws::escape;
use crate::base::cancel::Cancel;
use crate::base::id;
use crate::base::secret::Secret;
use crate::net::fetch::{self, Limits, Policy};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Hours of speech as JSON, with a word's times.
const MAX_ANSWER: u64 = 8 * 1024 * 1024;
/// Shown of what a service complains.
const MAX_COMPLAINT: usize = 300;
/// What Gemini is asked when nobody says what.
const QUESTION: &str = "Transcribe the audio.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    OpenAi,
    Deepgram,
    Google,
}

/// Provider, its form, the model and the address that are usual there. In the order in which one
/// that has a key is taken.
pub const SERVICES: [(&str, Form, &str, &str); 4] = [
    (
        "openai",
        Form::OpenAi,
        "gpt-4o-mini-transcribe",
        "https://api.openai.com/v1",
    ),
    (
        "groq",
        Form::OpenAi,
        "whisper-large-v3-turbo",
        "https://api.groq.com/openai/v1",
    ),
    (
        "deepgram",
        Form::Deepgram,
        "nova-3",
        "https://api.deepgram.com/v1",
    ),
    (
        "google",
        Form::Google,
        "gemini-3-flash-preview",
        "https://generativelanguage.googleapis.com/v1beta",
    ),
];

/// A service: where, how, with what key.
#[derive(Clone, Debug)]
pub struct Hearer {
    pub form: Form,
    pub model: String,
    pub base_url: String,
    pub key: Option<Secret>,
    /// Besides content type and key.
    pub headers: Vec<(String, String)>,
    /// Deepgram's own settings.
    pub query: Vec<(String, String)>,
}

/// What is to be heard, and how.
#[derive(Clone, Copy, Debug)]
pub struct Recording<'a> {
    pub path: &'a Path,
    pub mime: &'a str,
    pub max_bytes: u64,
    pub language: Option<&'a str>,
    pub prompt: Option<&'a str>,
    pub patience: Duration,
}

/// A request as it goes out.
struct Asked {
    url: String,
    content_type: String,
    body: Vec<u8>,
}

impl Hearer {
    /// What was said. The error is for people and holds no key.
    pub fn hear(&self, recording: &Recording, cancel: &Cancel) -> Result<String, String> {
        let asked = self.request(recording)?;
        let key = self.key.as_ref().map(|key| match self.form {
            Form::OpenAi => ("authorization", format!("Bearer {}", key.expose())),
            Form::Deepgram => ("authorization", format!("Token {}", key.expose())),
            Form::Google => ("x-goog-api-key", key.expose().to_string()),
        });
        let mut headers = vec![("content-type", asked.content_type.as_str())];
        headers.extend(key.iter().map(|(name, value)| (*name, value.as_str())));
        for (name, value) in &self.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name, value));
        }
        let request = fetch::Request {
            method: "POST",
            url: &asked.url,
            headers: &headers,
            body: Some(&asked.body),
            policy: Policy::Any,
            limits: Limits {
                redirects: 0,
                ..Limits::within(recording.patience, MAX_ANSWER)
            },
        };
        let response = fetch::send(&request, cancel).map_err(|err| err.to_string())?;
        let status = response.status;
        let text = response.text().map_err(|err| err.to_string())?;
        if status >= 300 {
            let shown: String = text.trim().chars().take(MAX_COMPLAINT).collect();
            return Err(self.without_key(format!("{status} {shown}")));
        }
        let answer: Value = serde_json::from_str(&text).map_err(|err| err.to_string())?;
        match self.words(&answer) {
            Some(words) if !words.trim().is_empty() => Ok(words.trim().to_string()),
            _ => Err("it heard nothing".into()),
        }
    }

    fn request(&self, recording: &Recording) -> Result<Asked, String> {
        let base = self.base_url.trim_end_matches('/');
        Ok(match self.form {
            Form::OpenAi => {
                let boundary = id::uuid();
                let mut body = Vec::new();
                let fields = [
                    ("model", Some(self.model.as_str())),
                    ("language", recording.language),
                    ("prompt", recording.prompt),
                ];
                for (name, value) in fields {
                    let Some(value) = value else { continue };
                    let part = format!(
                        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                    );
                    body.extend_from_slice(part.as_bytes());
                }
                let head = format!(
                    "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
                     filename=\"{}\"\r\nContent-Type: {}\r\n\r\n",
                    file_name(recording.path),
                    one_line(recording.mime)
                );
                body.extend_from_slice(head.as_bytes());
                read_into(&mut body, recording)?;
                body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
                Asked {
                    url: format!("{base}/audio/transcriptions"),
                    content_type: format!("multipart/form-data; boundary={boundary}"),
                    body,
                }
            }
            Form::Deepgram => {
                let mut body = Vec::new();
                read_into(&mut body, recording)?;
                let mut url = format!("{base}/listen?model={}", escape(&self.model, false));
                let language = recording.language.map(|name| ("language", name));
                let own = self.query.iter().map(|(k, v)| (k.as_str(), v.as_str()));
                for (name, value) in language.into_iter().chain(own) {
                    url.push_str(&format!(
                        "&{}={}",
                        escape(name, false),
                        escape(value, false)
                    ));
                }
                Asked {
                    url,
                    content_type: one_line(recording.mime),
                    body,
                }
            }
            Form::Google => {
                let mut bytes = Vec::new();
                read_into(&mut bytes, recording)?;
                let mut question = recording.prompt.unwrap_or(QUESTION).to_string();
                if let Some(language) = recording.language {
                    question.push_str(&format!(" It is in {language}."));
                }
                let body = json!({"contents": [{"role": "user", "parts": [
                    {"text": question},
                    {"inline_data": {"mime_type": recording.mime, "data": STANDARD.encode(bytes)}},
                ]}]});
                Asked {
                    url: format!(
                        "{base}/models/{}:generateContent",
                        escape(&self.model, true)
                    ),
                    content_type: "application/json".into(),
                    body: body.to_string().into_bytes(),
                }
            }
        })
    }

    fn words(&self, answer: &Value) -> Option<String> {
        match self.form {
            Form::OpenAi => answer["text"].as_str().map(String::from),
            Form::Deepgram => answer
                .pointer("/results/channels/0/alternatives/0/transcript")?
                .as_str()
                .map(String::from),
            Form::Google => {
                let parts = answer.pointer("/candidates/0/content/parts")?.as_array()?;
                let texts = parts.iter().filter_map(|part| part["text"].as_str());
                Some(texts.collect())
            }
        }
    }

    /// Some services repeat the key they refuse.
    fn without_key(&self, why: String) -> String {
        match &self.key {
            Some(key) if key.expose().len() >= 8 => why.replace(key.expose(), "***"),
            _ => why,
        }
    }
}

fn read_into(body: &mut Vec<u8>, recording: &Recording) -> Result<(), String> {
    let fail = |err: std::io::Error| format!("{}: {err}", recording.path.display());
    let file = File::open(recording.path).map_err(fail)?;
    let limit = recording.max_bytes;
    let read = file.take(limit + 1).read_to_end(body).map_err(fail)?;
    match read as u64 > limit {
        true => Err(format!("it is longer than {limit} bytes")),
        false => Ok(()),
    }
}

/// What services tell the kind of sound by, besides the type.
fn file_name(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.unwrap_or("audio");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().filter(|c| plain(*c)).collect()
}

/// A header's value, whoever has written it.
fn one_line(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
    let text: String = text.chars().filter(plain).collect();
    match text.is_empty() {
        true => "application/octet-stream".into(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(form: Form, query: &[(&str, &str)]) -> (String, String, String) {
        let dir = id::temp_dir("hear");
        let path = dir.join("voice 1\".ogg");
        std::fs::write(&path, "OggS").unwrap();
        let hearer = Hearer {
            form,
            model: "m/1".into(),
            base_url: "http://h/v1/".into(),
            key: None,
            headers: Vec::new(),
            query: query
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        };
        let mut recording = Recording {
            path: &path,
            mime: "audio/ogg\r\nx: y",
            max_bytes: 4,
            language: Some("de"),
            prompt: None,
            patience: Duration::from_secs(1),
        };
        let asked = hearer.request(&recording).unwrap();
        recording.max_bytes = 3;
        assert!(hearer.request(&recording).is_err());
        std::fs::remove_dir_all(dir).unwrap();
        let body = String::from_utf8(asked.body).unwrap();
        (asked.url, asked.content_type, body)
    }

    #[test]
    fn each_service_is_asked_in_its_own_form() {
        let (url, kind, body) = request(Form::OpenAi, &[]);
        assert_eq!(url, "http://h/v1/audio/transcriptions");
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
        assert_eq!(parts.len(), 5);
        assert_eq!(
            parts[1],
            "\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm/1\r\n"
        );
        assert!(parts[2].ends_with("name=\"language\"\r\n\r\nde\r\n"));
        assert!(
            parts[3].contains("filename=\"voice1.ogg\"\r\nContent-Type: audio/oggx: y\r\n\r\nOggS")
        );
        assert_eq!(parts[4], "--\r\n");

        let (url, kind, body) = request(Form::Deepgram, &[("smart_format", "true")]);
        assert_eq!(
            url,
            "http://h/v1/listen?model=m%2F1&language=de&smart_format=true"
        );
        assert_eq!((kind.as_str(), body.as_str()), ("audio/oggx: y", "OggS"));

        let (url, _, body) = request(Form::Google, &[]);
        assert_eq!(url, "http://h/v1/models/m/1:generateContent");
        let body: Value = serde_json::from_str(&body).unwrap();
        let parts = &body["contents"][0]["parts"];
        assert_eq!(parts[0]["text"], "Transcribe the audio. It is in de.");
        assert_eq!(parts[1]["inline_data"]["data"], "T2dnUw==");
    }

    #[test]
    fn the_words_are_where_each_service_puts_them() {
        let words = |form, answer: Value| {
            let hearer = Hearer {
                form,
                model: String::new(),
                base_url: String::new(),
                key: None,
                headers: Vec::new(),
                query: Vec::new(),
            };
            hearer.words(&answer)
        };
        assert_eq!(words(Form::OpenAi, json!({"text": "a"})).unwrap(), "a");
        let deepgram = json!({"results": {"channels": [{"alternatives": [{"transcript": "b"}]}]}});
        assert_eq!(words(Form::Deepgram, deepgram).unwrap(), "b");
        let google =
            json!({"candidates": [{"content": {"parts": [{"text": "c"}, {"text": "d"}]}}]});
        assert_eq!(words(Form::Google, google).unwrap(), "cd");
        assert_eq!(words(Form::Google, json!({})), None);
    }
}
