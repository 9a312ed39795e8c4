//! Skills: folders with a SKILL.md that tells the model how something is done. Where they lie, what
//! their front matter says, which of them this host can use, and how the prompt lists them.
//!
//! The files may have been written by anyone who can write the folders, the model included: they
//! are read bounded, a bad one is left out with a line in the log, and nothing of them is run here.

pub mod find;
pub mod gate;
pub(super) mod yaml;

use serde::Serialize;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Where a skill was found; of two with one name the later kind wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Extra,
    Bundled,
    Managed,
    Workspace,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Skill {
    pub name: String,
    pub description: String,
    pub source: Source,
    pub file: PathBuf,
    pub dir: PathBuf,
    pub homepage: Option<String>,
    /// Whether the model is told of it; people can still ask for it by name.
    pub for_model: bool,
    /// Whether people have a command for it.
    pub for_people: bool,
    pub meta: Meta,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Extra => "openclaw-extra",
            Source::Bundled => "openclaw-bundled",
            Source::Managed => "openclaw-managed",
            Source::Workspace => "openclaw-workspace",
        }
    }
}

/// What `metadata.openclaw` says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// Usable whatever is missing.
    pub always: bool,
    pub emoji: Option<String>,
    pub homepage: Option<String>,
    pub key: Option<String>,
    /// The variable that `skills.entries.<key>.apiKey` fills.
    pub primary_env: Option<String>,
    pub requires: Requires,
    pub install: Vec<Install>,
}

/// What a skill needs, and in the same form what of it is missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requires {
    pub bins: Vec<String>,
    pub any_bins: Vec<String>,
    pub env: Vec<String>,
    pub config: Vec<String>,
    pub os: Vec<String>,
}

/// One way to get what is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Install {
    pub id: String,
    /// `brew`, `node`, `go`, `uv`, `download`.
    pub kind: String,
    pub label: Option<String>,
    pub bins: Vec<String>,
    pub os: Vec<String>,
    /// The formula, package, module or address.
    pub what: Option<String>,
    pub archive: Option<String>,
    pub extract: Option<bool>,
    pub strip: Option<u64>,
    pub target: Option<String>,
}

const KINDS: [&str; 5] = ["brew", "node", "go", "uv", "download"];

impl Skill {
    /// Its name in `skills.entries`.
    pub fn key(&self) -> &str {
        self.meta.key.as_deref().unwrap_or(&self.name)
    }

    /// From the front matter of `file`; the error says why it is no skill.
    fn read(front: &str, file: PathBuf, dir: PathBuf, source: Source) -> Result<Skill, String> {
        let front = yaml::parse(front)?;
        let folder = dir.file_name().unwrap_or_default().to_string_lossy();
        let description = text(front.get("description")).ok_or("it has no description")?;
        let meta = match front.get("metadata") {
            // Also as JSON in a text.
            Some(Value::String(json)) => json5::from_str(json).map_err(|err| err.to_string())?,
            Some(value) => value.clone(),
            None => Value::Null,
        };
        Ok(Skill {
            name: text(front.get("name")).unwrap_or_else(|| folder.into_owned()),
            description,
            source,
            file,
            homepage: text(front.get("homepage")),
            for_model: front.get("disable-model-invocation") != Some(&Value::Bool(true)),
            for_people: front.get("user-invocable") != Some(&Value::Bool(false)),
            meta: match &meta["openclaw"] {
                Value::Object(own) => Meta::of(own),
                _ => Meta::default(),
            },
            dir,
        })
    }
}

impl Meta {
    fn of(own: &Map<String, Value>) -> Meta {
        let requires = own.get("requires").unwrap_or(&Value::Null);
        let install = own.get("install").and_then(Value::as_array);
        let install: Vec<Install> = install
            .into_iter()
            .flatten()
            .filter(|spec| {
                let kind = spec["kind"].as_str().unwrap_or_default();
                KINDS.contains(&kind)
            })
            .enumerate()
            .map(|(n, spec)| Install::of(spec, n))
            .collect();
        Meta {
            always: own.get("always") == Some(&Value::Bool(true)),
            emoji: text(own.get("emoji")),
            homepage: text(own.get("homepage")),
            key: text(own.get("skillKey")),
            primary_env: text(own.get("primaryEnv")),
            requires: Requires {
                bins: texts(&requires["bins"]),
                any_bins: texts(&requires["anyBins"]),
                env: texts(&requires["env"]),
                config: texts(&requires["config"]),
                os: own.get("os").map(texts).unwrap_or_default(),
            },
            install,
        }
    }
}

