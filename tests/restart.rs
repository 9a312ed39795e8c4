//! The core may be replaced or die at any instant: no connection is refused, and it comes back.

use crate::harness::model::{Reply, asked};
use crate::harness::{Gateway, eventually, proc};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// One probe on a fresh connection: whether it was accepted by the kernel, and answered.
fn probe(port: u16) -> (bool, bool) {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return (false, false);
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    let answered = stream.write_all(ask).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200");
    (true, answered)
}

/// Connects without pause while `act` runs; how many were refused, and how many answered.
fn under_load(port: u16, act: impl FnOnce()) -> (u32, u32) {
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicU32::new(0));
    let answered = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (stop, refused, answered) = (stop.clone(), refused.clone(), answered.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let (accepted, answer) = probe(port);
                    refused.fetch_add(u32::from(!accepted), Ordering::Relaxed);
                    answered.fetch_add(u32::from(answer), Ordering::Relaxed);
                }
            })
        })
        .collect();
    act();
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no panic");
    }
    (
        refused.load(Ordering::Relaxed),
        answered.load(Ordering::Relaxed),
    )
}

#[test]
fn a_restart_refuses_no_connection() {
    let gateway = Gateway::start();
    let first = gateway.core_pid();
    let (refused, answered) = under_load(gateway.port(), || {
        for _ in 0..5 {
            gateway.restart_core();
        }
    });
    assert_eq!(refused, 0);
    assert!(answered > 0);
    assert_ne!(gateway.core_pid(), first);
}

#[test]
fn clients_learn_that_a_restart_is_a_restart() {
    let mut gateway = Gateway::start();
    let mut client = gateway.connect();
    gateway.signal("USR1");
    gateway.wait_for("RELOADING=1");
    assert!(client.event("shutdown")["payload"]["restartExpectedMs"].is_u64());
    assert_eq!(client.closed().code, Some(1012));
    gateway.wait_for("READY=1");
    gateway.connect();
}

#[test]
fn a_killed_core_comes_back_on_the_same_sockets() {
    let gateway = Gateway::start();
    let old = gateway.core_pid();
    let (refused, _) = under_load(gateway.port(), || {
        gateway.kill_core();
        eventually("an answer of the new core", PATIENCE, || {
            probe(gateway.port()).1.then_some(())
        });
    });
    assert_eq!(refused, 0);
    assert_ne!(gateway.core_pid(), old);
    gateway.connect();
}

