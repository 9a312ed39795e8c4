//! Keys that must be fetched before they are used: a login whose token has ended, and GitHub's
//! token, which only buys one for Copilot.
//!
//! A renewal happens when the model is called and not before, with the store locked: of several
//! programs that find the same token ended one renews it, the others read what that one wrote.

use super::ask::{self, Form};
use super::store::Open;
use crate::base::atomic;
use crate::base::cancel::Cancel;
use crate::base::secret::Secret;
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::model::{Class, Error, Target};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where a login of a provider is renewed. The clients are public: they name the program.
struct Service {
    provider: &'static str,
    url: &'static str,
    client: &'static str,
    form: Form,
    /// Milliseconds by which a token is taken to end early.
    early: u64,
}

pub(super) const QWEN_TOKENS: &str = "https://chat.qwen.ai/api/v1/oauth2/token";
pub(super) const QWEN_CLIENT: &str = "f0304373b74a44d2b584a3fb70ca9e56";
const FIVE_MINUTES: u64 = 300_000;

static SERVICES: [Service; 4] = [
    Service {
        provider: "anthropic",
        url: "https://console.anthropic.com/v1/oauth/token",
        client: "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        form: Form::Json,
        early: FIVE_MINUTES,
    },
    Service {
        provider: "chutes",
        url: "https://api.chutes.ai/idp/token",
        // Everybody has one of his own: in the profile, or CHUTES_CLIENT_ID.
        client: "",
        form: Form::Words,
        early: FIVE_MINUTES,
    },
    Service {
        provider: "openai-codex",
        url: "https://auth.openai.com/oauth/token",
        client: "app_EMoamEEZ73f0CkXaXp7hrann",
        form: Form::Words,
        early: 0,
    },
    Service {
        provider: "qwen-portal",
        url: QWEN_TOKENS,
        client: QWEN_CLIENT,
        form: Form::Words,
        early: 0,
    },
];

const COPILOT: &str = "github-copilot";
const COPILOT_TOKENS: &str = "https://api.github.com/copilot_internal/v2/token";
const COPILOT_API: &str = "https://api.individual.githubcopilot.com";

/// How a target's key is come by at the moment of a call.
#[derive(Clone, Debug)]
pub enum Lease {
    /// A login that can be renewed.
    Login {
        /// Folder of the store it stands in.
        dir: PathBuf,
        profile: String,
        provider: String,
        expires: u64,
        /// Of the environment, for services where everybody has his own.
        client: Option<String>,
    },
    /// The target's key is GitHub's; Copilot's is bought with it and kept here.
    Copilot { cache: PathBuf },
}

impl Lease {
    /// For a profile that may need one.
    pub(super) fn of(
        snapshot: &Snapshot,
        profiles: &super::Profiles,
        provider: &str,
        profile: &str,
    ) -> Option<Lease> {
        profiles.is_renewable(profile).then(|| Lease::Login {
            dir: profiles.home(profile).to_path_buf(),
            profile: profile.to_string(),
            provider: super::super::name::provider_id(provider),
            expires: profiles.expires(profile).unwrap_or(0),
            client: snapshot.env.get("CHUTES_CLIENT_ID").map(str::to_string),
        })
    }

    /// For whatever opens Copilot.
    pub(super) fn copilot(snapshot: &Snapshot, provider: &str) -> Option<Lease> {
        (provider == COPILOT).then(|| Lease::Copilot {
            cache: snapshot.paths.credentials.join("github-copilot.token.json"),
        })
    }