impl Install {
    fn of(spec: &Value, n: usize) -> Install {
        let kind = spec["kind"].as_str().unwrap_or_default();
        let what = match kind {
            "brew" => "formula",
            "go" => "module",
            "download" => "url",
            _ => "package",
        };
        Install {
            id: text(spec.get("id")).unwrap_or_else(|| format!("{kind}-{n}")),
            kind: kind.into(),
            label: text(spec.get("label")),
            bins: texts(&spec["bins"]),
            os: texts(&spec["os"]),
            what: text(spec.get(what)),
            archive: text(spec.get("archive")),
            extract: spec["extract"].as_bool(),
            strip: spec["stripComponents"].as_u64(),
            target: text(spec.get("targetDir")),
        }
    }
}

/// The list of skills as the prompt carries it; empty without any.
pub fn prompt(skills: &[&Skill]) -> String {
    let listed: Vec<String> = skills
        .iter()
        .filter(|skill| skill.for_model)
        .map(|skill| block(skill))
        .collect();
    if listed.is_empty() {
        return String::new();
    }
    format!(
        "Each skill below is a set of instructions for one kind of task.\n\
         When a task fits a description, load that skill's file with the read tool.\n\
         Relative paths in a skill file are relative to the folder the file is in; make them \
         absolute in tool calls.\n\n<available_skills>\n{}\n</available_skills>",
        listed.join("\n")
    )
}

/// One skill of the list.
pub fn block(skill: &Skill) -> String {
    format!(
        "  <skill>\n    <name>{}</name>\n    <description>{}</description>\n    \
         <location>{}</location>\n  </skill>",
        escaped(&skill.name),
        escaped(&skill.description),
        escaped(&skill.file.to_string_lossy()),
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

/// A text that is not blank.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.trim().is_empty()).then_some(text)
}

/// A list of texts, or one text with commas.
pub(super) fn texts(value: &Value) -> Vec<String> {
    let one = |text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_string())
    };
    match value {
        Value::Array(list) => list.iter().filter_map(|v| one(v.as_str()?)).collect(),
        Value::String(text) => text.split(',').filter_map(one).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn skill(front: &str) -> Skill {
        Skill::read(
            front,
            "/s/x/SKILL.md".into(),
            "/s/x".into(),
            Source::Managed,
        )
        .unwrap()
    }

    #[test]
    fn a_skill_is_named_by_itself_or_its_folder_and_must_say_what_it_does() {
        assert_eq!(skill("description: d").name, "x");
        assert_eq!(skill("name: Other Name\ndescription: d").name, "Other Name");
        let none = Skill::read("name: a", "/a".into(), "/".into(), Source::Extra);
        assert_eq!(none.unwrap_err(), "it has no description");
        assert!(!skill("description: d\ndisable-model-invocation: true").for_model);
    }

    #[test]
    fn metadata_is_read_as_mapping_and_as_json_text() {
        let json = r#"{"openclaw":{"emoji":"X","skillKey":"k","primaryEnv":"E","requires":{"bins":["a"],"anyBins":"b, c"},"install":[{"kind":"zz"},{"kind":"node","package":"p"},{"id":"i","kind":"brew","formula":"f"}]}}"#;
        let one = skill(&format!("description: d\nmetadata: {json}"));
        let other = skill(&format!("description: d\nmetadata: '{json}'"));
        assert_eq!(one.meta, other.meta);
        assert_eq!((one.key(), one.meta.requires.any_bins.len()), ("k", 2));
        let ids: Vec<&str> = one.meta.install.iter().map(|i| i.id.as_str()).collect();
        assert_eq!(ids, ["node-0", "i"]);
        assert_eq!(one.meta.install[1].what.as_deref(), Some("f"));
    }

    #[test]
    fn the_list_is_escaped_and_leaves_out_what_is_not_for_the_model() {
        let shown = skill("description: here & <there>");
        let hidden = skill("description: d\ndisable-model-invocation: true");
        let text = prompt(&[&shown, &hidden]);
        assert!(text.ends_with(
            "<available_skills>\n  <skill>\n    <name>x</name>\n    \
             <description>here &amp; &lt;there&gt;</description>\n    \
             <location>/s/x/SKILL.md</location>\n  </skill>\n</available_skills>"
        ));
        assert_eq!(prompt(&[&hidden]), "");
    }
}
