//! Lists of tools: what is allowed, added and denied, wherever such a policy can stand.

use super::channels::CHECKED;
use super::{Refined, agent_list, issue, path};
use serde_json::Value;

/// A list of all that is allowed leaves nothing to add to: saying both is a mistake.
pub(super) fn check(value: &Value, out: &mut Vec<Refined>) {
    each("tools".into(), "tools", &value["tools"], out);
    for (i, agent) in agent_list(value) {
        let path = format!("agents.list.{i}.tools");
        each(path, "agent tools", &agent["tools"], out);
    }
    for id in CHECKED {
        below(&format!("channels.{id}"), &value["channels"][id], out);
    }
}

/// One policy and those in it.
fn each(path: String, what: &str, policy: &Value, out: &mut Vec<Refined>) {
    let filled = |key: &str| policy[key].as_array().is_some_and(|list| !list.is_empty());
    if filled("allow") && filled("alsoAllow") {
        let message = format!(
            "{what} cannot set both allow and alsoAllow in the same scope (merge alsoAllow into \
             allow, or remove allow and use profile + alsoAllow)"
        );
        out.push(Refined {
            of: path.clone(),
            issue: issue(path.clone(), message, ""),
        });
    }
    below(&path, policy, out);
}

/// The policies anywhere below: under `tools`, or one for each name under `byProvider` and
/// `toolsBySender`.
fn below(path: &str, value: &Value, out: &mut Vec<Refined>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let here = path::join(path, key);
        let what = match key.as_str() {
            "tools" => {
                each(here, "tools policy", value, out);
                continue;
            }
            "byProvider" => "tools.byProvider policy",
            "toolsBySender" => "tools policy",
            _ => {
                below(&here, value, out);
                continue;
            }
        };
        for (name, policy) in value.as_object().into_iter().flatten() {
            each(path::join(&here, name), what, policy, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_that_says_all_and_more_is_found_wherever_it_stands() {
        let both = json!({"allow": ["a"], "alsoAllow": ["b"]});
        let value = json!({
            "tools": {"allow": ["a"], "alsoAllow": [], "byProvider": {"p": both},
                "subagents": {"tools": both}},
            "agents": {"list": [{"tools": both}]},
            "channels": {"telegram": {"groups": {"g": {"tools": both, "toolsBySender": {"s": both}}}},
                "own": {"tools": both}},
        });
        let mut found = Vec::new();
        check(&value, &mut found);
        let told: Vec<String> = found
            .iter()
            .map(|r| {
                let (what, _) = r.issue.message.split_once(" cannot").unwrap();
                format!("{}: {what}", r.issue.path)
            })
            .collect();
        assert_eq!(
            told,
            [
                "tools.byProvider.p: tools.byProvider policy",
                "tools.subagents.tools: tools policy",
                "agents.list.0.tools: agent tools",
                "channels.telegram.groups.g.tools: tools policy",
                "channels.telegram.groups.g.toolsBySender.s: tools policy",
            ]
        );
    }
}
