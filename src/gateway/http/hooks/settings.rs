//! The `hooks` section, as one request sees it.

use crate::config::Snapshot;
use serde_json::Value;

/// The original's.
const MAX_BODY: usize = 256 * 1024;

pub struct Settings<'a> {
    pub token: &'a str,
    base: String,
    pub max_body: usize,
    pub value: &'a Value,
}

impl<'a> Settings<'a> {
    /// `None` when hooks are off: not enabled, or without a token or a path of their own, which no
    /// gateway starts with but an edit may leave.
    pub fn of(config: &'a Snapshot) -> Option<Settings<'a>> {
        Settings::read(config.value.get("hooks")?)
    }

    fn read(value: &'a Value) -> Option<Settings<'a>> {
        if value["enabled"] != true {
            return None;
        }
        let token = value["token"].as_str().map(str::trim).unwrap_or_default();
        let path = value["path"].as_str().map(str::trim).unwrap_or_default();
        let base = match path {
            "" => "/hooks".to_string(),
            path => format!("/{}", path.trim_start_matches('/').trim_end_matches('/')),
        };
        if token.is_empty() || base == "/" {
            return None;
        }
        let max = value["maxBodyBytes"].as_u64();
        Some(Settings {
            token,
            base,
            max_body: max
                .and_then(|n| usize::try_from(n).ok())
                .unwrap_or(MAX_BODY),
            value,
        })
    }

    /// What of the path stands below the base, without slashes around it.
    pub fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = path.strip_prefix(self.base.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_base_and_what_is_below_it_are_hooks() {
        let value = json!({"enabled": true, "token": "t", "path": "in/coming/"});
        let settings = Settings::read(&value).unwrap();
        assert_eq!(settings.below("/in/coming/wake"), Some("wake"));
        assert_eq!(settings.below("/in/coming"), Some(""));
        assert_eq!(settings.below("/in/coming//a/b/"), Some("a/b"));
        assert_eq!(settings.below("/in/comings"), None);
        let plain = json!({"enabled": true, "token": "t"});
        assert_eq!(Settings::read(&plain).unwrap().below("/hooks/x"), Some("x"));
    }

    #[test]
    fn hooks_without_a_token_are_off() {
        for off in [
            json!({}),
            json!({"enabled": true}),
            json!({"enabled": true, "token": " "}),
            json!({"enabled": true, "token": "t", "path": "/"}),
            json!({"token": "t"}),
        ] {
            assert!(Settings::read(&off).is_none(), "{off}");
        }
    }
}