#[test]
fn a_core_that_keeps_dying_is_throttled_and_the_gateway_stays_stoppable() {
    let mut gateway = Gateway::start();
    let mut gaps = Vec::new();
    for _ in 0..4 {
        gateway.kill_core();
        let died = Instant::now();
        eventually("a new core", PATIENCE, || {
            probe(gateway.port()).1.then_some(())
        });
        gaps.push(died.elapsed());
    }
    let least = [100, 200, 400, 800].map(Duration::from_millis);
    for (gap, least) in gaps.iter().zip(least) {
        // The poll that saw the death may have been a little late.
        assert!(*gap + Duration::from_millis(20) >= least, "{gaps:?}");
    }
    gateway.kill_core();
    // Now in its longest wait, without a core.
    let stopping = Instant::now();
    assert!(gateway.stop().success());
    assert!(stopping.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_core_that_does_not_go_is_killed_at_a_second_signal() {
    let mut gateway = Gateway::start();
    let core = gateway.core_pid();
    proc::signal(core, "STOP");
    gateway.signal("TERM");
    gateway.wait_for("STOPPING=1");
    gateway.signal("TERM");
    assert!(gateway.wait_exit().success());
    assert!(!proc::is_alive(core));
}

#[test]
fn a_command_left_running_when_the_gateway_stops_is_told_as_ended() {
    let mut gateway = Gateway::with_fake_model();
    let mark = "sleep 4711.75";
    let exec = |command: &str| {
        let call = json!({"command": command, "background": true});
        ("exec".to_string(), call)
    };
    gateway
        .model()
        .reply(Reply::Tools(vec![exec("true"), exec(mark)]));
    let mut ws = gateway.connect();
    let say =
        |id: &str| json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": id});
    ws.call("chat.send", say("k1")).expect("sent");
    ws.event_where("chat", |p| p["runId"] == "k1" && p["state"] == "final");
    let left = gateway.state().join("rs/background");
    eventually("the end of the other one", PATIENCE, || {
        (std::fs::read_dir(&left).unwrap().count() == 1).then_some(())
    });
    gateway.stop();
    gateway.start_again();
    let mut ws = gateway.connect();
    gateway.model().forget();
    ws.call("chat.send", say("k2")).expect("sent");
    let asked = asked(&gateway.model().wait_request(1));
    assert!(
        asked.contains("gateway restarted): it was ended") && asked.contains(mark),
        "{asked}"
    );
    assert_eq!(asked.matches("gateway restarted").count(), 1, "{asked}");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
}

#[test]
fn a_command_left_running_goes_on_when_the_core_dies_and_the_next_one_has_it() {
    let gateway = Gateway::with_fake_model();
    let go = gateway.workspace().join("go");
    let command = format!(
        "echo before; until [ -e {} ]; do sleep 0.05; done; echo after; exit 3",
        go.display()
    );
    let exec = |command: &str| {
        let call = json!({"command": command, "background": true});
        ("exec".to_string(), call)
    };
    gateway.model().reply(Reply::Tools(vec![exec(&command)]));
    let mut ws = gateway.connect();
    let say =
        |id: &str| json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": id});
    ws.call("chat.send", say("b1")).expect("sent");
    ws.event_where("chat", |p| p["runId"] == "b1" && p["state"] == "final");
    let result = gateway.model().wait_request(2).to_string();
    let id = result.split("(session ").nth(1).expect("a session");
    let id = id.split(',').next().expect("its id").to_string();
    gateway.kill_core();
    let mut ws = gateway.connect();
    // The next core asks the runner as soon as it can.
    let process = |action: &str| {
        let call = json!({"action": action, "sessionId": id});
        ("process".to_string(), call)
    };
    let polled = eventually("the command in the next core", PATIENCE, || {
        gateway.model().forget();
        gateway
            .model()
            .reply(Reply::Tools(vec![process("log"), process("poll")]));
        let run = openclaw::base::id::uuid();
        ws.call("chat.send", say(&run)).expect("sent");
        ws.event_where("chat", |p| {
            p["runId"] == run.as_str() && p["state"] == "final"
        });
        let asked = gateway.model().wait_request(2).to_string();
        (!asked.contains("No session found")).then_some(asked)
    });
    assert!(polled.contains("before"), "{polled}");
    assert!(polled.contains("Process still running."), "{polled}");
    std::fs::write(go, "").expect("written");
    let told = eventually("its end in the session", PATIENCE, || {
        gateway.model().forget();
        let run = openclaw::base::id::uuid();
        ws.call("chat.send", say(&run)).expect("sent");
        ws.event_where("chat", |p| {
            p["runId"] == run.as_str() && p["state"] == "final"
        });
        let asked = gateway.model().wait_request(1).to_string();
        asked.contains("code 3").then_some(asked)
    });
    assert!(told.contains(" :: before after"), "{told}");
    assert!(!told.contains("gateway restarted"), "{told}");
    let left = gateway.state().join("rs/background");
    eventually("its word to be taken back", PATIENCE, || {
        (std::fs::read_dir(&left).unwrap().count() == 0).then_some(())
    });
}

#[test]
fn a_killed_tool_runner_leaves_no_command_and_is_started_again() {
    let gateway = Gateway::with_fake_model();
    let mark = "sleep 4711.25";
    let call = ("exec".to_string(), json!({"command": mark}));
    gateway.model().reply(Reply::Tools(vec![call]));
    let mut ws = gateway.connect();
    ws.send(
        "agent",
        json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": "k"}),
    );
    let running = |what: &'static str| {
        move |root: u32| {
            proc::tree(root)
                .into_iter()
                .find(|pid| proc::command_line(*pid).contains(what))
        }
    };
    let command = eventually("the command", PATIENCE, || running(mark)(gateway.pid()));
    let runner = running("openclaw-exec")(gateway.pid()).expect("a runner");
    assert!(proc::children(gateway.pid()).contains(&runner));
    // The runner's keeper bears its name, too, and may take a moment to go.
    let before = proc::tree(gateway.pid());
    proc::signal(runner, "KILL");
    eventually("the command's end", PATIENCE, || {
        (!proc::is_alive(command)).then_some(())
    });
    let again = eventually("a new runner", PATIENCE, || {
        proc::children(gateway.pid())
            .into_iter()
            .find(|pid| !before.contains(pid) && proc::command_line(*pid).contains("openclaw-exec"))
    });

    // It outlives the core, and the new core knows it.
    gateway.restart_core();
    assert!(proc::is_alive(again));
}
