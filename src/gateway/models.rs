//! Which models a run asks, with which keys, and what their failures mean for the next run.

use crate::config::{Paths, Snapshot};
use crate::model::catalogue;
use crate::model::choose::{self, Choice};
use crate::model::credential::{self, Source};
use crate::model::name::{self, Ref};
use crate::model::{Class, Target};
use crate::session::Entry;
use std::path::PathBuf;

/// The models of one run, in the order they are asked.
pub struct Chain {
    pub agent_dir: PathBuf,
    /// Same length as `targets`.
    sources: Vec<Option<Source>>,
    /// Never empty.
    pub targets: Vec<Target>,
}

impl Chain {
    /// The `asked` model, the session's or the agent's, then the fallbacks; each with every key that is not
    /// resting after a failure. The error is for people.
    pub fn of(
        config: &Snapshot,
        paths: &Paths,
        agent_id: &str,
        entry: &Entry,
        asked: Option<&str>,
    ) -> Result<Chain, String> {
        let agent_dir = name::agent_dir(paths, agent_id);
        let chosen = match (&entry.provider_override, &entry.model_override) {
            (Some(provider), Some(model)) => Some(Ref::new(provider, model)),
            _ => None,
        };
        // What is no longer allowed is passed over, as if nothing had been chosen.
        let chosen = chosen
            .filter(|model| name::is_allowed(&config.config, model))
            .map(|model| model.to_string());
        let asked = asked.map(str::to_string).or(chosen);
        let agent = config.config.agent(agent_id);
        let mut chain = Chain {
            agent_dir,
            sources: Vec::new(),
            targets: Vec::new(),
        };
        let mut why = None;
        let mut resting = None;
        for model in name::chain(&config.config, agent, asked.as_deref()) {
            match choose::targets(config, &chain.agent_dir, &model) {
                Ok(choices) => {
                    for choice in choices {
                        if choose::is_resting(config, &chain.agent_dir, &choice) {
                            resting.get_or_insert(choice);
                        } else {
                            chain.push(choice);
                        }
                    }
                }
                Err(error) => {
                    why.get_or_insert(error.message);
                }
            }
        }
        if chain.targets.is_empty() {
            // Better a key that may have recovered than no answer at all.
            match resting {
                Some(choice) => chain.push(choice),
                None => return Err(why.unwrap_or_else(|| "no model is configured".into())),
            }
        }
        Ok(chain)
    }

    /// Where the key of a target is from.
    pub fn source(&self, at: usize) -> Option<&Source> {
        self.sources.get(at)?.as_ref()
    }

    fn push(&mut self, choice: Choice) {
        self.sources.push(choice.source);
        self.targets.push(choice.target);
    }

    /// Writes down which keys worked and which should rest.
    pub fn learn(&self, config: &Snapshot, failed: &[(usize, Class)], worked: Option<usize>) {
        let profile = |at: usize| match self.sources.get(at) {
            Some(Some(Source::Profile(id))) => Some(id),
            _ => None,
        };
        // Who was not asked has not failed once more.
        for (at, class) in failed.iter().filter(|(_, class)| *class != Class::Resting) {
            if let (Some(id), Some(reason)) = (profile(*at), class.failover()) {
                if let Err(err) = credential::failed(config, &self.agent_dir, id, reason) {
                    log::warn!("the failure of profile {id} was not noted: {err}");
                }
            }
        }
        if let Some(id) = worked.and_then(profile) {
            if let Err(err) = credential::worked(config, &self.agent_dir, id) {
                log::warn!("the success of profile {id} was not noted: {err}");
            }
        }
    }
}

/// What a session without a choice of its own uses.
pub struct Default {
    pub provider: String,
    pub model: String,
    pub context_tokens: u64,
    pub reasoning: bool,
}

pub fn default(config: &Snapshot, agent_id: &str) -> Default {
    let model = reference(config, agent_id);
    let target = choose::target(config, &model).ok();
    Default {
        reasoning: target.as_ref().is_some_and(|t| t.reasoning),
        context_tokens: target.map_or(catalogue::CONTEXT_WINDOW, |t| t.context_window),
        provider: model.provider,
        model: model.model,
    }
}

/// The model of an agent's sessions that choose nothing.
pub fn reference(config: &Snapshot, agent_id: &str) -> Ref {
    let agent = config.config.agent(agent_id);
    name::chain(&config.config, agent, None).remove(0)
}

/// `(alias, provider/model)` pairs.
pub fn aliases(config: &Snapshot) -> Vec<(String, String)> {
    name::aliases(&config.config)
        .into_iter()
        .map(|(alias, model)| (alias, model.to_string()))
        .collect()
}
