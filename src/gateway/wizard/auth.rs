//! What opens a model to a newcomer: a key or a token, from a flag or the environment, and the
//! settings that go with it. `look` checks and keeps nothing; `Auth::keep` does.
//!
//! A key goes into the agent's auth profiles, OpenAI's into the `.env` of the state folder: where
//! the original puts them. It is never shown.

use super::error::{Error, io};
use crate::base::secret::Secret;
use crate::base::time::now_ms;
use crate::config::agents;
use crate::config::dotenv;
use crate::config::settings::Settings;
use crate::config::{Paths, Snapshot};
use crate::model::credential::{self, Profiles, Source};
use crate::model::name::provider_id;
use crate::model::offer::{self, CLOUDFLARE, Offer};
use serde_json::{Value, json};

/// Nothing is set up.
pub const SKIP: &str = "skip";
/// Its key goes into the `.env` file.
const OPENAI: &str = "openai-api-key";
/// A token of `claude setup-token`.
pub const TOKEN: &str = "token";
/// These need a person with a browser.
const LOGINS: [&str; 9] = [
    "chutes",
    "copilot-proxy",
    "github-copilot",
    "google-antigravity",
    "google-gemini-cli",
    "minimax-portal",
    "openai-codex",
    "qwen-portal",
    "setup-token",
];

const SETUP_PREFIX: &str = "sk-ant-oat01-";
/// Shorter ones were cut on their way.
const SETUP_LEAST: usize = 80;
const DAY_MS: u64 = 86_400_000;
/// Characters of a key: no provider's is longer.
const MAX_KEY: usize = 16 * 1024;

/// What was said of it.
#[derive(Default)]
pub struct Wanted {
    pub choice: Option<String>,
    /// The value of the flag that the choice has.
    pub key: Option<Secret>,
    pub account: Option<String>,
    pub gateway: Option<String>,
    pub token: Token,
}

#[derive(Default)]
pub struct Token {
    pub provider: Option<String>,
    pub token: Option<Secret>,
    pub profile: Option<String>,
    pub expires_in: Option<String>,
}

/// Checked and complete.
#[derive(Default)]
pub struct Auth {
    kept: Option<Kept>,
    pub settings: Settings,
}

enum Kept {
    Profile { id: String, value: Value },
    Variable { name: &'static str, key: Secret },
}

/// As it is called now.
pub fn present_name(choice: &str) -> &str {
    match choice {
        "oauth" | "claude-cli" => "setup-token",
        "codex-cli" => "openai-codex",
        "minimax-cloud" => "minimax-api",
        other => other,
    }
}

pub fn look(snapshot: &Snapshot, wanted: &Wanted) -> Result<Auth, Error> {
    let typed = wanted.choice.as_deref().unwrap_or(SKIP);
    if matches!(typed, "claude-cli" | "codex-cli") {
        return Err(Error::said(format!(
            "Auth choice \"{typed}\" is deprecated.\nUse \"--auth-choice token\" (Anthropic \
             setup-token) or \"--auth-choice openai-codex\"."
        )));
    }
    match present_name(typed) {
        SKIP => Ok(Auth::default()),
        TOKEN => token(snapshot, &wanted.token),
        "setup-token" => Err(Error::said(
            "Auth choice \"setup-token\" requires interactive mode.\nUse \"--auth-choice token\" \
             with --token and --token-provider anthropic.",
        )),
        login if LOGINS.contains(&login) => Err(Error::said(format!(
            "OAuth requires interactive mode.\n  fix: --auth-choice skip now, then at a terminal: \
             openclaw models auth login --provider {login}"
        ))),
        choice => match offer::find(choice) {
            Some(offer) => key(snapshot, wanted, offer),
            None => Err(Error::said(format!(
                "Invalid --auth-choice \"{typed}\".\n  fix: one of: {}",
                choices().join(", ")
            ))),
        },
    }
}

/// Made with a browser, by a command of its own.
pub fn is_login(choice: &str) -> bool {
    LOGINS.contains(&choice) && choice != "setup-token"
}

/// What `--auth-choice` takes.
pub fn choices() -> Vec<&'static str> {
    let keys = offer::OFFERS.iter().map(|offer| offer.choice);
    keys.chain(LOGINS).chain([TOKEN, SKIP]).collect()
}

