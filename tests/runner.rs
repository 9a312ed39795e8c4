//! The tool runner by itself: the real `openclaw-exec`, driven through the core's client.

use crate::harness::{Dir, eventually, skip};
use openclaw::exec::{Client, Event};
use openclaw::wire::exec::{PtySize, Run, RunLimits, Sandbox};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A runner of our own with a client. Ends with the test.
pub struct Runner {
    child: Child,
    client: Client,
    dir: Dir,
}

/// What a command did.
#[derive(Debug, Default)]
pub struct Outcome {
    pub output: Vec<u8>,
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub timed_out: bool,
    pub failed: Option<String>,
}

impl Runner {
    pub fn start(name: &str) -> Runner {
        let dir = Dir::new(name);
        let socket = dir.path().join("exec.sock");
        let child = start_runner(&socket);
        Runner {
            child,
            client: Client::new(socket, Box::new(|| {})),
            dir,
        }
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn enforces(&self, what: &str) -> bool {
        self.client.enforces().unwrap().iter().any(|w| w == what)
    }

    pub fn begin(&self, run: Run) -> Receiver<Event> {
        let (send, receive) = channel();
        // A receiver that is gone has seen enough.
        self.client
            .run(run, move |event| drop(send.send(event)))
            .unwrap();
        receive
    }

    pub fn run(&self, run: Run) -> Outcome {
        outcome(&self.begin(run))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn start_runner(socket: &Path) -> Child {
    let child = Command::new(env!("CARGO_BIN_EXE_openclaw-exec"))
        .arg("--socket")
        .arg(socket)
        .env("A_TOKEN", "never-to-be-seen")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the runner listens", PATIENCE, || {
        socket.exists().then_some(())
    });
    child
}

pub fn outcome(events: &Receiver<Event>) -> Outcome {
    let mut outcome = Outcome::default();
    loop {
        match events.recv_timeout(PATIENCE).expect("a command ends") {
            Event::Output(bytes) => outcome.output.extend(bytes),
            Event::Exited {
                code,
                signal,
                timed_out,
            } => {
                outcome.code = code;
                outcome.signal = signal;
                outcome.timed_out = timed_out;
                return outcome;
            }
            Event::Failed(why) => {
                outcome.failed = Some(why);
                return outcome;
            }
            Event::Started { .. } | Event::Refused(_) => {}
        }
    }
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.output).into_owned()
    }
}

pub fn shell(id: &str, command: &str) -> Run {
    Run {
        id: id.into(),
        argv: vec!["/bin/sh".into(), "-c".into(), command.into()],
        cwd: PathBuf::from("/"),
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        timeout_ms: 0,
        pty: None,
        sandbox: None,
        limits: RunLimits::default(),
    }
}

/// Whether some process has `mark` in its command line.
pub fn is_running(mark: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).contains(mark))
}

/// The program that tries what a shell cannot.
pub fn has_python(test: &str) -> bool {
    let has = Path::new("/usr/bin/python3").exists();
    if !has {
        skip(test, "/usr/bin/python3 is missing");
    }
    has
}

/// A duration in seconds nobody else sleeps: it marks our processes.
pub fn mark(test: u32) -> String {
    format!("3{:07}.{test}", std::process::id())
}

fn is_gone(mark: &str) {
    eventually(&format!("the end of sleep {mark}"), PATIENCE, || {
        (!is_running(mark)).then_some(())
    });
}

#[test]
fn output_comes_in_the_order_it_was_printed_and_the_environment_is_as_given() {
    let runner = Runner::start("runner-order");
    let done = runner.run(shell("a", "echo 1; echo 2 >&2; echo 3; env; exit 3"));
    assert_eq!(done.code, Some(3));
    let text = done.text();
    assert!(text.starts_with("1\n2\n3\n"), "{text}");
    assert!(!text.contains("never-to-be-seen"), "{text}");
}

#[test]
fn a_program_that_is_not_there_fails_with_its_name() {
    let runner = Runner::start("runner-none");
    let mut run = shell("a", "");
    run.argv = vec!["/no/such/program".into()];
    let why = runner.run(run).failed.unwrap();
    assert!(why.contains("/no/such/program"), "{why}");
}

#[test]
fn a_chatty_command_waits_for_a_slow_core_instead_of_filling_memory() {
    let runner = Runner::start("runner-chatty");
    let stream =
        std::os::unix::net::UnixStream::connect(runner.folder().join("exec.sock")).unwrap();
    let run = openclaw::wire::exec::ToRunner::Run(Box::new(shell("a", "yes")));
    let mut line = serde_json::to_vec(&run).unwrap();
    line.push(b'\n');
    std::io::Write::write_all(&mut &stream, &line).unwrap();
    // Nobody reads the answer; the command would print gigabytes meanwhile.
    std::thread::sleep(Duration::from_millis(700));
    let status = std::fs::read_to_string(format!("/proc/{}/status", runner.pid())).unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 16 * 1024, "{peak}");
}

