//! Which models answer, as settings: the default, its fallbacks, the same for pictures, aliases,
//! and the profiles and their order. One locked edit of the configuration each, comments kept.

use crate::config::edit::{self, Error};
use crate::config::{Env, Paths, Snapshot};
use crate::model::name::Ref;
use serde_json::{Map, Value, json};

/// Which of the two chains of models is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// `agents.defaults.model`.
    Chat,
    /// `agents.defaults.imageModel`.
    Image,
}

impl Chain {
    fn key(self) -> &'static str {
        match self {
            Chain::Chat => "model",
            Chain::Image => "imageModel",
        }
    }

    pub fn fallbacks(self, snapshot: &Snapshot) -> &[String] {
        let defaults = &snapshot.config.agents.defaults;
        match self {
            Chain::Chat => &defaults.model.fallbacks,
            Chain::Image => &defaults.image_model.fallbacks,
        }
    }
}

/// A name as a person types it: `provider/model`, an alias, a bare model of Anthropic's.
pub fn named(snapshot: &Snapshot, typed: &str) -> Result<Ref, Error> {
    let model = Ref::parse(&snapshot.config, typed);
    let sound = !model.provider.is_empty() && !model.model.trim().is_empty();
    match sound
        && typed
            .split_once('/')
            .is_none_or(|(p, m)| !p.trim().is_empty() && !m.trim().is_empty())
    {
        true => Ok(model),
        false => Err(Error::Refused(format!("Invalid model reference: {typed}"))),
    }
}

pub fn set(paths: &Paths, env: &Env, chain: Chain, model: &Ref) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        allow(tree, &[model.to_string()])?;
        let choice = choice(tree, chain)?;
        choice.insert("primary".into(), json!(model.to_string()));
        Ok(())
    })
}

pub fn add_fallback(
    paths: &Paths,
    env: &Env,
    chain: Chain,
    model: &Ref,
) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        let names = fallbacks(tree, chain)?;
        if names
            .iter()
            .any(|name| Ref::parse_value(tree, name) == *model)
        {
            return Ok(());
        }
        allow(tree, &[model.to_string()])?;
        let list = [names, vec![model.to_string()]].concat();
        choice(tree, chain)?.insert("fallbacks".into(), json!(list));
        Ok(())
    })
}

pub fn remove_fallback(
    paths: &Paths,
    env: &Env,
    chain: Chain,
    model: &Ref,
) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        let names = fallbacks(tree, chain)?;
        let mut left = names.clone();
        left.retain(|name| Ref::parse_value(tree, name) != *model);
        if left.len() == names.len() {
            let what = match chain {
                Chain::Chat => "Fallback",
                Chain::Image => "Image fallback",
            };
            return Err(Error::Refused(format!("{what} not found: {model}")));
        }
        choice(tree, chain)?.insert("fallbacks".into(), json!(left));
        Ok(())
    })
}

pub fn clear_fallbacks(paths: &Paths, env: &Env, chain: Chain) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        choice(tree, chain)?.insert("fallbacks".into(), json!([]));
        Ok(())
    })
}

/// The fallbacks of both chains at once, as a scan found them; the first becomes the default where
/// that is asked for.
pub struct Found<'a> {
    pub models: &'a [String],
    pub image_models: &'a [String],
    pub set_default: bool,
    pub set_image: bool,
}

pub fn take_found(paths: &Paths, env: &Env, found: &Found) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        let chains = [
            (Chain::Chat, found.models, found.set_default),
            (Chain::Image, found.image_models, found.set_image),
        ];
        for (chain, models, set_first) in chains {
            let Some(first) = models.first() else {
                continue;
            };
            allow(tree, models)?;
            let choice = choice(tree, chain)?;
            choice.insert("fallbacks".into(), json!(models));
            if set_first {
                choice.insert("primary".into(), json!(first));
            }
        }
        Ok(())
    })
}

/// An alias as it is kept; the complaint is the original's.
pub fn alias(typed: &str) -> Result<&str, Error> {
    let alias = typed.trim();
    let refused = |why: &str| Err(Error::Refused(why.into()));
    if alias.is_empty() {
        return refused("Alias cannot be empty.");
    }
    let sound = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    match alias.chars().all(sound) {
        true => Ok(alias),
        false => refused("Alias must use letters, numbers, dots, underscores, colons, or dashes."),
    }
}