fn key(snapshot: &Snapshot, wanted: &Wanted, offer: &Offer) -> Result<Auth, Error> {
    let place = match (offer.choice == CLOUDFLARE, &wanted.account, &wanted.gateway) {
        (false, ..) => offer.base_url.map(str::to_string),
        (true, Some(account), Some(gateway)) => Some(cloudflare(account, gateway)?),
        (true, ..) => {
            return Err(Error::said(
                "Auth choice \"cloudflare-ai-gateway-api-key\" requires Account ID and Gateway \
                 ID.\nUse --cloudflare-ai-gateway-account-id and \
                 --cloudflare-ai-gateway-gateway-id.",
            ));
        }
    };
    let provider = offer.provider;
    let in_env = offer.choice == OPENAI;
    let given = match &wanted.key {
        Some(key) => Some(key.clone()),
        None => credential::in_env(snapshot, provider).map(|found| found.key),
    };
    let kept = match given {
        Some(key) => {
            sound(&key)?;
            Some(key)
        }
        None if !in_env && has_profile(snapshot, provider) => None,
        None => {
            let flag = offer
                .flag
                .map_or("a key".into(), |flag| format!("--{flag}"));
            let profile = match in_env {
                true => String::new(),
                false => format!(", or existing {provider} API-key profile"),
            };
            return Err(Error::said(format!(
                "Missing {flag} (or {} in env{profile}).",
                offer.variables
            )));
        }
    };
    let mut auth = opened(snapshot, offer, kept, place, true);
    auth.propose(snapshot, offer);
    Ok(auth)
}

/// The key, if there is a new one, and what the configuration is told. `file`: OpenAI's may go into
/// the `.env` file, which a running gateway does not read again.
pub fn opened(
    snapshot: &Snapshot,
    offer: &Offer,
    key: Option<Secret>,
    at: Option<String>,
    file: bool,
) -> Auth {
    let provider = offer.provider;
    let mut auth = Auth::default();
    if file && offer.choice == OPENAI {
        let name = "OPENAI_API_KEY";
        auth.kept = key.map(|key| Kept::Variable { name, key });
    } else {
        let id = format!("{provider}:default");
        if key.is_some() {
            note(snapshot, &mut auth.settings, &id, provider, "api_key");
        }
        auth.kept = key.map(|key| Kept::Profile {
            value: json!({"type": "api_key", "provider": provider, "key": key.expose()}),
            id,
        });
    }
    if let Some(base_url) = at {
        let entry = offer.entry(&base_url);
        auth.settings.put(&["models", "providers", provider], entry);
    }
    auth
}

pub fn token(snapshot: &Snapshot, wanted: &Token) -> Result<Auth, Error> {
    let missing = |flag| {
        Err(Error::said(format!(
            "Missing {flag} for --auth-choice token."
        )))
    };
    let Some(provider) = &wanted.provider else {
        return missing("--token-provider");
    };
    if provider_id(provider) != "anthropic" {
        return Err(Error::said(
            "Only --token-provider anthropic is supported for --auth-choice token.",
        ));
    }
    let Some(token) = &wanted.token else {
        return missing("--token");
    };
    if let Some(fault) = setup_token_fault(token.expose()) {
        return Err(Error::said(fault));
    }
    let expires = match &wanted.expires_in {
        None => None,
        Some(typed) => Some(ends(typed).ok_or_else(|| {
            Error::said(format!(
                "Invalid --token-expires-in: {typed}\n  fix: such as 365d, 12h or 30m"
            ))
        })?),
    };
    let id = wanted.profile.clone();
    let id = id.unwrap_or_else(|| "anthropic:default".into());
    let mut value = json!({"type": "token", "provider": "anthropic", "token": token.expose()});
    if let Some(at) = expires {
        value["expires"] = json!(at);
    }
    let mut auth = Auth::default();
    note(snapshot, &mut auth.settings, &id, "anthropic", "token");
    auth.kept = Some(Kept::Profile { id, value });
    Ok(auth)
}

/// Makes a profile known to the configuration; where its provider has an order, it comes first.
fn note(snapshot: &Snapshot, settings: &mut Settings, id: &str, provider: &str, mode: &str) {
    let entry = json!({"provider": provider, "mode": mode});
    settings.put(&["auth", "profiles", id], entry);
    let order = snapshot.parsed.pointer("/auth/order");
    let order = order.and_then(|all| all.get(provider)?.as_array());
    if let Some(order) = order {
        let others = order.iter().filter(|known| *known != id).cloned();
        let order: Vec<Value> = [json!(id)].into_iter().chain(others).collect();
        settings.put(&["auth", "order", provider], order);
    }
}

