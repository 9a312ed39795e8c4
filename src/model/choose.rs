//! From a name to something that can be called: a `Target` with address, limits and key.

pub use super::fuzzy::{Picked, fuzzy, split_profile};

use super::catalogue::{self, CONTEXT_WINDOW};
use super::credential::{self, Credential, Profiles, Source};
use super::name::{Ref, configured};
use super::openai_responses::AZURE;
use super::{Class, Error, Target, aws, kept};
use crate::config::Snapshot;
use crate::config::schema;
use serde_json::Value;
use std::borrow::Cow;
use std::path::Path;

const MAX_TOKENS: u64 = 8192;
const BEDROCK: &str = "bedrock-converse-stream";
/// The schemas of our tools are some 11,000 tokens: a smaller window has no room for them and a
/// conversation.
const TOOLS_NEED: u64 = 16_000;

/// A model that can be called, and whose key it is called with.
#[derive(Clone, Debug)]
pub struct Choice {
    pub target: Target,
    /// `None` where no key is needed.
    pub source: Option<Source>,
}

/// Every way to call `model`: one per key, best first. Never empty.
pub fn targets(snapshot: &Snapshot, agent_dir: &Path, model: &Ref) -> Result<Vec<Choice>, Error> {
    let profiles = Profiles::read(&snapshot.paths, agent_dir);
    targets_with(snapshot, &profiles, agent_dir, model)
}

/// The same for many models of one agent, whose profiles have been read.
pub fn targets_with(
    snapshot: &Snapshot,
    profiles: &Profiles,
    agent_dir: &Path,
    model: &Ref,
) -> Result<Vec<Choice>, Error> {
    let snapshot = &*kept::with(snapshot, agent_dir);
    let mut bare = target(snapshot, model)?;
    if bare.api == "echo" {
        return Ok(vec![Choice {
            target: bare,
            source: None,
        }]);
    }
    let mut found = credential::find(snapshot, profiles, &model.provider);
    if bare.api == BEDROCK {
        // It names a section of a file, not a key.
        found.retain(|c| c.source != Source::Env(aws::PROFILE.into()));
        let own = configured(&snapshot.config, &model.provider);
        if own.is_some_and(|own| own.auth.as_deref() == Some("aws-sdk")) {
            found.clear();
        }
        if found.is_empty() {
            if let Some((credentials, variable)) = aws::find(&snapshot.env) {
                bare.base_url = aws::place(&bare.base_url, &credentials.region);
                bare.aws = Some(credentials);
                return Ok(vec![Choice {
                    target: bare,
                    source: Some(Source::Env(variable.into())),
                }]);
            }
        }
        if let Some(region) = aws::region(&snapshot.env) {
            bare.base_url = aws::place(&bare.base_url, region);
        }
    }
    let auth_header = configured(&snapshot.config, &model.provider)
        .and_then(|p| p.auth_header)
        .unwrap_or(false);
    let with = |Credential { key, source, lease }: Credential| {
        let mut target = bare.clone();
        if auth_header {
            let value = format!("Bearer {}", key.expose());
            target.headers.push(("authorization".into(), value));
        }
        target.key = Some(key);
        target.lease = lease;
        Choice {
            target,
            source: Some(source),
        }
    };
    let choices: Vec<Choice> = found.into_iter().map(with).collect();
    if !choices.is_empty() {
        return Ok(choices);
    }
    // A configured server may want no key; a vendor always does.
    if configured(&snapshot.config, &model.provider).is_some_and(|p| p.base_url.is_some()) {
        return Ok(vec![Choice {
            target: bare,
            source: None,
        }]);
    }
    let store = snapshot.paths.tilde(&agent_dir.join("auth-profiles.json"));
    let names = catalogue::provider(&model.provider).map(|p| p.env().collect::<Vec<_>>());
    let variable = match names.as_deref() {
        Some([first, ..]) => format!(" Set {first}, or add a profile to {store}."),
        _ => format!(" Auth store: {store}."),
    };
    Err(Error {
        class: Class::Auth,
        status: None,
        message: format!(
            "No API key found for provider \"{}\".{variable}",
            model.provider
        ),
        retry_after_ms: None,
        partial: None,
    })
}

/// Whether this choice's profile is resting after a failure.
pub fn is_resting(snapshot: &Snapshot, agent_dir: &Path, choice: &Choice) -> bool {
    match &choice.source {
        Some(Source::Profile(id)) => {
            let profiles = Profiles::read(&snapshot.paths, agent_dir);
            let now = crate::base::time::now_ms();
            profiles.rests_until(id, now).is_some()
        }
        _ => false,
    }
}

