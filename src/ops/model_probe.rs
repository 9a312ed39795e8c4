//! `models status --probe`: one small real call for every key, to see whether it opens what it
//! should. A key that works is booked as good; one that does not is left as it is, so that looking
//! does not put it to rest.

use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::config::Snapshot;
use crate::model::catalogue;
use crate::model::choose::{self, Choice};
use crate::model::credential::{self, Profiles, Source};
use crate::model::name::{self, Ref};
use crate::model::status::Status;
use crate::model::{Class, Client, Error, Live, Request};
use crate::wire::message::{Content, Message, User};
use crossbeam_channel::{bounded, unbounded};
use serde::Serialize;
use std::time::{Duration, Instant};

const QUESTION: &str = "Answer with the word OK and nothing else.";
/// Longest error text shown of one call.
const MAX_ERROR: usize = 600;

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Only these profiles, when there are any.
    pub profile_ids: Vec<String>,
    pub timeout_ms: u64,
    pub concurrency: usize,
    pub max_tokens: u64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub started_at: u64,
    pub finished_at: u64,
    pub duration_ms: u64,
    /// Calls that were made.
    pub total_targets: usize,
    pub options: Options,
    pub results: Vec<Probed>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probed {
    pub provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile_id: Option<String>,
    pub label: String,
    /// `profile`, `env`, `models.json`.
    pub source: &'static str,
    pub mode: String,
    /// `ok`, `auth`, `rate_limit`, `billing`, `timeout`, `format`, `no_model`, `unknown`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
}

/// Probes every way into the providers of `status`.
pub fn run(snapshot: &Snapshot, status: &Status, options: Options) -> Report {
    let started_at = now_ms();
    let (mut results, targets) = plan(snapshot, status, &options);
    let total_targets = targets.len();
    let (hand, take) = unbounded();
    for target in targets {
        // The receiver lives to the end of this function.
        let _ = hand.send(target);
    }
    drop(hand);
    let (tell, told) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..options.concurrency.clamp(1, total_targets.max(1)) {
            let (take, tell) = (take.clone(), tell.clone());
            let options = &options;
            scope.spawn(move || {
                while let Ok((mut probed, choice)) = take.recv() {
                    call(&mut probed, &choice, options);
                    if let ("ok", Some(id)) = (probed.status, &probed.profile_id) {
                        if let Err(err) = credential::worked(snapshot, &status.agent_dir, id) {
                            log::warn!("the success of profile {id} was not noted: {err}");
                        }
                    }
                    let _ = tell.send(probed);
                }
            });
        }
    });
    drop(tell);
    results.extend(told);
    results.sort_by(|a, b| (&a.provider, &a.label).cmp(&(&b.provider, &b.label)));
    let finished_at = now_ms();
    Report {
        started_at,
        finished_at,
        duration_ms: finished_at.saturating_sub(started_at),
        total_targets,
        options,
        results,
    }
}

/// What need not be called to be known, and what must.
fn plan(
    snapshot: &Snapshot,
    status: &Status,
    options: &Options,
) -> (Vec<Probed>, Vec<(Probed, Choice)>) {
    let profiles = Profiles::read(&snapshot.paths, &status.agent_dir);
    let wanted = options.provider.as_deref().map(name::provider_id);
    let (mut known, mut targets) = (Vec::new(), Vec::new());
    for provider in &status.providers {
        if wanted.as_ref().is_some_and(|wanted| wanted != provider) {
            continue;
        }
        let model = model_of(snapshot, status, provider);
        let choices = model.as_ref().map_or_else(Vec::new, |model| {
            choose::targets_with(snapshot, &profiles, &status.agent_dir, model).unwrap_or_default()
        });
        let explicit = profiles.explicit_order(snapshot, provider);
        for mut probed in ways(snapshot, &profiles, provider, &options.profile_ids) {
            probed.model = model.as_ref().map(Ref::to_string);
            let choice = choices.iter().find(|choice| is_way(choice, &probed));
            let left_out = probed
                .profile_id
                .as_ref()
                .is_some_and(|id| !explicit.is_empty() && !explicit.contains(id));
            let why = match (&model, choice) {
                _ if left_out => ("unknown", "Excluded by auth.order for this provider."),
                (None, _) => ("no_model", "No model available for probe"),
                (_, None) => (
                    "unknown",
                    "Auth profile credentials are missing or expired.",
                ),
                (_, Some(choice)) => {
                    targets.push((probed, choice.clone()));
                    continue;
                }
            };
            probed.status = why.0;
            probed.error = Some(why.1.into());
            known.push(probed);
        }
    }
    (known, targets)
}

