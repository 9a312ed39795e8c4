//! Cron: jobs are kept, run when they are due, once, and what came of them is written down.

use crate::harness::{
    Gateway, Setup, Ws, eventually,
    model::{Reply, asked},
    skip,
};
use crate::parity::official;
use openclaw::base::time::{iso, now_ms};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

fn jobs_file(gateway: &Gateway) -> PathBuf {
    gateway.state().join("cron/jobs.json")
}

fn stored(gateway: &Gateway) -> Value {
    let text = fs::read(jobs_file(gateway)).expect("a job file");
    serde_json::from_slice(&text).expect("JSON")
}

fn add(ws: &mut Ws, job: Value) -> Value {
    ws.call("cron.add", job).expect("added")
}

fn id(job: &Value) -> &str {
    job["id"].as_str().expect("an id")
}

fn turn(name: &str, schedule: Value) -> Value {
    json!({"name": name, "schedule": schedule, "payload": {"message": format!("do {name}")},
           "delivery": {"mode": "none"}})
}

fn hourly(name: &str) -> Value {
    turn(name, json!({"everyMs": 3_600_000}))
}

fn once(name: &str, in_ms: u64) -> Value {
    turn(name, json!({"at": iso(now_ms() + in_ms)}))
}

fn note(name: &str, wake: &str, schedule: Value) -> Value {
    json!({"name": name, "schedule": schedule, "wakeMode": wake,
           "payload": {"text": format!("note of {name}")}})
}

fn force(ws: &mut Ws, job: &Value) -> Value {
    ws.call("cron.run", json!({"id": id(job), "mode": "force"}))
        .expect("an answer")
}

fn runs(ws: &mut Ws, job: &Value) -> Vec<Value> {
    let runs = ws
        .call("cron.runs", json!({"jobId": id(job)}))
        .expect("runs");
    runs["entries"].as_array().expect("entries").clone()
}

fn list(ws: &mut Ws) -> Vec<Value> {
    let all = ws
        .call("cron.list", json!({"includeDisabled": true}))
        .expect("a list");
    all["jobs"].as_array().expect("jobs").clone()
}

fn finished(ws: &mut Ws, job: &Value) -> Value {
    let id = id(job);
    let event = ws.event_where("cron", |e| e["jobId"] == id && e["action"] == "finished");
    event["payload"].clone()
}

#[test]
fn jobs_are_added_changed_listed_and_removed() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let status = ws.call("cron.status", json!({})).expect("a status");
    let path = jobs_file(&gateway);
    assert_eq!(
        status,
        json!({"enabled": true, "storePath": path, "jobs": 0, "nextWakeAtMs": null})
    );
    assert!(!path.exists());
    let job = add(&mut ws, hourly("later"));
    let event = ws.event("cron")["payload"].clone();
    assert_eq!(
        (&event["action"], &event["jobId"]),
        (&json!("added"), &job["id"])
    );
    let soon = add(&mut ws, turn("sooner", json!({"everyMs": 60_000})));
    let names: Vec<Value> = list(&mut ws)
        .iter()
        .map(|job| job["name"].clone())
        .collect();
    assert_eq!(names, [json!("sooner"), json!("later")]);
    assert_eq!(stored(&gateway)["jobs"][0], job);
    let off = json!({"jobId": id(&soon), "patch": {"enabled": false, "name": "off"}});
    let off = ws.call("cron.update", off).expect("updated");
    assert_eq!(
        (&off["enabled"], &off["name"], &off["state"]),
        (&json!(false), &json!("off"), &json!({}))
    );
    let only = ws.call("cron.list", json!({})).expect("a list");
    assert_eq!(only["jobs"].as_array().map(Vec::len), Some(1));
    for removed in [true, false] {
        let answer = ws.call("cron.remove", json!({"id": id(&soon)}));
        assert_eq!(answer, Ok(json!({"ok": true, "removed": removed})));
    }
    assert!(path.with_extension("json.bak").exists());
}

