//! What the answers become: the key in the agent's auth profiles, then one edit of the
//! configuration. The watcher of the configuration does the rest.

use super::super::core::Core;
use super::flow::{self, Answers, Question};
use crate::base::secret::Secret;
use crate::base::{hex, id, time};
use crate::config::{edit, path};
use crate::model::credential;
use serde_json::{Value, json};

/// What the original of this behaviour calls itself.
const VERSION: &str = crate::wire::version::BEHAVIOUR;

/// A place in the configuration and what to put there.
type Setting = (Vec<String>, Value);

pub fn write(core: &Core, answers: &Answers) -> Result<(), String> {
    let said = |key: Question| answers.get(&key).and_then(Value::as_str);
    let paths = core.config.paths();
    let provider = said(Question::Provider).filter(|provider| flow::is_provider(provider));
    let mut settings = Settings::default();
    if let (Some(provider), Some(key)) = (provider, said(Question::ApiKey)) {
        let profile = credential::keep(&paths.agent_dir, provider, &Secret::new(key))
            .map_err(|err| format!("the key could not be kept: {err}"))?;
        let known = json!({"provider": provider, "mode": "api_key"});
        settings.put(&["auth", "profiles", &profile], known);
    }
    let mode = match said(Question::Place) {
        Some("remote") => "remote",
        _ => "local",
    };
    if said(Question::Handling) != Some("keep") {
        settings.put(&["gateway", "mode"], mode);
        match mode {
            "remote" => remote(answers, &mut settings),
            _ => local(core, answers, &mut settings),
        }
    }
    settings.put(&["wizard", "lastRunAt"], time::now_iso());
    settings.put(&["wizard", "lastRunVersion"], VERSION);
    settings.put(&["wizard", "lastRunCommand"], "onboard");
    settings.put(&["wizard", "lastRunMode"], mode);
    let edited = edit::change(paths, core.config.env(), |tree| {
        for (place, value) in &settings.0 {
            path::set(tree, place, value.clone()).map_err(edit::Error::Path)?;
        }
        Ok(())
    });
    edited.map(drop).map_err(|err| err.to_string())
}

#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn put(&mut self, place: &[&str], value: impl Into<Value>) {
        let place = place.iter().map(|part| part.to_string()).collect();
        self.0.push((place, value.into()));
    }
}

fn remote(answers: &Answers, settings: &mut Settings) {
    let said = |key: Question| answers.get(&key).and_then(Value::as_str);
    if let Some(url) = said(Question::RemoteUrl) {
        settings.put(&["gateway", "remote", "url"], url);
    }
    if let Some(token) = said(Question::RemoteToken) {
        settings.put(&["gateway", "remote", "token"], token);
    }
}

fn local(core: &Core, answers: &Answers, settings: &mut Settings) {
    let said = |key: Question| answers.get(&key).and_then(Value::as_str);
    if let Some(workspace) = said(Question::Workspace) {
        settings.put(&["agents", "defaults", "workspace"], workspace);
    }
    let model = said(Question::ModelName).or(said(Question::Model).filter(|m| flow::is_model(m)));
    if let Some(model) = model {
        settings.put(&["agents", "defaults", "model", "primary"], model);
    }
    if let Some(port) = answers.get(&Question::Port) {
        settings.put(&["gateway", "port"], port.clone());
    }
    let exposed = said(Question::Tailscale).is_some_and(|mode| mode != "off");
    if let Some(bind) = said(Question::Bind) {
        // Tailscale brings in what comes from outside; the gateway itself stays on loopback.
        let bind = if exposed { "loopback" } else { bind };
        settings.put(&["gateway", "bind"], bind);
        if let Some(host) = said(Question::BindHost).filter(|_| bind == "custom") {
            settings.put(&["gateway", "customBindHost"], host);
        }
    }
    if let Some(mode) = said(Question::Tailscale) {
        settings.put(&["gateway", "tailscale", "mode"], mode);
        let reset = answers.get(&Question::ResetOnExit) == Some(&json!(true));
        settings.put(&["gateway", "tailscale", "resetOnExit"], reset);
    }
    if let Some(password) = said(Question::Password) {
        settings.put(&["gateway", "auth", "mode"], "password");
        settings.put(&["gateway", "auth", "password"], password);
        return;
    }
    let auth = &core.listen.auth;
    let token = match said(Question::Token) {
        Some("") => generated(),
        Some(token) => token.into(),
        // Nobody was asked: only a gateway without any secret gets one.
        None if auth.token.is_none() && auth.password.is_none() => generated(),
        None => return,
    };
    settings.put(&["gateway", "auth", "mode"], "token");
    settings.put(&["gateway", "auth", "token"], token);
}

/// 48 hex digits, as the original makes them.
fn generated() -> String {
    hex::encode(&id::random::<24>())
}
