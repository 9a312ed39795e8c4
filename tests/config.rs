//! The configuration against what is known of the original: its JSON schema, what its commands
//! printed for wrong files, what its gateway answered; and edits from many processes at once.

use openclaw::base::id::temp_dir;
use openclaw::config::keys::check::{check, fits};
use openclaw::config::keys::{ROOT, ours};
use openclaw::config::{Config, Env, Paths, Snapshot, edit, json_schema, load, migrate, text};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A file of the reading material beside the checkout; without it the test is skipped aloud.
fn shared_path(name: &str, test: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {test}: no {name}");
        return None;
    }
    Some(path)
}

fn shared(name: &str, test: &str) -> Option<String> {
    Some(std::fs::read_to_string(shared_path(name, test)?).unwrap())
}

fn load_text(raw: &str) -> Snapshot {
    let env = Env::from_pairs(&[("HOME", "/home/none")]);
    load::from_text(&Paths::resolve(&env, None), &env, raw.to_string())
}

fn issues(snapshot: &Snapshot) -> Vec<String> {
    let place = |path: &str| {
        if path.is_empty() {
            "<root>".to_string()
        } else {
            path.to_string()
        }
    };
    snapshot
        .issues
        .iter()
        .map(|issue| format!("{}: {}", place(&issue.path), issue.message))
        .collect()
}

/// The part of JSON Schema that the original's schema uses.
fn schema_accepts(schema: &Value, value: &Value) -> bool {
    if let Some(choices) = schema["anyOf"].as_array() {
        return choices.iter().any(|choice| schema_accepts(choice, value));
    }
    if let Some(constant) = schema.get("const") {
        return constant == value;
    }
    if let Some(list) = schema["enum"].as_array() {
        return list.contains(value);
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        other => panic!("type {other}"),
    };
    match &schema["type"] {
        Value::String(name) if !is(name) => return false,
        Value::Array(names) if !names.iter().any(|name| is(name.as_str().unwrap())) => {
            return false;
        }
        _ => {}
    }
    if let Some(n) = value.as_f64() {
        let bound = |key: &str| schema[key].as_f64();
        return bound("minimum").is_none_or(|min| n >= min)
            && bound("maximum").is_none_or(|max| n <= max)
            && bound("exclusiveMinimum").is_none_or(|min| n > min);
    }
    match value {
        Value::String(text) => {
            let length = text.chars().count() as u64;
            schema["minLength"].as_u64().is_none_or(|min| length >= min)
                && schema["maxLength"].as_u64().is_none_or(|max| length <= max)
        }
        Value::Array(list) => list
            .iter()
            .all(|item| schema_accepts(&schema["items"], item)),
        Value::Object(map) => {
            let properties = schema["properties"].as_object();
            let required = schema["required"].as_array();
            // `commands` is called required because the program fills it in itself.
            required.into_iter().flatten().all(|key| {
                // The program fills in what has a default.
                let has_default = !schema["properties"][key.as_str().unwrap()]["default"].is_null();
                has_default || map.contains_key(key.as_str().unwrap())
            }) && map.iter().all(
                |(key, item)| match properties.and_then(|known| known.get(key)) {
                    Some(known) => schema_accepts(known, item),
                    None => match &schema["additionalProperties"] {
                        Value::Bool(open) => *open,
                        Value::Null => true,
                        other => schema_accepts(other, item),
                    },
                },
            )
        }
        _ => true,
    }
}

/// Values around every bound of `schema`: some fit, some do not.
fn samples(schema: &Value) -> Vec<Value> {
    let mut out = vec![
        json!(null),
        json!(true),
        json!("x"),
        json!(1),
        json!([]),
        json!({}),
    ];
    out.extend(["", "0", "auto", "00aa00"].map(|text| json!(text)));
    out.extend([
        json!(-1),
        json!(0),
        json!(0.5),
        json!(1.5),
        json!(24),
        json!(1e9),
    ]);
    out.push(json!("y".repeat(300)));
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        out.extend(choice.get("const").cloned());
    }
    out.extend(schema["enum"].as_array().into_iter().flatten().cloned());
    for key in ["minimum", "maximum", "exclusiveMinimum"] {
        if let Some(bound) = schema[key].as_f64().filter(|bound| bound.abs() < 1e12) {
            out.extend([json!(bound - 1.0), json!(bound), json!(bound + 1.0)]);
        }
    }
    out
}

