//! What a form sends back is the configuration as it was shown: variables put in, included files
//! merged, defaults filled. What it left alone shall stay in the file as it stands there.

use super::{Env, Snapshot, include, load};
use serde_json::{Map, Value};

/// `sent`, with everything that equals what `before` showed as `before` has it written. Where that
/// would not mean the same, the included files are written out; where even that would not, `sent`
/// itself. `env` is what the program was started with.
pub fn restore(before: &Snapshot, env: &Env, sent: Value) -> Value {
    if !before.valid || !before.exists {
        return sent;
    }
    let means = |tree: &Value| {
        let read = load::from_text(&before.paths, env, tree.to_string());
        (read.valid, read.value)
    };
    let wanted = means(&sent);
    let whole = include::resolve(before.parsed.clone(), &before.path, &mut Vec::new());
    [Some(&before.parsed), whole.as_ref().ok()]
        .into_iter()
        .flatten()
        .map(|raw| keep(Some(raw), &before.value, &sent))
        .find(|kept| means(kept) == wanted)
        .unwrap_or(sent)
}

/// `raw` is what stands at this place, if anything does; `shown` what it means.
fn keep(raw: Option<&Value>, shown: &Value, sent: &Value) -> Value {
    if shown == sent {
        return raw.unwrap_or(sent).clone();
    }
    match (raw, shown, sent) {
        (Some(Value::Object(raw)), Value::Object(shown), Value::Object(sent)) => {
            let mut out = Map::new();
            if let Some(include) = raw.get("$include") {
                out.insert("$include".into(), include.clone());
            }
            for (key, value) in sent {
                match (raw.get(key), shown.get(key)) {
                    // Filled in or included: it will be again.
                    (None, Some(same)) if same == value => {}
                    (raw, Some(was)) => {
                        out.insert(key.clone(), keep(raw, was, value));
                    }
                    (_, None) => {
                        out.insert(key.clone(), value.clone());
                    }
                }
            }
            Value::Object(out)
        }
        (Some(Value::Array(raw)), Value::Array(shown), Value::Array(sent))
            if raw.len() == shown.len() =>
        {
            let item = |(at, value): (usize, &Value)| {
                // Where one was taken out the others moved up.
                let same = shown.iter().position(|was| was == value);
                match same.or((at < shown.len()).then_some(at)) {
                    Some(at) => keep(Some(&raw[at]), &shown[at], value),
                    None => value.clone(),
                }
            };
            sent.iter().enumerate().map(item).collect()
        }
        _ => sent.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Env, Paths};
    use serde_json::json;

    fn place(raw: &str) -> (Snapshot, Env, std::path::PathBuf) {
        let dir = crate::base::id::temp_dir("literal");
        let config = dir.join("openclaw.json");
        let env = Env::from_pairs(&[
            ("HOME", "/h"),
            ("OPENCLAW_STATE_DIR", dir.to_str().unwrap()),
            ("OPENCLAW_CONFIG_PATH", config.to_str().unwrap()),
            ("TOK", "secret"),
        ]);
        std::fs::write(dir.join("part.json"), "{agents:{list:[{id:'inc'}]}}").unwrap();
        std::fs::write(&config, raw).unwrap();
        (load::load(&Paths::resolve(&env, None), &env), env, dir)
    }

    #[test]
    fn what_a_form_left_alone_stays_as_it_was_written() {
        let raw = "{$include:'part.json',gateway:{port:1,auth:{token:'${TOK}'}},logging:{file:'~/x'},
            models:{providers:{p:{baseUrl:'http://x',apiKey:'${TOK}',models:[{id:'m',name:'M'}]}}}}";
        let (before, env, dir) = place(raw);
        assert!(before.valid, "{:?}", before.issues);
        let mut sent = before.value.clone();
        sent["gateway"]["port"] = json!(2);
        let mut wanted = before.parsed.clone();
        wanted["gateway"]["port"] = json!(2);
        assert_eq!(restore(&before, &env, sent.clone()), wanted);
        // A changed secret is changed, and one in a list moves with its item.
        sent["gateway"]["auth"]["token"] = json!("new");
        sent["models"]["providers"]["p"]["models"][0]["name"] = json!("N");
        let kept = restore(&before, &env, sent);
        assert_eq!(kept["gateway"]["auth"]["token"], "new");
        assert_eq!(kept["models"]["providers"]["p"]["apiKey"], "${TOK}");
        assert_eq!(
            kept["models"]["providers"]["p"]["models"],
            json!([{"id": "m", "name": "N"}])
        );
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_cannot_be_said_beside_an_include_is_written_out() {
        let raw = "{$include:'part.json',gateway:{auth:{token:'${TOK}'}}}";
        let (before, env, dir) = place(raw);
        let mut sent = before.value.clone();
        sent["agents"]["list"] = json!([{"id": "other"}]);
        assert_eq!(
            restore(&before, &env, sent),
            json!({"gateway": {"auth": {"token": "${TOK}"}}, "agents": {"list": [{"id": "other"}]}})
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
