//! `openclaw cron` against a running gateway: the words and forms of the original.

use crate::harness::Gateway;
use serde_json::{Value, json};

/// What a command printed as JSON.
fn asked(gateway: &Gateway, args: &[&str]) -> Value {
    let (status, out, err) = gateway.openclaw(args);
    assert!(status.success(), "{args:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?}: {out}"))
}

fn refused(gateway: &Gateway, args: &[&str]) -> String {
    let (status, out, err) = gateway.openclaw(args);
    assert_eq!((status.code(), out.as_str()), (Some(1), ""), "{args:?}");
    err
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn jobs_are_made_changed_run_and_removed_by_hand() {
    let gateway = Gateway::with_fake_model();
    let (_, out, _) = gateway.openclaw(&["cron", "list"]);
    assert_eq!(out, "No cron jobs.\n");
    let status = asked(&gateway, &["cron", "status"]);
    assert_eq!(
        (&status["enabled"], &status["jobs"]),
        (&json!(true), &json!(0))
    );
    let once = asked(
        &gateway,
        &[
            "cron",
            "add",
            "--name",
            "Once",
            "--at",
            "20m",
            "--system-event",
            "ping",
            "--wake",
            "now",
            "--delete-after-run",
        ],
    );
    assert_eq!(
        keys(&once),
        [
            "id",
            "name",
            "enabled",
            "deleteAfterRun",
            "createdAtMs",
            "updatedAtMs",
            "schedule",
            "sessionTarget",
            "wakeMode",
            "payload",
            "state"
        ]
    );
    let report = asked(
        &gateway,
        &[
            "cron",
            "add",
            "--name",
            "Report",
            "--every",
            "10m",
            "--message",
            "status please",
            "--to",
            "+15555550123",
            "--no-deliver",
            "--timeout-seconds",
            "30",
        ],
    );
    assert_eq!(report["sessionTarget"], "isolated");
    assert_eq!(
        report["payload"],
        json!({"kind": "agentTurn", "message": "status please", "timeoutSeconds": 30})
    );
    assert_eq!(
        report["delivery"],
        json!({"mode": "none", "channel": "last", "to": "+15555550123"})
    );
    let id = report["id"].as_str().unwrap();
    let edited = asked(
        &gateway,
        &["cron", "edit", id, "--name", "Report2", "--every", "1h"],
    );
    assert_eq!(
        (&edited["name"], &edited["schedule"]["everyMs"]),
        (&json!("Report2"), &json!(3_600_000))
    );
    assert_eq!(asked(&gateway, &["cron", "edit", id])["name"], "Report2");
    assert_eq!(asked(&gateway, &["cron", "disable", id])["enabled"], false);
    let (_, out, _) = gateway.openclaw(&["cron", "list"]);
    assert!(out.contains("Once") && !out.contains("Report2"), "{out}");
    let (_, out, _) = gateway.openclaw(&["cron", "list", "--all"]);
    let line = out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(
        line.contains("every 1h") && line.contains("disabled"),
        "{out}"
    );
    assert_eq!(asked(&gateway, &["cron", "enable", id])["enabled"], true);
    let ran = asked(&gateway, &["cron", "run", id, "--force"]);
    assert_eq!(ran, json!({"ok": true, "ran": true}));
    let runs = asked(&gateway, &["cron", "runs", "--id", id, "--limit", "5"]);
    assert_eq!(runs["entries"][0]["status"], "ok");
    let gone = asked(&gateway, &["cron", "rm", id]);
    assert_eq!(gone, json!({"ok": true, "removed": true}));
    assert_eq!(asked(&gateway, &["cron", "rm", "nope"])["removed"], false);
    let all = asked(&gateway, &["cron", "list", "--json", "--all"]);
    assert_eq!(all["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_job_that_makes_no_sense_is_refused_in_the_originals_words() {
    let gateway = Gateway::start();
    for (args, words) in [
        (
            &["--every", "soon", "--system-event", "y"][..],
            "Invalid --every; use e.g. 10m, 1h, 1d",
        ),
        (
            &["--at", "never", "--system-event", "y"],
            "Invalid --at; use ISO time or duration like 20m",
        ),
        (
            &["--system-event", "y"],
            "Choose exactly one schedule: --at, --every, or --cron",
        ),
        (
            &["--every", "1h"],
            "Choose exactly one payload: --system-event or --message",
        ),
        (
            &["--every", "10m", "--message", "y", "--session", "main"],
            "Main jobs require --system-event (systemEvent).",
        ),
        (
            &["--every", "1h", "--system-event", "y", "--announce"],
            "--announce/--no-deliver require --session isolated.",
        ),
        (
            &["--every", "1h", "--message", "y", "--wake", "soon"],
            "--wake must be now or next-heartbeat",
        ),
        (
            &[
                "--every",
                "1h",
                "--message",
                "y",
                "--delete-after-run",
                "--keep-after-run",
            ],
            "Choose --delete-after-run or --keep-after-run, not both",
        ),
    ] {
        let all: Vec<&str> = ["cron", "add", "--name", "x"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        assert_eq!(refused(&gateway, &all), format!("Error: {words}\n"));
    }
    let none = refused(&gateway, &["cron", "edit", "nope", "--name", "x"]);
    assert!(none.contains("nope"), "{none}");
}
