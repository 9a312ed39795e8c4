//! `--profile` and `--dev`: a few variables laid over the environment before anything is resolved.
//!
//! A profile is only that: another state folder, another config file, and a suffix for workspaces,
//! sockets and service names.

use super::Env;
use crate::base::exit::{Exit, Report};
use std::collections::BTreeMap;
use std::fmt;

/// The port of the `dev` profile, unless `OPENCLAW_GATEWAY_PORT` says another.
pub const DEV_PORT: u16 = 19001;

#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    BothFlags,
    NoValue,
    BadName(String),
}

/// Lays the variables of the chosen profile over `env`. No flag changes nothing.
pub fn apply(env: &mut Env, profile: Option<&str>, dev: bool) -> Result<(), Error> {
    let name = match (profile, dev) {
        (Some(_), true) => return Err(Error::BothFlags),
        (None, true) => "dev",
        (Some(name), false) => name.trim(),
        (None, false) => return Ok(()),
    };
    if name.is_empty() {
        return Err(Error::NoValue);
    }
    if !is_name(name) {
        return Err(Error::BadName(name.to_string()));
    }
    let mut set = BTreeMap::from([("OPENCLAW_PROFILE".to_string(), name.to_string())]);
    if env.get("OPENCLAW_STATE_DIR").is_none() {
        let suffix = match name.eq_ignore_ascii_case("default") {
            true => String::new(),
            false => format!("-{name}"),
        };
        set.insert(
            "OPENCLAW_STATE_DIR".into(),
            format!("{}/.openclaw{suffix}", env.home().display()),
        );
    }
    if env.get("OPENCLAW_CONFIG_PATH").is_none() {
        let state = set
            .get("OPENCLAW_STATE_DIR")
            .map(String::as_str)
            .or_else(|| env.get("OPENCLAW_STATE_DIR"))
            .unwrap_or_default();
        set.insert(
            "OPENCLAW_CONFIG_PATH".into(),
            format!("{}/openclaw.json", state.trim_end_matches('/')),
        );
    }
    if name.eq_ignore_ascii_case("dev") && env.get("OPENCLAW_GATEWAY_PORT").is_none() {
        set.insert("OPENCLAW_GATEWAY_PORT".into(), DEV_PORT.to_string());
    }
    env.lay_over(set);
    Ok(())
}

/// `^[a-z0-9][a-z0-9_-]{0,63}$` in any case.
pub fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::BothFlags => f.write_str("Cannot combine --dev with --profile"),
            Error::NoValue => f.write_str("--profile requires a value"),
            Error::BadName(_) => {
                f.write_str("Invalid --profile (use letters, numbers, \"_\", \"-\" only)")
            }
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::BadName(name) => Some(format!(
                "{name:?} must start with a letter or digit and have at most 64 characters"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_sets_state_config_and_the_dev_port_only_where_unset() {
        let mut env = Env::from_pairs(&[("HOME", "/h")]);
        apply(&mut env, None, true).unwrap();
        assert_eq!(env.get("OPENCLAW_PROFILE"), Some("dev"));
        assert_eq!(env.get("OPENCLAW_STATE_DIR"), Some("/h/.openclaw-dev"));
        assert_eq!(
            env.get("OPENCLAW_CONFIG_PATH"),
            Some("/h/.openclaw-dev/openclaw.json")
        );
        assert_eq!(env.get("OPENCLAW_GATEWAY_PORT"), Some("19001"));

        let mut env = Env::from_pairs(&[("HOME", "/h"), ("OPENCLAW_STATE_DIR", "/s/")]);
        apply(&mut env, Some("work"), false).unwrap();
        assert_eq!(env.get("OPENCLAW_STATE_DIR"), Some("/s/"));
        assert_eq!(env.get("OPENCLAW_CONFIG_PATH"), Some("/s/openclaw.json"));
        assert_eq!(env.get("OPENCLAW_GATEWAY_PORT"), None);

        let mut env = Env::from_pairs(&[("HOME", "/h")]);
        apply(&mut env, Some("default"), false).unwrap();
        assert_eq!(env.get("OPENCLAW_STATE_DIR"), Some("/h/.openclaw"));
    }

    #[test]
    fn bad_profile_flags_are_refused_in_the_original_words() {
        let said = |profile, dev| {
            apply(&mut Env::default(), profile, dev)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(said(Some("x"), true), "Cannot combine --dev with --profile");
        assert_eq!(said(Some(" "), false), "--profile requires a value");
        assert_eq!(
            said(Some("../x"), false),
            "Invalid --profile (use letters, numbers, \"_\", \"-\" only)"
        );
        assert!(!is_name(&"a".repeat(65)));
    }
}
