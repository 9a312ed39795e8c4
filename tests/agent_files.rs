//! The workspace files an operator edits through the gateway.

use crate::harness::{Gateway, Setup};
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn files_are_listed_shown_and_replaced() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let workspace = gateway.workspace();
    let list = ws
        .call("agents.files.list", json!({"agentId": " MAIN "}))
        .unwrap();
    assert_eq!(
        (&list["agentId"], &list["workspace"]),
        (&json!("main"), &json!(workspace))
    );
    let files = list["files"].as_array().unwrap();
    assert_eq!(files.len(), 8);
    assert_eq!(
        files[1],
        json!({"name": "SOUL.md", "path": workspace.join("SOUL.md"), "missing": true})
    );
    let set = json!({"agentId": "main", "name": "SOUL.md", "content": "be kind"});
    let set = ws.call("agents.files.set", set).unwrap();
    assert_eq!(
        (&set["ok"], &set["file"]["size"]),
        (&json!(true), &json!(7))
    );
    assert!(set["file"]["updatedAtMs"].is_u64());
    let get = ws
        .call(
            "agents.files.get",
            json!({"agentId": "main", "name": "SOUL.md"}),
        )
        .unwrap();
    assert_eq!(get["file"]["content"], "be kind");
    assert!(get.get("ok").is_none());
    let text = fs::read_to_string(workspace.join("SOUL.md")).unwrap();
    assert_eq!(text, "be kind");
}

#[test]
fn other_names_agents_and_links_out_are_refused() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let mut refused = |method: &str, params| {
        let error = ws.call(method, params).unwrap_err();
        assert_eq!(error["code"], "INVALID_REQUEST");
        error["message"].as_str().unwrap().to_string()
    };
    let get = |agent: &str, name: &str| json!({"agentId": agent, "name": name});
    assert_eq!(
        refused("agents.files.get", get("nope", "SOUL.md")),
        "unknown agent id"
    );
    assert_eq!(
        refused("agents.files.get", get("main", "../x.md")),
        "unsupported file \"../x.md\""
    );
    let secret = gateway.state().join("openclaw.json");
    symlink(&secret, gateway.workspace().join("USER.md")).unwrap();
    assert!(
        refused("agents.files.get", get("main", "USER.md"))
            .contains("is not a file of the workspace")
    );
    let set = json!({"agentId": "main", "name": "USER.md", "content": "{}"});
    assert!(refused("agents.files.set", set).contains("is not a file of the workspace"));
    assert!(fs::read_to_string(secret).unwrap().len() > 10);
}

#[test]
fn an_agents_picture_in_its_workspace_is_listed_whole() {
    let mut setup = Setup::new();
    setup.config["agents"]["list"] =
        json!([{"id": "main", "name": "M", "identity": {"avatar": "me.png"}}]);
    let gateway = setup.start();
    fs::write(gateway.workspace().join("me.png"), "png").unwrap();
    let mut ws = gateway.connect();
    let list = ws.call("agents.list", json!({})).unwrap();
    assert_eq!(
        list["agents"][0],
        json!({"id": "main", "name": "M",
            "identity": {"avatar": "me.png", "avatarUrl": "data:image/png;base64,cG5n"}})
    );
}
