//! The environment of a command: a few variables of ours by name, and what the call gave. Nothing
//! is inherited, so no token of the gateway can be printed by a command.

use crate::config::Env;
use crate::tool::confine::Room;
use crate::tool::{Call, Error};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Ours that a command may see.
const KEPT: &[&str] = &[
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
];
const KEPT_CAGED: &[&str] = &["LANG", "LC_ALL", "LC_CTYPE", "TZ"];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables by which a call could make programs load code of its choice.
const FORBIDDEN: &[&str] = &[
    "NODE_OPTIONS",
    "NODE_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "RUBYLIB",
    "PERL5LIB",
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "IFS",
    "SSLKEYLOGFILE",
];
const FORBIDDEN_PREFIXES: &[&str] = &["LD_", "DYLD_"];

/// The call's `env`. In a sandbox it can only fool the sandboxed.
pub fn given(call: &Call, caged: bool) -> Result<BTreeMap<String, String>, Error> {
    let mut given = BTreeMap::new();
    let asked = call.arguments.get("env").and_then(Value::as_object);
    for (name, value) in asked.into_iter().flatten() {
        let upper = name.to_uppercase();
        if !caged {
            let prefixed = FORBIDDEN_PREFIXES.iter().any(|p| upper.starts_with(p));
            if prefixed || FORBIDDEN.contains(&upper.as_str()) {
                return Err(Error(format!(
                    "Security Violation: Environment variable '{name}' is forbidden during host \
                     execution."
                )));
            }
            if upper == "PATH" {
                return Err(
                    "Security Violation: Custom 'PATH' variable is forbidden during host \
                            execution."
                        .into(),
                );
            }
        }
        let value = value.as_str().unwrap_or_default();
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error(format!(
                "'{name}' cannot be an environment variable."
            )));
        }
        given.insert(name.clone(), value.to_string());
    }
    Ok(given)
}

/// `$SHELL`, unless its language is another; `sh` where it is not known.
pub fn shell(env: &Env, caged: bool) -> String {
    let shell = env.get("SHELL").unwrap_or("/bin/sh");
    let name = Path::new(shell).file_name().and_then(|name| name.to_str());
    let usable = shell.starts_with('/') && Path::new(shell).exists();
    let visible = !caged || shell.starts_with("/bin/") || shell.starts_with("/usr/");
    if name != Some("fish") && usable && visible {
        return shell.into();
    }
    let bash = name == Some("fish") && Path::new("/bin/bash").exists();
    if bash { "/bin/bash" } else { "/bin/sh" }.into()
}

pub fn whole(
    env: &Env,
    prepend: &[String],
    shell: &str,
    room: Option<&Room>,
    given: BTreeMap<String, String>,
    pty: bool,
) -> BTreeMap<String, String> {
    let kept = if room.is_some() { KEPT_CAGED } else { KEPT };
    let mut whole: BTreeMap<String, String> = kept
        .iter()
        .filter_map(|name| Some((name.to_string(), env.get(name)?.to_string())))
        .collect();
    let path = whole.remove("PATH").unwrap_or_else(|| PATH.into());
    let parts: Vec<&str> = prepend
        .iter()
        .map(String::as_str)
        .chain([path.as_str()])
        .collect();
    whole.insert("PATH".into(), parts.join(":"));
    whole.insert("SHELL".into(), shell.into());
    let term = if pty { "xterm-256color" } else { "dumb" };
    whole.insert("TERM".into(), term.into());
    if let Some(room) = room {
        whole.insert("HOME".into(), room.root.display().to_string());
        whole
            .entry("LANG".into())
            .or_insert_with(|| "C.UTF-8".into());
        let own = room.settings.env();
        whole.extend(own.map(|(name, value)| (name.to_string(), value.to_string())));
    }
    whole.extend(given);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn given_env(env: Value) -> Result<BTreeMap<String, String>, Error> {
        let arguments = json!({ "env": env });
        let call = Call {
            id: "1",
            arguments: arguments.as_object().unwrap(),
        };
        given(&call, false)
    }

    #[test]
    fn variables_that_load_code_are_refused() {
        for name in ["LD_PRELOAD", "ld_audit", "NODE_OPTIONS", "Env"] {
            let said = given_env(json!({name: "x"})).unwrap_err().0;
            assert_eq!(
                said,
                format!(
                    "Security Violation: Environment variable '{name}' is forbidden during host \
                     execution."
                )
            );
        }
        assert!(given_env(json!({"PATH": "/x"})).is_err());
        assert!(given_env(json!({"A=B": "x"})).is_err());
        assert_eq!(given_env(json!({"FOO": "x"})).unwrap()["FOO"], "x");
    }

    #[test]
    fn nothing_secret_of_ours_reaches_a_command() {
        let env = Env::from_pairs(&[
            ("OPENCLAW_GATEWAY_TOKEN", "s"),
            ("ANTHROPIC_API_KEY", "s"),
            ("PATH", "/bin"),
            ("HOME", "/home/u"),
        ]);
        let whole = whole(
            &env,
            &["/opt/x".into()],
            "/bin/sh",
            None,
            BTreeMap::new(),
            false,
        );
        assert!(!whole.values().any(|value| value == "s"));
        assert_eq!(whole["PATH"], "/opt/x:/bin");
        assert_eq!(whole["HOME"], "/home/u");
    }
}
