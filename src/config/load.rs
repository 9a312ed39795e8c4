//! Reading the configuration file into a `Snapshot`.

use super::keys::check::check;
use super::{
    Config, Env, Paths, defaults, file, include, keys, legacy, path, rules, substitute, text,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version a written file is stamped with: what a Node program of that version would write, so
/// that it does not warn of a newer one.
pub(super) const STAMP: &str = "2026.2.3";

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Issue {
    /// `gateway.port`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    /// Ours: what was found, what is wanted, the nearest known key. Not part of the wire form.
    #[serde(skip)]
    pub hint: Option<String>,
}

/// A value that takes the place of the file's.
pub type Laid = (Vec<String>, Value);

/// What `config.get` shows, and what everything else reads.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub path: PathBuf,
    pub exists: bool,
    pub raw: Option<String>,
    /// The literal content.
    pub parsed: Value,
    pub valid: bool,
    /// With includes, variables and defaults applied.
    pub value: Value,
    /// SHA-256 of `raw` (of nothing when there is no file).
    pub hash: String,
    pub issues: Vec<Issue>,
    pub warnings: Vec<Issue>,
    pub legacy_issues: Vec<Issue>,
    /// The typed form of `value`; the default when invalid.
    pub config: Config,
    /// The environment with the `.env` files and the config's `env` block added.
    pub env: Env,
    pub paths: Paths,
    /// The files it includes, found or not.
    pub includes: Vec<PathBuf>,
}

/// `gateway.port: …`, with the hint in brackets when there is one.
impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.path.is_empty() {
            "<root>"
        } else {
            &self.path
        };
        write!(f, "{place}: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Reads the file `paths.config` names.
pub fn load(paths: &Paths, env: &Env) -> Snapshot {
    over(paths, env, &[])
}

/// The file with `overlay` over it: values by their paths, later ones over earlier ones. The text
/// and its hash stay the file's.
pub fn over(paths: &Paths, env: &Env, overlay: &[Laid]) -> Snapshot {
    let fresh = Snapshot {
        path: paths.config.clone(),
        hash: hash(""),
        env: env.clone(),
        paths: paths.clone(),
        ..Snapshot::default()
    };
    match file::read(&paths.config) {
        Ok(raw) => judge(fresh, raw, overlay),
        Err(err) => {
            let mut fresh = fresh;
            fresh.exists = true;
            fresh.fail(format!("read failed: {err}"));
            fresh
        }
    }
}

/// The snapshot there would be if the file held `raw`.
pub fn from_text(paths: &Paths, env: &Env, raw: String) -> Snapshot {
    let fresh = Snapshot {
        path: paths.config.clone(),
        env: env.clone(),
        paths: paths.clone(),
        ..Snapshot::default()
    };
    judge(fresh, Some(raw), &[])
}

pub fn hash(raw: &str) -> String {
    crate::base::hex::sha256(raw.as_bytes())
}

/// Whether a file was stamped by a version that may have keys we do not know.
pub(super) fn is_newer(stamp: &str) -> bool {
    // What is no number counts as 0.
    let version = |text: &str| -> Vec<u64> {
        text.split(['.', '-'])
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    version(stamp) > version(STAMP)
}

fn judge(mut fresh: Snapshot, raw: Option<String>, overlay: &[Laid]) -> Snapshot {
    fresh.hash = hash(raw.as_deref().unwrap_or_default());
    fresh.exists = raw.is_some();
    alias(&mut fresh.env, "ZAI_API_KEY", "Z_AI_API_KEY");
    match &raw {
        None => fresh.parsed = Value::Object(Map::new()),
        Some(raw) => match text::parse_or_syntax_error(raw) {
            Ok(parsed) => fresh.parsed = parsed,
            Err(err) => {
                fresh.fail(format!("JSON5 parse failed: {err}"));
                fresh.raw = Some(raw.clone());
                return fresh;
            }
        },
    }
    fresh.raw = raw;
    match resolved(&mut fresh) {
        Ok(value) => fresh.value = value,
        Err(err) => {
            fresh.value = fresh.parsed.clone();
            fresh.fail(err);
            return fresh;
        }
    }
    for (path, value) in overlay {
        if let Err(err) = path::set(&mut fresh.value, path, value.clone()) {
            fresh.fail(err.to_string());
            return fresh;
        }
    }
    fresh.legacy_issues = legacy::issues(&fresh.value);
    fresh.issues = fresh.legacy_issues.clone();
    if fresh.issues.is_empty() {
        let rank = |path: &str| keys::check::rank(&keys::ROOT, &fresh.value, path);
        let single = check(&keys::ROOT, &fresh.value, "");
        let spanning = rules::in_sections(&fresh.value, &single);
        let mut ranked: Vec<_> = single.into_iter().map(|i| (rank(&i.path), i)).collect();
        ranked.extend(spanning.into_iter().map(|(of, issue)| (rank(&of), issue)));
        ranked.sort_by(|a, b| a.0.cmp(&b.0));
        fresh.issues = ranked.into_iter().map(|(_, issue)| issue).collect();
        fresh.explain_newer();
    }
    if fresh.issues.is_empty() {
        if fresh.exists {
            defaults::by_schema(&mut fresh.value);
        }
        fresh.issues = rules::between_sections(&fresh.value, &fresh.paths);
    }
    if fresh.issues.is_empty() {
        let installed = |id: &str| has_channel_program(&fresh.env, id);
        fresh.issues = rules::names(&fresh.value, &fresh.paths, installed, &mut fresh.warnings);
    }
    if fresh.issues.is_empty() {
        finish(&mut fresh);
    }
    fresh.valid = fresh.issues.is_empty();
    fresh
}

/// Includes, the `env` block, variables.
fn resolved(fresh: &mut Snapshot) -> Result<Value, String> {
    let value = include::resolve(fresh.parsed.clone(), &fresh.path, &mut fresh.includes)?;
    env_block(&value, &mut fresh.env);
    substitute::variables(value, &fresh.env)
}

/// `env.<NAME>` wins over `env.vars.<NAME>`; both only count where the environment has nothing.
fn env_block(value: &Value, env: &mut Env) {
    let Some(block) = value.get("env").and_then(Value::as_object) else {
        return;
    };
    let direct = block
        .iter()
        .filter(|(name, _)| *name != "vars" && *name != "shellEnv");
    let vars = block.get("vars").and_then(Value::as_object);
    let found: BTreeMap<String, String> = vars
        .into_iter()
        .flatten()
        .chain(direct)
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_string())))
        .filter(|(name, value)| !value.is_empty() && env.get(name).is_none())
        .collect();
    // Over the others, because a variable that is set but blank counts as unset here.
    env.lay_over(found);
}

