//! The tables of `openclaw status`.

use super::super::super::failure::Failure;
use super::super::super::output::{Colour, Column, Out, age};
use super::{Report, SHOWN};
use serde_json::Value;

pub fn channels(out: &mut Out, report: &Report) -> Result<(), Failure> {
    out.title("Channels")?;
    let mut rows = Vec::new();
    if let Some(channels) = &report.channels {
        for id in channels["channelOrder"].as_array().into_iter().flatten() {
            let id = id.as_str().unwrap_or_default();
            let label = channels["channelLabels"][id].as_str().unwrap_or(id);
            let one = &channels["channels"][id];
            let on = one["configured"] == true;
            let state = match (on, one["running"] == true, one["lastError"].as_str()) {
                (false, _, _) => "SETUP",
                (true, true, None) => "OK",
                (true, _, Some(_)) => "WARN",
                (true, false, None) => "OFF",
            };
            rows.push(vec![
                label.to_string(),
                if on { "ON" } else { "OFF" }.to_string(),
                state.to_string(),
                one["lastError"].as_str().unwrap_or("").to_string(),
            ]);
        }
    }
    let head = [
        Column::new("Channel", 8),
        Column::new("Enabled", 7),
        Column::new("State", 6),
        Column::flexible("Detail", 24),
    ];
    out.table(&head, &rows)?;
    out.line("")?;
    Ok(())
}

pub fn sessions(out: &mut Out, report: &Report) -> Result<(), Failure> {
    out.title("Sessions")?;
    let recent = report.summary["sessions"]["recent"].as_array();
    let mut rows: Vec<Vec<String>> = recent
        .into_iter()
        .flatten()
        .take(SHOWN)
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or("").to_string();
            vec![
                text("key"),
                text("kind"),
                age(row["age"].as_u64()),
                text("model"),
                super::super::sessions::tokens(
                    row["totalTokens"].as_u64(),
                    row["contextTokens"].as_u64(),
                ),
            ]
        })
        .collect();
    if rows.is_empty() {
        rows.push(vec![out.paint(Colour::Dim, "no sessions yet")]);
    }
    let head = [
        Column::flexible("Key", 20),
        Column::new("Kind", 4),
        Column::new("Age", 7),
        Column::new("Model", 12),
        Column::new("Tokens", 14),
    ];
    out.table(&head, &rows)?;
    out.line("")?;
    Ok(())
}

/// What is left of each window of each provider.
pub fn usage(out: &mut Out, usage: &Value) -> Result<(), Failure> {
    let providers = usage["providers"].as_array().map_or(&[][..], Vec::as_slice);
    if providers.is_empty() {
        out.line("  No provider tells.")?;
    }
    for provider in providers {
        let text = |name: &str| provider[name].as_str();
        let name = text("displayName")
            .or(text("provider"))
            .unwrap_or("unknown");
        let plan = text("plan").map_or(String::new(), |plan| format!(" ({plan})"));
        if let Some(error) = text("error") {
            out.line(format!("  {name}{plan}: {error}"))?;
        }
        for window in provider["windows"].as_array().into_iter().flatten() {
            let used = window["usedPercent"]
                .as_f64()
                .unwrap_or(0.0)
                .clamp(0.0, 100.0);
            let label = window["label"].as_str().unwrap_or("");
            out.line(format!("  {name}{plan}: {label} {:.0}% left", 100.0 - used))?;
        }
    }
    Ok(())
}
