//! A job made from params, and changed by a patch. Whatever is refused leaves the job as it was.

use super::{Error, next};
use crate::base::id;
use crate::config::agents::agent_id;
use crate::wire::gateway::cron::{
    Delivery, DeliveryMode, DeliveryPatch, Job, NewJob, Patch, Payload, PayloadPatch, Schedule,
    State, Target,
};
use serde_json::{Map, Value};

pub fn create(new: NewJob, now: u64) -> Result<Job, Error> {
    let mut job = Job {
        id: id::uuid(),
        agent_id: new.agent_id.as_deref().map(agent_id),
        name: new.name.trim().to_string(),
        description: said(new.description),
        enabled: new.enabled,
        delete_after_run: new.delete_after_run,
        created_at_ms: now,
        updated_at_ms: now,
        schedule: new.schedule,
        session_target: new.session_target,
        wake_mode: new.wake_mode,
        payload: new.payload,
        delivery: new.delivery,
        state: State::default(),
        rest: Map::new(),
    };
    if job.name.is_empty() {
        return Err(Error::Rule("cron job name is required"));
    }
    check(&job)?;
    next::check(&job.schedule)?;
    job.state.next_run_at_ms = next_run(&job, now);
    Ok(job)
}

/// The job as `patch` wants it. Its next run changes only where the patch is about that.
pub fn patched(old: &Job, patch: Patch, now: u64) -> Result<Job, Error> {
    let mut job = old.clone();
    let moved = patch.schedule.is_some() || patch.enabled.is_some();
    if let Some(name) = patch.name {
        job.name = name.trim().to_string();
        if job.name.is_empty() {
            return Err(Error::Rule("cron job name is required"));
        }
    }
    if let Some(agent) = patch.agent_id {
        job.agent_id = agent.as_deref().map(agent_id);
    }
    if let Some(description) = patch.description {
        job.description = said(Some(description));
    }
    job.enabled = patch.enabled.unwrap_or(job.enabled);
    job.delete_after_run = patch.delete_after_run.or(job.delete_after_run);
    job.session_target = patch.session_target.unwrap_or(job.session_target);
    job.wake_mode = patch.wake_mode.unwrap_or(job.wake_mode);
    if let Some(schedule) = patch.schedule {
        next::check(&schedule)?;
        job.schedule = schedule;
    }
    if let Some(payload) = patch.payload {
        job.payload = repaid(job.payload, payload)?;
    }
    if let Some(delivery) = patch.delivery {
        job.delivery = Some(redirected(job.delivery, delivery));
    }
    if job.session_target == Target::Main && old.session_target == Target::Isolated {
        job.delivery = None;
    }
    check(&job)?;
    if let Some(state) = patch.state {
        job.state = restated(&job.state, state);
    }
    if !job.enabled {
        job.state.next_run_at_ms = None;
    } else if moved || job.state.next_run_at_ms.is_none() {
        job.state.next_run_at_ms = next_run(&job, now);
    }
    job.updated_at_ms = now;
    Ok(job)
}

/// When an enabled job runs after `now`.
pub fn next_run(job: &Job, now: u64) -> Option<u64> {
    job.enabled
        .then(|| next::next(&job.schedule, now))
        .flatten()
}

/// The moment of a job that runs once.
pub fn moment(job: &Job) -> Option<u64> {
    match &job.schedule {
        Schedule::At { at } => next::parse_time(at),
        _ => None,
    }
}

fn check(job: &Job) -> Result<(), Error> {
    match (job.session_target, &job.payload) {
        (Target::Main, Payload::AgentTurn { .. }) => Err(Error::Rule(
            "main cron jobs require payload.kind=\"systemEvent\"",
        )),
        (Target::Isolated, Payload::SystemEvent { .. }) => Err(Error::Rule(
            "isolated cron jobs require payload.kind=\"agentTurn\"",
        )),
        (Target::Main, _) if job.delivery.is_some() => Err(Error::Rule(
            "cron delivery config is only supported for sessionTarget=\"isolated\"",
        )),
        _ => Ok(()),
    }
}

fn said(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_string())
        .filter(|text| !text.is_empty())
}

fn repaid(old: Payload, patch: PayloadPatch) -> Result<Payload, Error> {
    Ok(match (old, patch) {
        (Payload::SystemEvent { text: old }, PayloadPatch::SystemEvent { text }) => {
            Payload::SystemEvent {
                text: text.unwrap_or(old),
            }
        }
        (_, PayloadPatch::SystemEvent { text }) => Payload::SystemEvent {
            text: text.ok_or(Error::Rule(
                "cron.update payload.kind=\"systemEvent\" requires text",
            ))?,
        },
        (
            Payload::AgentTurn {
                message: old,
                model: m,
                thinking: t,
                timeout_seconds: s,
                rest,
            },
            PayloadPatch::AgentTurn {
                message,
                model,
                thinking,
                timeout_seconds,
            },
        ) => Payload::AgentTurn {
            message: message.unwrap_or(old),
            model: model.or(m),
            thinking: thinking.or(t),
            timeout_seconds: timeout_seconds.or(s),
            rest,
        },
        (
            _,
            PayloadPatch::AgentTurn {
                message,
                model,
                thinking,
                timeout_seconds,
            },
        ) => Payload::AgentTurn {
            message: message.ok_or(Error::Rule(
                "cron.update payload.kind=\"agentTurn\" requires message",
            ))?,
            model,
            thinking,
            timeout_seconds,
            rest: Map::new(),
        },
    })
}

