//! `canvas`: pages on the screen of a node, an app that shows them.
//!
//! Which node is meant is looked up by `node.list`, and what it shall do goes to it by
//! `node.invoke`. Without a connected app that has a canvas nothing is sent, and the model is told
//! why.

use super::files::Files;
use super::picture;
use super::{Call, Context, Error, Output, Tool};
use crate::base::id;
use crate::wire::message::Block;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long an app may take when the call does not say, and how long we wait for its answer
/// beyond that.
const INVOKE_MS: f64 = 20_000.0;
const MAX_INVOKE_MS: f64 = 120_000.0;
const MARGIN: Duration = Duration::from_secs(10);
/// Characters that name a node by the beginning of its id.
const LEAST_PREFIX: usize = 6;

pub const TOOL: Tool = Tool {
    name: "canvas",
    summary: "Show, hide, navigate, evaluate or snapshot a node canvas",
    description: "Controls the canvas of a node (an app that is connected to the gateway). \
present shows it (target: address or path; x, y, width, height place it), hide, navigate (url), \
eval (javaScript), snapshot gives a picture of it, a2ui_push (jsonl or jsonlPath) and a2ui_reset \
draw surfaces. Use snapshot to see what is shown. node names the app where there are several.",
    parameters: r#"{"type":"object","required":["action"],"properties":{
        "action":{"type":"string","enum":["present","hide","navigate","eval","snapshot","a2ui_push","a2ui_reset"]},
        "timeoutMs":{"type":"number"},
        "node":{"type":"string"},
        "target":{"type":"string"},
        "x":{"type":"number"},"y":{"type":"number"},"width":{"type":"number"},"height":{"type":"number"},
        "url":{"type":"string"},
        "javaScript":{"type":"string"},
        "outputFormat":{"type":"string","enum":["png","jpg","jpeg"]},
        "maxWidth":{"type":"number"},
        "quality":{"type":"number"},
        "delayMs":{"type":"number"},
        "jsonl":{"type":"string"},
        "jsonlPath":{"type":"string"}}}"#,
    run,
};

fn run(call: &Call, ctx: &Context) -> Result<Output, Error> {
    let (command, params) = command(call, ctx)?;
    let node = node(call, ctx)?;
    let wait = call.number("timeoutMs").filter(|ms| *ms > 0.0);
    let wait = wait.unwrap_or(INVOKE_MS).min(MAX_INVOKE_MS);
    let asked = json!({
        "nodeId": node,
        "command": command,
        "params": params,
        "timeoutMs": wait as u64,
        "idempotencyKey": id::uuid(),
    });
    let patience = Duration::from_millis(wait as u64) + MARGIN;
    let answer = ctx.call_for("node.invoke", asked, patience)?;
    match command {
        "canvas.snapshot" => snapshot(&answer["payload"]),
        "canvas.eval" => match answer["payload"]["result"].as_str() {
            Some(text) => Ok(Output::text(text).with_details(json!({"result": text}))),
            None => Ok(Output::json(json!({"ok": true}))),
        },
        _ => Ok(Output::json(json!({"ok": true}))),
    }
}

/// What the node shall do, and with what.
fn command(call: &Call, ctx: &Context) -> Result<(&'static str, Value), Error> {
    let needed = |name: &str| {
        call.first_of(&[name])
            .ok_or(Error(format!("{name} required")))
    };
    let given = |names: &[&str]| -> Map<String, Value> {
        let numbers = names.iter().filter_map(|name| {
            let number = call.number(name).filter(|number| number.is_finite())?;
            Some((name.to_string(), number.into()))
        });
        numbers.collect()
    };
    Ok(match call.str("action").unwrap_or_default() {
        "present" => {
            let mut params = Map::new();
            if let Some(url) = call.first_of(&["target", "url"]) {
                params.insert("url".into(), url.into());
            }
            let placement = given(&["x", "y", "width", "height"]);
            if !placement.is_empty() {
                params.insert("placement".into(), placement.into());
            }
            ("canvas.present", params.into())
        }
        "hide" => ("canvas.hide", json!({})),
        "navigate" => ("canvas.navigate", json!({"url": needed("url")?})),
        "eval" => ("canvas.eval", json!({"javaScript": needed("javaScript")?})),
        "snapshot" => {
            let mut params = given(&["maxWidth", "quality"]);
            let format = match call.str("outputFormat") {
                Some("jpg" | "jpeg") => "jpeg",
                _ => "png",
            };
            params.insert("format".into(), format.into());
            ("canvas.snapshot", params.into())
        }
        "a2ui_push" => {
            let lines = match (call.first_of(&["jsonl"]), call.first_of(&["jsonlPath"])) {
                (Some(lines), _) => lines.to_string(),
                (None, Some(path)) => {
                    let files = Files::of(ctx)?;
                    let bytes = files.load(&files.resolve(path)?)?;
                    String::from_utf8_lossy(&bytes).into_owned()
                }
                (None, None) => return Err("jsonl or jsonlPath required".into()),
            };
            ("canvas.a2ui.pushJSONL", json!({"jsonl": lines}))
        }
        "a2ui_reset" => ("canvas.a2ui.reset", json!({})),
        other => return Err(format!("Unknown action: {other}").into()),
    })
}

