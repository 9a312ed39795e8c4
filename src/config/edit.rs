//! Changing the file: under a lock, validated before anything is written, with five backups.
//!
//! The raw tree is edited, so `${NAME}`, `$include` and `~` survive, and comments where there are
//! some (`layout`). A link is written through. What an included file says is not changed from
//! here: an edit that would have to is refused.

use super::{Env, Paths, Snapshot, include, layout, literal, load, migrate, path, text};
use crate::base::exit::{self, Exit, Report};
use crate::base::{atomic, lock, time};
use serde_json::{Map, Value, json};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `.bak`, `.bak.1` … `.bak.4`.
const BACKUPS: usize = 5;
/// An edit takes milliseconds; who waits longer waits for something broken.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub enum Error {
    Path(path::Error),
    NotFound(String),
    /// `--json` and no JSON5.
    Value(String),
    /// There is a file, but no tree in it to change.
    Unreadable(Box<Snapshot>),
    /// There is a file, and the caller does not say which state of it he saw.
    NoBase,
    /// Somebody wrote the file since the caller read it.
    Changed,
    /// A whole new text that is no JSON5.
    Syntax(String),
    /// A patch that is no object.
    NotAnObject,
    /// The one who edits found, with the lock held, that it must not be done.
    Refused(String),
    /// What the edit changes stands in these files, not in this one.
    Included(Vec<PathBuf>),
    /// A patch needs a valid file to be put on.
    Broken(Box<Snapshot>),
    /// The result would not be valid; nothing was written.
    Invalid(Box<Snapshot>),
    Lock(lock::Error),
    Write {
        path: PathBuf,
        err: io::Error,
    },
}

/// What a person typed as a value: JSON5 when it is, else the text itself. With `strict` it must
/// be JSON5.
pub fn value(typed: &str, strict: bool) -> Result<Value, Error> {
    match text::parse_or_syntax_error(typed.trim()) {
        Ok(value) => Ok(value),
        Err(err) if strict => Err(Error::Value(err)),
        Err(_) => Ok(Value::String(typed.into())),
    }
}

/// The setting at `typed`, with defaults and variables applied.
pub fn get<'s>(snapshot: &'s Snapshot, typed: &str) -> Result<&'s Value, Error> {
    let segments = path::parse(typed).map_err(Error::Path)?;
    path::get(&snapshot.value, &segments).ok_or_else(|| Error::NotFound(typed.trim().into()))
}

pub fn set(paths: &Paths, env: &Env, typed: &str, new: Value) -> Result<Snapshot, Error> {
    let mut segments = path::parse(typed).map_err(Error::Path)?;
    // A bare model name is what people mean by the model.
    let model = ["agents.defaults.model", "agents.defaults.imageModel"];
    if new.is_string() && model.contains(&segments.join(".").as_str()) {
        segments.push("primary".into());
    }
    change(paths, env, |tree| {
        path::set(tree, &segments, new.clone()).map_err(Error::Path)
    })
}

pub fn unset(paths: &Paths, env: &Env, typed: &str) -> Result<Snapshot, Error> {
    let segments = path::parse(typed).map_err(Error::Path)?;
    change(paths, env, |tree| match path::unset(tree, &segments) {
        true => Ok(()),
        false => Err(Error::NotFound(typed.trim().into())),
    })
}

/// Which state of the file an edit is for.
#[derive(Clone, Copy, Debug)]
pub enum Base<'a> {
    /// Whatever is there when the lock is had.
    Latest,
    /// The one with this hash; without one only a file that does not exist yet.
    Seen(Option<&'a str>),
}

/// What an edit led to.
#[derive(Debug)]
pub struct Done {
    pub before: Snapshot,
    /// In force from now on.
    pub after: Snapshot,
}

/// Reads, lets `edit` change the raw tree, validates, writes. `edit` may be called twice. Returns
/// what is in force afterwards.
pub fn change(
    paths: &Paths,
    env: &Env,
    edit: impl Fn(&mut Value) -> Result<(), Error>,
) -> Result<Snapshot, Error> {
    let done = within_lock(paths, env, Base::Latest, |before| changed(before, &edit))?;
    Ok(done.after)
}