#[test]
fn killing_a_command_kills_all_it_started_also_what_ran_away() {
    let runner = Runner::start("runner-tree");
    let mark = mark(1);
    let events = runner.begin(shell(
        "a",
        &format!("sleep {mark} & (setsid sh -c 'sleep {mark} & sleep {mark}' >/dev/null 2>&1 &); echo up; sleep {mark}"),
    ));
    eventually("the command is up", PATIENCE, || {
        is_running(&mark).then_some(())
    });
    runner.client.kill("a", Duration::from_millis(200)).unwrap();
    let done = outcome(&events);
    assert!(done.signal.is_some(), "{done:?}");
    assert!(!is_running(&mark), "something outlived the run");
}

#[test]
fn a_command_that_ignores_term_is_killed_after_its_grace() {
    let runner = Runner::start("runner-term");
    let events = runner.begin(shell(
        "a",
        "trap '' TERM; echo up; while :; do sleep 0.05; done",
    ));
    assert!(matches!(
        events.recv_timeout(PATIENCE).unwrap(),
        Event::Started { .. }
    ));
    assert!(matches!(
        events.recv_timeout(PATIENCE).unwrap(),
        Event::Output(_)
    ));
    runner.client.kill("a", Duration::from_millis(100)).unwrap();
    assert_eq!(outcome(&events).signal, Some(9));
}

#[test]
fn a_command_is_ended_when_its_time_is_up() {
    let runner = Runner::start("runner-time");
    let mut run = shell("a", "echo begun; sleep 60");
    run.timeout_ms = 150;
    let started = Instant::now();
    let done = runner.run(run);
    assert!(done.timed_out && done.text() == "begun\n", "{done:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn input_reaches_the_command_and_can_be_closed() {
    let runner = Runner::start("runner-input");
    let events = runner.begin(shell("a", "cat; echo end"));
    runner.client.write("a", b"one\n", false).unwrap();
    runner.client.write("a", b"two\n", true).unwrap();
    assert_eq!(outcome(&events).text(), "one\ntwo\nend\n");
}

#[test]
fn a_terminal_is_one_and_has_the_size_asked_for() {
    let runner = Runner::start("runner-pty");
    let mut run = shell(
        "a",
        "test -t 0 && test -t 1 && stty size; read x; echo got $x",
    );
    run.pty = Some(PtySize {
        cols: 120,
        rows: 30,
    });
    let events = runner.begin(run);
    runner.client.write("a", b"yes\r", false).unwrap();
    let text = outcome(&events).text();
    assert!(
        text.contains("30 120\r\n") && text.ends_with("got yes\r\n"),
        "{text}"
    );
}

#[test]
fn commands_end_with_the_core_that_asked_for_them() {
    let runner = Runner::start("runner-core");
    let mark = mark(2);
    let socket = runner.folder().join("exec.sock");
    let core = Client::new(socket, Box::new(|| {}));
    core.run(shell("a", &format!("sleep {mark}")), |_| {})
        .unwrap();
    eventually("the command is up", PATIENCE, || {
        is_running(&mark).then_some(())
    });
    drop(core);
    is_gone(&mark);
}

#[test]
fn kill_9_of_the_runner_leaves_no_command_and_is_told() {
    let mut runner = Runner::start("runner-kill9");
    let mark = mark(3);
    let events = runner.begin(shell("a", &format!("setsid sleep {mark} & sleep {mark}")));
    eventually("the command is up", PATIENCE, || {
        is_running(&mark).then_some(())
    });
    runner.child.kill().unwrap();
    runner.child.wait().unwrap();
    assert!(outcome(&events).failed.is_some());
    is_gone(&mark);
    // The next command finds the next runner.
    let socket = runner.folder().join("exec.sock");
    std::fs::remove_file(&socket).unwrap();
    runner.child = start_runner(&socket);
    assert_eq!(runner.run(shell("b", "echo back")).text(), "back\n");
}

#[test]
fn a_command_cannot_connect_to_the_runner() {
    if !has_python("a_command_cannot_connect_to_the_runner") {
        return;
    }
    let runner = Runner::start("runner-self");
    let socket = runner.folder().join("exec.sock");
    let script = format!(
        "python3 -c \"import socket; s=socket.socket(socket.AF_UNIX); s.connect('{}'); print(len(s.recv(100)))\"",
        socket.display()
    );
    let done = runner.run(shell("a", &script));
    // The connection ends without a hello, and ours is still there.
    assert!(
        matches!(done.text().trim(), "0") || done.text().contains("reset"),
        "{done:?}"
    );
    assert_eq!(runner.run(shell("b", "echo fine")).text(), "fine\n");
}

#[test]
fn a_sandbox_without_a_kernel_that_has_one_is_an_error_not_a_wish() {
    let runner = Runner::start("runner-cage");
    let mut run = shell("a", "echo in");
    run.sandbox = Some(Sandbox {
        read: Vec::new(),
        write: vec![runner.folder().join("missing")],
        network: false,
    });
    // A path that cannot be fenced in is refused as well.
    assert!(runner.run(run).failed.is_some());
}