/// The keys of a provider; only where there is no profile the environment and the configuration.
fn ways(snapshot: &Snapshot, profiles: &Profiles, provider: &str, only: &[String]) -> Vec<Probed> {
    let probed = |label: String, source, mode: &str| Probed {
        provider: provider.to_string(),
        model: None,
        profile_id: None,
        label,
        source,
        mode: mode.to_string(),
        status: "unknown",
        error: None,
        latency_ms: None,
    };
    let mut ids = profiles.ids(provider);
    ids.retain(|id| only.is_empty() || only.iter().any(|wanted| wanted == id));
    if !ids.is_empty() {
        let one = |id: &str| Probed {
            profile_id: Some(id.to_string()),
            ..probed(
                match profiles.email(snapshot, id) {
                    Some(email) => format!("{id} ({email})"),
                    None => id.to_string(),
                },
                "profile",
                profiles.kind(id),
            )
        };
        return ids.into_iter().map(one).collect();
    }
    if !only.is_empty() {
        return Vec::new();
    }
    if let Some(found) = credential::in_env(snapshot, provider) {
        let login = matches!(found.source, Source::Env(name) if name.contains("OAUTH_TOKEN"));
        let mode = if login { "oauth" } else { "api_key" };
        return vec![probed("env".into(), "env", mode)];
    }
    let configured = credential::in_config(snapshot, provider).is_some();
    let open = name::configured(&snapshot.config, provider).is_some_and(|p| p.base_url.is_some());
    match configured || open {
        true => vec![probed("models.json".into(), "models.json", "api_key")],
        false => Vec::new(),
    }
}

fn is_way(choice: &Choice, probed: &Probed) -> bool {
    match (&choice.source, &probed.profile_id) {
        (Some(Source::Profile(id)), Some(wanted)) => id == wanted,
        (Some(Source::Profile(_)), None) => false,
        (_, wanted) => wanted.is_none(),
    }
}

/// The provider's model in use, else its first one.
fn model_of(snapshot: &Snapshot, status: &Status, provider: &str) -> Option<Ref> {
    let config = &snapshot.config;
    let used = std::iter::once(&status.asked)
        .chain(&status.fallbacks)
        .chain(&status.image_model)
        .chain(&status.image_fallbacks)
        .chain(&status.allowed)
        .map(|name| Ref::parse(config, name));
    let mut used = used.filter(|model| model.provider == provider);
    used.next().or_else(|| {
        let rows = catalogue::list(snapshot);
        let first = rows.iter().find(|row| row.provider == provider)?;
        Some(Ref::new(provider, &first.id))
    })
}

fn call(probed: &mut Probed, choice: &Choice, options: &Options) {
    let message = Message::User(User {
        content: Content::Text(QUESTION.into()),
        timestamp: now_ms(),
    });
    let request = Request {
        system: "",
        messages: &[message],
        tools: &[],
        thinking: "off",
        session_id: "probe",
        max_tokens: Some(options.max_tokens),
        must_call: false,
    };
    let began = Instant::now();
    let patience = Duration::from_millis(options.timeout_ms);
    let answer = within(patience, |cancel| {
        Live::default().stream(&choice.target, &request, cancel, &mut |_| {})
    });
    probed.latency_ms = u64::try_from(began.elapsed().as_millis()).ok();
    match answer {
        Ok(_) => probed.status = "ok",
        Err(error) => {
            probed.status = status_of(&error);
            probed.error = Some(match error.class {
                Class::Aborted => format!("no answer within {} ms", options.timeout_ms),
                _ => error.message.chars().take(MAX_ERROR).collect(),
            });
        }
    }
}

fn status_of(error: &Error) -> &'static str {
    match error.class {
        Class::Aborted => "timeout",
        class => class.failover().unwrap_or("unknown"),
    }
}

/// Does `work`, which is cancelled when it takes longer.
pub(super) fn within<T>(patience: Duration, work: impl FnOnce(&Cancel) -> T) -> T {
    let cancel = Cancel::new();
    let (done, is_done) = bounded::<()>(0);
    std::thread::scope(|scope| {
        let watched = cancel.clone();
        scope.spawn(move || {
            if let Err(crossbeam_channel::RecvTimeoutError::Timeout) =
                is_done.recv_timeout(patience)
            {
                watched.cancel();
            }
        });
        let result = work(&cancel);
        drop(done);
        result
    })
}