/// Puts a whole text in the place of the present one. When a machine made it (a form sends what it
/// was shown) what it left alone stays as it is in the file.
pub fn replace(paths: &Paths, env: &Env, base: Base, raw: &str) -> Result<Done, Error> {
    within_lock(paths, env, base, |before| {
        let sent = text::parse_or_syntax_error(raw).map_err(Error::Syntax)?;
        let machine = [text::pretty(&sent).trim_end().to_string(), sent.to_string()];
        Ok(match machine.iter().any(|form| form == raw.trim()) {
            true => (literal::restore(before, env, sent), before.raw.clone()),
            false => (sent, Some(raw.to_string())),
        })
    })
}

/// Lays an object over the present one: objects merge, null removes, anything else replaces.
pub fn patch(paths: &Paths, env: &Env, base: Base, raw: &str) -> Result<Done, Error> {
    within_lock(paths, env, base, |before| {
        if !before.valid {
            return Err(Error::Broken(Box::new(before.clone())));
        }
        let patch = text::parse_or_syntax_error(raw).map_err(Error::Syntax)?;
        if !patch.is_object() {
            return Err(Error::NotAnObject);
        }
        changed(before, &|tree: &mut Value| {
            merge(tree, &patch);
            migrate::run(tree);
            Ok(())
        })
    })
}

/// RFC 7396.
fn merge(tree: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *tree = patch.clone();
        return;
    };
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    let Some(map) = tree.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        match value {
            Value::Null => drop(map.shift_remove(key)),
            value => merge(map.entry(key.clone()).or_insert(Value::Null), value),
        }
    }
}

/// The tree to be written and the text whose comments it keeps.
type Draft = (Value, Option<String>);

fn changed(
    before: &Snapshot,
    edit: &dyn Fn(&mut Value) -> Result<(), Error>,
) -> Result<Draft, Error> {
    if !before.parsed.is_object() {
        return Err(Error::Unreadable(Box::new(before.clone())));
    }
    let mut tree = before.parsed.clone();
    let edited = edit(&mut tree);
    if !before.includes.is_empty() {
        let whole = |tree: &Value| include::resolve(tree.clone(), &before.path, &mut Vec::new());
        if let Ok(mut wanted) = whole(&before.parsed) {
            let known = edit(&mut wanted).is_ok();
            if known && (edited.is_err() || whole(&tree).as_ref() != Ok(&wanted)) {
                return Err(Error::Included(before.includes.clone()));
            }
        }
    }
    edited?;
    Ok((tree, before.raw.clone()))
}

fn within_lock(
    paths: &Paths,
    env: &Env,
    base: Base,
    draft: impl FnOnce(&Snapshot) -> Result<Draft, Error>,
) -> Result<Done, Error> {
    let _lock = lock::take(&paths.ours().join("config.lock"), "config edit", PATIENCE)
        .map_err(Error::Lock)?;
    let before = load::load(paths, env);
    match base {
        Base::Seen(None) if before.exists => return Err(Error::NoBase),
        Base::Seen(Some(hash)) if before.exists && hash != before.hash => {
            return Err(Error::Changed);
        }
        _ => {}
    }
    let (mut tree, old) = draft(&before)?;
    if before.exists && tree == before.parsed {
        return match before.valid {
            true => Ok(Done {
                after: before.clone(),
                before,
            }),
            false => Err(Error::Invalid(Box::new(before))),
        };
    }
    stamp(&mut tree);
    let raw = old
        .filter(|old| layout::has_comments(old))
        .and_then(|old| layout::rewrite(&old, &tree))
        .unwrap_or_else(|| {
            let ordered = super::keys::check::in_table_order(&super::keys::ROOT, tree);
            text::pretty(&ordered)
        });
    let after = load::from_text(paths, env, raw.clone());
    if !after.valid {
        return Err(Error::Invalid(Box::new(after)));
    }
    // Who edits by hand takes no lock of ours: what was saved meanwhile is not written over.
    if load::load(paths, env).hash != before.hash {
        return Err(Error::Changed);
    }
    write(&paths.config, raw.as_bytes())?;
    Ok(Done { before, after })
}

