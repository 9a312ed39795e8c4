//! `/model opus`: the model a person means by a part of its name. Pure: the configuration and the
//! catalogue decide, nothing is asked.

use super::catalogue;
use super::credential;
use super::name::{self, Ref, provider_id};
use crate::config::Snapshot;

/// A model, and the profile that was pinned to it by `model@profile`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picked {
    pub model: Ref,
    pub profile: Option<String>,
}

/// Words that name a smaller or special edition: meant only by who says them.
const EDITIONS: [&str; 12] = [
    "mini", "nano", "lite", "flash", "fast", "turbo", "haiku", "codex", "preview", "latest", "pro",
    "max",
];

const MAKERS: [&str; 3] = ["anthropic", "google", "openai"];

/// What `typed` means, or `None` when it is like no model that may be used.
pub fn fuzzy(snapshot: &Snapshot, typed: &str) -> Option<Picked> {
    let (typed, profile) = split_profile(typed.trim());
    let model = pick(snapshot, typed)?;
    Some(Picked {
        model,
        profile: profile.map(str::to_string),
    })
}

/// `model@profile`; a model's own name may begin with an `@`.
pub fn split_profile(typed: &str) -> (&str, Option<&str>) {
    match typed.rsplit_once('@') {
        Some((model, profile))
            if !model.is_empty() && !model.ends_with('/') && !profile.trim().is_empty() =>
        {
            (model.trim(), Some(profile.trim()))
        }
        _ => (typed, None),
    }
}

fn pick(snapshot: &Snapshot, typed: &str) -> Option<Ref> {
    if typed.is_empty() {
        return None;
    }
    let config = &snapshot.config;
    let aliases = name::aliases(config);
    let same = |alias: &str| alias.eq_ignore_ascii_case(typed);
    if let Some((_, model)) = aliases.iter().find(|(alias, _)| same(alias)) {
        return Some(model.clone());
    }
    let candidates = candidates(snapshot);
    if let Some((provider, id)) = typed.split_once('/') {
        let exact = Ref::new(provider, id);
        if candidates.contains(&exact) {
            return Some(exact);
        }
    }
    let home = config.agents.defaults.model.primary.as_deref();
    let home = Ref::parse(config, home.unwrap_or(name::DEFAULT)).provider;
    // The first of equals wins: the configuration's order, then the catalogue's.
    let mut best: Option<(i64, Ref)> = None;
    for model in candidates {
        let alias = aliases
            .iter()
            .find(|(_, m)| *m == model)
            .map(|(a, _)| a.as_str());
        let Some(mut points) = points(typed, &model, alias, &home) else {
            continue;
        };
        // Resellers have the same names: the maker is meant, and whoever there is a key for.
        if MAKERS.contains(&model.provider.as_str()) {
            points += 20;
        }
        let keyed = credential::in_config(snapshot, &model.provider)
            .or_else(|| credential::in_env(snapshot, &model.provider));
        if keyed.is_some() {
            points += 30;
        }
        if best.as_ref().is_none_or(|(most, _)| points > *most) {
            best = Some((points, model));
        }
    }
    match best {
        Some((_, model)) => Some(model),
        // A model nobody described, at a provider somebody configured.
        None => {
            let (provider, id) = typed.split_once('/')?;
            let model = Ref::new(provider, id);
            let known = name::configured(config, provider).is_some();
            (known && !id.is_empty() && name::is_allowed(config, &model)).then_some(model)
        }
    }
}

/// What may be used: the list and what the configuration names, or everything known.
fn candidates(snapshot: &Snapshot) -> Vec<Ref> {
    let config = &snapshot.config;
    let defaults = &config.agents.defaults.model;
    let mut all: Vec<Ref> = name::listed(snapshot)
        .iter()
        .chain(&defaults.primary)
        .map(|name| Ref::parse(config, name))
        .collect();
    if name::listed(snapshot).is_empty() {
        let rows = catalogue::list(snapshot);
        all.extend(rows.iter().map(|row| Ref::new(&row.provider, &row.id)));
    }
    let mut seen = Vec::new();
    all.retain(|model| {
        let new = !seen.contains(model);
        if new {
            seen.push(model.clone());
        }
        new
    });
    all
}

