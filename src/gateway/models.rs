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
        let asked = asked.map(choose::split_profile);
        let pin = Pin::of(entry, asked.and_then(|(_, profile)| profile));
        let asked = asked.map(|(model, _)| model.to_string()).or(chosen);
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
                Ok(mut choices) => {
                    pin.arrange(&mut choices);
                    for choice in choices {
                        if !pin.holds(&choice)
                            && choose::is_resting(config, &chain.agent_dir, &choice)
                        {
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

    /// The profile that opens the candidate.
    pub fn profile(&self, at: usize) -> Option<&str> {
        match self.sources.get(at) {
            Some(Some(Source::Profile(id))) => Some(id),
            _ => None,
        }
    }

    /// Writes down which keys worked and which should rest.
    pub fn learn(&self, config: &Snapshot, failed: &[(usize, Class)], worked: Option<usize>) {
        // Who was not asked has not failed once more.
        for (at, class) in failed.iter().filter(|(_, class)| *class != Class::Resting) {
            if let (Some(id), Some(reason)) = (self.profile(*at), class.failover()) {
                if let Err(err) = credential::failed(config, &self.agent_dir, id, reason) {
                    log::warn!("the failure of profile {id} was not noted: {err}");
                }
            }
        }
        if let Some(id) = worked.and_then(|at| self.profile(at)) {
            if let Err(err) = credential::worked(config, &self.agent_dir, id) {
                log::warn!("the success of profile {id} was not noted: {err}");
            }
        }
    }
}

/// The profile a session keeps to.
struct Pin {
    profile: Option<String>,
    /// A person chose it: no other is used in its place.
    firm: bool,
}

impl Pin {
    fn of(entry: &Entry, asked: Option<&str>) -> Pin {
        if let Some(profile) = asked {
            return Pin {
                profile: Some(profile.to_string()),
                firm: true,
            };
        }
        let source = entry.auth_profile_override_source.as_deref();
        let counted = entry.auth_profile_override_compaction_count;
        let firm = match source {
            Some(source) => source == "user",
            None => counted.is_none(),
        };
        // After a compaction nothing of the prompt is cached there any more.
        let stale = counted.unwrap_or(0) != entry.compaction_count.unwrap_or(0);
        let profile = entry.auth_profile_override.clone();
        Pin {
            profile: profile.filter(|_| firm || !stale),
            firm,
        }
    }

    /// Puts the profile first; one that a person chose stands alone. Choices of a provider it does
    /// not belong to stay as they are.
    fn arrange(&self, choices: &mut Vec<Choice>) {
        let Some(at) = choices.iter().position(|choice| self.is(choice)) else {
            return;
        };
        let pinned = choices.remove(at);
        if self.firm {
            choices.clear();
        }
        choices.insert(0, pinned);
    }

    fn holds(&self, choice: &Choice) -> bool {
        self.firm && self.is(choice)
    }

    fn is(&self, choice: &Choice) -> bool {
        let id = match &choice.source {
            Some(Source::Profile(id)) => id,
            _ => return false,
        };
        self.profile.as_ref() == Some(id)
    }
}

/// Has the session keep to the profile that worked, unless a person chose one.
pub fn stick(entry: &mut Entry, profile: Option<&str>) {
    let by_person = Pin::of(entry, None);
    let Some(profile) = profile.filter(|_| !(by_person.firm && by_person.profile.is_some())) else {
        return;
    };
    entry.auth_profile_override = Some(profile.to_string());
    entry.auth_profile_override_source = Some("auto".into());
    entry.auth_profile_override_compaction_count = Some(entry.compaction_count.unwrap_or(0));
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
