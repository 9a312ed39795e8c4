//! What the system prompt of a run is made from.

use super::Flight;
use super::dress::account_id;
use crate::agent::group;
use crate::agent::prompt::{self, Inputs, Machine, Mode, Prompt, Sandbox};
use crate::agent::workspace::{self, Injected};
use crate::base::time::now_ms;
use crate::channel::access;
use crate::config::Snapshot;
use crate::config::sandbox::{Access, Settings};
use crate::gateway::models;
use crate::gateway::skills::Usable;
use crate::model::{Target, ToolSpec};
use crate::session::{self, Entry};
use crate::tool;
use crate::wire::gateway::agent::{Report, ReportSandbox, ReportSkills};
use serde_json::Value;
use std::path::Path;

/// Characters of one injected workspace file when the configuration does not say.
pub const FILE_CHARS: usize = 20_000;

pub(super) struct Brief<'a> {
    pub flight: &'a Flight,
    pub config: &'a Snapshot,
    pub entry: &'a Entry,
    /// Where the agent works: its workspace, or the folder of a sandboxed session.
    pub folder: &'a Path,
    pub files: &'a [Injected],
    pub skills: &'a Usable,
    pub tools: Vec<(&'a str, &'a str)>,
    pub thinking: &'a str,
    pub default_model: String,
}

impl Brief<'_> {
    pub fn prompt(&self, target: &Target) -> Prompt {
        self.with_inputs(|inputs| prompt::build(inputs, target))
    }

    pub fn report(&self, prompt: &Prompt, specs: &[ToolSpec], target: &Target) -> Report {
        let report = self.with_inputs(|inputs| prompt.report(inputs, specs));
        let told = prompt.text.contains(&self.skills.prompt);
        let mode = self.config.config.agents.defaults.sandbox.mode.as_deref();
        Report {
            generated_at: now_ms(),
            session_id: self.flight.session_id.clone(),
            session_key: self.flight.run.key.clone(),
            provider: target.provider.clone(),
            model: target.model.clone(),
            sandbox: ReportSandbox {
                mode: mode.unwrap_or("off").into(),
                sandboxed: self.sandbox().is_some(),
            },
            skills: match told {
                true => self.skills.report(),
                false => ReportSkills::default(),
            },
            ..report
        }
    }

    fn sandbox(&self) -> Option<Sandbox> {
        let (flight, config) = (self.flight, &self.config.config);
        let access = tool::confine::mode(config, &flight.agent_id, &flight.run.key)?;
        let settings = Settings::of(config, flight.core.config.paths(), &flight.agent_id);
        Some(Sandbox {
            workspace_access: access.name(),
            apart: (access != Access::Write).then(|| flight.workspace.clone()),
            network: settings.network(),
            elevated: tool::exec::elevated::open_to(
                &self.config.value,
                &flight.agent_id,
                flight.run.sender.as_ref(),
                self.entry.elevated_level.as_deref(),
            ),
            container: tool::container::program(&settings, &self.config.env).map(|_| {
                let image = tool::container::image(&settings);
                (image, tool::container::workdir(&settings))
            }),
        })
    }

    /// The settings of the channel account that its people write to.
    fn section(&self) -> Option<Value> {
        let kind = self.flight.channel.as_deref()?;
        let id = account_id(kind, self.entry);
        let account = self.flight.core.channels.account(&id);
        account.map(|account| account.section)
    }

    /// Whose numbers these are: the owners of all commands, else who may write to the account.
    fn owners(&self, section: Option<&Value>) -> Vec<String> {
        let Some(kind) = self.flight.channel.as_deref() else {
            return Vec::new();
        };
        let owners = &self.config.value["commands"]["ownerAllowFrom"];
        access::owners(kind, owners, section)
    }

    fn with_inputs<T>(&self, make: impl FnOnce(&Inputs) -> T) -> T {
        let flight = self.flight;
        let config = &self.config.config;
        let machine = flight.core.agents.machine();
        let repo = workspace::repository(&flight.workspace);
        let heartbeat = config.heartbeat(&flight.agent_id);
        let aliases = models::aliases(self.config);
        let zone = config.agents.defaults.user_timezone.as_deref();
        let group = group::intro(self.config, &flight.run.key, self.entry);
        let told = [group.as_deref(), flight.extra.as_deref()];
        let told: Vec<&str> = told.into_iter().flatten().collect();
        let told = told.join("\n\n");
        let section = self.section();
        let kind = flight.channel.as_deref().unwrap_or_default();
        let own = section.as_ref().unwrap_or(&Value::Null);
        make(&Inputs {
            mode: if session::key::is_subagent(&flight.run.key) {
                Mode::Minimal
            } else {
                Mode::Full
            },
            agent_id: &flight.agent_id,
            workspace: self.folder,
            files: self.files,
            skills: &self.skills.prompt,
            tools: &self.tools,
            aliases: &aliases,
            cite: tool::memory::settings::citations(self.config) != "off",
            zone: zone.unwrap_or(&machine.zone),
            owners: &self.owners(section.as_ref()),
            extra: Some(&told),
            heartbeat: (flight.agent_id == config.default_agent_id())
                .then_some(heartbeat.prompt.as_str()),
            sandbox: self.sandbox(),
            machine: Machine {
                host: &machine.host,
                os: &machine.os,
                arch: machine.arch,
                repo: repo.as_deref(),
            },
            default_model: &self.default_model,
            channel: flight.channel.as_deref(),
            capabilities: &prompt::channel::capabilities(kind, own),
            reactions: prompt::channel::reactions(kind, own),
            thinking: self.thinking,
            reasoning: self.entry.reasoning_level.as_deref().unwrap_or("off"),
            max_file_chars: config
                .agents
                .defaults
                .bootstrap_max_chars
                .unwrap_or(FILE_CHARS),
        })
    }
}