fn has_profile(snapshot: &Snapshot, provider: &str) -> bool {
    let profiles = Profiles::read(&snapshot.paths, &snapshot.paths.agent_dir);
    let found = credential::find(snapshot, &profiles, provider);
    found.iter().any(|one| match &one.source {
        Source::Profile(id) => profiles.kind(id) == "api_key",
        _ => false,
    })
}

fn cloudflare(account: &str, gateway: &str) -> Result<String, Error> {
    let sound = |id: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        !id.is_empty() && id.chars().all(plain)
    };
    match sound(account) && sound(gateway) {
        true => Ok(format!(
            "https://gateway.ai.cloudflare.com/v1/{account}/{gateway}/anthropic"
        )),
        false => Err(Error::said(
            "Account ID and Gateway ID are letters, digits, dashes and underscores.",
        )),
    }
}

/// Whatever a key is, it is one line.
fn sound(key: &Secret) -> Result<(), Error> {
    let text = key.expose();
    match text.is_empty() || text.len() > MAX_KEY || text.contains(char::is_control) {
        true => Err(Error::said("The key is too long, or no single line.")),
        false => Ok(()),
    }
}

impl Auth {
    /// The offer's model as the default, where none was chosen.
    fn propose(&mut self, snapshot: &Snapshot, offer: &Offer) {
        let model = offer.model_ref();
        let set = snapshot.config.agents.defaults.model.primary.is_some();
        if offer.takes_over || !set {
            let place = ["agents", "defaults", "model", "primary"];
            self.settings.put(&place, model.as_str());
        }
        if !offer.alias.is_empty() {
            let place = ["agents", "defaults", "models", &model, "alias"];
            self.settings.fill(&place, offer.alias);
        }
    }

    /// Writes the secret to where it is read; what is told of it.
    pub fn keep(&self, paths: &Paths) -> Result<Option<String>, Error> {
        match &self.kept {
            None => Ok(None),
            Some(Kept::Profile { id, value }) => {
                let kept = credential::put(&paths.agent_dir, id, value.clone());
                kept.map_err(Error::Credential)?;
                Ok(None)
            }
            Some(Kept::Variable { name, key }) => {
                let file = paths.state.join(".env");
                dotenv::set(&file, name, key.expose()).map_err(io(&file))?;
                Ok(Some(format!("Saved {name} to {}", paths.tilde(&file))))
            }
        }
    }
}

/// What is wrong with a token that should be one of `claude setup-token`.
pub fn setup_token_fault(typed: &str) -> Option<String> {
    match typed {
        "" => Some("Required".into()),
        other if !other.starts_with(SETUP_PREFIX) => {
            Some(format!("Expected token starting with {SETUP_PREFIX}"))
        }
        short if short.len() < SETUP_LEAST => {
            Some("Token looks too short; paste the full setup-token".into())
        }
        _ => None,
    }
}