/// Where and how `model` is called, without a key.
pub fn target(snapshot: &Snapshot, model: &Ref) -> Result<Target, Error> {
    let config = &snapshot.config;
    let params = &config.agents.defaults.models;
    let params = params.iter().find(|(name, _)| {
        let split = name.split_once('/');
        split.is_some_and(|(provider, id)| Ref::new(provider, id) == *model)
    });
    let params = params
        .and_then(|(_, options)| options.get("params"))
        .cloned()
        .unwrap_or_default();
    if *model == Ref::new("builtin", "echo") {
        return Ok(echo(params));
    }
    let own = configured(config, &model.provider);
    let known = catalogue::provider(&model.provider);
    let entry = own.and_then(|own| own.models.iter().find(|m| m.id == model.model));
    let row = known
        .and_then(|known| known.model(&model.model))
        .or_else(|| {
            // The other entry of a provider that has two.
            let mut others = catalogue::providers().filter(|p| p.id == model.provider);
            others.find_map(|p| p.model(&model.model))
        });
    let mut target = match (entry, row, own) {
        (Some(entry), _, Some(own)) => from_config(own, entry, known.as_ref()),
        (None, Some(row), _) => from_catalogue(row, known.as_ref(), own),
        (None, None, Some(own)) => ad_hoc(own, model),
        _ => match kept::with(snapshot, &snapshot.paths.agent_dir) {
            Cow::Owned(more) if configured(&more.config, &model.provider).is_some() => {
                return target(&more, model);
            }
            _ => return Err(unknown(model)),
        },
    };
    target.provider.clone_from(&model.provider);
    target.model.clone_from(&model.model);
    target.params = params;
    if model.provider == "openrouter" {
        let always = [
            ("HTTP-Referer", "https://openclaw.ai"),
            ("X-Title", "OpenClaw"),
        ];
        let always = always.map(|(name, value)| (name.to_string(), value.to_string()));
        target.headers.splice(0..0, always);
    }
    // Ollama's own API lies above its OpenAI-compatible one.
    let base = target.base_url.trim_end_matches('/');
    if model.provider == "ollama" && target.api == "openai-completions" && !base.ends_with("/v1") {
        target.api = "ollama".into();
    }
    if target.api == AZURE && target.base_url.is_empty() {
        target.base_url = azure(snapshot).ok_or_else(|| Error {
            message: format!(
                "{model} has no address: set AZURE_OPENAI_BASE_URL or AZURE_OPENAI_RESOURCE_NAME."
            ),
            ..unknown(model)
        })?;
    }
    let says_no = target.compat.get("supportsTools") == Some(&Value::Bool(false));
    target.tools = target.context_window >= TOOLS_NEED && !says_no;
    if target.base_url.is_empty() {
        return Err(unknown(model));
    }
    Ok(target)
}

/// The customer's own address at Azure.
fn azure(snapshot: &Snapshot) -> Option<String> {
    let given = |name| snapshot.env.get(name).map(str::trim);
    let given = |name| given(name).filter(|value| !value.is_empty());
    let named = given("AZURE_OPENAI_RESOURCE_NAME");
    let named = named.map(|name| format!("https://{name}.openai.azure.com/openai/v1"));
    given("AZURE_OPENAI_BASE_URL").map(String::from).or(named)
}

fn unknown(model: &Ref) -> Error {
    Error {
        class: Class::Format,
        status: None,
        message: format!("Unknown model: {model}"),
        retry_after_ms: None,
        partial: None,
    }
}

fn echo(params: Value) -> Target {
    Target {
        provider: "builtin".into(),
        model: "echo".into(),
        name: "Echo (no model)".into(),
        api: "echo".into(),
        context_window: CONTEXT_WINDOW,
        max_tokens: MAX_TOKENS,
        params,
        ..Target::default()
    }
}

fn from_config(
    own: &schema::Provider,
    entry: &schema::Model,
    known: Option<&catalogue::Provider>,
) -> Target {
    let price = |key: &str| entry.cost.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let context_window = entry.context_window.unwrap_or(CONTEXT_WINDOW);
    let api = entry.api.as_ref().or(own.api.as_ref());
    let headers = own.headers.iter().chain(&entry.headers);
    Target {
        name: entry.name.clone().unwrap_or_else(|| entry.id.clone()),
        api: api.map_or_else(
            || known.map_or("openai-responses", |k| k.api).to_string(),
            String::clone,
        ),
        base_url: base_url(own, known),
        headers: headers.map(|(k, v)| (k.clone(), v.clone())).collect(),
        reasoning: entry.reasoning,
        images: entry.input.iter().any(|kind| kind == "image"),
        context_window,
        max_tokens: entry.max_tokens.unwrap_or(MAX_TOKENS).min(context_window),
        cost: ["input", "output", "cacheRead", "cacheWrite"].map(price),
        compat: entry.compat.clone().unwrap_or_default(),
        ..Target::default()
    }
}