#[test]
fn what_cannot_be_a_job_is_refused_with_the_originals_words() {
    let gateway = Gateway::start();
    let mut ws = gateway.connect();
    let mut refused = |method: &str, params: Value| {
        let error = ws.call(method, params).expect_err("refused");
        format!(
            "{} {}",
            error["code"].as_str().unwrap(),
            error["message"].as_str().unwrap()
        )
    };
    let past = json!({"name": "x", "schedule": {"at": "2020-01-01"}, "payload": {"text": "x"}});
    assert!(
        refused("cron.add", past)
            .starts_with("INVALID_REQUEST schedule.at is in the past: 2020-01-01T00:00:00.000Z (")
    );
    let pair = json!({"name": "x", "schedule": {"everyMs": 1}, "sessionTarget": "main",
                      "payload": {"message": "x"}});
    assert_eq!(
        refused("cron.add", pair),
        "UNAVAILABLE Error: main cron jobs require payload.kind=\"systemEvent\""
    );
    let zone = json!({"name": "x", "schedule": {"expr": "0 7 * * *", "tz": "No/Where"}, "payload": {"text": "x"}});
    assert_eq!(
        refused("cron.add", zone),
        "UNAVAILABLE Error: \"No/Where\" is not a time zone"
    );
    let none = json!({"schedule": {"everyMs": 1}, "payload": {"text": "x"}});
    assert!(refused("cron.add", none).starts_with(
        "INVALID_REQUEST invalid cron.add params: must have required property 'name'"
    ));
    for method in ["cron.update", "cron.run"] {
        let mut params = json!({"id": "nope"});
        if method == "cron.update" {
            params["patch"] = json!({});
        }
        assert_eq!(
            refused(method, params),
            "UNAVAILABLE Error: unknown cron job id: nope"
        );
    }
    let both = json!({"id": "a", "jobId": "a"});
    assert!(refused("cron.remove", both).starts_with("INVALID_REQUEST invalid cron.remove params"));
    assert_eq!(
        ws.call("cron.runs", json!({"id": "../../x"})),
        Ok(json!({"entries": []}))
    );
}

#[test]
fn an_isolated_run_has_a_session_of_its_own_and_tells_the_main_one() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let mut job = hourly("brief");
    job["delivery"] = json!({"mode": "announce", "bestEffort": true});
    let job = add(&mut ws, job);
    gateway.model().say(&["All is well."]);
    assert_eq!(force(&mut ws, &job), json!({"ok": true, "ran": true}));
    let started = ws.event_where("cron", |e| e["action"] == "started")["payload"].clone();
    let event = finished(&mut ws, &job);
    assert_eq!(
        (&event["status"], &event["summary"]),
        (&json!("ok"), &json!("All is well."))
    );
    assert_eq!(started["runAtMs"], event["runAtMs"]);
    let asked_first = asked(&gateway.model().wait_request(1));
    let start = format!("[cron:{} brief] do brief\nCurrent time: ", id(&job));
    assert!(asked_first.starts_with(&start), "{asked_first}");
    assert!(
        asked_first.contains("sent on as plain text"),
        "{asked_first}"
    );
    let runs = runs(&mut ws, &job);
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0]["summary"], &runs[0]["action"]),
        (&event["summary"], &json!("finished"))
    );
    let now = &list(&mut ws)[0];
    assert_eq!(
        (&now["state"]["lastStatus"], &now["state"]["runningAtMs"]),
        (&json!("ok"), &Value::Null)
    );
    assert!(now["state"]["nextRunAtMs"].as_u64() > job["state"]["nextRunAtMs"].as_u64());
    let key = format!("agent:main:cron:{}", id(&job));
    let sessions = |ws: &mut Ws| {
        let list = ws.call("sessions.list", json!({})).expect("sessions");
        let all = list["sessions"].as_array().expect("a list").clone();
        all.into_iter()
            .find(|s| s["key"] == key.as_str())
            .expect("its session")["sessionId"]
            .clone()
    };
    let first = sessions(&mut ws);
    gateway.model().say(&["HEARTBEAT_OK"]);
    force(&mut ws, &job);
    assert_ne!(sessions(&mut ws), first, "each run starts anew");
    let second = gateway.model().wait_request(2);
    assert_eq!(
        second["messages"].as_array().map(Vec::len),
        Some(2),
        "{second}"
    );
    let status = ws.call("status", json!({})).expect("a status");
    assert_eq!(status["queuedSystemEvents"], json!(["Cron: All is well."]));
}

