//! The WebSocket: connecting, round trips, lists.

use crate::harness::{Gateway, Setup, Ws};
use crate::memory::client;
use crate::report::{Report, median, ms};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(2);

pub fn rows(report: &Report) {
    let gateway = Gateway::start();
    let command = hellos(&gateway, "cli");
    let app = hellos(&gateway, "test");
    report.row(
        "WS connect to hello-ok: a command · with up to 200 apps in the list",
        "≤ 0.7 ms",
        format!("{command:.2} · {app:.2} ms"),
    );
    let (one, eight) = (round_trips(&gateway, 1), round_trips(&gateway, 8));
    drop(gateway);
    let stored = with_sessions(1_000);
    let again = (round_trips(&stored, 1), round_trips(&stored, 8));
    report.row(
        "`health` round trips a second, 1 · 8 WS connections; with 1,000 sessions stored",
        "≥ 20,000 · ≥ 40,000; the same",
        format!("{one:.0} · {eight:.0}; {:.0} · {:.0}", again.0, again.1),
    );

    let mut ws = stored.connect();
    let list = time(&mut ws, "sessions.list", &json!({"limit": 50}));
    let history = time(
        &mut ws,
        "chat.history",
        &json!({"sessionKey": "agent:main:long", "limit": 200}),
    );
    report.row(
        "`sessions.list` limit 50 of 1,000 · `chat.history` 200 of 1,000",
        "≤ 1 ms · ≤ 1 ms",
        format!("{list:.2} ms · {history:.2} ms"),
    );
}

fn hellos(gateway: &Gateway, mode: &str) -> f64 {
    let taken = (0..200).map(|_| {
        let started = Instant::now();
        let _ws = client(gateway, mode);
        ms(started.elapsed())
    });
    median(taken.collect())
}

fn time(ws: &mut Ws, method: &str, params: &Value) -> f64 {
    let request = json!({"type": "req", "id": "b", "method": method, "params": params});
    let request = tungstenite::Message::text(request.to_string());
    let readings = (0..101).map(|_| {
        let started = Instant::now();
        ws.socket().send(request.clone()).expect("sent");
        // Not parsed: that would be the client's own time.
        loop {
            let message = ws.socket().read().expect("an answer");
            if message
                .to_text()
                .is_ok_and(|text| text.starts_with(r#"{"type":"res""#))
            {
                break;
            }
        }
        ms(started.elapsed())
    });
    median(readings.collect())
}

fn round_trips(gateway: &Gateway, connections: usize) -> f64 {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let clients: Vec<Ws> = (0..connections).map(|_| gateway.connect()).collect();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for mut ws in clients {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || {
                let socket = ws.socket();
                let request = tungstenite::Message::text(
                    r#"{"type":"req","id":"h","method":"health","params":{}}"#,
                );
                while !stop.load(Ordering::Relaxed) {
                    socket.send(request.clone()).expect("sent");
                    // Not parsed: the client's own work would be most of the figure.
                    loop {
                        let message = socket.read().expect("an answer");
                        if message
                            .to_text()
                            .is_ok_and(|text| text.starts_with(r#"{"type":"res""#))
                        {
                            break;
                        }
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(SPAN);
        stop.store(true, Ordering::Relaxed);
    });
    count.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
}

/// A gateway whose store has `count` sessions, one of them with 1,000 messages.
pub fn with_sessions(count: usize) -> Gateway {
    let setup = Setup::with_fake_model();
    store(&setup, count, "long", 1_000);
    setup.start()
}

/// Writes `count` sessions, and one under `agent:main:<name>` with `messages` in its transcript.
pub fn store(setup: &Setup, count: usize, name: &str, messages: usize) {
    let folder = setup.dir.path().join("state/agents/main/sessions");
    openclaw::base::atomic::create_private_dir(&folder).expect("a folder");
    let now = openclaw::base::time::now_ms();
    let mut index = serde_json::Map::new();
    for i in 0..count {
        let entry = json!({
            "sessionId": openclaw::base::id::uuid(), "updatedAt": now - i as u64 * 1_000,
            "systemSent": true, "modelProvider": "fake", "model": "fake-1", "contextTokens": 128000,
            "inputTokens": 100, "outputTokens": 10, "totalTokens": 110,
        });
        index.insert(format!("agent:main:stored-{i}"), entry);
    }
    let id = openclaw::base::id::uuid();
    index.insert(
        format!("agent:main:{name}"),
        json!({"sessionId": id, "updatedAt": now, "systemSent": true}),
    );
    let text = serde_json::to_vec_pretty(&index).expect("JSON");
    std::fs::write(folder.join("sessions.json"), text).expect("written");
    std::fs::write(
        folder.join(format!("{id}.jsonl")),
        transcript(&id, now, messages),
    )
    .expect("written");
}

fn transcript(id: &str, now: u64, messages: usize) -> String {
    let stamp = openclaw::base::time::iso(now);
    let mut lines =
        vec![json!({"type": "session", "version": 3, "id": id, "timestamp": stamp, "cwd": "/"})];
    let mut parent = Value::Null;
    for i in 0..messages {
        let entry = format!("{i:08x}");
        let text = format!("This is message number {i}, as long as people's messages often are.");
        let message = match i % 2 {
            0 => {
                json!({"role": "user", "content": [{"type": "text", "text": text}], "timestamp": now})
            }
            _ => json!({
                "role": "assistant", "content": [{"type": "text", "text": text}],
                "api": "openai-completions", "provider": "fake", "model": "fake-1",
                "usage": {"input": 1, "output": 1, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 2,
                    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0}},
                "stopReason": "stop", "timestamp": now,
            }),
        };
        lines.push(json!({
            "type": "message", "id": entry, "parentId": parent, "timestamp": stamp, "message": message,
        }));
        parent = entry.into();
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
