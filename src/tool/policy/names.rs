//! Names of tools as lists of the configuration write them: groups, profiles, patterns.

use crate::tool;
use serde_json::Value;

const GROUPS: &[(&str, &[&str])] = &[
    ("group:fs", &["read", "write", "edit", "apply_patch"]),
    ("group:runtime", &["exec", "process"]),
    ("group:web", &["web_search", "web_fetch"]),
    ("group:memory", &["memory_search", "memory_get"]),
    (
        "group:sessions",
        &[
            "sessions_list",
            "sessions_history",
            "sessions_send",
            "sessions_spawn",
            "session_status",
        ],
    ),
    ("group:ui", &["browser", "canvas"]),
    ("group:automation", &["cron", "gateway"]),
    ("group:messaging", &["message"]),
    ("group:nodes", &["nodes"]),
    (
        "group:openclaw",
        &[
            "browser",
            "canvas",
            "nodes",
            "cron",
            "message",
            "gateway",
            "agents_list",
            "sessions_list",
            "sessions_history",
            "sessions_send",
            "sessions_spawn",
            "session_status",
            "memory_search",
            "memory_get",
            "web_search",
            "web_fetch",
            "image",
        ],
    ),
];

pub(super) const PROFILES: &[(&str, &[&str])] = &[
    ("minimal", &["session_status"]),
    (
        "coding",
        &[
            "group:fs",
            "group:runtime",
            "group:sessions",
            "group:memory",
            "image",
        ],
    ),
    (
        "messaging",
        &[
            "group:messaging",
            "sessions_list",
            "sessions_history",
            "sessions_send",
            "session_status",
        ],
    ),
];

/// Tools an operator may name although this build does not have them; a list made of such names is
/// still a list that means something.
const ELSEWHERE: &[&str] = &["whatsapp_login", "tts"];

/// Lower case, and today's name for an older one.
pub fn normal_name(name: &str) -> String {
    let name = name.trim().to_lowercase();
    match name.as_str() {
        "bash" => "exec".into(),
        "apply-patch" => "apply_patch".into(),
        _ => name,
    }
}

pub(super) fn names(tools: &Value, key: &str) -> Option<Vec<String>> {
    let list = tools.get(key)?.as_array()?;
    Some(expand(list.iter().filter_map(Value::as_str)))
}

pub(super) fn expand<'a>(list: impl Iterator<Item = &'a str>) -> Vec<String> {
    list.flat_map(|name| {
        let name = normal_name(name);
        match GROUPS.iter().find(|(group, _)| *group == name) {
            Some((_, members)) => members.iter().map(|m| m.to_string()).collect(),
            None => vec![name],
        }
    })
    .filter(|name| !name.is_empty())
    .collect()
}

pub(super) fn known(pattern: &str) -> bool {
    let ours = tool::table().iter().map(|tool| tool.name);
    let grouped = GROUPS
        .iter()
        .flat_map(|(_, members)| members.iter().copied());
    let mut all = ours.chain(grouped).chain(ELSEWHERE.iter().copied());
    all.any(|name| matches(pattern, name))
}

/// `*` stands for any run of characters, anywhere. Linear in both lengths: it only ever goes back
/// to the last star.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && pattern[p] == name[n] {
            p += 1;
            n += 1;
        } else if let Some((back, seen)) = star {
            p = back + 1;
            n = seen + 1;
            star = Some((back, n));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