#[test]
fn an_answer_that_cannot_be_delivered_is_an_error_once() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let mut job = once("tell", 60_000);
    job.as_object_mut().expect("an object").remove("delivery");
    let job = add(&mut ws, job);
    assert_eq!(job["delivery"], json!({"mode": "announce"}));
    ws.call(
        "cron.update",
        json!({"id": id(&job), "patch": {"schedule": {"at": iso(now_ms())}}}),
    )
    .expect("updated");
    let event = finished(&mut ws, &job);
    assert_eq!(
        (&event["status"], &event["error"]),
        (&json!("error"), &json!("cron delivery target is missing"))
    );
    assert_eq!(event["summary"], "Hello from the fake model.");
    let now = &list(&mut ws)[0];
    assert_eq!(
        (&now["enabled"], &now["state"]["nextRunAtMs"]),
        (&json!(false), &Value::Null)
    );
}

#[test]
fn a_due_job_fires_once_and_goes_when_it_is_done() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let job = add(&mut ws, once("tea", 400));
    assert_eq!(job["deleteAfterRun"], true);
    assert_eq!(finished(&mut ws, &job)["status"], "ok");
    assert_eq!(ws.event("cron")["payload"]["action"], "removed");
    assert!(list(&mut ws).is_empty());
    let late = runs(&mut ws, &job)[0]["runAtMs"].as_u64().expect("a time");
    let due = job["state"]["nextRunAtMs"].as_u64().expect("a time");
    assert!(late >= due && late < due + 2_000, "{late} {due}");
    ws.events_within(Duration::from_millis(300));
    assert_eq!(gateway.model().requests().len(), 1);
}

#[test]
fn a_repeated_job_goes_on_and_never_faster_than_once_a_second() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let job = add(&mut ws, turn("pulse", json!({"everyMs": 5})));
    let mut last = 0;
    for _ in 0..3 {
        let event = finished(&mut ws, &job);
        let at = event["runAtMs"].as_u64().expect("a time");
        assert!(at >= last + 1_000, "{at} {last}");
        last = at;
    }
}

#[test]
fn a_seconds_expression_fires_on_the_second() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let cron = json!({"kind": "cron", "expr": "*/2 * * * * *", "tz": "Asia/Tokyo"});
    let job = add(&mut ws, turn("beat", cron));
    let at = finished(&mut ws, &job)["runAtMs"].as_u64().expect("a time");
    assert!(at % 2_000 < 1_000, "{at}");
}

#[test]
fn a_note_wakes_the_agent_at_once_or_with_the_next_heartbeat() {
    let gateway = Gateway::with_fake_model();
    gateway
        .model()
        .otherwise(Reply::Text(vec!["HEARTBEAT_OK".into()], Duration::ZERO));
    let mut ws = gateway.connect();
    for wake in ["now", "next-heartbeat"] {
        let job = add(&mut ws, note(wake, wake, json!({"everyMs": 3_600_000})));
        assert!(job.get("delivery").is_none());
        force(&mut ws, &job);
        let event = finished(&mut ws, &job);
        assert_eq!(
            (&event["status"], &event["summary"]),
            (&json!("ok"), &json!(format!("note of {wake}")))
        );
        // For `now` the beat is over before the run is.
        let beat = match wake {
            "now" => ws.call("last-heartbeat", json!({})).expect("a beat"),
            _ => ws.event("heartbeat")["payload"].clone(),
        };
        assert_eq!(beat["reason"], format!("cron:{}", id(&job)));
        let requests = gateway.model().requests();
        assert!(asked(requests.last().expect("one")).contains(&format!("] note of {wake}\n")));
    }
}

#[test]
fn a_long_run_holds_up_nobody_and_is_not_started_twice() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let slow = add(&mut ws, hourly("slow"));
    gateway.model().reply(Reply::Hang);
    let run = ws.send("cron.run", json!({"id": id(&slow), "mode": "force"}));
    gateway.model().wait_request(1);
    assert!(list(&mut ws)[0]["state"]["runningAtMs"].is_u64());
    assert_eq!(
        force(&mut ws, &slow),
        json!({"ok": true, "ran": false, "reason": "already-running"})
    );
    let other = add(
        &mut ws,
        note("other", "next-heartbeat", json!({"everyMs": 3_600_000})),
    );
    assert_eq!(force(&mut ws, &other), json!({"ok": true, "ran": true}));
    let limit =
        json!({"id": id(&slow), "patch": {"payload": {"kind": "agentTurn", "timeoutSeconds": 1}}});
    ws.call("cron.update", limit).expect("updated");
    let not_due = ws
        .call("cron.run", json!({"id": id(&other)}))
        .expect("an answer");
    assert_eq!(
        not_due,
        json!({"ok": true, "ran": false, "reason": "not-due"})
    );
    ws.call("cron.remove", json!({"id": id(&slow)}))
        .expect("removed");
    assert_eq!(list(&mut ws).len(), 1);
    drop(run);
}

