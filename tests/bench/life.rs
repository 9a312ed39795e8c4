//! Starting, restarting, stopping.

use crate::harness::{Gateway, Setup, proc};
use crate::report::{Report, median, ms};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;

pub fn rows(report: &Report) {
    let (mut accepted, mut answered, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let setup = Setup::new();
        let port = setup.port;
        let (mut gateway, _) = setup.launch();
        let started = gateway.spawned();
        let mut stream = connect(port);
        accepted.push(ms(started.elapsed()));
        ask(&mut stream);
        answered.push(ms(started.elapsed()));
        drop(stream);
        std::thread::sleep(Duration::from_millis(150));
        let stopping = Instant::now();
        proc::signal(gateway.pid(), "TERM");
        gateway.wait_exit();
        gone.push(ms(stopping.elapsed()));
    }
    report.row(
        "exec to first accepted connection · to first answered request",
        "≤ 1.7 ms · ≤ 3.8 ms",
        format!("{:.1} ms · {:.1} ms", median(accepted), median(answered)),
    );
    // kill(1) itself takes about a millisecond of this.
    report.row(
        "SIGTERM to gone, idle",
        "≤ 10 ms",
        format!("{:.1} ms", median(gone)),
    );

    let gateway = Gateway::start();
    let restarts: Vec<f64> = (0..5).map(|_| gap(&gateway)).collect();
    report.row(
        "core restart (SIGUSR1), last reply of the old to first reply of the new",
        "≤ 50 ms, no refused connection",
        format!("{:.1} ms", median(restarts)),
    );
}

/// Asks without a pause through a restart; the longest time between two answers.
fn gap(gateway: &Gateway) -> f64 {
    let old = gateway.core_pid();
    gateway.signal("USR1");
    let (started, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
    while started.elapsed() < Duration::from_millis(1_500) {
        let mut stream = connect(gateway.port());
        if ask(&mut stream) {
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
    }
    assert_ne!(old, gateway.core_pid(), "the core was not replaced");
    ms(longest)
}

fn connect(port: u16) -> TcpStream {
    let started = Instant::now();
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it never listened"
        );
        std::hint::spin_loop();
    }
}

fn ask(stream: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(request).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}
