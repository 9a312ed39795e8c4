//! `canvasHost`: whether there is a canvas, where its files lie, and on which port beside the
//! gateway's it is served.

use super::{Paths, Snapshot, paths};
use std::path::PathBuf;

/// Turns the canvas off, whatever the file says.
const SKIP: &str = "OPENCLAW_SKIP_CANVAS_HOST";
const PORT: &str = "OPENCLAW_CANVAS_HOST_PORT";

pub fn is_on(config: &Snapshot) -> bool {
    let skipped = config.env.get(SKIP).is_some_and(|value| {
        let value = value.trim().to_ascii_lowercase();
        ["1", "true", "yes", "on"].contains(&value.as_str())
    });
    config.value["canvasHost"]["enabled"] != false && !skipped
}

/// Whether pages are told when their files change.
pub fn is_live(config: &Snapshot) -> bool {
    config.value["canvasHost"]["liveReload"] != false
}

pub fn root(config: &Snapshot, of: &Paths) -> PathBuf {
    let root = config.value["canvasHost"]["root"].as_str().map(str::trim);
    match root.filter(|root| !root.is_empty()) {
        Some(root) => paths::expand(root, &of.home),
        None => of.canvas(),
    }
}

/// A port of its own, when one is named; the gateway's serves the canvas as well.
pub fn port(config: &Snapshot) -> Option<u16> {
    if !is_on(config) {
        return None;
    }
    let named = config
        .env
        .get(PORT)
        .and_then(|text| text.trim().parse().ok());
    let given = || config.value["canvasHost"]["port"].as_u64();
    let port = named.or_else(|| u16::try_from(given()?).ok())?;
    (port != 0).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, load};

    fn with(config: &str, env: &[(&str, &str)]) -> Snapshot {
        let dir = crate::base::id::temp_dir("canvas-config");
        let home = dir.to_str().unwrap();
        let all = [&[("HOME", home), ("OPENCLAW_STATE_DIR", home)], env].concat();
        let env = Env::from_pairs(&all);
        std::fs::write(dir.join("openclaw.json"), config).unwrap();
        let snapshot = load::load(&Paths::resolve(&env, None), &env);
        std::fs::remove_dir_all(dir).unwrap();
        assert!(snapshot.valid, "{:?}", snapshot.issues);
        snapshot
    }

    #[test]
    fn a_port_of_its_own_is_opened_only_when_named() {
        assert_eq!(port(&with("{}", &[])), None);
        let named = "{canvasHost:{port:18793}}";
        assert_eq!(port(&with(named, &[])), Some(18793));
        assert_eq!(port(&with(named, &[(PORT, "5")])), Some(5));
        assert_eq!(port(&with(named, &[(SKIP, "1")])), None);
        let off = with("{canvasHost:{port:18793,enabled:false}}", &[]);
        assert!(port(&off).is_none() && !is_on(&off));
        assert!(is_live(&off) && !is_live(&with("{canvasHost:{liveReload:false}}", &[])));
    }
}