fn alias(env: &mut Env, name: &str, other: &str) {
    if env.get(name).is_none() {
        if let Some(value) = env.get(other).map(str::to_string) {
            env.lay_over(BTreeMap::from([(name.to_string(), value)]));
        }
    }
}

/// Defaults, order, paths, the typed form: for a value without faults.
fn finish(fresh: &mut Snapshot) {
    let mut value = keys::check::in_table_order(&keys::ROOT, fresh.value.take());
    for key in keys::ours(&value) {
        fresh.warnings.push(Issue {
            message: format!("{key} is not known to the Node program, which refuses this file"),
            path: key,
            hint: Some("remove it before going back".into()),
        });
    }
    defaults::apply(&mut value, fresh.exists, &fresh.env, &mut fresh.warnings);
    substitute::home(&mut value, &fresh.paths.home);
    let mut running = value.clone();
    defaults::at_run(&mut running, &fresh.env);
    match serde_json::from_value(running) {
        Ok(config) => fresh.config = config,
        // The tables accept what the types cannot hold (a timeout of 1.5 s where whole seconds
        // are read): better said than silently replaced by the defaults.
        Err(err) => fresh.fail(format!("not usable: {err}")),
    }
    fresh.value = value;
}

/// Whether somebody installed a worker for a channel that is not built in.
fn has_channel_program(env: &Env, id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !id.chars().all(plain) {
        return false;
    }
    ["OPENCLAW_CHANNEL_PATH", "PATH"]
        .iter()
        .filter_map(|name| env.get(name))
        .flat_map(std::env::split_paths)
        .any(|dir| dir.join(format!("openclaw-channel-{id}")).is_file())
}

impl Snapshot {
    fn fail(&mut self, message: String) {
        self.valid = false;
        self.issues.push(Issue {
            path: String::new(),
            message,
            hint: None,
        });
    }

    /// Whether a later version wrote the file.
    pub fn is_newer(&self) -> bool {
        let stamp = self.parsed["meta"]["lastTouchedVersion"].as_str();
        stamp.is_some_and(is_newer)
    }

    /// Keys of a later version are no slip of the pen: how to go on with them.
    fn explain_newer(&mut self) {
        let stamp = self.parsed["meta"]["lastTouchedVersion"].as_str();
        let Some(stamp) = stamp.filter(|stamp| is_newer(stamp)) else {
            return;
        };
        let unknown = |issue: &&mut Issue| issue.message.starts_with("Unrecognized key");
        for issue in self.issues.iter_mut().filter(unknown) {
            let near = issue
                .hint
                .take()
                .map(|hint| format!("{hint}; "))
                .unwrap_or_default();
            issue.hint = Some(format!(
                "{near}version {stamp:.40} wrote this file and may know it: \
                 take it out with `openclaw config unset`, or run that version"
            ));
        }
    }