#[test]
fn a_run_past_its_time_is_an_error_and_the_job_goes_on() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let mut job = hourly("slow");
    job["payload"]["timeoutSeconds"] = json!(1);
    let job = add(&mut ws, job);
    gateway.model().reply(Reply::Hang);
    assert_eq!(force(&mut ws, &job)["ran"], true);
    let event = finished(&mut ws, &job);
    assert_eq!(event["error"], "timed out after 1 s");
    assert!(event["nextRunAtMs"].is_u64());
}

#[test]
fn a_failed_moment_is_tried_again_later_and_not_at_once() {
    let gateway = Gateway::with_fake_model();
    let error = json!({"error": {"message": "no such key"}});
    gateway.model().otherwise(Reply::Error(401, error));
    let mut ws = gateway.connect();
    let job = add(&mut ws, once("tea", 200));
    let event = finished(&mut ws, &job);
    assert_eq!(event["status"], "error");
    assert!(
        event["error"]
            .as_str()
            .expect("why")
            .contains("no such key"),
        "{event}"
    );
    let next = event["nextRunAtMs"].as_u64().expect("a time");
    let ended = runs(&mut ws, &job)[0]["ts"].as_u64().expect("a time");
    assert_eq!(next, ended + 60_000);
    let asked = gateway.model().requests().len();
    ws.events_within(Duration::from_millis(500));
    assert_eq!(gateway.model().requests().len(), asked);
    // The fourth failure is the last.
    for _ in 0..3 {
        force(&mut ws, &job);
    }
    let now = &list(&mut ws)[0];
    assert_eq!(
        (&now["enabled"], &now["state"]["lastStatus"]),
        (&json!(false), &json!("error"))
    );
}

#[test]
fn models_and_levels_are_the_jobs_own() {
    let mut setup = Setup::with_fake_model();
    setup.config["agents"]["defaults"]["models"] = json!({"fake/fake-1": {"alias": "one"}});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let mut job = hourly("other");
    job["payload"]["model"] = json!("else/model");
    let job = add(&mut ws, job);
    force(&mut ws, &job);
    assert_eq!(
        finished(&mut ws, &job)["error"],
        "model not allowed: else/model"
    );
    let patch =
        json!({"id": id(&job), "patch": {"payload": {"kind": "agentTurn", "model": "one"}}});
    ws.call("cron.update", patch).expect("updated");
    force(&mut ws, &job);
    assert_eq!(finished(&mut ws, &job)["status"], "ok");
}

#[test]
fn a_moment_missed_while_the_gateway_was_down_comes_with_its_start_and_a_missed_beat_does_not() {
    let mut gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    let moment = add(&mut ws, once("tea", 3_600_000));
    let beat = add(&mut ws, hourly("beat"));
    drop(ws);
    assert!(gateway.stop().success());
    let then = now_ms() - 600_000;
    let mut file = stored(&gateway);
    for job in file["jobs"].as_array_mut().expect("jobs") {
        job["state"]["nextRunAtMs"] = then.into();
        if job["id"] == moment["id"] {
            job["schedule"]["at"] = iso(then).into();
        }
    }
    fs::write(jobs_file(&gateway), file.to_string()).expect("written");
    gateway.start_again();
    let mut ws = gateway.connect();
    eventually("the missed run", PATIENCE, || {
        (!runs(&mut ws, &moment).is_empty()).then_some(())
    });
    assert!(runs(&mut ws, &beat).is_empty());
    let jobs = list(&mut ws);
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        jobs[0]["state"]["nextRunAtMs"],
        then + 3_600_000,
        "the phase is kept"
    );
}