    /// The target with a key that holds now.
    pub fn open(&self, target: &Target, cancel: &Cancel) -> Result<Target, Error> {
        let mut fresh = target.clone();
        let opened = match self {
            Lease::Login { expires, .. } if *expires > now_ms() => return Ok(fresh),
            Lease::Login {
                dir,
                profile,
                provider,
                client,
                ..
            } => match SERVICES.iter().find(|s| s.provider == provider) {
                Some(service) => renew(service, dir, profile, client.as_deref(), cancel),
                None => Err(format!("{provider} logins cannot be renewed here")),
            },
            Lease::Copilot { cache } => {
                let github = target.key.as_ref().map_or("", |key| key.expose());
                buy(COPILOT_TOKENS, github, cache, cancel).inspect(|token| {
                    // Whoever set another address knows better than the token.
                    if target.base_url == COPILOT_API {
                        fresh.base_url = copilot_api(token.expose());
                    }
                })
            }
        };
        match opened {
            Ok(key) => {
                replace_header(&mut fresh, &key);
                fresh.key = Some(key);
                Ok(fresh)
            }
            Err(_) if cancel.is_cancelled() => Err(error(Class::Aborted, "Request was aborted.")),
            Err(why) => Err(error(
                Class::Auth,
                &format!(
                    "OAuth token refresh failed for {}: {why}. Try again, or log in again: openclaw models status shows the profiles.",
                    target.provider
                ),
            )),
        }
    }
}

/// A provider with `authHeader` has its key in a header, too.
fn replace_header(target: &mut Target, key: &Secret) {
    for (name, value) in &mut target.headers {
        if name == "authorization" {
            *value = format!("Bearer {}", key.expose());
        }
    }
}

fn error(class: Class, message: &str) -> Error {
    Error {
        class,
        status: None,
        message: message.into(),
        retry_after_ms: None,
        partial: None,
    }
}

fn renew(
    service: &Service,
    dir: &Path,
    id: &str,
    client: Option<&str>,
    cancel: &Cancel,
) -> Result<Secret, String> {
    let mut open = Open::take(dir).map_err(|err| err.to_string())?;
    let profile = open.map("profiles").get(id).cloned().unwrap_or_default();
    let text = |key: &str| profile[key].as_str().unwrap_or_default().trim();
    let now = now_ms();
    if profile["expires"]
        .as_f64()
        .is_some_and(|at| at as u64 > now)
        && !text("access").is_empty()
    {
        // Somebody was quicker.
        return Ok(Secret::new(text("access")));
    }
    let client = match (service.client, text("clientId")) {
        ("", "") => client.ok_or("set CHUTES_CLIENT_ID")?,
        ("", own) => own,
        (client, _) => client,
    };
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", client),
        ("refresh_token", text("refresh")),
    ];
    let (status, said) = ask::post(service.url, service.form, &fields, cancel)?;
    let Some(access) = said["access_token"].as_str().filter(|t| !t.is_empty()) else {
        return Err(format!("the service refused it (HTTP {status})"));
    };
    let lasts = said["expires_in"].as_u64().unwrap_or(3600) * 1000;
    let mut renewed = profile.clone();
    renewed["access"] = json!(access);
    if let Some(refresh) = said["refresh_token"].as_str().filter(|t| !t.is_empty()) {
        renewed["refresh"] = json!(refresh);
    }
    renewed["expires"] = json!(now_ms() + lasts.saturating_sub(service.early).max(1000));
    open.map("profiles").insert(id.into(), renewed);
    // The old one is worth nothing any more: a token that cannot be kept is a login lost.
    open.save().map_err(|err| err.to_string())?;
    Ok(Secret::new(access))
}

/// Copilot's token, from the cache while it holds five minutes more.
fn buy(url: &str, github: &str, cache: &Path, cancel: &Cancel) -> Result<Secret, String> {
    let kept: Value = std::fs::read(cache)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let ends = kept["expiresAt"].as_f64().unwrap_or(0.0) as u64;
    if let Some(token) = kept["token"]
        .as_str()
        .filter(|_| ends > now_ms() + FIVE_MINUTES)
    {
        return Ok(Secret::new(token));
    }
    let bearer = format!("Bearer {github}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("accept", "application/json"),
    ];
    let (status, said) = ask::get(url, &headers, cancel)?;
    let Some(token) = said["token"].as_str().filter(|t| !t.trim().is_empty()) else {
        return Err(format!("GitHub gave no token for Copilot (HTTP {status})"));
    };
    let at = said["expires_at"].as_u64().unwrap_or(0);
    // Seconds, unless they are too many.
    let at = if at > 10_000_000_000 { at } else { at * 1000 };
    let record = json!({"token": token, "expiresAt": at, "updatedAt": now_ms()});
    if let Err(err) = atomic::write(cache, format!("{record:#}\n").as_bytes()) {
        log::warn!("{}: {err}", cache.display());
    }
    Ok(Secret::new(token))
}