fn from_catalogue(
    row: catalogue::Model,
    known: Option<&catalogue::Provider>,
    own: Option<&schema::Provider>,
) -> Target {
    let over = |key: &str| row.overrides.get(key).and_then(Value::as_str);
    let mut headers = Vec::new();
    for source in [
        known.map(|k| k.headers()).unwrap_or_default(),
        row.overrides.get("headers").cloned().unwrap_or_default(),
    ] {
        for (name, value) in source.as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            headers.push((name.clone(), value.to_string()));
        }
    }
    let own_headers = own.map(|own| own.headers.iter()).into_iter().flatten();
    headers.extend(own_headers.map(|(k, v)| (k.clone(), v.clone())));
    let own_url = own.and_then(|own| own.base_url.as_deref());
    Target {
        name: row.name.to_string(),
        api: over("api")
            .or(own.and_then(|own| own.api.as_deref()))
            .or(known.map(|k| k.api))
            .unwrap_or_default()
            .to_string(),
        base_url: own_url
            .or(over("baseUrl"))
            .or(known.map(|k| k.base_url))
            .unwrap_or_default()
            .to_string(),
        headers,
        reasoning: row.reasoning,
        images: row.images,
        context_window: row.context_window,
        max_tokens: row.max_tokens,
        cost: row.cost,
        compat: row.overrides.get("compat").cloned().unwrap_or_default(),
        ..Target::default()
    }
}

/// A model nobody described, at a provider that is configured.
fn ad_hoc(own: &schema::Provider, model: &Ref) -> Target {
    let first = own.models.first();
    let context_window = first
        .and_then(|m| m.context_window)
        .unwrap_or(CONTEXT_WINDOW);
    Target {
        name: model.model.clone(),
        api: own.api.clone().unwrap_or_else(|| "openai-responses".into()),
        base_url: own.base_url.clone().unwrap_or_default(),
        headers: own.headers.clone().into_iter().collect(),
        context_window,
        max_tokens: first.and_then(|m| m.max_tokens).unwrap_or(MAX_TOKENS),
        ..Target::default()
    }
}

