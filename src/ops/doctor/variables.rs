//! Variables with the program's earlier names.

use super::{Cure, Finding, Ground};

const OLD: [&str; 2] = ["MOLTBOT_", "CLAWDBOT_"];
/// The names after the prefix that still count where the present one is not set.
const HEEDED: [&str; 5] = [
    "STATE_DIR",
    "CONFIG_PATH",
    "GATEWAY_PORT",
    "GATEWAY_TOKEN",
    "GATEWAY_PASSWORD",
];

pub fn look(ground: &Ground) -> Vec<Finding> {
    let lines: Vec<String> = ground
        .env()
        .names()
        .into_iter()
        .filter_map(|name| {
            let old = OLD.iter().find(|old| name.starts_with(**old))?;
            let rest = &name[old.len()..];
            let heeded = *old == "CLAWDBOT_" && HEEDED.contains(&rest);
            let note = if heeded {
                " (still read)"
            } else {
                " (ignored)"
            };
            Some(format!("{name} -> OPENCLAW_{rest}{note}"))
        })
        .collect();
    if lines.is_empty() {
        return Vec::new();
    }
    vec![Finding {
        topic: "Environment",
        grave: false,
        what: "Variables with names of earlier versions are set.".into(),
        details: lines,
        why: "What they say is not what happens.",
        cure: Cure::Yours("rename them where they are set, and unset the old names".into()),
    }]
}