pub fn add_alias(paths: &Paths, env: &Env, alias: &str, model: &Ref) -> Result<Snapshot, Error> {
    let key = model.to_string();
    edit::change(paths, env, |tree| {
        let models = object(tree, &["agents", "defaults", "models"])?;
        let other = models
            .iter()
            .find(|(name, entry)| **name != key && entry["alias"].as_str() == Some(alias));
        if let Some((other, _)) = other {
            return Err(Error::Refused(format!(
                "Alias {alias} already points to {other}."
            )));
        }
        let entry = object(tree, &["agents", "defaults", "models", &key])?;
        entry.insert("alias".into(), json!(alias));
        Ok(())
    })
}

pub fn remove_alias(paths: &Paths, env: &Env, alias: &str) -> Result<Snapshot, Error> {
    let missing = || Error::Refused(format!("Alias not found: {alias}"));
    edit::change(paths, env, |tree| {
        let models = tree.pointer_mut("/agents/defaults/models");
        let models = models.and_then(Value::as_object_mut).ok_or_else(missing)?;
        let mut all = models.values_mut().filter_map(Value::as_object_mut);
        let entry = all.find(|entry| entry.get("alias").and_then(Value::as_str) == Some(alias));
        let entry = entry.ok_or_else(missing)?;
        entry.shift_remove("alias");
        Ok(())
    })
}

/// Makes a profile known to the configuration; where the provider has an order there, it comes
/// first.
pub fn note_profile(
    paths: &Paths,
    env: &Env,
    id: &str,
    provider: &str,
    mode: &str,
) -> Result<Snapshot, Error> {
    edit::change(paths, env, |tree| {
        let profiles = object(tree, &["auth", "profiles"])?;
        profiles.insert(id.into(), json!({"provider": provider, "mode": mode}));
        let order = tree
            .pointer_mut("/auth/order")
            .and_then(|all| all.get_mut(provider));
        if let Some(order) = order.and_then(Value::as_array_mut) {
            order.retain(|known| known != id);
            order.insert(0, json!(id));
        }
        Ok(())
    })
}

impl Ref {
    /// As [`Ref::parse`], of a tree that is being edited: aliases are those in it.
    fn parse_value(tree: &Value, text: &str) -> Ref {
        let config = serde_json::from_value(json!({"agents": {"defaults": {
            "models": tree.pointer("/agents/defaults/models").cloned().unwrap_or(json!({}))
        }}}));
        Ref::parse(&config.unwrap_or_default(), text)
    }
}

/// Puts models on the list of those that may be used; as in the original the first one makes it.
fn allow(tree: &mut Value, models: &[String]) -> Result<(), Error> {
    let list = object(tree, &["agents", "defaults", "models"])?;
    for model in models {
        list.entry(model.as_str()).or_insert_with(|| json!({}));
    }
    Ok(())
}

fn choice(tree: &mut Value, chain: Chain) -> Result<&mut Map<String, Value>, Error> {
    let place = ["agents", "defaults", chain.key()];
    let defaults = object(tree, &place[..2])?;
    // A bare name is what the older form of the setting was.
    if let Some(name) = defaults.get(place[2]).and_then(Value::as_str) {
        let primary = json!({"primary": name});
        defaults.insert(place[2].into(), primary);
    }
    object(tree, &place)
}

fn fallbacks(tree: &mut Value, chain: Chain) -> Result<Vec<String>, Error> {
    let names = choice(tree, chain)?
        .get("fallbacks")
        .and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    Ok(names.map(String::from).collect())
}

/// The object at `place`, made where there is none.
pub(super) fn object<'t>(
    tree: &'t mut Value,
    place: &[&str],
) -> Result<&'t mut Map<String, Value>, Error> {
    let mut at = tree;
    for (i, key) in place.iter().enumerate() {
        let map = at.as_object_mut();
        let map = map.ok_or_else(|| not_an_object(&place[..i]))?;
        at = map.entry(*key).or_insert_with(|| json!({}));
    }
    at.as_object_mut().ok_or_else(|| not_an_object(place))
}

fn not_an_object(place: &[&str]) -> Error {
    Error::Refused(format!("{}: expected an object", place.join(".")))
}