/// The moment a duration from now, in milliseconds since 1970; a bare number is days.
pub fn ends(typed: &str) -> Option<u64> {
    let typed = typed.trim();
    let length = match typed.parse::<u64>() {
        Ok(days) => days.checked_mul(DAY_MS)?,
        Err(_) => agents::duration_ms(typed)?,
    };
    now_ms().checked_add(length).filter(|_| length > 0)
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;
    use std::fs;

    fn wanted(choice: &str, key: &str) -> Wanted {
        Wanted {
            choice: Some(choice.into()),
            key: Some(key).filter(|key| !key.is_empty()).map(Secret::new),
            ..Wanted::default()
        }
    }

    fn complaint(place: &Place, wanted: &Wanted) -> String {
        let Err(err) = look(&place.snapshot, wanted) else {
            panic!("taken");
        };
        err.to_string()
    }

    #[test]
    fn every_key_is_kept_where_it_is_read_and_makes_its_model_the_default() {
        for offer in offer::OFFERS {
            let place = Place::new("{}");
            let mut said = wanted(offer.choice, "k-of-the-test");
            said.account = Some("acc".into());
            said.gateway = Some("gw".into());
            let auth = look(&place.snapshot, &said).unwrap();
            let told = auth.keep(&place.snapshot.paths).unwrap();
            assert!(!told.unwrap_or_default().contains("k-of-the-test"));
            let (paths, env) = (&place.snapshot.paths, &place.snapshot.env);
            let after = auth.settings.write(paths, env).unwrap();
            assert!(after.valid, "{}: {}", offer.choice, after.complaint());
            let profiles = Profiles::read(paths, &paths.agent_dir);
            let now = crate::config::load::load(paths, &env.clone().with_dotenv(&paths.state));
            let found = credential::find(&now, &profiles, offer.provider);
            assert!(found[0].key.matches("k-of-the-test"), "{}", offer.choice);
            let model = after.config.agents.defaults.model.primary.unwrap();
            assert_eq!(model, offer.model_ref());
            let text = fs::read_to_string(&paths.config).unwrap();
            assert!(!text.contains("k-of-the-test"));
        }
    }

    #[test]
    fn a_model_that_is_set_stays_where_the_provider_only_proposes_one() {
        let place = Place::new(
            "{agents:{defaults:{model:{primary:'a/b'}}},auth:{order:{anthropic:['x']}}}",
        );
        let auth = look(&place.snapshot, &wanted("apiKey", "sk")).unwrap();
        let written = auth
            .settings
            .write(&place.snapshot.paths, &place.snapshot.env);
        let after = written.unwrap().parsed;
        assert_eq!(after["agents"]["defaults"]["model"]["primary"], "a/b");
        let order = &after["auth"]["order"]["anthropic"];
        assert_eq!(*order, json!(["anthropic:default", "x"]));
    }

    #[test]
    fn a_missing_key_a_login_and_a_name_that_is_none_are_refused_with_the_way_out() {
        let place = Place::new("{}");
        for (choice, told) in [
            (
                "openai-api-key",
                "Missing --openai-api-key (or OPENAI_API_KEY in env).",
            ),
            (
                "zai-api-key",
                "Missing --zai-api-key (or ZAI_API_KEY in env, or existing zai API-key profile).",
            ),
            ("oauth", "Auth choice \"setup-token\" requires interactive"),
            ("claude-cli", "Auth choice \"claude-cli\" is deprecated."),
            ("qwen-portal", "OAuth requires interactive mode."),
            ("token", "Missing --token-provider"),
            ("nonsense", "Invalid --auth-choice \"nonsense\"."),
            (CLOUDFLARE, "Auth choice \"cloudflare-ai-gateway-api-key\""),
        ] {
            let said = complaint(&place, &wanted(choice, ""));
            assert!(said.starts_with(told), "{choice}: {said}");
        }
        let mut cloudflare = wanted(CLOUDFLARE, "k");
        cloudflare.account = Some("a/../b".into());
        cloudflare.gateway = Some("g".into());
        assert!(complaint(&place, &cloudflare).starts_with("Account ID"));
        assert!(complaint(&place, &wanted("apiKey", "two\nlines")).contains("single line"));
    }

    #[test]
    fn a_token_is_checked_before_it_is_kept() {
        let place = Place::new("{}");
        let mut said = wanted(TOKEN, "");
        said.token.provider = Some("anthropic".into());
        said.token.token = Some(Secret::new("sk-ant-oat01-short"));
        assert!(complaint(&place, &said).contains("too short"));
        let whole = format!("{SETUP_PREFIX}{}", "x".repeat(SETUP_LEAST));
        said.token.token = Some(Secret::new(whole));
        said.token.expires_in = Some("soon".into());
        assert!(complaint(&place, &said).starts_with("Invalid --token-expires-in: soon"));
        said.token.expires_in = Some("30".into());
        let auth = look(&place.snapshot, &said).unwrap();
        auth.keep(&place.snapshot.paths).unwrap();
        let file = place.snapshot.paths.agent_dir.join("auth-profiles.json");
        let file: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let kept = &file["profiles"]["anthropic:default"];
        assert_eq!(kept["type"], "token");
        assert!(kept["expires"].as_u64().unwrap() > now_ms());
    }

    #[test]
    fn a_bare_number_is_days_and_nothing_ends_at_once() {
        let near = |text: &str, length: u64| {
            let at = ends(text).unwrap();
            let wanted = now_ms() + length;
            assert!(wanted - at < 5000, "{text}");
        };
        near("2", 2 * DAY_MS);
        near("12h", DAY_MS / 2);
        assert!(ends("0").is_none() && ends("soon").is_none() && ends("").is_none());
    }
}
