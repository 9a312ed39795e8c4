//! The keys and logins of the models: run out, resting, named in the configuration and missing.

use super::{Cure, Finding, Ground};
use crate::base::time;
use crate::model::credential::Profiles;

const TOPIC: &str = "Model auth";
/// A login that ends this soon is told of while it still works.
const SOON_MS: u64 = 24 * 3_600_000;

pub fn look(ground: &Ground) -> Vec<Finding> {
    judge(ground, time::now_ms())
}

fn judge(ground: &Ground, now: u64) -> Vec<Finding> {
    let paths = ground.paths();
    let profiles = Profiles::read(paths, &paths.agent_dir);
    let mut found = Vec::new();
    let ids: Vec<String> = profiles.all().iter().map(|id| id.to_string()).collect();
    let mut over = Vec::new();
    let mut resting = Vec::new();
    for id in &ids {
        let provider = profiles.provider(id).unwrap_or_default();
        let again = again(ground, profiles.kind(id), provider);
        let expires = profiles.expires(id).filter(|_| !profiles.is_renewable(id));
        match expires {
            Some(at) if at <= now => over.push(format!("{id}: expired — Re-auth via {again}")),
            Some(at) if at <= now.saturating_add(SOON_MS) => {
                let hours = (at - now) / 3_600_000;
                over.push(format!("{id}: expires in {hours}h — Re-auth via {again}"));
            }
            _ => {}
        }
        if let Some(rest) = profiles.rest(id, now) {
            let until = time::iso(rest.until);
            resting.push(match rest.disabled {
                Some(reason) if !reason.is_empty() => {
                    format!("{id}: disabled ({reason}) until {until}")
                }
                Some(_) => format!("{id}: disabled until {until}"),
                None => format!("{id}: cooldown until {until}"),
            });
        }
    }
    let mut tell = |topic, what: &str, details: Vec<String>, why, how: &str| {
        if !details.is_empty() {
            found.push(Finding {
                topic,
                grave: false,
                what: what.into(),
                details,
                why,
                cure: Cure::Yours(how.into()),
            });
        }
    };
    tell(
        TOPIC,
        "Credentials of models have run out, or soon will.",
        over,
        "The models behind them do not answer then.",
        "see each line; openclaw models status shows them all",
    );
    tell(
        "Auth profile cooldowns",
        "Credentials rest because their service refused them.",
        resting,
        "Other credentials and models are used meanwhile.",
        "billing (disabled) is mended at the service; a cooldown passes by itself",
    );
    let named = ground.snapshot.value.pointer("/auth/profiles");
    let named = named
        .and_then(|named| named.as_object())
        .into_iter()
        .flatten();
    let missing = named
        .filter(|(id, entry)| {
            // Logins of the machine's own clients are elsewhere.
            let kept = matches!(entry["mode"].as_str(), Some("api_key" | "token" | "oauth"));
            kept && !ids.contains(id)
        })
        .map(|(id, _)| id.clone());
    tell(
        TOPIC,
        "The configuration names credentials that are not there.",
        missing.collect(),
        "Nothing opens the models that need them.",
        "openclaw models auth paste-token --provider <name>, or openclaw configure --section model",
    );
    found
}

fn again(ground: &Ground, kind: &str, provider: &str) -> String {
    let profile = ground.paths().profile.as_ref();
    let program = profile.map_or("openclaw".into(), |p| format!("openclaw --profile {p}"));
    match kind {
        "oauth" => format!("{program} models auth login --provider {provider}"),
        _ => format!("{program} models auth paste-token --provider {provider}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Place;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_has_run_out_rests_or_is_missing_is_named_without_its_secret() {
        let place =
            Place::new("{auth:{profiles:{'openai:default':{provider:'openai',mode:'api_key'}}}}");
        place.put(
            "agents/main/agent/auth-profiles.json",
            &json!({
                "version": 1,
                "profiles": {
                    "anthropic:manual": {
                        "type": "token", "provider": "anthropic", "token": "of-the-test", "expires": 5,
                    },
                    "zai:default": {"type": "api_key", "provider": "zai", "key": "of-the-test"},
                },
                "usageStats": {"zai:default": {"disabledUntil": 9_000, "disabledReason": "billing"}},
            })
            .to_string(),
        );
        let found = judge(&place.ground(), 1_000);
        let told: Vec<&String> = found.iter().flat_map(|f| &f.details).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].starts_with("anthropic:manual: expired — Re-auth via openclaw models"));
        assert!(told[1].starts_with("zai:default: disabled (billing) until 1970"));
        assert_eq!(told[2], "openai:default");
        assert!(!told.iter().any(|line| line.contains("of-the-test")));
        assert!(judge(&place.ground(), 10_000).len() == 2);
    }
}
