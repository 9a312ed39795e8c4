//! `openclaw backup`: made beside a running gateway, restored on another machine, and a gateway runs
//! on it.

use crate::harness::Gateway;
use serde_json::{Value, json};
use std::fs;

#[test]
fn a_backup_made_while_the_gateway_runs_is_restored_and_runs() {
    let mut gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    ws.call(
        "chat.send",
        json!({"sessionKey": "agent:main:main", "message": "remember the harbour",
            "idempotencyKey": "k"}),
    )
    .unwrap();
    crate::harness::eventually("an answer", std::time::Duration::from_secs(20), || {
        let params = json!({"sessionKey": "agent:main:main"});
        let history = ws.call("chat.history", params).ok()?;
        (history["messages"].as_array()?.len() >= 2).then_some(())
    });
    let archive = gateway.dir().join("moved.tar.gz");
    let archive = archive.to_str().unwrap().to_string();
    let words = gateway.dir().join("words");
    fs::write(&words, "a harbour at night\n").unwrap();
    let words = words.to_str().unwrap().to_string();
    let create = [
        "backup",
        "create",
        "--output",
        &archive,
        "--passphrase-file",
        &words,
        "--json",
    ];
    let (status, told, error) = gateway.openclaw(&create);
    assert!(status.success(), "{error}");
    let made: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(made["secrets"], true);
    let (status, _, error) = gateway.openclaw(&create);
    assert_eq!(status.code(), Some(1));
    assert!(error.contains("would write over"), "{error}");
    let (status, told, _) = gateway.openclaw(&["backup", "verify", &archive]);
    assert!(status.success() && told.starts_with("Whole: "), "{told}");
    let (_, told, _) = gateway.openclaw(&["backup", "list", &archive]);
    assert!(
        told.contains("state/agents/main/sessions/sessions.json"),
        "{told}"
    );

    let restore = ["backup", "restore", &archive, "--passphrase-file", &words];
    let (status, _, error) = gateway.openclaw(&restore);
    assert_eq!(status.code(), Some(1));
    assert!(error.contains("a gateway runs on this state"), "{error}");
    gateway.stop();
    // Another machine: nothing of the old one is there.
    fs::remove_dir_all(gateway.state()).unwrap();
    let _ = fs::remove_file(gateway.config_path());
    let (status, told, error) = gateway.openclaw(&restore);
    assert!(status.success(), "{error}");
    assert!(told.starts_with("Restored "), "{told}");
    gateway.start_again();
    let params = json!({"sessionKey": "agent:main:main"});
    let history = gateway.connect().call("chat.history", params).unwrap();
    assert!(
        history.to_string().contains("remember the harbour"),
        "{history}"
    );
}
