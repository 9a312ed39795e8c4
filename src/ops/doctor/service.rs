//! The gateway as a service: written by an older version or by hand, another than this program,
//! stopped, ending with its user's login, and other gateways of this host. Asks the service manager
//! only where there is a service.

use super::{Cure, Error, Finding, Ground, Kind, Remedy};
use crate::config::listen;
use crate::ops::port;
use crate::ops::service::{self, Definition, Level, Look};
use crate::supervisor::lock;
use std::path::Path;

const TOPIC: &str = "Gateway service config";

pub fn look(ground: &Ground) -> Vec<Finding> {
    let Some(program) = &ground.program else {
        return Vec::new();
    };
    let snapshot = &ground.snapshot;
    let seen = Look::at(snapshot, program, ground.deep);
    let mut found = Vec::new();
    found.extend(other_gateways(&seen));
    if seen.written.is_some() {
        found.extend(drift(ground, &seen, program));
        found.extend(other_config(ground, &seen));
        found.extend(ends_with_login(ground));
        found.extend(stopped(ground, &seen));
    }
    found.extend(port_taken(ground));
    found
}

fn other_gateways(seen: &Look) -> Option<Finding> {
    if seen.others.is_empty() {
        return None;
    }
    let lines = seen.others.iter().map(|other| {
        let old = if other.legacy {
            ", of an earlier name"
        } else {
            ""
        };
        format!("{} ({}, {}{old})", other.label, other.scope, other.detail)
    });
    Some(Finding {
        topic: "Other gateway-like services detected",
        grave: false,
        what: "This host starts other gateways.".into(),
        details: lines.collect(),
        why: "Two with one state or on one port disturb each other.",
        cure: Cure::Yours(
            "systemctl --user disable --now <unit> (for those of the system: sudo systemctl)"
                .into(),
        ),
    })
}

/// What the audit says; one that somebody wrote on purpose is only written over with `--force`.
fn drift(ground: &Ground, seen: &Look, program: &Path) -> Option<Finding> {
    if seen.issues.is_empty() {
        return None;
    }
    let lines = seen.issues.iter().map(|issue| match &issue.detail {
        Some(detail) => format!("{} ({detail})", issue.message),
        None => issue.message.clone(),
    });
    let own = seen.issues.iter().any(|i| i.level == Level::Aggressive);
    Some(Finding {
        topic: TOPIC,
        grave: false,
        what: format!(
            "The service ({}) is not as this version writes it.",
            ground.shown(&seen.file)
        ),
        details: lines.collect(),
        why: "It may start another program than this one, or stop without starting again.",
        cure: Cure::Ours {
            kind: if own { Kind::Overwrite } else { Kind::Service },
            question: match own {
                true => "Overwrite gateway service config with current defaults now?".into(),
                false => "Update gateway service config to the recommended defaults now?".into(),
            },
            run: write_anew(ground, seen.port(), program),
        },
    })
}

fn write_anew(ground: &Ground, port: Option<u16>, program: &Path) -> Remedy {
    let snapshot = ground.snapshot.clone();
    let program = program.to_path_buf();
    Box::new(move || {
        let manager = service::here(&snapshot);
        let definition = Definition::of(&snapshot, &program, port);
        manager.install(&definition).map_err(Error::Service)?;
        let (noun, file) = (manager.words().noun, manager.file());
        Ok(vec![format!("Installed {noun}: {}", file.display())])
    })
}

fn other_config(ground: &Ground, seen: &Look) -> Option<Finding> {
    let other = seen.config.as_ref()?;
    Some(Finding {
        topic: TOPIC,
        grave: true,
        what: "The service reads another configuration than this command.".into(),
        details: vec![
            format!("service: {}", ground.shown(&other.paths.config)),
            format!("here: {}", ground.shown(&ground.paths().config)),
        ],
        why: "What is set here has no effect there.",
        cure: Cure::Yours(
            "use the same OPENCLAW_CONFIG_PATH and --profile, or openclaw gateway install --force"
                .into(),
        ),
    })
}

fn ends_with_login(ground: &Ground) -> Option<Finding> {
    let snapshot = ground.snapshot.clone();
    let warning = service::here(&snapshot).ends_with_login()?;
    Some(Finding {
        topic: "Systemd",
        grave: true,
        what: warning,
        details: Vec::new(),
        why: "",
        cure: Cure::Ours {
            kind: Kind::Service,
            question: "Enable systemd lingering?".into(),
            run: Box::new(move || match service::here(&snapshot).outlive_login() {
                Some(Ok(done)) => Ok(vec![done]),
                Some(Err(left)) => Err(Error::Left(left)),
                None => Ok(Vec::new()),
            }),
        },
    })
}

fn stopped(ground: &Ground, seen: &Look) -> Option<Finding> {
    let running = seen.runtime.status != "stopped";
    let snapshot = ground.snapshot.clone();
    if running || !seen.loaded || lock::holder(&snapshot.paths, &snapshot.env).is_some() {
        return None;
    }
    Some(Finding {
        topic: "Gateway",
        grave: true,
        what: "The service is installed and does not run.".into(),
        details: vec![seen.log_hint.clone()],
        why: "Nobody answers.",
        cure: Cure::Ours {
            kind: Kind::Service,
            question: "Start gateway service now?".into(),
            run: Box::new(move || {
                let manager = service::here(&snapshot);
                manager.restart().map_err(Error::Service)?;
                let words = manager.words();
                Ok(vec![format!("Restarted {}: {}", words.noun, words.name)])
            }),
        },
    })
}

/// Somebody else listens where our gateway wants to.
fn port_taken(ground: &Ground) -> Option<Finding> {
    let snapshot = &ground.snapshot;
    let remote = snapshot.config.gateway.mode.as_deref() == Some("remote");
    if remote || lock::holder(&snapshot.paths, &snapshot.env).is_some() {
        return None;
    }
    let number = listen::port(snapshot);
    let port = port::look(number);
    if port.listeners.is_empty() {
        return None;
    }
    Some(Finding {
        topic: "Gateway port",
        grave: true,
        what: format!("Port {number} is already in use."),
        details: port.listeners.iter().map(|owner| owner.line()).collect(),
        why: "The gateway does not start so.",
        cure: Cure::Yours(port.hints.join(" ")),
    })
}
