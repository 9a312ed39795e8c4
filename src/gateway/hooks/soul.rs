//! `soul-evil`: now and then, or at a fixed time of the day, the model is shown `SOUL_EVIL.md` in
//! the place of `SOUL.md`. No file is changed. Its settings are variables of its entry: `FILE`,
//! `CHANCE` (0 to 1), `PURGE_AT` (HH:MM), `PURGE_DURATION` (15m).

use super::Beginning;
use crate::agent::hooks::{self, Hook};
use crate::agent::inbound;
use crate::agent::workspace::{self, Injected, SOUL};
use crate::base::{id, time};
use crate::config::{Snapshot, agents::duration_ms};
use std::io::{self, Read};

const FILE: &str = "SOUL_EVIL.md";
/// Bytes read of it.
const MAX_READ: u64 = 1024 * 1024;
const DAY_MS: u64 = 24 * 3600 * 1000;

pub fn swap(
    config: &Snapshot,
    hook: &Hook,
    turn: &Beginning,
    files: &mut [Injected],
) -> Result<(), String> {
    let set = |name| hooks::variable(config, hook, name);
    let zone = config.config.agents.defaults.user_timezone.as_deref();
    let now = time::in_zone(time::now_ms(), zone);
    let minute =
        u64::try_from(now.hour()).unwrap_or(0) * 60 + u64::try_from(now.minute()).unwrap_or(0);
    let window = set("PURGE_AT").zip(set("PURGE_DURATION"));
    let purge = match window {
        Some((at, long)) => {
            is_within(at, long, minute).ok_or("PURGE_AT or PURGE_DURATION is none")?
        }
        None => false,
    };
    let chance = match set("CHANCE") {
        Some(text) => text.parse::<f64>().map_err(|_| "CHANCE is no number")?,
        None => 0.0,
    };
    if !purge && drawn() >= chance {
        return Ok(());
    }
    let name = set("FILE").unwrap_or(FILE);
    let Some(soul) = files.iter_mut().find(|file| file.name == SOUL) else {
        return Ok(());
    };
    let text = read(turn, name).map_err(|err| format!("{name}: {err}"))?;
    if !text.trim().is_empty() {
        soul.raw_chars = text.chars().count();
        soul.truncated = soul.raw_chars > turn.max_chars;
        soul.content = inbound::cut(text.trim_end(), turn.max_chars);
        soul.missing = false;
    }
    Ok(())
}

fn read(turn: &Beginning, name: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    let file = workspace::open(turn.workspace, name, turn.fenced)?;
    file.take(MAX_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// From 0 to 1.
fn drawn() -> f64 {
    f64::from(u32::from_le_bytes(id::random())) / f64::from(u32::MAX)
}

/// Whether the minute of the day lies in the window, which may go past midnight.
fn is_within(at: &str, long: &str, minute: u64) -> Option<bool> {
    let (hour, start) = at.split_once(':')?;
    let start = hour.parse::<u64>().ok().filter(|hour| *hour < 24)? * 60
        + start.parse::<u64>().ok().filter(|minute| *minute < 60)?;
    let long = duration_ms(long)?.min(DAY_MS);
    let since = (minute + 24 * 60 - start) % (24 * 60);
    Some(since * 60_000 < long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_may_go_past_midnight() {
        let at = |hour: u64, minute: u64| is_within("23:50", "15m", hour * 60 + minute).unwrap();
        assert!(at(23, 50) && at(0, 4));
        assert!(!at(0, 5) && !at(23, 49));
        assert_eq!(is_within("24:00", "1m", 0), None);
        assert_eq!(is_within("1:00", "soon", 0), None);
        assert!((0.0..=1.0).contains(&drawn()));
    }
}