fn base_url(own: &schema::Provider, known: Option<&catalogue::Provider>) -> String {
    let own = own.base_url.as_deref();
    own.or(known.map(|k| k.base_url))
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};
    use crate::model::name::chain;

    fn snapshot(config: &str, env: &[(&str, &str)]) -> Snapshot {
        let dir = crate::base::id::temp_dir("choose");
        let mut pairs = vec![
            ("HOME", dir.to_str().unwrap()),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
        ];
        pairs.extend(env);
        let env = Env::from_pairs(&pairs);
        let paths = Paths::resolve(&env, None);
        std::fs::write(&paths.config, config).unwrap();
        let snapshot = load::load(&paths, &env);
        assert!(snapshot.valid, "{:?}", snapshot.issues);
        std::fs::remove_dir_all(dir).unwrap();
        snapshot
    }

    fn one(snapshot: &Snapshot, name: &str) -> Result<Choice, Error> {
        let model = Ref::parse(&snapshot.config, name);
        let dir = snapshot.paths.agent_dir.clone();
        targets(snapshot, &dir, &model).map(|mut all| all.remove(0))
    }

    const FAKE: &str = r#"{
        "agents": {"defaults": {
            "model": {"primary": "fake/m1", "fallbacks": ["opus", "other/x", "fake/m1"]},
            "models": {"anthropic/claude-opus-4-5": {}, "fake/m1": {"alias": "f", "params": {"temperature": 0.5}}}}},
        "models": {"providers": {"fake": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "MY_KEY",
            "api": "openai-completions", "headers": {"x": "1"}, "models": [
            {"id": "m1", "name": "M1", "contextWindow": 128000, "maxTokens": 4096, "input": ["text", "image"]}]}}}}"#;

    #[test]
    fn a_configured_model_is_found_by_name_and_alias_with_its_key() {
        let snapshot = snapshot(FAKE, &[("MY_KEY", "secret-1")]);
        let choice = one(&snapshot, "F").unwrap();
        let target = &choice.target;
        assert_eq!(target.model, "m1");
        assert_eq!(target.key.as_ref().unwrap().expose(), "secret-1");
        assert_eq!(choice.source, Some(Source::Env("MY_KEY".into())));
        assert!(target.images && target.tools && !target.reasoning);
        assert_eq!(target.params["temperature"], 0.5);
        assert_eq!(target.headers, [("x".to_string(), "1".to_string())]);
        let chain = chain(&snapshot.config, None, None);
        let chain: Vec<String> = chain.iter().map(Ref::to_string).collect();
        assert_eq!(chain, ["fake/m1", "anthropic/claude-opus-4-5"]);
    }

    #[test]
    fn a_built_in_model_wants_a_key_and_says_where_to_put_it() {
        let without = snapshot("{}", &[]);
        let error = one(&without, "anthropic/claude-opus-4-5").unwrap_err();
        assert_eq!(error.class, Class::Auth);
        assert!(error.message.contains("ANTHROPIC_OAUTH_TOKEN"), "{error}");
        let with = snapshot(
            "{}",
            &[("GEMINI_API_KEY", "k"), ("OPENROUTER_API_KEY", "k")],
        );
        let gemini = one(&with, "google/gemini-3-pro").unwrap().target;
        assert_eq!(gemini.api, "google-generative-ai");
        assert!(gemini.base_url.ends_with("/v1beta"));
        let auto = one(&with, "openrouter/openai/gpt-4o").unwrap().target;
        assert_eq!(auto.model, "openai/gpt-4o");
        assert_eq!(auto.headers[1], ("X-Title".into(), "OpenClaw".into()));
        assert_eq!(
            one(&with, "nobody/x").unwrap_err().message,
            "Unknown model: nobody/x"
        );
    }

    #[test]
    fn bedrock_is_called_in_its_region_with_a_token_or_with_keys_that_sign() {
        let model = "amazon-bedrock/eu.anthropic.claude-opus-4-5-20251101-v1:0";
        let keys = [
            ("AWS_ACCESS_KEY_ID", "ID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let signed = one(&snapshot("{}", &keys), model).unwrap().target;
        assert!(signed.key.is_none() && signed.aws.is_some());
        assert_eq!(
            signed.base_url,
            "https://bedrock-runtime.eu-west-1.amazonaws.com"
        );
        let token = [("AWS_BEARER_TOKEN_BEDROCK", "t"), keys[2]];
        let bearer = one(&snapshot("{}", &token), model).unwrap().target;
        assert!(bearer.key.is_some() && bearer.aws.is_none());
        assert_eq!(bearer.base_url, signed.base_url);
    }

    #[test]
    fn azure_is_found_by_its_customers_name_or_address() {
        let model = "azure-openai-responses/gpt-4.1";
        let key = ("AZURE_OPENAI_API_KEY", "k");
        let error = one(&snapshot("{}", &[key]), model).unwrap_err();
        assert!(
            error.message.contains("AZURE_OPENAI_RESOURCE_NAME"),
            "{error}"
        );
        let base = |more| {
            let found = one(&snapshot("{}", &[key, more]), model).unwrap();
            found.target.base_url
        };
        let named = base(("AZURE_OPENAI_RESOURCE_NAME", "mine"));
        assert_eq!(named, "https://mine.openai.azure.com/openai/v1");
        let given = base(("AZURE_OPENAI_BASE_URL", "https://proxy/v1"));
        assert_eq!(given, "https://proxy/v1");
    }

    #[test]
    fn ollama_speaks_its_own_format_above_its_compatible_address() {
        let at = |base: &str| {
            let config = format!(
                r#"{{"models": {{"providers": {{"ollama": {{"baseUrl": "{base}",
                    "api": "openai-completions", "models": []}}}}}}}}"#
            );
            one(&snapshot(&config, &[]), "ollama/qwen3")
                .unwrap()
                .target
                .api
        };
        assert_eq!(at("http://127.0.0.1:11434"), "ollama");
        assert_eq!(at("http://127.0.0.1:11434/v1/"), "openai-completions");
    }

    #[test]
    fn a_small_window_leaves_no_room_for_tools_and_echo_needs_no_key() {
        let small = FAKE.replace("128000", "8192");
        let snapshot = snapshot(&small, &[]);
        assert!(!one(&snapshot, "fake/m1").unwrap().target.tools);
        assert_eq!(one(&snapshot, "builtin/echo").unwrap().target.api, "echo");
        assert_eq!(
            one(&snapshot, "fake/other").unwrap().target.max_tokens,
            4096
        );
    }
}
