//! Vectors for texts, from an OpenAI-compatible endpoint or from Gemini.

use crate::base::cancel::Cancel;
use crate::base::hex::sha256;
use crate::base::secret::Secret;
use crate::net::fetch::{self, Limits, Policy};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Attempts after the first, when a service is briefly unwell, and the waits between.
const RETRIES: u32 = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A question waits less than what is indexed.
const QUERY: Duration = Duration::from_secs(60);
const BATCH: Duration = Duration::from_secs(120);
/// 64 vectors of 3,072 numbers as JSON.
const MAX_ANSWER: u64 = 16 * 1024 * 1024;
/// Shown of what a service complains.
const MAX_COMPLAINT: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    OpenAi,
    Gemini,
}

/// A model that embeds: where, how, with what key.
#[derive(Clone, Debug)]
pub struct Embedder {
    pub form: Form,
    /// As the index names it.
    pub provider: &'static str,
    pub model: String,
    pub base_url: String,
    pub key: Option<Secret>,
    /// Besides content type and key.
    pub headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiVector>,
}

#[derive(Deserialize)]
struct OpenAiVector {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct GeminiAnswer {
    embeddings: Vec<GeminiVector>,
}

#[derive(Deserialize)]
struct GeminiVector {
    values: Vec<f32>,
}

impl Form {
    pub fn default_model(self) -> &'static str {
        match self {
            Form::OpenAi => "text-embedding-3-small",
            Form::Gemini => "gemini-embedding-001",
        }
    }

    pub fn default_url(self) -> &'static str {
        match self {
            Form::OpenAi => "https://api.openai.com/v1",
            Form::Gemini => "https://generativelanguage.googleapis.com/v1beta",
        }
    }
}

impl Embedder {
    /// Changes with everything that makes vectors incomparable; as the original computes it.
    pub fn identity(&self) -> String {
        let mut headers = vec![("Content-Type", "application/json")];
        for (name, value) in &self.headers {
            let secret = ["authorization", "x-goog-api-key"];
            if !secret.contains(&name.to_lowercase().as_str()) {
                headers.push((name, value));
            }
        }
        headers.sort_unstable();
        let parts = json!({
            "provider": self.provider,
            "baseUrl": self.base_url,
            "model": self.model,
            "headers": headers,
        });
        sha256(parts.to_string().as_bytes())
    }

    /// One vector for each text. The error is for people and holds no key.
    pub fn embed(
        &self,
        texts: &[String],
        query: bool,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>, String> {
        let mut pause = FIRST_PAUSE;
        for attempt in 0.. {
            match self.once(texts, query, cancel) {
                Err((why, true)) if attempt < RETRIES && !cancel.is_cancelled() => {
                    log::debug!("embedding: {why}; once more");
                    std::thread::sleep(pause);
                    pause *= 4;
                }
                Err((why, _)) => return Err(self.without_key(why)),
                Ok(vectors) => return Ok(vectors),
            }
        }
        unreachable!("the loop ends by an answer")
    }

    /// The error, and whether another try may help.
    fn once(
        &self,
        texts: &[String],
        query: bool,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<f32>>, (String, bool)> {
        let (url, body) = match self.form {
            Form::OpenAi => (
                format!("{}/embeddings", self.base_url),
                json!({"model": self.model, "input": texts}),
            ),
            Form::Gemini => (
                format!("{}/models/{}:batchEmbedContents", self.base_url, self.model),
                json!({"requests": texts.iter().map(|text| self.gemini(text, query)).collect::<Vec<_>>()}),
            ),
        };
        let body = body.to_string();
        let key = self.key.as_ref().map(|key| match self.form {
            Form::OpenAi => ("authorization", format!("Bearer {}", key.expose())),
            Form::Gemini => ("x-goog-api-key", key.expose().to_string()),
        });
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.iter().map(|(name, value)| (*name, value.as_str())));
        for (name, value) in &self.headers {
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name, value));
        }
        let request = fetch::Request {
            method: "POST",
            url: &url,
            headers: &headers,
            body: Some(body.as_bytes()),
            policy: Policy::Any,
            limits: Limits {
                redirects: 0,
                ..Limits::within(if query { QUERY } else { BATCH }, MAX_ANSWER)
            },
        };
        let failed = |err: fetch::Error| {
            let again = !matches!(err, fetch::Error::Cancelled | fetch::Error::TooLarge(_));
            (format!("{} embeddings failed: {err}", self.provider), again)
        };
        let response = fetch::send(&request, cancel).map_err(failed)?;
        let status = response.status;
        let text = response.text().map_err(failed)?;
        if status >= 300 {
            let shown: String = text.trim().chars().take(MAX_COMPLAINT).collect();
            let why = format!("{} embeddings failed: {status} {shown}", self.provider);
            return Err((why, status == 429 || status >= 500));
        }
        let vectors = match self.form {
            Form::OpenAi => serde_json::from_str::<OpenAiAnswer>(&text).map(|answer| {
                let mut data = answer.data;
                data.sort_by_key(|vector| vector.index.unwrap_or(0));
                data.into_iter()
                    .map(|vector| vector.embedding)
                    .collect::<Vec<_>>()
            }),
            Form::Gemini => serde_json::from_str::<GeminiAnswer>(&text).map(|answer| {
                answer
                    .embeddings
                    .into_iter()
                    .map(|vector| vector.values)
                    .collect()
            }),
        };
        let odd = |why: &str| (format!("{} embeddings: {why}", self.provider), false);
        let vectors: Vec<Vec<f32>> = vectors.map_err(|err| odd(&err.to_string()))?;
        match vectors.len() == texts.len() && vectors.iter().all(|v| !v.is_empty()) {
            true => Ok(vectors),
            false => Err(odd("the answer has not a vector for each text")),
        }
    }

    fn gemini(&self, text: &str, query: bool) -> Value {
        json!({
            "model": format!("models/{}", self.model),
            "content": {"parts": [{"text": text}]},
            "taskType": if query { "RETRIEVAL_QUERY" } else { "RETRIEVAL_DOCUMENT" },
        })
    }

    /// Some services repeat the key they refuse.
    fn without_key(&self, why: String) -> String {
        match &self.key {
            Some(key) if key.expose().len() >= 8 => why.replace(key.expose(), "***"),
            _ => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_originals_and_knows_no_key() {
        let embedder = Embedder {
            form: Form::OpenAi,
            provider: "openai",
            model: "text-embedding-3-small".into(),
            base_url: "http://127.0.0.1:18977/v1".into(),
            key: Some(Secret::new("k")),
            headers: vec![("Authorization".into(), "Bearer x".into())],
        };
        // From an index the original wrote.
        let theirs = "72f6480c6a2729965dc4685ca80a8c45d3b8f0a88d3586382e3d8e0abeec8393";
        assert_eq!(embedder.identity(), theirs);
    }
}