fn redirected(old: Option<Delivery>, patch: DeliveryPatch) -> Delivery {
    let old = old.unwrap_or(Delivery {
        mode: DeliveryMode::Announce,
        channel: None,
        to: None,
        best_effort: None,
    });
    Delivery {
        mode: patch.mode.unwrap_or(old.mode),
        channel: said(patch.channel.or(old.channel)),
        to: said(patch.to.or(old.to)),
        best_effort: patch.best_effort.or(old.best_effort),
    }
}

/// Fields of the state that a client sets outright.
fn restated(old: &State, patch: Map<String, Value>) -> State {
    let mut state = serde_json::to_value(old).expect("a state is plain data");
    if let Some(map) = state.as_object_mut() {
        map.extend(patch);
    }
    // Checked against its shape before.
    serde_json::from_value(state).unwrap_or_else(|_| old.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::input;
    use serde_json::json;

    const NOW: u64 = 1_795_238_025_745;

    fn made(params: Value) -> Result<Job, Error> {
        create(serde_json::from_value(input::create(params)).unwrap(), NOW)
    }

    fn patch(job: &Job, patch: Value) -> Result<Job, Error> {
        let params = input::update(json!({"id": "x", "patch": patch}));
        let patch = serde_json::from_value(params["patch"].clone()).unwrap();
        patched(job, patch, NOW + 5)
    }

    #[test]
    fn a_new_job_is_the_one_the_original_makes() {
        let job = made(
            json!({"name": "Every ten", "schedule": {"kind": "every", "everyMs": 600000},
            "payload": {"kind": "systemEvent", "text": "ping"}}),
        )
        .unwrap();
        let mut value = serde_json::to_value(job).unwrap();
        value["id"] = "7ee0b218".into();
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"id":"7ee0b218","name":"Every ten","enabled":true,"createdAtMs":1795238025745,"updatedAtMs":1795238025745,"schedule":{"kind":"every","everyMs":600000},"sessionTarget":"main","wakeMode":"next-heartbeat","payload":{"kind":"systemEvent","text":"ping"},"state":{"nextRunAtMs":1795238625745}}"#
        );
    }

    #[test]
    fn parts_that_do_not_go_together_are_refused_in_the_originals_words() {
        let why = |params: Value| made(params).unwrap_err().to_string();
        let every = json!({"everyMs": 1000});
        assert_eq!(
            why(
                json!({"name": "n", "schedule": every, "sessionTarget": "main",
                       "payload": {"message": "m"}})
            ),
            "main cron jobs require payload.kind=\"systemEvent\""
        );
        assert_eq!(
            why(
                json!({"name": "n", "schedule": every, "sessionTarget": "isolated",
                       "payload": {"text": "m"}})
            ),
            "isolated cron jobs require payload.kind=\"agentTurn\""
        );
        assert_eq!(
            why(
                json!({"name": "n", "schedule": every, "payload": {"text": "m"},
                       "delivery": {"mode": "none"}})
            ),
            "cron delivery config is only supported for sessionTarget=\"isolated\""
        );
        assert!(
            why(json!({"name": "n", "schedule": {"expr": "x"}, "payload": {"text": "m"}}))
                .starts_with("cron expression \"x\": ")
        );
    }

    #[test]
    fn a_patch_changes_what_it_names_and_the_next_run_only_with_the_schedule() {
        let job = made(
            json!({"name": "n", "schedule": {"everyMs": 600000}, "agentId": "ops",
            "payload": {"message": "m", "model": "a/b"}}),
        )
        .unwrap();
        let next = job.state.next_run_at_ms;
        let renamed = patch(&job, json!({"name": " other ", "agentId": null})).unwrap();
        assert_eq!((renamed.name.as_str(), &renamed.agent_id), ("other", &None));
        assert_eq!(renamed.state.next_run_at_ms, next);
        assert_eq!(
            (renamed.updated_at_ms, renamed.created_at_ms),
            (NOW + 5, NOW)
        );
        let off = patch(&job, json!({"enabled": false})).unwrap();
        assert_eq!(off.state.next_run_at_ms, None);
        let on = patch(&off, json!({"enabled": true})).unwrap();
        assert_eq!(on.state.next_run_at_ms, Some(NOW + 5 + 600_000));
        let said = patch(
            &job,
            json!({"payload": {"kind": "agentTurn", "message": "new"}}),
        )
        .unwrap();
        assert!(
            matches!(said.payload, Payload::AgentTurn { message, model: Some(_), .. } if message == "new")
        );
        let sent = patch(&job, json!({"delivery": {"to": "7"}})).unwrap();
        assert_eq!(
            serde_json::to_value(sent.delivery).unwrap(),
            json!({"mode": "announce", "to": "7"})
        );
        let main = patch(
            &job,
            json!({"sessionTarget": "main", "payload": {"text": "t"}}),
        )
        .unwrap();
        assert_eq!((main.session_target, main.delivery), (Target::Main, None));
        assert!(patch(&job, json!({"sessionTarget": "main"})).is_err());
        assert!(patch(&job, json!({"payload": {"kind": "systemEvent"}})).is_err());
        assert!(patch(&job, json!({"schedule": {"expr": "x"}})).is_err());
    }
}
