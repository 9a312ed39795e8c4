//! `{{ expr }}` in a mapping's texts: what the request said, put where the mapping wants it.
//!
//! `path`, `now`, `headers.<name>`, `query.<name>`, `payload.<path>`; anything else is a path in the
//! payload. What is not there is empty; what is no text or number is JSON. A template runs once:
//! braces in what it brings are left as they are.

use crate::base::time;
use crate::net::frame::cut;
use serde_json::Value;

/// Longest text a template makes: the message of a turn.
const MAX_TEXT: usize = 1024 * 1024;

/// A request, as templates see it.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub payload: Value,
    pub now_ms: u64,
}

impl Said {
    pub fn render(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((expr, behind)) = after.split_once("}}") else {
                break;
            };
            out.push_str(before);
            out.push_str(&self.value(expr.trim()));
            rest = behind;
            if out.len() > MAX_TEXT {
                break;
            }
        }
        out.push_str(rest);
        cut(&out, MAX_TEXT).to_string()
    }

    fn value(&self, expr: &str) -> String {
        let named = |list: &[(String, String)], name: &str| {
            let found = list.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        match expr {
            "path" => return self.path.clone(),
            "now" => return time::iso(self.now_ms),
            _ => {}
        }
        if let Some(name) = expr.strip_prefix("headers.") {
            return named(&self.headers, &name.to_ascii_lowercase());
        }
        if let Some(name) = expr.strip_prefix("query.") {
            return named(&self.query, name);
        }
        let path = expr.strip_prefix("payload.").unwrap_or(expr);
        match find(&self.payload, path) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }
}

/// `a.b[0].c`.
fn find<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut value = value;
    for key in path.split('.') {
        let (name, places) = key.split_once('[').unwrap_or((key, ""));
        if !name.is_empty() {
            value = match name.parse::<usize>() {
                Ok(at) if value.is_array() => value.get(at)?,
                _ => value.get(name)?,
            };
        }
        for place in places.split('[').filter(|p| !p.is_empty()) {
            let at = place.strip_suffix(']')?.trim();
            value = match at.parse::<usize>() {
                Ok(at) => value.get(at)?,
                Err(_) => value.get(at.trim_matches(['"', '\'']))?,
            };
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said() -> Said {
        Said {
            path: "build".into(),
            headers: vec![("x-event".into(), "push".into())],
            query: vec![("branch".into(), "main".into())],
            payload: json!({
                "who": {"name": "Ann"}, "list": [{"id": 1}, {"id": "two"}],
                "n": 3, "yes": true, "none": null, "evil": "{{path}}",
            }),
            now_ms: 0,
        }
    }

    #[test]
    fn every_part_of_a_request_can_be_named() {
        let said = said();
        for (template, expected) in [
            ("{{path}} at {{ now }}", "build at 1970-01-01T00:00:00.000Z"),
            ("{{headers.X-Event}}/{{query.branch}}", "push/main"),
            ("{{payload.who.name}} {{who.name}}", "Ann Ann"),
            ("{{list[1].id}}{{list.0.id}}", "two1"),
            ("{{n}} {{yes}} {{none}}|{{missing.a[3]}}|", "3 true ||"),
            ("{{who}}", r#"{"name":"Ann"}"#),
            ("{{evil}}", "{{path}}"),
            ("no {{end", "no {{end"),
            ("plain", "plain"),
        ] {
            assert_eq!(said.render(template), expected, "{template}");
        }
    }

    #[test]
    fn a_text_is_bounded() {
        let said = Said {
            payload: json!({"big": "é".repeat(400_000)}),
            ..Said::default()
        };
        let text = said.render("{{big}}{{big}}{{big}}");
        assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT - 4);
    }
}