/// How well a name fits; `None` when some part of it is not there at all.
fn points(typed: &str, model: &Ref, alias: Option<&str>, home: &str) -> Option<i64> {
    let typed = typed.to_lowercase();
    let id = model.model.to_lowercase();
    let (wanted, typed) = match typed.split_once('/') {
        Some((provider, rest)) if provider_id(provider) == model.provider => (true, rest),
        Some(_) if !id.contains('/') => return None,
        _ => (false, typed.as_str()),
    };
    let plain = |text: &str| text.replace(['-', '_', '.', ' ', ':'], "");
    let (plain_id, plain_typed) = (plain(&id), plain(typed));
    let alias = alias.unwrap_or_default().to_lowercase();
    let mut points = if id == typed {
        1000
    } else if plain_id == plain_typed {
        900
    } else if id.rsplit('/').next() == Some(typed) {
        800
    } else if plain_id.starts_with(&plain_typed) {
        500
    } else if plain_id.contains(&plain_typed) {
        400
    } else if !alias.is_empty() && alias.contains(typed) {
        350
    } else {
        let words: Vec<&str> = typed
            .split(|c: char| !c.is_alphanumeric())
            .filter(|w| !w.is_empty())
            .collect();
        let all = !words.is_empty()
            && words
                .iter()
                .all(|word| id.contains(word) || model.provider.contains(word));
        if !all {
            return None;
        }
        300
    };
    if wanted {
        points += 200;
    }
    if model.provider == home {
        points += 60;
    }
    for edition in EDITIONS {
        if id.contains(edition) && !typed.contains(edition) {
            points -= 40;
        }
    }
    // Of two that fit the shorter name is closer to what was typed.
    Some(points - i64::try_from(id.len()).unwrap_or(0).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths, load};

    fn snapshot(config: &str) -> Snapshot {
        let dir = crate::base::id::temp_dir("fuzzy");
        let state = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", state), ("OPENCLAW_STATE_DIR", state)]);
        let paths = Paths::resolve(&env, None);
        std::fs::write(&paths.config, config).unwrap();
        let snapshot = load::load(&paths, &env);
        std::fs::remove_dir_all(dir).unwrap();
        snapshot
    }

    fn meant(snapshot: &Snapshot, typed: &str) -> String {
        fuzzy(snapshot, typed).map_or("-".into(), |p| p.model.to_string())
    }

    #[test]
    fn a_part_of_a_name_means_the_plainest_model_that_has_it() {
        let all = snapshot("{}");
        for (typed, model) in [
            ("anthropic/claude-opus-4-5", "anthropic/claude-opus-4-5"),
            ("opus 4.5", "anthropic/claude-opus-4-5"),
            ("openai/gpt-5.2", "openai/gpt-5.2"),
            ("gpt-5-mini", "openai/gpt-5-mini"),
            ("zai/4.7", "zai/glm-4.7"),
            ("zzz", "-"),
            ("", "-"),
        ] {
            assert_eq!(meant(&all, typed), model, "{typed}");
        }
    }

    #[test]
    fn a_list_and_its_aliases_come_first_and_a_profile_may_follow() {
        let config = r#"{"agents":{"defaults":{"model":{"primary":"fake/big"},"models":{
            "fake/small-mini":{},"fake/small":{"alias":"s"},"openai/gpt-5.2":{}}}},
            "models":{"providers":{"fake":{"baseUrl":"http://x","models":[]}}}}"#;
        let listed = snapshot(config);
        assert_eq!(meant(&listed, "S"), "fake/small");
        assert_eq!(meant(&listed, "small"), "fake/small");
        assert_eq!(meant(&listed, "mini"), "fake/small-mini");
        assert_eq!(meant(&listed, "gpt"), "openai/gpt-5.2");
        assert_eq!(meant(&listed, "opus"), "-");
        assert_eq!(meant(&listed, "fake/big"), "fake/big");
        let pinned = fuzzy(&listed, "s@fake:work").unwrap();
        assert_eq!(pinned.profile.as_deref(), Some("fake:work"));
        assert_eq!(split_profile("@cf/meta"), ("@cf/meta", None));
    }
}
