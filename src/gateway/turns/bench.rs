//! The tools a run may use, as the turn calls them.

use super::super::approvals::Desk;
use super::Flight;
use crate::agent::prompt;
use crate::agent::turn::{Call, Ran, Toolbox};
use crate::base::cancel::Cancel;
use crate::config::Snapshot;
use crate::gateway::inside::Inside;
use crate::gateway::skills::Usable;
use crate::model::name::{self, Ref};
use crate::model::{Target, ToolSpec, schema, see};
use crate::session::Entry;
use crate::tool::approve::Stand;
use crate::tool::{self, Output, Tool, policy};
use crate::wire::gateway::agent::PendingCall;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Bench<'a> {
    flight: &'a Flight,
    config: Arc<Snapshot>,
    entry: &'a Entry,
    desk: Desk,
    inside: Inside,
    skills: Arc<Usable>,
    pub tools: Vec<&'static Tool>,
    pub specs: Vec<ToolSpec>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(
        flight: &'a Flight,
        config: &Arc<Snapshot>,
        entry: &'a Entry,
        target: &Target,
        skills: &Arc<Usable>,
    ) -> Bench<'a> {
        let caller = policy::Caller {
            agent_id: &flight.agent_id,
            session_key: &flight.run.key,
            provider: &target.provider,
            model: &target.model,
        };
        let tools = if prompt::takes_tools(target) {
            policy::allowed(config, &caller)
        } else {
            Vec::new()
        };
        let theirs = &flight.api.tools;
        let tools: Vec<&Tool> = tools
            .into_iter()
            .filter(|tool| theirs.iter().all(|t| t.name != tool.name))
            .filter(|tool| tool.name != "image" || sees(config, &flight.agent_id, target))
            .collect();
        let specs = tools
            .iter()
            .map(|tool| ToolSpec {
                name: tool.name.into(),
                description: tool.description.into(),
                parameters: serde_json::from_str(tool.parameters).unwrap_or(Value::Null),
            })
            .chain(theirs.iter().cloned())
            .map(|spec| ToolSpec {
                parameters: schema::for_services(&spec.parameters),
                ..spec
            })
            .collect();
        Bench {
            flight,
            config: config.clone(),
            entry,
            desk: Desk(flight.core.clone()),
            inside: Inside(flight.core.clone()),
            skills: skills.clone(),
            tools,
            specs,
        }
    }
}

/// Whether there is a model to ask about pictures.
fn sees(config: &Snapshot, agent_id: &str, target: &Target) -> bool {
    let dir = name::agent_dir(&config.paths, agent_id);
    let used = Ref::new(&target.provider, &target.model);
    !see::chain(config, &dir, &used).is_empty()
}

impl Toolbox for Bench<'_> {
    fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    fn callers(&self) -> &[ToolSpec] {
        &self.specs[self.tools.len()..]
    }

    fn call(&self, call: &Call, cancel: &Cancel, update: &(dyn Fn(Output) + Sync)) -> Ran {
        let flight = self.flight;
        if flight.api.tools.iter().any(|tool| tool.name == call.name) {
            return self.hand_over(call);
        }
        let done = tool::run(
            call.name,
            &tool::Call {
                id: call.id,
                arguments: call.arguments,
            },
            &tool::Context {
                agent_id: &flight.agent_id,
                session_key: &flight.run.key,
                run_id: &flight.run.id,
                workspace: flight.workspace.clone(),
                config: self.config.clone(),
                cancel,
                update,
                variables: &self.skills.variables,
                skills: &self.skills.folders,
                tools: &self.tools,
                processes: &flight.core.agents.processes,
                memory: &flight.core.agents.memory,
                gateway: &self.inside,
                approve: Stand {
                    desk: Some(&self.desk),
                    host: self.entry.exec_host.as_deref(),
                    security: self.entry.exec_security.as_deref(),
                    ask: self.entry.exec_ask.as_deref(),
                    elevated: self.entry.elevated_level.as_deref(),
                    sender: flight.run.sender.as_ref(),
                },
            },
        );
        Ran {
            failed: done.failed(),
            refused: done.is_error,
            last: false,
            output: Output {
                content: done.content,
                details: done.details,
            },
        }
    }
}

impl Bench<'_> {
    /// A tool of the caller's own: the caller runs it and comes back with what it gave.
    fn hand_over(&self, call: &Call) -> Ran {
        self.flight.handed_over().push(PendingCall {
            id: call.id.into(),
            name: call.name.into(),
            arguments: Value::Object(call.arguments.clone()).to_string(),
        });
        Ran {
            last: true,
            output: Output::json(json!({
                "status": "pending",
                "tool": call.name,
                "message": "handed over to the client",
            })),
            ..Ran::default()
        }
    }
}