/// The address is in the token: `…;proxy-ep=proxy.business.githubcopilot.com;…`.
fn copilot_api(token: &str) -> String {
    let field = token
        .split(';')
        .find_map(|part| part.trim().strip_prefix("proxy-ep="));
    let host = field.unwrap_or_default();
    let host = host.trim_start_matches("https://").trim_end_matches('/');
    let sound = host.ends_with(".githubcopilot.com")
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c));
    match host.strip_prefix("proxy.") {
        Some(rest) if sound => format!("https://api.{rest}"),
        _ => COPILOT_API.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ask::tests::serve;
    use super::*;
    use crate::base::id;

    fn service(url: String) -> Service {
        Service {
            provider: "anthropic",
            url: Box::leak(url.into_boxed_str()),
            client: "c",
            form: Form::Json,
            early: FIVE_MINUTES,
        }
    }

    fn store(expires: u64) -> PathBuf {
        let dir = id::temp_dir("renew");
        let text = json!({"version": 1, "profiles": {"a:x": {"type": "oauth", "provider": "anthropic",
            "access": "old", "refresh": "r0", "expires": expires, "email": "a@b.c"}}, "other": [1]});
        std::fs::write(dir.join("auth-profiles.json"), text.to_string()).unwrap();
        dir
    }

    #[test]
    fn an_ended_login_is_renewed_once_and_what_else_is_in_the_file_stays() {
        let (url, asked) = serve(&[(
            200,
            r#"{"access_token":"new","refresh_token":"r1","expires_in":3600}"#,
        )]);
        let service = service(url);
        let dir = store(1);
        let keys = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| renew(&service, &dir, "a:x", None, &Cancel::new())))
                .collect();
            all.into_iter()
                .map(|t| t.join().unwrap())
                .collect::<Vec<_>>()
        });
        for key in keys {
            assert_eq!(key.unwrap().expose(), "new");
        }
        let asked = asked.join().unwrap();
        assert!(asked[0].contains(r#""refresh_token":"r0""#), "{}", asked[0]);
        let text = std::fs::read(dir.join("auth-profiles.json")).unwrap();
        let kept: Value = serde_json::from_slice(&text).unwrap();
        let profile = &kept["profiles"]["a:x"];
        assert_eq!(
            (&profile["refresh"], &profile["email"]),
            (&json!("r1"), &json!("a@b.c"))
        );
        let left = profile["expires"].as_u64().unwrap() - now_ms();
        assert!((3_200_000..=3_300_000).contains(&left), "{left}");
        assert_eq!(kept["other"], json!([1]));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_refused_renewal_leaves_the_login_as_it_is_and_tells_no_token() {
        let (url, _asked) = serve(&[(400, r#"{"error":"invalid_grant","hint":"r0"}"#)]);
        let dir = store(1);
        let why = renew(&service(url), &dir, "a:x", None, &Cancel::new()).unwrap_err();
        assert_eq!(why, "the service refused it (HTTP 400)");
        let text = std::fs::read_to_string(dir.join("auth-profiles.json")).unwrap();
        assert!(text.contains("\"r0\""));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn copilots_token_is_bought_once_and_names_its_address() {
        let soon = now_ms() / 1000 + 1500;
        let body = format!(
            r#"{{"token":"t;proxy-ep=proxy.business.githubcopilot.com;x","expires_at":{soon}}}"#
        );
        let (url, asked) = serve(&[(200, Box::leak(body.into_boxed_str()))]);
        let dir = id::temp_dir("copilot");
        let cache = dir.join("github-copilot.token.json");
        for _ in 0..2 {
            let token = buy(&url, "gh", &cache, &Cancel::new()).unwrap();
            assert_eq!(
                copilot_api(token.expose()),
                "https://api.business.githubcopilot.com"
            );
        }
        assert!(
            asked.join().unwrap()[0]
                .to_lowercase()
                .contains("authorization: bearer gh")
        );
        assert_eq!(copilot_api("t;proxy-ep=proxy.evil.example"), COPILOT_API);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