fn stamp(tree: &mut Value) {
    let Some(root) = tree.as_object_mut() else {
        return;
    };
    let meta = root
        .entry("meta")
        .or_insert_with(|| Value::Object(Map::new()));
    let Some(meta) = meta.as_object_mut() else {
        return;
    };
    let keep = meta
        .get("lastTouchedVersion")
        .and_then(Value::as_str)
        .is_some_and(load::is_newer);
    if !keep {
        meta.insert("lastTouchedVersion".into(), json!(load::STAMP));
    }
    meta.insert("lastTouchedAt".into(), json!(time::now_iso()));
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // A link stays one; where it leads nowhere yet, the file is made at its end.
    let target = match fs::read_link(path) {
        Ok(link) => fs::canonicalize(path).unwrap_or_else(|_| {
            super::paths::normal(&path.parent().unwrap_or(Path::new("/")).join(link))
        }),
        Err(_) => path.to_path_buf(),
    };
    if target.exists() {
        back_up(&target);
    }
    atomic::write(&target, bytes).map_err(|err| Error::Write { path: target, err })
}

/// Failures only mean fewer backups, they do not stop an edit.
fn back_up(path: &Path) {
    let name = |n: usize| {
        let mut name = path.as_os_str().to_os_string();
        name.push(".bak");
        if n > 0 {
            name.push(format!(".{n}"));
        }
        PathBuf::from(name)
    };
    for n in (0..BACKUPS - 1).rev() {
        match fs::rename(name(n), name(n + 1)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => {
                log::warn!("{}: not kept as a backup: {err}", name(n).display());
            }
            _ => {}
        }
    }
    if let Err(err) = fs::copy(path, name(0)) {
        log::warn!("{}: no backup made: {err}", name(0).display());
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Path(err) => err.fmt(f),
            Error::NotFound(path) => write!(f, "Config path not found: {path}"),
            Error::Value(err) => write!(f, "Failed to parse JSON5 value: {err}"),
            Error::Unreadable(snapshot) => {
                write!(f, "Config invalid at {}.", snapshot.path.display())?;
                match snapshot.issues.is_empty() {
                    true => write!(f, "\n- <root>: not an object")?,
                    false => {
                        for issue in &snapshot.issues {
                            write!(f, "\n- {issue}")?;
                        }
                    }
                }
                f.write_str("\nRun `openclaw doctor` to repair, then retry.")
            }
            Error::NoBase => f.write_str("config base hash required; re-run config.get and retry"),
            Error::Changed => {
                f.write_str("config changed since last load; re-run config.get and retry")
            }
            Error::Syntax(why) | Error::Refused(why) => f.write_str(why),
            Error::NotAnObject => f.write_str("config.patch raw must be an object"),
            Error::Included(files) => {
                let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
                write!(
                    f,
                    "this setting comes from an included file ({}); change it there",
                    names.join(", ")
                )
            }
            Error::Broken(_) => f.write_str("invalid config; fix before patching"),
            Error::Invalid(snapshot) => match snapshot.issues.first() {
                Some(first) => {
                    let place = match first.path.as_str() {
                        "" => "<root>",
                        path => path,
                    };
                    write!(f, "Config validation failed: {place}: {}", first.message)
                }
                None => f.write_str("Config validation failed"),
            },
            Error::Lock(err) => err.fmt(f),
            Error::Write { path, err } => write!(f, "cannot write {}: {err}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Failed
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Invalid(snapshot) => snapshot.issues.first()?.hint.clone(),
            Error::Value(_) => Some("quote text: '\"like this\"', or leave out --json".into()),
            Error::Unreadable(_) => {
                Some("correct the file by hand, or copy one of its .bak files over it".into())
            }
            Error::Lock(lock::Error::Held { .. }) => {
                Some("another edit is under way; try again when it is done".into())
            }
            Error::Write { err, .. } | Error::Lock(lock::Error::Io { err, .. }) => {
                exit::writing_hint(err)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Place {
        dir: PathBuf,
        paths: Paths,
        env: Env,
    }

    impl Place {
        fn new(raw: &str) -> Place {
            let dir = crate::base::id::temp_dir("edit");
            let state = dir.to_str().unwrap();
            let config = dir.join("openclaw.json");
            let env = Env::from_pairs(&[
                ("HOME", state),
                ("OPENCLAW_STATE_DIR", state),
                ("OPENCLAW_CONFIG_PATH", config.to_str().unwrap()),
                ("TOK", "resolved"),
            ]);
            if !raw.is_empty() {
                fs::write(&config, raw).unwrap();
            }
            Place {
                paths: Paths::resolve(&env, None),
                dir,
                env,
            }
        }

        fn set(&self, path: &str, typed: &str) -> Result<Snapshot, Error> {
            set(&self.paths, &self.env, path, value(typed, false).unwrap())
        }

        fn tree(&self) -> Value {
            text::parse(&fs::read_to_string(&self.paths.config).unwrap()).unwrap()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.dir).unwrap();
        }
    }

    #[test]
    fn only_the_touched_key_and_the_stamp_change() {
        let place = Place::new("{gateway:{auth:{token:'${TOK}'}},logging:{file:'~/x'}, \n}");
        let after = place.set("gateway.port", "18790").unwrap();
        assert_eq!(after.config.gateway.port, Some(18790));
        assert_eq!(after.value["gateway"]["auth"]["token"], "resolved");
        let mut tree = place.tree();
        let meta = tree.as_object_mut().unwrap().remove("meta").unwrap();
        assert_eq!(meta["lastTouchedVersion"], "2026.2.3");
        assert_eq!(
            tree,
            json!({"gateway": {"auth": {"token": "${TOK}"}, "port": 18790}, "logging": {"file": "~/x"}})
        );
        let raw = fs::read_to_string(&place.paths.config).unwrap();
        assert!(raw.starts_with("{\n  \"meta\": {\n    \"last") && raw.ends_with("}\n"));
        assert_eq!(after.hash, load::load(&place.paths, &place.env).hash);
        let mode = fs::metadata(&place.paths.config)
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_invalid_result_is_refused_and_nothing_is_written() {
        let raw = "{gateway:{port:1}}";
        let place = Place::new(raw);
        let said = |path: &str, typed: &str| place.set(path, typed).unwrap_err().to_string();
        assert_eq!(
            said("gateway.port", "abc"),
            "Config validation failed: gateway.port: Invalid input: expected number, received string"
        );
        assert_eq!(
            said("gateway.nope", "1"),
            "Config validation failed: gateway: Unrecognized key: \"nope\""
        );
        assert_eq!(
            said("agents.list[1].id", "x"),
            "Config validation failed: agents.list.0: Invalid input: expected object, received null"
        );
        assert_eq!(fs::read_to_string(&place.paths.config).unwrap(), raw);
        assert_eq!(
            unset(&place.paths, &place.env, "tools.allow")
                .unwrap_err()
                .to_string(),
            "Config path not found: tools.allow"
        );
        assert_eq!(
            value("{oops", true).unwrap_err().to_string(),
            "Failed to parse JSON5 value: SyntaxError: JSON5: invalid end of input at 1:6"
        );
        assert!(!place.dir.join("openclaw.json.bak").exists());
    }

    #[test]
    fn a_bare_model_name_becomes_the_primary_model() {
        let place = Place::new("");
        place
            .set("agents.defaults.model", "openai/gpt-5.2")
            .unwrap();
        assert_eq!(
            place.tree()["agents"]["defaults"]["model"],
            json!({"primary": "openai/gpt-5.2"})
        );
    }

    #[test]
    fn a_broken_key_can_be_taken_out() {
        let place = Place::new("{gateway:{port:1,bogus:1}}");
        assert!(place.set("gateway.port", "2").is_err());
        assert!(
            unset(&place.paths, &place.env, "gateway.bogus")
                .unwrap()
                .valid
        );
        let place = Place::new("{gateway:");
        let said = place.set("gateway.port", "2").unwrap_err().to_string();
        assert!(said.contains("invalid end of input at 1:10"), "{said}");
    }

    #[test]
    fn five_backups_are_kept_and_a_newer_stamp_stays() {
        let place = Place::new("{meta:{lastTouchedVersion:'2027.1.1'}}");
        for port in 1..=7 {
            place.set("gateway.port", &port.to_string()).unwrap();
        }
        assert_eq!(place.tree()["meta"]["lastTouchedVersion"], "2027.1.1");
        let port = |name: &str| {
            let raw = fs::read_to_string(place.dir.join(name)).unwrap();
            text::parse(&raw).unwrap()["gateway"]["port"].clone()
        };
        assert_eq!(port("openclaw.json.bak"), 6);
        assert_eq!(port("openclaw.json.bak.1"), 5);
        assert_eq!(port("openclaw.json.bak.4"), 2);
        assert!(!place.dir.join("openclaw.json.bak.5").exists());
    }

    #[test]
    fn a_link_is_written_through_and_a_stale_base_is_refused() {
        let place = Place::new("");
        let real = place.dir.join("real.json");
        fs::write(&real, "{}").unwrap();
        symlink("real.json", &place.paths.config).unwrap();
        let hash = load::load(&place.paths, &place.env).hash;
        place.set("gateway.port", "5").unwrap();
        assert!(fs::read_link(&place.paths.config).is_ok());
        assert!(fs::read_to_string(&real).unwrap().contains("\"port\": 5"));
        let replace = |base| replace(&place.paths, &place.env, base, "{}").unwrap_err();
        assert!(matches!(replace(Base::Seen(Some(&hash))), Error::Changed));
        assert!(matches!(replace(Base::Seen(None)), Error::NoBase));
    }

    #[test]
    fn comments_stay_and_a_patch_is_merged() {
        let place = Place::new("{\n  // the port\n  gateway: {port: 1, mode: 'local'},\n}\n");
        place.set("gateway.port", "2").unwrap();
        let raw = fs::read_to_string(&place.paths.config).unwrap();
        assert!(raw.starts_with("{\n  // the port\n  gateway: {port: 2, mode: 'local'},\n"));
        let hash = load::hash(&raw);
        let base = Base::Seen(Some(&hash));
        let patched = "{gateway:{mode:null,token:'t'},ui:{seamColor:'00aa00'}}";
        let done = patch(&place.paths, &place.env, base, patched).unwrap();
        assert_eq!(done.before.config.gateway.port, Some(2));
        let mut tree = place.tree();
        tree.as_object_mut().unwrap().shift_remove("meta");
        assert_eq!(
            tree,
            json!({"gateway": {"port": 2, "auth": {"token": "t", "mode": "token"}}, "ui": {"seamColor": "00aa00"}})
        );
        assert!(
            fs::read_to_string(&place.paths.config)
                .unwrap()
                .contains("// the port")
        );
        let said = |raw: &str| {
            patch(&place.paths, &place.env, Base::Latest, raw)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(said("[]"), "config.patch raw must be an object");
        assert!(said("{").starts_with("SyntaxError: JSON5: invalid end of input"));
    }

    #[test]
    fn what_is_included_is_changed_where_it_stands() {
        let place = Place::new("{$include:'part.json',gateway:{port:1}}");
        fs::write(
            place.dir.join("part.json"),
            "{ui:{seamColor:'00aa00'},tools:{allow:['read']}}",
        )
        .unwrap();
        place.set("gateway.port", "2").unwrap();
        place.set("ui.assistant.name", "Ada").unwrap();
        let removed = unset(&place.paths, &place.env, "ui.seamColor").unwrap_err();
        assert!(removed.to_string().contains("part.json"), "{removed}");
        assert!(matches!(
            place.set("tools.allow", "['write']"),
            Err(Error::Included(_))
        ));
        let tree = place.tree();
        assert_eq!(tree["$include"], "part.json");
        assert_eq!(tree["ui"], json!({"assistant": {"name": "Ada"}}));
    }

    #[test]
    fn edits_at_the_same_time_lose_nothing() {
        let place = Place::new("{}");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let place = &place;
                scope.spawn(move || {
                    for i in 0..5 {
                        place
                            .set(&format!("env.vars.T{thread}_{i}"), "\"x\"")
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(place.tree()["env"]["vars"].as_object().unwrap().len(), 40);
    }
}