/// The smallest value `schema` accepts.
fn smallest(schema: &Value) -> Value {
    if let Some(first) = schema["anyOf"].as_array().and_then(|list| list.first()) {
        return smallest(first);
    }
    if let Some(value) = schema.get("const").or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str().unwrap_or_default(),
        kind => kind.as_str().unwrap_or_default(),
    };
    match kind {
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten();
            required
                .map(|key| key.as_str().unwrap().to_string())
                .map(|key| (key.clone(), smallest(&schema["properties"][&key])))
                .collect()
        }
        "array" => json!([]),
        "boolean" => json!(true),
        "integer" | "number" => json!(schema["minimum"].as_f64().unwrap_or(1.0) as i64),
        _ if schema.get("pattern").is_some() => json!("00aa00"),
        _ => json!("x"),
    }
}

/// Calls `visit` with a whole configuration for every sample at every place of the schema.
fn each_sample(
    schema: &Value,
    path: &str,
    wrap: &dyn Fn(Value) -> Value,
    visit: &mut dyn FnMut(&str, Value),
) {
    for sample in samples(schema) {
        visit(path, wrap(sample));
    }
    for choice in schema["anyOf"].as_array().into_iter().flatten() {
        if choice["type"] == "object" {
            each_sample(choice, path, wrap, visit);
        }
    }
    if schema["type"] == "object" {
        let base = smallest(schema);
        let with = |key: &str, value: Value| {
            let mut map = base.clone();
            map[key] = value;
            wrap(map)
        };
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            each_sample(
                below,
                &format!("{path}.{key}"),
                &|value| with(key, value),
                visit,
            );
        }
        visit(path, with("unheardOf", json!(1)));
        if schema["additionalProperties"].is_object() {
            let below = &schema["additionalProperties"];
            each_sample(
                below,
                &format!("{path}.*"),
                &|value| with("some-key", value),
                visit,
            );
        }
    }
    if schema["type"] == "array" {
        each_sample(
            &schema["items"],
            &format!("{path}.*"),
            &|value| wrap(json!([value])),
            visit,
        );
    }
}

#[test]
fn our_tables_accept_and_refuse_what_the_original_schema_does() {
    let Some(schema) = shared("data/config.schema.json", "our_tables") else {
        return;
    };
    let schema: Value = serde_json::from_str(&schema).unwrap();
    // Where we differ on purpose or know more: tables that drop unknown keys, plugin settings,
    // patterns that the checker above does not read.
    let skip = |path: &str| {
        path.starts_with(".channels")
            || path.starts_with(".plugins.entries")
            || path.starts_with(".gateway.tls")
            || path == ".gateway.port"
            || path.starts_with(".hooks.mappings.*.match")
            || path.to_lowercase().ends_with("color")
    };
    let (mut accepted, mut refused, mut wrong) = (0, 0, Vec::new());
    each_sample(&schema, "", &|value| value, &mut |path, value| {
        if skip(path) {
            return;
        }
        let theirs = schema_accepts(&schema, &value);
        if theirs {
            accepted += 1
        } else {
            refused += 1
        }
        if theirs {
            let read = text::parse(&value.to_string()).unwrap();
            if let Err(err) = serde_json::from_value::<Config>(read) {
                wrong.push(format!("{path}: not usable: {value}: {err}"));
            }
        }
        if fits(&ROOT, &value) != theirs {
            wrong.push(format!(
                "{path}: schema {theirs}: {value}: {:?}",
                check(&ROOT, &value, "")
            ));
        }
    });
    none_differ(&wrong);
    assert!(
        accepted > 1000 && refused > 5000,
        "{accepted} accepted, {refused} refused"
    );
    assert!(ours(&json!({"gateway": {"port": 1}})).is_empty());
}

