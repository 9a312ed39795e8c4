//! Who may connect: the shared secret, device keys and tokens, pairing, and what the files say after.

use crate::harness::{Gateway, Setup, Ws, ws::Device};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const REMOTE: [(&str, &str); 1] = [("X-Forwarded-For", "192.0.2.7")];

fn message(refused: &Value) -> &str {
    refused["message"].as_str().expect("errors have a message")
}

#[test]
fn a_silent_client_is_closed_after_ten_seconds() {
    let gateway = Gateway::start();
    let mut ws = Ws::open(gateway.port());
    let opened = Instant::now();
    let closed = ws.closed();
    assert_eq!((closed.code, closed.reason.as_str()), (Some(1000), ""));
    let took = opened.elapsed();
    assert!(took > Duration::from_secs(9), "after {took:?}");
}

#[test]
fn the_reason_of_a_close_is_the_error_cut_between_letters() {
    let gateway = Gateway::start();
    let mut ws = Ws::open(gateway.port());
    let mut params = ws.params("wrong");
    params["client"]["mode"] = json!("cli");
    let (error, closed) = ws.hello(&params).unwrap_err();
    assert_eq!(error["code"], "INVALID_REQUEST");
    assert_eq!(
        message(&error),
        "unauthorized: gateway token mismatch \
         (set gateway.remote.token to match gateway.auth.token)"
    );
    assert_eq!(closed.code, Some(1008));
    assert_eq!(closed.reason, message(&error));

    let mut ws = Ws::open(gateway.port());
    let mut params = ws.params("wrong");
    params["client"] = json!({"id": "é".repeat(50)});
    params["x".to_string() + &"é".repeat(50)] = json!(1);
    let (error, closed) = ws.hello(&params).unwrap_err();
    assert!(message(&error).starts_with("invalid connect params: at root: unexpected"));
    // 120 falls into the middle of a letter.
    assert_eq!(closed.reason.len(), 119);
    assert!(message(&error).starts_with(&closed.reason));
}

#[test]
fn password_mode_asks_for_the_password_alone() {
    let mut setup = Setup::new();
    setup.config["gateway"]["auth"] = json!({"mode": "password", "password": "pw456"});
    let gateway = setup.start();
    let mut ws = Ws::open(gateway.port());
    let (error, _) = ws.hello(&ws.params("pw456")).unwrap_err();
    assert_eq!(
        message(&error),
        "unauthorized: gateway password missing (provide gateway auth password)"
    );
    let mut ws = Ws::open(gateway.port());
    let mut params = ws.params("");
    params["auth"] = json!({"password": "pw456"});
    ws.hello(&params).unwrap();
}

