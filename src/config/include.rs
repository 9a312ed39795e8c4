//! `$include`: other files' content in the place of an object, or under its other keys.
//!
//! Objects merge, arrays are joined (included first), anything else: the later one wins.

use super::{file, text};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

const KEY: &str = "$include";
const MAX_DEPTH: usize = 10;
/// Files read in all; a few dozen is a large set-up, a file that includes many that include many
/// is not one.
const MAX_FILES: usize = 200;

/// `value`, read from `path`, with every `$include` in it resolved. Each file that is looked for is
/// added to `files`, also when the whole fails: who watches them learns of the repair.
pub fn resolve(value: Value, path: &Path, files: &mut Vec<PathBuf>) -> Result<Value, String> {
    let mut walk = Walk {
        chain: vec![path.to_path_buf()],
        files: 0,
        named: files,
    };
    walk.value(value)
}

struct Walk<'a> {
    /// The files being read, outermost first.
    chain: Vec<PathBuf>,
    files: usize,
    named: &'a mut Vec<PathBuf>,
}

impl Walk<'_> {
    fn value(&mut self, value: Value) -> Result<Value, String> {
        match value {
            Value::Array(list) => list.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(mut map) => {
                let include = map.shift_remove(KEY);
                let local = map
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.value(value)?)))
                    .collect::<Result<Map<_, _>, String>>()?;
                match include {
                    None => Ok(Value::Object(local)),
                    Some(include) => {
                        let content = self.include(&include)?;
                        if local.is_empty() {
                            return Ok(content);
                        }
                        if !content.is_object() {
                            return Err(
                                "Sibling keys require included content to be an object".into()
                            );
                        }
                        Ok(merge(content, Value::Object(local)))
                    }
                }
            }
            value => Ok(value),
        }
    }

    fn include(&mut self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(name) => self.file(name),
            Value::Array(names) => names
                .iter()
                .try_fold(Value::Object(Map::new()), |all, name| {
                    let Value::String(name) = name else {
                        return Err(format!(
                            "Invalid $include array item: expected string, got {}",
                            type_of(name)
                        ));
                    };
                    Ok(merge(all, self.file(name)?))
                }),
            value => Err(format!(
                "Invalid $include value: expected string or array of strings, got {}",
                type_of(value)
            )),
        }
    }

    fn file(&mut self, name: &str) -> Result<Value, String> {
        let from = self.chain.last().and_then(|file| file.parent());
        let path = super::paths::normal(&from.unwrap_or(Path::new("/")).join(name));
        if self.chain.contains(&path) {
            let mut names: Vec<String> =
                self.chain.iter().map(|p| p.display().to_string()).collect();
            names.push(path.display().to_string());
            return Err(format!("Circular include detected: {}", names.join(" -> ")));
        }
        if self.chain.len() > MAX_DEPTH {
            return Err(format!(
                "Maximum include depth ({MAX_DEPTH}) exceeded at: {name}"
            ));
        }
        self.files += 1;
        if self.files > MAX_FILES {
            return Err(format!("More than {MAX_FILES} files included at: {name}"));
        }
        if !self.named.contains(&path) {
            self.named.push(path.clone());
        }
        let raw = match file::read(&path) {
            Ok(Some(raw)) => raw,
            Ok(None) => return Err(unreadable(name, &path, "no such file")),
            Err(err) => return Err(unreadable(name, &path, &err)),
        };
        let value = text::parse(&raw).map_err(|err| {
            format!(
                "Failed to parse include file: {name} (resolved: {}): {err}",
                path.display()
            )
        })?;
        self.chain.push(path);
        let value = self.value(value);
        self.chain.pop();
        value
    }
}

fn unreadable(name: &str, path: &Path, why: &str) -> String {
    format!(
        "Failed to read include file: {name} (resolved: {}): {why}",
        path.display()
    )
}

fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = match base.get_mut(&key) {
                    Some(old) => merge(old.take(), value),
                    None => value,
                };
                base.insert(key, merged);
            }
            Value::Object(base)
        }
        (Value::Array(mut base), Value::Array(over)) => {
            base.extend(over);
            Value::Array(base)
        }
        (_, over) => over,
    }
}

/// JavaScript's `typeof`.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Null | Value::Array(_) | Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    fn resolve(value: Value, path: &Path) -> Result<Value, String> {
        super::resolve(value, path, &mut Vec::new())
    }

    #[test]
    fn files_merge_and_arrays_join() {
        let dir = crate::base::id::temp_dir("include");
        fs::create_dir(dir.join("sub")).unwrap();
        fs::write(dir.join("a.json5"), "{x:{p:1,l:[1]},$include:'sub/b.json'}").unwrap();
        fs::write(
            dir.join("sub/b.json"),
            "{x:{q:2,l:[0]},$include:'./c.json'}",
        )
        .unwrap();
        fs::write(dir.join("sub/c.json"), "{c:true}").unwrap();
        let main = dir.join("openclaw.json");
        let value = json!({"$include": ["a.json5", "sub/c.json"], "x": {"p": 9, "l": [2]},
            "y": {"$include": "sub/c.json"}});
        assert_eq!(
            resolve(value, &main).unwrap(),
            json!({"c": true, "x": {"q": 2, "l": [0, 1, 2], "p": 9}, "y": {"c": true}})
        );
        let said = |value| resolve(value, &main).unwrap_err();
        assert!(said(json!({"$include": 1})).ends_with("got number"));
        assert!(said(json!({"$include": [null]})).ends_with("got object"));
        assert!(said(json!({"$include": "none"})).starts_with("Failed to read include file: none"));
        fs::write(dir.join("list.json"), "[1]").unwrap();
        assert_eq!(
            resolve(json!({"x": {"$include": "list.json"}}), &main).unwrap(),
            json!({"x": [1]})
        );
        assert!(said(json!({"$include": "list.json", "x": 1})).starts_with("Sibling keys require"));
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn every_file_looked_for_is_named_even_a_missing_one() {
        let dir = crate::base::id::temp_dir("include");
        fs::write(dir.join("a"), "{$include:'none'}").unwrap();
        let mut files = Vec::new();
        let value = json!({"$include": ["a", "a"]});
        super::resolve(value, &dir.join("openclaw.json"), &mut files).unwrap_err();
        assert_eq!(files, [dir.join("a"), dir.join("none")]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn cycles_and_endless_chains_end() {
        let dir = crate::base::id::temp_dir("include");
        let main = dir.join("openclaw.json");
        fs::write(dir.join("a"), "{$include:'b'}").unwrap();
        fs::write(dir.join("b"), "{$include:'a'}").unwrap();
        let said = resolve(json!({"$include": "a"}), &main).unwrap_err();
        assert!(said.starts_with("Circular include detected: ") && said.matches("->").count() == 3);
        for i in 0..12 {
            fs::write(
                dir.join(format!("n{i}")),
                format!("{{$include:'n{}'}}", i + 1),
            )
            .unwrap();
        }
        let said = resolve(json!({"$include": "n0"}), &main).unwrap_err();
        assert_eq!(said, "Maximum include depth (10) exceeded at: n10");
        for i in 0..4 {
            let wide = vec![format!("'w{}'", i + 1); 10].join(",");
            fs::write(dir.join(format!("w{i}")), format!("{{$include:[{wide}]}}")).unwrap();
        }
        fs::write(dir.join("w4"), "{}").unwrap();
        let said = resolve(json!({"$include": "w0"}), &main).unwrap_err();
        assert!(said.starts_with("More than 200 files"));
        fs::remove_dir_all(dir).unwrap();
    }
}