#[test]
fn a_killed_core_loses_no_job_and_runs_none_twice() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    gateway.model().reply(Reply::Hang);
    let begun = add(&mut ws, once("begun", 100));
    gateway.model().wait_request(1);
    // Has its mark, but no turn: the lane is taken.
    let waiting = add(&mut ws, once("waiting", 0));
    ws.send("cron.run", json!({"id": id(&waiting), "mode": "force"}));
    let plain = add(&mut ws, hourly("plain"));
    eventually("both marks", PATIENCE, || {
        let jobs = list(&mut ws);
        let marked = jobs.iter().filter(|j| j["state"]["runningAtMs"].is_u64());
        (marked.count() == 2).then_some(())
    });
    gateway.kill_core();
    let mut ws = gateway.connect();
    eventually("the run that had not begun", PATIENCE, || {
        (!runs(&mut ws, &waiting).is_empty()).then_some(())
    });
    assert_eq!(runs(&mut ws, &waiting)[0]["status"], "ok");
    let left = runs(&mut ws, &begun);
    assert_eq!(left.len(), 1);
    assert_eq!(
        (&left[0]["status"], &left[0]["error"]),
        (&json!("error"), &json!("the gateway ended during the run"))
    );
    let jobs = list(&mut ws);
    let of = |job: &Value| jobs.iter().find(|j| j["id"] == job["id"]);
    let kept = of(&begun).expect("it is kept");
    assert_eq!(
        (&kept["enabled"], &kept["state"]["runningAtMs"]),
        (&json!(false), &Value::Null)
    );
    assert!(of(&waiting).is_none());
    assert_eq!(of(&plain).expect("it is kept")["state"], plain["state"]);
    let texts: Vec<String> = gateway.model().requests().iter().map(asked).collect();
    let times = |name: &str| {
        texts
            .iter()
            .filter(|t| t.contains(&format!("do {name}\n")))
            .count()
    };
    assert_eq!((times("begun"), times("waiting")), (1, 1), "{texts:?}");
}

#[test]
fn a_restart_stops_a_run_and_says_so() {
    let gateway = Gateway::with_fake_model();
    let mut ws = gateway.connect();
    gateway.model().reply(Reply::Hang);
    let job = add(&mut ws, hourly("slow"));
    ws.send("cron.run", json!({"id": id(&job), "mode": "force"}));
    gateway.model().wait_request(1);
    gateway.restart_core();
    let mut ws = gateway.connect();
    let runs = runs(&mut ws, &job);
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["error"], "the gateway stopped during the run");
    assert_eq!(list(&mut ws)[0]["state"]["runningAtMs"], Value::Null);
}

#[test]
fn the_scheduler_follows_the_configuration_while_it_runs() {
    let mut setup = Setup::with_fake_model();
    setup.config["cron"] = json!({"enabled": false});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let job = add(&mut ws, once("tea", 50));
    let status = ws.call("cron.status", json!({})).expect("a status");
    assert_eq!(
        (&status["enabled"], &status["nextWakeAtMs"]),
        (&json!(false), &Value::Null)
    );
    ws.events_within(Duration::from_millis(400));
    assert!(gateway.model().requests().is_empty());
    gateway.edit_config(|config| config["cron"]["enabled"] = json!(true));
    assert_eq!(finished(&mut ws, &job)["status"], "ok");
}

#[test]
fn several_runs_at_once_where_the_configuration_says_so() {
    let mut setup = Setup::with_fake_model();
    setup.config["cron"] = json!({"maxConcurrentRuns": 2});
    let gateway = setup.start();
    let mut ws = gateway.connect();
    for _ in 0..3 {
        gateway.model().reply(Reply::Hang);
    }
    for name in ["a", "b", "c"] {
        add(&mut ws, once(name, 300));
    }
    gateway.model().wait_request(2);
    ws.events_within(Duration::from_millis(400));
    assert_eq!(gateway.model().requests().len(), 2);
}

#[test]
fn a_damaged_job_file_is_kept_aside_and_its_copy_used() {
    let mut gateway = Gateway::start();
    let mut ws = gateway.connect();
    add(&mut ws, hourly("kept"));
    drop(ws);
    assert!(gateway.stop().success());
    fs::write(jobs_file(&gateway), "{\"version\":1,\"jobs\":[{\"id\"").expect("written");
    gateway.start_again();
    let mut ws = gateway.connect();
    assert_eq!(list(&mut ws)[0]["name"], "kept");
    let names = fs::read_dir(gateway.state().join("cron")).expect("a folder");
    let names: Vec<String> = names
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("jobs.json.damaged-")),
        "{names:?}"
    );
    // An edit by hand is seen, too.
    let mut file = stored(&gateway);
    file["jobs"][0]["name"] = "edited".into();
    fs::write(jobs_file(&gateway), file.to_string()).expect("written");
    assert_eq!(list(&mut ws)[0]["name"], "edited");
}

