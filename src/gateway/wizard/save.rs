//! What the answers become: the key where keys are kept, then one edit of the configuration. In a
//! gateway the watcher of the configuration does the rest.

use super::auth::{self, Auth, Token};
use super::error::Error;
use super::flow::{Answers, Question};
use super::listen;
use super::steps;
use crate::base::secret::Secret;
use crate::config::Snapshot;
use crate::config::settings::Settings;
use crate::model::credential;
use crate::model::offer;
use serde_json::{Value, json};

/// Who asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// As it is noted in the configuration.
    pub command: &'static str,
    /// A gateway that runs, and reads no `.env` file again.
    pub running: bool,
}

/// Writes it all; the configuration that is in force then, and lines that tell of the key.
pub fn write(
    before: &Snapshot,
    answers: &Answers,
    by: By,
) -> Result<(Snapshot, Vec<String>), Error> {
    let said = |key: Question| answers.get(&key).and_then(Value::as_str);
    let auth = key(before, answers, by)?;
    let mut settings = Settings::default();
    let place = said(Question::Place);
    let mode = match place {
        Some("remote") => "remote",
        _ => "local",
    };
    if said(Question::Handling) != Some("keep") {
        settings.put(&["gateway", "mode"], mode);
        match mode {
            "remote" => {
                let token = said(Question::RemoteToken).map(Secret::new);
                if let Some(url) = said(Question::RemoteUrl) {
                    settings.append(remote(before, url, token.as_ref())?);
                }
            }
            _ => local(before, answers, by, &mut settings)?,
        }
    }
    settings.note_run(by.command, mode);
    let lines = auth.keep(&before.paths)?.into_iter().collect();
    let mut all = auth.settings;
    all.append(settings);
    let after = all.write(&before.paths, &before.env);
    Ok((after.map_err(Error::Config)?, lines))
}

/// A gateway somewhere else.
pub fn remote(before: &Snapshot, url: &str, token: Option<&Secret>) -> Result<Settings, Error> {
    if !url.starts_with("ws://") && !url.starts_with("wss://") {
        return Err(Error::said(
            "Invalid --remote-url (must start with ws:// or wss://)",
        ));
    }
    let mut settings = Settings::default();
    if before.config.gateway.remote.url.as_deref() != Some(url) {
        // What belongs to another gateway (its token, its certificate) is not shown to this one.
        settings.put(&["gateway", "remote"], json!({ "url": url }));
    }
    if let Some(token) = token {
        settings.put(&["gateway", "remote", "token"], token.expose());
    }
    Ok(settings)
}

fn key(before: &Snapshot, answers: &Answers, by: By) -> Result<Auth, Error> {
    let said = |key: Question| answers.get(&key).and_then(Value::as_str);
    let typed = said(Question::ApiKey).map(Secret::new);
    let mut auth = match said(Question::Provider) {
        None | Some(steps::SKIP) => Auth::default(),
        Some(steps::SETUP_TOKEN) => {
            let token = Token {
                provider: Some("anthropic".into()),
                token: typed,
                ..Token::default()
            };
            auth::token(before, &token)?
        }
        Some(provider) => {
            let Some(offer) = offer::of_provider(provider) else {
                return Err(Error::said(format!("unknown provider {provider}")));
            };
            // A service has not the environment of this shell: its key is kept, too.
            let of_env = || credential::in_env(before, provider).map(|found| found.key);
            auth::opened(before, offer, typed.or_else(of_env), None, !by.running)
        }
    };
    let model = said(Question::ModelName).or(said(Question::Model));
    if let Some(model) = model.filter(|model| steps::is_model(model)) {
        let place = ["agents", "defaults", "model", "primary"];
        auth.settings.put(&place, model);
        // Where there is a list of those that may be used, it is on it.
        let listed = before.parsed.pointer("/agents/defaults/models");
        if listed
            .and_then(Value::as_object)
            .is_some_and(|list| !list.is_empty())
        {
            let place = ["agents", "defaults", "models", model];
            auth.settings.fill(&place, json!({}));
        }
    }
    Ok(auth)
}

fn local(
    before: &Snapshot,
    answers: &Answers,
    by: By,
    settings: &mut Settings,
) -> Result<(), Error> {
    let text = |key: Question| answers.get(&key).and_then(Value::as_str);
    if let Some(workspace) = text(Question::Workspace) {
        settings.put(&["agents", "defaults", "workspace"], workspace);
    }
    // Where nobody was asked, a gateway that runs has what it needs, and would have to start anew.
    let asked = answers.contains_key(&Question::Port);
    let quick = answers.contains_key(&Question::Flow) && !by.running;
    if !asked && !quick {
        return Ok(());
    }
    let owned = |key: Question| text(key).map(str::to_string);
    let secret = |key: Question| {
        let typed = text(key).filter(|text| !text.is_empty());
        typed.map(Secret::new)
    };
    let wanted = listen::Wanted {
        port: answers.get(&Question::Port).map(Value::to_string),
        bind: owned(Question::Bind),
        bind_host: owned(Question::BindHost),
        auth: owned(Question::Auth),
        // Blank asks for a new one where there is none.
        token: match text(Question::Token) {
            Some("") if before.config.gateway.auth.token.is_none() => Some(listen::generated()),
            _ => secret(Question::Token),
        },
        password: secret(Question::Password),
        tailscale: owned(Question::Tailscale),
        reset_on_exit: answers.get(&Question::ResetOnExit).and_then(Value::as_bool),
    };
    settings.append(listen::look(before, &wanted)?.settings);
    Ok(())
}