/// The id of the node that is meant: the one named, else the only one that can.
fn node(call: &Call, ctx: &Context) -> Result<String, Error> {
    let listed = ctx.call("node.list", json!({}));
    // A gateway that knows no nodes has none.
    let listed = listed.unwrap_or_default();
    let nodes = listed["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let id = |node: &Value| node["nodeId"].as_str().unwrap_or_default().to_string();
    if let Some(wanted) = call.first_of(&["node"]) {
        let wanted = wanted.trim();
        let found: Vec<String> = nodes
            .iter()
            .filter(|n| is_meant(n, wanted))
            .map(id)
            .collect();
        let names = |nodes: &[Value]| -> String {
            let names = nodes.iter().map(|node| match node["displayName"].as_str() {
                Some(name) => name.to_string(),
                None => id(node),
            });
            names.collect::<Vec<_>>().join(", ")
        };
        return match found.as_slice() {
            [one] => Ok(one.clone()),
            [] if nodes.is_empty() => Err(format!("unknown node: {wanted} (none is known)").into()),
            [] => Err(format!("unknown node: {wanted} (known: {})", names(nodes)).into()),
            many => Err(format!("ambiguous node: {wanted} (matches: {})", many.join(", ")).into()),
        };
    }
    let connected = nodes.iter().filter(|node| node["connected"] == true);
    let able = connected.filter(|node| {
        let caps = node["caps"].as_array().map_or(&[][..], Vec::as_slice);
        caps.is_empty() || caps.iter().any(|cap| cap == "canvas")
    });
    match able.map(id).collect::<Vec<_>>().as_slice() {
        [one] => Ok(one.clone()),
        [] => Err("node required: no app with a canvas is connected to the gateway".into()),
        many => Err(format!("node required: one of {}", many.join(", ")).into()),
    }
}

/// By id, address or name, or by the beginning of the id.
fn is_meant(node: &Value, wanted: &str) -> bool {
    let is = |field: &str| {
        let text = node[field].as_str();
        text.is_some_and(|text| text.eq_ignore_ascii_case(wanted))
    };
    let begins = || {
        let id = node["nodeId"].as_str().unwrap_or_default();
        wanted.len() >= LEAST_PREFIX && id.starts_with(wanted)
    };
    is("nodeId") || is("remoteIp") || is("displayName") || begins()
}

fn snapshot(payload: &Value) -> Result<Output, Error> {
    use base64::Engine;
    let data = payload["base64"].as_str().unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD.decode(data);
    let bytes = bytes.map_err(|_| "invalid canvas.snapshot payload")?;
    // An app is a peer like any other: what it calls a picture has to be one.
    let mime = picture::kind(&bytes).ok_or("invalid canvas.snapshot payload")?;
    if let Some(why) = picture::too_wide(&bytes) {
        return Err(Error(format!("the snapshot has {why}.")));
    }
    Ok(Output {
        content: vec![
            Block::text("A snapshot of the canvas:"),
            Block::Image {
                data: data.into(),
                mime_type: mime.into(),
            },
        ],
        details: Some(json!({"format": mime})),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sessions::tests::{Scripted, call};
    use super::*;

    const MAIN: &str = "agent:main:main";

    fn ask(gateway: &Scripted, arguments: Value) -> Value {
        let done = call(&TOOL, gateway, json!({}), MAIN, arguments);
        done.details.unwrap_or_default()
    }

    #[test]
    fn without_an_app_the_model_is_told_so_and_nothing_is_sent() {
        let gateway = Scripted::default();
        assert_eq!(
            ask(&gateway, json!({"action": "hide"}))["error"],
            "node required: no app with a canvas is connected to the gateway"
        );
        assert_eq!(
            ask(&gateway, json!({"action": "hide", "node": "phone"}))["error"],
            "unknown node: phone (none is known)"
        );
        assert_eq!(
            ask(&gateway, json!({"action": "navigate"}))["error"],
            "url required"
        );
        let asked = gateway.asked.lock().unwrap();
        assert!(asked.iter().all(|(method, _)| method == "node.list"));
    }

    #[test]
    fn the_only_connected_canvas_is_meant_or_the_one_named() {
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAUAAAAG";
        let gateway = Scripted {
            answers: vec![
                (
                    "node.list",
                    json!({"nodes": [
                        {"nodeId": "abcdef01", "displayName": "Phone", "connected": true, "caps": ["canvas"]},
                        {"nodeId": "abcdef02", "displayName": "Desk", "connected": false, "caps": []},
                        {"nodeId": "other", "connected": true, "caps": ["system"]},
                    ]}),
                ),
                (
                    "node.invoke",
                    json!({"ok": true, "payload": {"format": "png", "base64": png, "result": "4"}}),
                ),
            ],
            ..Scripted::default()
        };
        let present = json!({"action": "present", "target": "/a", "width": 10, "timeoutMs": "500"});
        assert_eq!(ask(&gateway, present)["ok"], true);
        let sent = gateway.asked.lock().unwrap().pop().unwrap().1;
        assert_eq!(sent["nodeId"], "abcdef01");
        assert_eq!(sent["command"], "canvas.present");
        assert_eq!(
            sent["params"],
            json!({"url": "/a", "placement": {"width": 10.0}})
        );
        assert_eq!(sent["timeoutMs"], 500);
        ask(
            &gateway,
            json!({"action": "snapshot", "node": "desk", "outputFormat": "jpg"}),
        );
        let sent = gateway.asked.lock().unwrap().pop().unwrap().1;
        assert_eq!(sent["nodeId"], "abcdef02");
        assert_eq!(sent["params"], json!({"format": "jpeg"}));
        let eval = json!({"action": "eval", "javaScript": "2+2"});
        assert_eq!(ask(&gateway, eval)["result"], "4");
        let error = ask(&gateway, json!({"action": "hide", "node": "abcdef"}))["error"].take();
        assert_eq!(
            error,
            "ambiguous node: abcdef (matches: abcdef01, abcdef02)"
        );
    }
}