#[test]
fn the_job_file_of_the_original_is_continued() {
    let name = "the_job_file_of_the_original_is_continued";
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/state-samples/openclaw/cron");
    if !sample.exists() {
        return skip(name, "no ../shared/data/state-samples here");
    }
    let setup = Setup::with_fake_model();
    let cron = setup.dir.path().join("state/cron");
    fs::create_dir_all(cron.join("runs")).expect("a folder");
    let id = "2930158f-7ec9-435e-8a72-09b2abf5925e";
    for file in ["jobs.json".to_string(), format!("runs/{id}.jsonl")] {
        fs::copy(sample.join(&file), cron.join(&file)).expect("copied");
    }
    let gateway = setup.start();
    let mut ws = gateway.connect();
    let job = list(&mut ws).remove(0);
    assert_eq!(
        (&job["name"], &job["id"]),
        (&json!("Sample hourly"), &json!(id))
    );
    let next = job["state"]["nextRunAtMs"].as_u64().expect("a time");
    assert!(next > now_ms() && next <= now_ms() + 3_600_000);
    assert_eq!(
        (next - 1_795_243_387_563) % 3_600_000,
        0,
        "the phase is kept"
    );
    force(&mut ws, &job);
    let runs = runs(&mut ws, &job);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0]["summary"], "Sample reply 9.");
    assert_eq!(runs[1]["summary"], "Hello from the fake model.");
}

#[test]
fn the_official_client_manages_our_jobs() {
    let name = "the_official_client_manages_our_jobs";
    if let Err(why) = official::program() {
        return skip(name, &why);
    }
    let gateway = Gateway::with_fake_model();
    let (home, state) = (gateway.home(), gateway.state());
    let env = [
        ("HOME", home.to_str().expect("text")),
        ("OPENCLAW_STATE_DIR", state.to_str().expect("text")),
    ];
    let run = |args: &[&str]| {
        let mut all = vec!["cron"];
        all.extend(args);
        let output = official::run(&all, &env);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let json = |args: &[&str]| -> Value {
        let (code, out, err) = run(args);
        assert_eq!(code, Some(0), "{args:?}: {out}{err}");
        serde_json::from_str(&out).expect("JSON")
    };
    assert_eq!(run(&["list"]).1, "No cron jobs.\n");
    let job = json(&[
        "add",
        "--name",
        "Brief",
        "--cron",
        "0 7 * * *",
        "--tz",
        "Europe/Paris",
        "--session",
        "isolated",
        "--message",
        "Give the brief",
        "--no-deliver",
        "--json",
    ]);
    assert_eq!(job["delivery"], json!({"mode": "none", "channel": "last"}));
    let id = id(&job).to_string();
    let listed = run(&["list"]).1;
    assert!(
        listed.contains("cron 0 7 * * * @ Europe/Paris") && listed.contains("idle"),
        "{listed}"
    );
    let ran = json(&["run", &id, "--force"]);
    assert_eq!(ran, json!({"ok": true, "ran": true}));
    let runs = json(&["runs", "--id", &id]);
    assert_eq!(runs["entries"][0]["summary"], "Hello from the fake model.");
    assert_eq!(
        json(&["edit", &id, "--every", "1h"])["schedule"]["everyMs"],
        3_600_000
    );
    assert_eq!(json(&["disable", &id])["enabled"], false);
    assert_eq!(json(&["status"])["jobs"], 1);
    assert_eq!(json(&["rm", &id]), json!({"ok": true, "removed": true}));
    let (code, _, err) = run(&["run", &id]);
    assert_eq!(code, Some(1));
    assert!(err.contains("unknown cron job id"), "{err}");
    let system = official::run(
        &["system", "event", "--text", "hello", "--mode", "now"],
        &env,
    );
    assert_eq!(String::from_utf8_lossy(&system.stdout), "ok\n");
}
