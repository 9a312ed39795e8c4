//! Sandboxes that need a container program which is not here, and settings of an agent that do not
//! count because the sandbox is shared.

use super::{Cure, Finding, Ground};
use crate::config::sandbox::{Scope, Settings, is_used};
use crate::tool::container;

const TOPIC: &str = "Sandbox";

pub fn look(ground: &Ground) -> Vec<Finding> {
    let (config, paths) = (&ground.snapshot.config, ground.paths());
    if !ground.snapshot.valid {
        return Vec::new();
    }
    let mut without = Vec::new();
    let mut ignored = Vec::new();
    for id in config.agent_ids() {
        if !is_used(config, &id) {
            continue;
        }
        let settings = Settings::of(config, paths, &id);
        if let Some(key) = settings.needs_container() {
            if container::program(&settings, ground.env()).is_none() {
                without.push(format!("{id}: docker.{key}"));
            }
        }
        let own = config.agent(&id).and_then(|agent| agent.sandbox.as_ref());
        let own = own.and_then(|own| own.docker.as_ref());
        if settings.scope == Scope::Shared && own.is_some_and(|own| !own.is_empty()) {
            ignored.push(format!("{id}: sandbox.docker"));
        }
    }
    let mut found = Vec::new();
    if !without.is_empty() {
        found.push(Finding {
            topic: TOPIC,
            grave: true,
            what: "Sandbox settings need a container, and no docker was found.".into(),
            details: without,
            why: "Commands of these agents are refused.",
            cure: Cure::Yours(
                "install docker or podman, or take these settings out: the sandbox of the kernel \
                 needs neither"
                    .into(),
            ),
        });
    }
    if !ignored.is_empty() {
        found.push(Finding {
            topic: TOPIC,
            grave: false,
            what: "Sandbox settings of agents do not count, as the scope is shared.".into(),
            details: ignored,
            why: "One sandbox for all has one set of settings.",
            cure: Cure::Yours(
                "openclaw config set agents.defaults.sandbox.scope agent, or take them out".into(),
            ),
        });
    }
    found
}
