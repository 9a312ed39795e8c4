//! Whether replies of a session may be sent: its own switch, else the configured rules.

use serde_json::Value;

/// `session` is that section of the configuration; `own` the session's `sendPolicy`.
pub fn is_denied(
    session: &Value,
    own: Option<&str>,
    key: &str,
    channel: Option<&str>,
    chat_type: Option<&str>,
) -> bool {
    match own {
        Some("deny") => return true,
        Some("allow") => return false,
        _ => {}
    }
    let policy = &session["sendPolicy"];
    let matches = |rule: &&Value| {
        let wanted = |name: &str, got: Option<&str>| match rule["match"][name].as_str() {
            Some(want) => got.is_some_and(|got| got.eq_ignore_ascii_case(want)),
            None => true,
        };
        let prefix = rule["match"]["keyPrefix"].as_str();
        wanted("channel", channel)
            && wanted("chatType", chat_type)
            && prefix.is_none_or(|prefix| key.starts_with(&prefix.to_ascii_lowercase()))
    };
    let rules = policy["rules"].as_array().map_or(&[][..], Vec::as_slice);
    let mut allowed = false;
    for rule in rules.iter().filter(matches) {
        match rule["action"].as_str() {
            Some("deny") => return true,
            Some("allow") => allowed = true,
            _ => {}
        }
    }
    !allowed && policy["default"] == "deny"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_matching_deny_wins_over_allow_and_the_session_over_both() {
        let session = json!({"sendPolicy":{"default":"deny","rules":[
            {"action":"allow","match":{"channel":"telegram"}},
            {"action":"deny","match":{"keyPrefix":"agent:main:telegram:group:"}},
        ]}});
        let denied = |own, key: &str, channel| is_denied(&session, own, key, channel, None);
        assert!(denied(None, "agent:main:main", None));
        assert!(!denied(None, "agent:main:main", Some("telegram")));
        assert!(denied(
            None,
            "agent:main:telegram:group:1",
            Some("telegram")
        ));
        assert!(!denied(Some("allow"), "agent:main:main", None));
        assert!(is_denied(&Value::Null, Some("deny"), "k", None, None));
        assert!(!is_denied(&Value::Null, None, "k", None, None));
    }
}