fn none_differ(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(30)].join("\n")
    );
}

#[test]
fn channels_are_checked_as_the_original_checks_them() {
    let Some(text) = shared("data/config.channel-schemas.json", "channels_are_checked") else {
        return;
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for (id, schema) in all["channels"].as_object().unwrap() {
        let wrap = |value: Value| json!({"channels": {id: value}});
        each_sample(schema, id, &wrap, &mut |path, value| {
            // Objects that the schema leaves open are made of texts by a transform it hides.
            // Nor does it say what a program may be called.
            if path.contains("customCommands.*") || path.ends_with(".cliPath") {
                return;
            }
            seen += 1;
            let theirs = schema_accepts(schema, &value["channels"][id]);
            if fits(&ROOT, &value) != theirs {
                let told = check(&ROOT, &value, "");
                wrong.push(format!("{path}: schema {theirs}: {value}: {told:?}"));
            }
        });
    }
    none_differ(&wrong);
    assert!(seen > 10_000, "{seen}");
}

#[test]
fn the_schema_we_give_out_accepts_what_the_original_one_does() {
    let Some(text) = shared("data/config.schema.json", "the_schema_we_give_out") else {
        return;
    };
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let ours: Value = serde_json::from_str(&json_schema::schema()).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    each_sample(&theirs, "", &|value| value, &mut |path, value| {
        // As for the tables themselves.
        let open = path.starts_with(".channels") || path.starts_with(".plugins.entries");
        if open || path == ".gateway.port" || path.to_lowercase().ends_with("color") {
            return;
        }
        seen += 1;
        if schema_accepts(&ours, &value) != schema_accepts(&theirs, &value) {
            wrong.push(format!("{path}: {value}"));
        }
    });
    none_differ(&wrong);
    assert!(seen > 10_000, "{seen}");
}

#[test]
fn forms_are_told_of_each_key_what_the_original_tells() {
    let Some(text) = shared("data/config.ui-hints.json", "forms_are_told") else {
        return;
    };
    let theirs: Value = serde_json::from_str(&text).unwrap();
    let ours: Value = serde_json::from_str(&json_schema::hints()).unwrap();
    // Hinted there though its schema refuses them, or of its plugins.
    let absent = |path: &str| {
        path.starts_with("plugins.entries.") && !path.starts_with("plugins.entries.*")
            || path.starts_with("tools.web.fetch.firecrawl")
            || path == "tools.web.fetch.readability"
            || path == "tools.exec.approvalRunningNoticeMs"
    };
    let mut wrong = Vec::new();
    for (path, hint) in theirs.as_object().unwrap() {
        let mine = &ours[path.replace("[]", ".*")];
        if absent(path) {
            continue;
        }
        if !mine["label"].is_string() {
            wrong.push(format!("{path}: no hint"));
        }
        for fact in ["order", "group", "advanced", "sensitive", "placeholder"] {
            // An example may be told of one spelling of a path and not of the other.
            let more = fact == "placeholder" && hint[fact].is_null();
            if mine[fact] != hint[fact] && !more {
                wrong.push(format!("{path}: {fact}: {} not {}", mine[fact], hint[fact]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// A configuration of many settings at once that `schema` accepts.
fn whole(schema: &Value, dice: &mut Dice) -> Value {
    if let Some(choices) = schema["anyOf"].as_array() {
        return whole(&choices[dice.below(choices.len())], dice);
    }
    if schema["type"] == "object" {
        let mut map = serde_json::Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&json!(key)) || dice.below(4) == 0 {
                map.insert(key.clone(), whole(below, dice));
            }
        }
        if schema["additionalProperties"].is_object() && dice.below(2) == 0 {
            let below = &schema["additionalProperties"];
            map.insert("some-key".into(), whole(below, dice));
        }
        return map.into();
    }
    if schema["type"] == "array" {
        let items = 0..dice.below(3);
        return items.map(|_| whole(&schema["items"], dice)).collect();
    }
    let mut fitting = samples(schema);
    fitting.push(smallest(schema));
    fitting.retain(|value| schema_accepts(schema, value) && !value.is_null());
    // Patterns are not read by the checker above.
    if schema["pattern"].is_string() {
        return smallest(schema);
    }
    fitting.swap_remove(dice.below(fitting.len()))
}

/// The dotted paths of all scalars.
fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    let below = |key: &str| match path {
        "" => key.to_string(),
        path => format!("{path}\u{1f}{key}"),
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| leaves(v, &below(k), out)),
        Value::Array(list) => {
            let each = list.iter().enumerate();
            each.for_each(|(i, v)| leaves(v, &below(&i.to_string()), out));
        }
        _ => out.push(path.into()),
    }
}

#[test]
fn whole_configurations_are_accepted_and_one_broken_key_is_named() {
    let Some(text) = shared("data/config.schema.json", "whole_configurations") else {
        return;
    };
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    // Plugins have rules of their own; `channels` is open here.
    schema["properties"]
        .as_object_mut()
        .unwrap()
        .remove("plugins");
    // A larger one cannot be listened on, and is refused here.
    schema["properties"]["gateway"]["properties"]["port"]["maximum"] = json!(65535);
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let (mut keys, mut broken) = (0, 0);
    for _ in 0..300 {
        let value = whole(&schema, &mut dice);
        let told = check(&ROOT, &value, "");
        assert!(told.is_empty(), "{told:?}\n{value}");
        let mut paths = Vec::new();
        leaves(&value, "", &mut paths);
        keys += paths.len();
        if paths.is_empty() {
            continue;
        }
        let segments: Vec<String> = paths[dice.below(paths.len())]
            .split('\u{1f}')
            .map(str::to_string)
            .collect();
        let mut wrong = value.clone();
        openclaw::config::path::set(&mut wrong, &segments, json!({"no": {"such": "form"}}))
            .unwrap();
        if schema_accepts(&schema, &wrong) {
            continue;
        }
        broken += 1;
        let at = segments.join(".");
        let told = check(&ROOT, &wrong, "");
        // A value of many forms is told as a whole.
        assert!(
            !told.is_empty() && told.iter().all(|issue| at.starts_with(&issue.path)),
            "{at}: {told:?}"
        );
    }
    assert!(keys > 4_000 && broken > 200, "{keys} keys, {broken} broken");
}

/// The faults a command of the original listed under `Problem:`.
fn problems(stderr: &str) -> Vec<String> {
    stderr
        .split_once("Problem:\n")
        .map(|(_, rest)| rest)
        .into_iter()
        .flat_map(str::lines)
        .take_while(|line| line.starts_with("  - "))
        .map(|line| line[4..].to_string())
        .collect()
}

#[test]
fn every_captured_command_met_the_same_faults_as_we_find() {
    let Some(folder) = shared_path("data/cli-captures", "every_captured_command") else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(capture) = serde_json::from_str::<Value>(&text) else {
            continue;
        };
        let Some(config) = capture["config"].as_str() else {
            continue;
        };
        let theirs = problems(capture["stderr"].as_str().unwrap_or_default());
        let found = load_text(&config.replace("$HOME", "/home/none"));
        // A capture that shows no list may still have met a wrong file (doctor, status).
        if theirs.is_empty() {
            let shown = capture.to_string();
            let known_wrong = shown.contains("Invalid config")
                || shown.contains("Config invalid")
                || shown.contains("Unknown config keys")
                || shown.contains("Legacy config keys");
            assert!(
                found.valid || known_wrong,
                "{}: {:?}",
                path.display(),
                issues(&found)
            );
        } else {
            assert_eq!(issues(&found), theirs, "{}", path.display());
        }
        seen += 1;
    }
    assert!(seen > 20, "only {seen} captures carry a config");
}

#[test]
fn faults_are_worded_as_by_the_original() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config/faults");
    let (mut seen, mut wrong) = (0, Vec::<String>::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let case: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let theirs: Vec<&str> = case["issues"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i.as_str().unwrap())
            .collect();
        let ours = issues(&load_text(case["config"].as_str().unwrap()));
        // Ours may go on where theirs ends, to say more.
        let same = ours.len() == theirs.len()
            && ours
                .iter()
                .zip(&theirs)
                .all(|(ours, theirs)| ours.starts_with(theirs));
        if !same {
            let name = path.display();
            wrong.push(format!("{name}\nours {ours:#?}\ntheirs {theirs:#?}"));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 10);
}

#[test]
fn settings_of_earlier_versions_move_to_where_the_original_moves_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/config");
    let cases = std::fs::read_to_string(folder.join("migrations.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() > 60);
    let mut wrong = Vec::new();
    for case in cases {
        let mut tree = case["old"].clone();
        migrate::run(&mut tree);
        // A section that is left empty says nothing.
        let said =
            |key: &String, value: &mut Value| *value != json!({}) || case["new"].get(key).is_some();
        tree.as_object_mut().unwrap().retain(said);
        if tree != case["new"] {
            wrong.push(format!(
                "{}\n  ours   {tree}\n  theirs {}",
                case["old"], case["new"]
            ));
        }
        assert!(migrate::run(&mut tree).is_empty(), "moved twice: {tree}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn config_get_shows_what_the_original_showed() {
    let Some(text) = shared("data/recordings/call-config-get.json", "config_get") else {
        return;
    };
    let recording: Value = serde_json::from_str(&text).unwrap();
    let theirs: Value = serde_json::from_str(recording["stdout"].as_str().unwrap()).unwrap();
    let found = load_text(theirs["raw"].as_str().unwrap()).wire();
    for key in [
        "raw",
        "parsed",
        "valid",
        "issues",
        "warnings",
        "legacyIssues",
        "exists",
    ] {
        assert_eq!(found[key], theirs[key], "{key}");
    }
    // As text, so that the order of keys counts.
    assert_eq!(
        serde_json::to_string_pretty(&found["config"]).unwrap(),
        serde_json::to_string_pretty(&theirs["config"]).unwrap()
    );
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&found), keys(&theirs));
}

#[test]
fn processes_editing_at_the_same_time_lose_nothing() {
    const CHILD: &str = "OPENCLAW_TEST_EDITOR";
    if let Ok(job) = std::env::var(CHILD) {
        let (dir, name) = job.split_once('|').unwrap();
        let (paths, env) = place(Path::new(dir));
        for i in 0..4 {
            edit::set(&paths, &env, &format!("env.vars.{name}_{i}"), json!("x")).unwrap();
        }
        return;
    }
    let dir = temp_dir("editors");
    let exe = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..8)
        .map(|n| {
            std::process::Command::new(&exe)
                .args([
                    "config::processes_editing_at_the_same_time_lose_nothing",
                    "--exact",
                ])
                .env(CHILD, format!("{}|P{n}", dir.display()))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let (paths, env) = place(&dir);
    let after = load::load(&paths, &env);
    assert!(after.valid);
    assert_eq!(after.parsed["env"]["vars"].as_object().unwrap().len(), 32);
    std::fs::remove_dir_all(dir).unwrap();
}

fn place(dir: &Path) -> (Paths, Env) {
    let config = dir.join("openclaw.json");
    let env = Env::from_pairs(&[
        ("HOME", dir.to_str().unwrap()),
        ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
        ("OPENCLAW_CONFIG_PATH", config.to_str().unwrap()),
    ]);
    (Paths::resolve(&env, None), env)
}