#[test]
fn a_device_token_survives_a_restart_and_the_files_are_private() {
    let gateway = Gateway::start();
    let device = Device::new();
    let mut ws = Ws::open(gateway.port());
    let params = ws.signed(ws.params(gateway.token()), &device);
    let hello = ws.hello(&params).unwrap();
    let token = hello["auth"]["deviceToken"].as_str().unwrap().to_string();
    assert_eq!(token.len(), 32);

    gateway.restart_core();
    let mut ws = Ws::open(gateway.port());
    let params = ws.signed(ws.params(&token), &device);
    let again = ws.hello(&params).unwrap();
    assert_eq!(again["auth"]["deviceToken"], token.as_str());

    let folder = gateway.state().join("devices");
    for name in ["paired.json", "pending.json"] {
        let meta = std::fs::metadata(folder.join(name)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
    let text = std::fs::read_to_string(folder.join("paired.json")).unwrap();
    assert!(text.starts_with("{\n  \"") && !text.ends_with('\n'));
    let paired: Value = serde_json::from_str(&text).unwrap();
    let record = &paired[device.id()];
    assert_eq!(record["publicKey"], device.public_key());
    assert_eq!(record["role"], "operator");
    assert_eq!(record["tokens"]["operator"]["token"], token.as_str());
    assert_eq!(
        record["tokens"]["operator"]["scopes"],
        json!(["operator.admin", "operator.approvals", "operator.pairing"])
    );
}

#[test]
fn a_remote_device_is_asked_about_and_comes_in_after_approval() {
    let gateway = Gateway::start();
    let device = Device::new();
    let mut admin = gateway.connect();
    let come = || {
        let mut ws = Ws::open_with(gateway.port(), &REMOTE);
        let params = ws.signed(ws.params(gateway.token()), &device);
        ws.hello(&params)
    };
    let (error, closed) = come().unwrap_err();
    assert_eq!(error["code"], "NOT_PAIRED");
    assert_eq!(message(&error), "pairing required");
    assert_eq!(closed.code, Some(1008));
    let asked = admin.event("device.pair.requested");
    let id = &error["details"]["requestId"];
    assert_eq!(asked["payload"]["requestId"], *id);
    assert_eq!(asked["payload"]["deviceId"], device.id());
    assert_eq!(asked["payload"]["silent"], false);
    assert!(asked["payload"].get("remoteIp").is_none());

    let list = admin.call("device.pair.list", json!({})).unwrap();
    assert_eq!(list["pending"][0]["requestId"], *id);
    admin
        .call("device.pair.approve", json!({"requestId": id}))
        .unwrap();
    let told = admin.event("device.pair.resolved");
    assert_eq!(told["payload"]["decision"], "approved");
    come().unwrap();

    let list = admin.call("device.pair.list", json!({})).unwrap();
    let tokens = &list["paired"][0]["tokens"];
    assert_eq!(tokens[0]["role"], "operator");
    assert!(tokens[0].get("token").is_none());
    let revoked = json!({"deviceId": device.id(), "role": "operator"});
    let old = admin.call("device.token.rotate", revoked.clone()).unwrap();
    assert_eq!(old["token"].as_str().unwrap().len(), 32);
    admin.call("device.token.revoke", revoked).unwrap();
    let mut ws = Ws::open_with(gateway.port(), &REMOTE);
    let token = old["token"].as_str().unwrap();
    let params = ws.signed(ws.params(token), &device);
    assert!(message(&ws.hello(&params).unwrap_err().0).contains("token mismatch"));
}

#[test]
fn a_rejected_device_may_ask_again() {
    let gateway = Gateway::start();
    let device = Device::new();
    let mut admin = gateway.connect();
    let ask = || {
        let mut ws = Ws::open_with(gateway.port(), &REMOTE);
        let params = ws.signed(ws.params(gateway.token()), &device);
        let (error, _) = ws.hello(&params).unwrap_err();
        error["details"]["requestId"].clone()
    };
    let first = ask();
    assert_eq!(ask(), first);
    let answer = admin
        .call("device.pair.reject", json!({"requestId": first}))
        .unwrap();
    assert_eq!(answer, json!({"requestId": first, "deviceId": device.id()}));
    assert_ne!(ask(), first);
    let unknown = admin
        .call("device.pair.approve", json!({"requestId": first}))
        .unwrap_err();
    assert_eq!(message(&unknown), "unknown requestId");
}

#[test]
fn a_node_may_call_nothing_but_its_three_methods() {
    let gateway = Gateway::start();
    let device = Device::new();
    let mut ws = Ws::open(gateway.port());
    let mut params = ws.params(gateway.token());
    params["role"] = json!("node");
    params["scopes"] = json!([]);
    params["client"]["mode"] = json!("node");
    let params = ws.signed(params, &device);
    let hello = ws.hello(&params).unwrap();
    assert_eq!(hello["auth"]["role"], "node");
    assert_eq!(hello["auth"]["scopes"], json!([]));
    let refused = ws.call("health", json!({})).unwrap_err();
    assert_eq!(message(&refused), "unauthorized role: node");
}