    /// What `config.get` answers.
    pub fn wire(&self) -> Value {
        json!({
            "path": self.path.display().to_string(),
            "exists": self.exists,
            "raw": self.raw,
            "parsed": self.parsed,
            "valid": self.valid,
            "config": self.value,
            "hash": self.hash,
            "issues": self.issues,
            "warnings": self.warnings,
            "legacyIssues": self.legacy_issues,
        })
    }

    /// The lines `Config invalid` … `Run: openclaw doctor --fix` that the commands print.
    pub fn complaint(&self) -> String {
        let mut out = format!(
            "Config invalid\nFile: {}\nProblem:",
            self.paths.tilde(&self.path)
        );
        for issue in &self.issues {
            out.push_str(&format!("\n  - {issue}"));
        }
        if !self.legacy_issues.is_empty() {
            out.push_str("\nLegacy config keys detected:");
            for issue in &self.legacy_issues {
                out.push_str(&format!("\n  - {}: {}", issue.path, issue.message));
            }
        }
        out.push_str("\n\nRun: openclaw doctor --fix");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(raw: &str, env: &[(&str, &str)]) -> Snapshot {
        let env = [&[("HOME", "/h")], env].concat();
        let env = Env::from_pairs(&env);
        from_text(&Paths::resolve(&env, None), &env, raw.into())
    }

    fn told(raw: &str) -> Vec<String> {
        of(raw, &[]).issues.iter().map(Issue::to_string).collect()
    }

    #[test]
    fn faults_are_placed_worded_and_explained() {
        assert_eq!(
            told("{gateway:{mode:'local',port:'abc',bogus:1}}"),
            [
                "gateway.port: Invalid input: expected number, received string (got \"abc\", want a port from 1 to 65535)",
                "gateway: Unrecognized key: \"bogus\"",
            ]
        );
        assert_eq!(
            told("{gateway:{prot:1,Auth:2,mode:'x'}}"),
            [
                "gateway.mode: Invalid input (got \"x\", want local, remote)",
                "gateway: Unrecognized keys: \"prot\", \"Auth\" (did you mean \"port\", \"auth\"?)",
            ]
        );
        assert_eq!(
            told("[]"),
            [
                "<root>: Invalid input: expected object, received array (got a list, want an object {$schema, meta, env, wizard, …})"
            ]
        );
        assert_eq!(
            told("{gateway:"),
            ["<root>: JSON5 parse failed: SyntaxError: JSON5: invalid end of input at 1:10"]
        );
        let secret = told("{gateway:{auth:{token:12345}}}");
        assert!(secret[0].ends_with("(got number, want text)"), "{secret:?}");
    }

    #[test]
    fn the_env_block_feeds_variables_of_the_same_file() {
        let raw =
            "{env:{vars:{A:'vars',B:'vars'},A:'direct',E:''},gateway:{auth:{token:'${A}${B}'}}}";
        let fresh = of(raw, &[("B", " ")]);
        assert!(fresh.valid, "{:?}", fresh.issues);
        assert_eq!(fresh.value["gateway"]["auth"]["token"], "directvars");
        assert_eq!(fresh.env.get("A"), Some("direct"));
        assert_eq!(of(raw, &[("A", "real")]).env.get("A"), Some("real"));
    }

    #[test]
    fn a_key_of_a_later_version_is_told_with_a_way_on() {
        let told = told("{meta:{lastTouchedVersion:'2027.1.1'},gateway:{teleport:1}}");
        assert!(
            told[0].starts_with("gateway: Unrecognized key: \"teleport\" ("),
            "{told:?}"
        );
        assert!(
            told[0].contains("version 2027.1.1 wrote this file"),
            "{told:?}"
        );
    }

    #[test]
    fn keys_the_node_program_refuses_are_kept_with_a_warning() {
        let fresh = of("{$schema:'x',gateway:{customBindHost:'192.0.2.1'}}", &[]);
        assert!(fresh.valid);
        let paths: Vec<&str> = fresh.warnings.iter().map(|w| w.path.as_str()).collect();
        assert_eq!(paths, ["$schema", "gateway.customBindHost"]);
    }

    #[test]
    fn what_is_no_readable_file_is_said() {
        let dir = crate::base::id::temp_dir("load");
        let env = Env::from_pairs(&[
            ("HOME", "/h"),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", dir.to_str().unwrap()),
        ]);
        let mut paths = Paths::resolve(&env, None);
        let said = |paths: &Paths| load(paths, &env).issues[0].message.clone();
        assert!(said(&paths).ends_with("is a folder, not a file"));
        paths.config = dir.join("big.json");
        std::fs::write(&paths.config, vec![b' '; file::MAX_BYTES as usize + 1]).unwrap();
        assert!(said(&paths).contains("at most 4194304 are read"));
        paths.config = dir.join("none.json");
        let missing = load(&paths, &env);
        assert!(missing.valid && !missing.exists);
        assert_eq!(
            missing.hash,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            missing.value["agents"]["defaults"]["compaction"]["mode"],
            "safeguard"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
