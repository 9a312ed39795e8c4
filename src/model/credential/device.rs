//! Logging in without a browser here (RFC 8628): the service gives a code that a person types in at
//! its page, and then the token to whoever asks for it often enough.
//!
//! Answers come from the network: bounded in size and time, no field trusted to be there. Texts of
//! errors hold no token.

use super::ask::{self, Form};
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;

/// A service that lets devices ask.
pub struct Service {
    pub provider: &'static str,
    /// The usual id of its profile, the profile's kind, and the model to begin with.
    pub profile: &'static str,
    pub mode: &'static str,
    pub model: &'static str,
    code_url: &'static str,
    token_url: &'static str,
    /// Public: it names the program, and opens nothing.
    client: &'static str,
    scope: &'static str,
    form: Form,
    /// Wants a proof that whoever takes the token is who asked for the code (RFC 7636).
    proof: bool,
}

pub static SERVICES: [Service; 2] = [
    Service {
        provider: "github-copilot",
        profile: "github-copilot:github",
        mode: "token",
        model: "github-copilot/gpt-4o",
        code_url: "https://github.com/login/device/code",
        token_url: "https://github.com/login/oauth/access_token",
        client: "Iv1.b507a08c87ecfe98",
        scope: "read:user",
        form: Form::Words,
        proof: false,
    },
    Service {
        provider: "qwen-portal",
        profile: "qwen-portal:default",
        mode: "oauth",
        model: "qwen-portal/coder-model",
        code_url: "https://chat.qwen.ai/api/v1/oauth2/device/code",
        token_url: super::renew::QWEN_TOKENS,
        client: super::renew::QWEN_CLIENT,
        scope: "openid profile email model.completion",
        form: Form::Words,
        proof: true,
    },
];

/// What a service adds to the pause when it is asked too often (RFC 8628).
pub const SLOWER: Duration = Duration::from_secs(5);
/// Pause between questions: the service's wish within these.
const LEAST_PAUSE: u64 = 1;
const MOST_PAUSE: u64 = 60;
const USUAL_PAUSE: u64 = 5;
/// Codes that claim to last longer are given up after this.
const LONGEST: u64 = 1800;

/// A code that waits for somebody to type it in.
pub struct Pending {
    pub address: String,
    pub code: String,
    pub pause: Duration,
    pub valid_for: Duration,
    device: String,
    verifier: String,
}

pub enum Polled {
    /// The profile to keep.
    Granted(Value),
    Waiting,
    Slower,
}

pub fn begin(service: &Service, cancel: &Cancel) -> Result<Pending, String> {
    let verifier = URL_SAFE_NO_PAD.encode(crate::base::id::random::<32>());
    let digest = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let challenge = URL_SAFE_NO_PAD.encode(digest);
    let mut fields = vec![("client_id", service.client), ("scope", service.scope)];
    if service.proof {
        fields.push(("code_challenge", &challenge));
        fields.push(("code_challenge_method", "S256"));
    }
    let (status, said) = ask::post(service.code_url, service.form, &fields, cancel)?;
    if status >= 300 {
        return Err(format!("{} gave no code: HTTP {status}", service.provider));
    }
    let text = |key: &str| said[key].as_str().map(str::trim).filter(|t| !t.is_empty());
    let address = text("verification_uri_complete").or_else(|| text("verification_uri"));
    match (text("device_code"), text("user_code"), address) {
        (Some(device), Some(code), Some(address)) => Ok(Pending {
            address: plain(address),
            code: plain(code),
            pause: Duration::from_secs(
                said["interval"]
                    .as_u64()
                    .unwrap_or(USUAL_PAUSE)
                    .clamp(LEAST_PAUSE, MOST_PAUSE),
            ),
            valid_for: Duration::from_secs(
                said["expires_in"].as_u64().unwrap_or(LONGEST).min(LONGEST),
            ),
            device: device.to_string(),
            verifier,
        }),
        _ => Err(format!("{}: the answer holds no code", service.provider)),
    }
}

pub fn poll(service: &Service, pending: &Pending, cancel: &Cancel) -> Result<Polled, String> {
    let mut fields = vec![
        ("client_id", service.client),
        ("device_code", pending.device.as_str()),
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
    ];
    if service.proof {
        fields.push(("code_verifier", &pending.verifier));
    }
    let (status, said) = ask::post(service.token_url, service.form, &fields, cancel)?;
    if let Some(access) = said["access_token"].as_str().filter(|t| !t.is_empty()) {
        return Ok(Polled::Granted(granted(service, access, &said)));
    }
    match said["error"].as_str() {
        Some("authorization_pending") => Ok(Polled::Waiting),
        Some("slow_down") => Ok(Polled::Slower),
        Some("expired_token") => Err("the code has ended; start again".into()),
        Some("access_denied") => Err("it was refused there".into()),
        Some(other) => Err(format!("{}: {}", service.provider, plain(other))),
        None => Err(format!("{} gave no token: HTTP {status}", service.provider)),
    }
}

fn granted(service: &Service, access: &str, said: &Value) -> Value {
    if service.mode == "token" {
        return json!({"type": "token", "provider": service.provider, "token": access});
    }
    let lasts = said["expires_in"].as_u64().unwrap_or(3600);
    json!({
        "type": "oauth",
        "provider": service.provider,
        "access": access,
        "refresh": said["refresh_token"].as_str().unwrap_or_default(),
        "expires": now_ms() + lasts * 1000,
    })
}

/// What is shown at a terminal holds nothing that could command it.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::credential::ask::tests::serve;

    #[test]
    fn a_code_is_shown_and_the_token_comes_once_it_was_allowed() {
        let (url, asked) = serve(&[
            (
                200,
                r#"{"device_code":"d","user_code":"AB-12","verification_uri":"https://x/\u001b[2J","interval":0,"expires_in":900}"#,
            ),
            (400, r#"{"error":"authorization_pending"}"#),
            (400, r#"{"error":"slow_down"}"#),
            (
                200,
                r#"{"access_token":"t1","refresh_token":"r1","expires_in":60}"#,
            ),
        ]);
        let url: &'static str = Box::leak(url.into_boxed_str());
        let service = Service {
            provider: "qwen-portal",
            profile: "qwen-portal:default",
            mode: "oauth",
            model: "m",
            code_url: url,
            token_url: url,
            client: "c",
            scope: "a b",
            form: Form::Words,
            proof: true,
        };
        let cancel = Cancel::new();
        let pending = begin(&service, &cancel).unwrap();
        assert_eq!(
            (pending.code.as_str(), pending.address.as_str()),
            ("AB-12", "https://x/[2J")
        );
        assert_eq!(pending.pause, Duration::from_secs(1));
        let poll = || poll(&service, &pending, &cancel).unwrap();
        assert!(matches!(poll(), Polled::Waiting));
        assert!(matches!(poll(), Polled::Slower));
        let Polled::Granted(profile) = poll() else {
            panic!("a token");
        };
        assert_eq!(
            (&profile["access"], &profile["refresh"]),
            (&json!("t1"), &json!("r1"))
        );
        let bodies = asked.join().unwrap();
        assert!(
            bodies[0].contains("scope=a%20b&code_challenge="),
            "{}",
            bodies[0]
        );
        assert!(bodies[1].contains("device_code=d"));
        assert!(bodies[1].contains(&format!("code_verifier={}", pending.verifier)));
    }
}
