//! The supervisor as a service manager sees it: start, readiness, refusal, order of stopping.

use crate::harness::{Gateway, Setup, eventually, free_port, gateway::BINARY, proc, skip};
use openclaw::base::sys::child::{self, Spawn};
use openclaw::base::sys::process;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// `GET /health` on a fresh connection.
fn health(port: u16) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let ask = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn it_starts_a_core_says_ready_and_stops_in_order() {
    let mut gateway = Gateway::start();
    let core = gateway.core_pid();
    assert_eq!(proc::command_line(core).trim(), "openclaw-gateway: core");
    assert_eq!(health(gateway.port()).unwrap()["ok"], true);
    for name in ["gateway.sock", "workers.sock", "exec.sock"] {
        let mode = gateway
            .run_dir()
            .join(name)
            .metadata()
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    assert!(gateway.stop().success());
    assert!(!proc::is_alive(core));
    assert!(!gateway.run_dir().join("gateway.sock").exists());
    gateway.start_again();
    assert_eq!(health(gateway.port()).unwrap()["ok"], true);
}

#[test]
fn a_client_is_told_before_the_gateway_goes() {
    let mut gateway = Gateway::start();
    let mut client = gateway.connect();
    gateway.signal("TERM");
    let shutdown = client.event("shutdown");
    assert_eq!(shutdown["payload"]["restartExpectedMs"], Value::Null);
    assert_eq!(client.closed().code, Some(1012));
    assert!(gateway.wait_exit().success());
}

#[test]
fn a_hangup_is_told_as_a_reload_and_a_broken_config_keeps_the_old() {
    let mut gateway = Gateway::start();
    gateway.signal("HUP");
    gateway.wait_for("RELOADING=1");
    gateway.wait_for("READY=1");
    std::fs::write(gateway.config_path(), "{gateway:").unwrap();
    gateway.signal("HUP");
    gateway.wait_for("RELOADING=1");
    gateway.wait_for("READY=1");
    assert!(
        gateway
            .log()
            .contains("config reload skipped (invalid config)")
    );
    assert_eq!(health(gateway.port()).unwrap()["ok"], true);
}

#[test]
fn the_watchdog_is_fed_only_while_the_core_answers() {
    let mut gateway = Setup::new().env("WATCHDOG_USEC", "200000").start();
    gateway.wait_for("WATCHDOG=1");
    let core = gateway.core_pid();
    proc::signal(core, "STOP");
    // One answer may have been under way.
    std::thread::sleep(Duration::from_millis(50));
    let fed = gateway.told_within(Duration::from_millis(600));
    proc::signal(core, "CONT");
    assert!(!fed.iter().any(|line| line == "WATCHDOG=1"), "{fed:?}");
    gateway.wait_for("WATCHDOG=1");
}

#[test]
fn a_second_gateway_on_the_same_state_is_refused() {
    let gateway = Gateway::start();
    let started = Instant::now();
    let out = gateway
        .command(BINARY)
        .args(["--port", "0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let pid = gateway.pid();
    assert!(
        said.contains(&format!(
            "Gateway failed to start: gateway already running (pid {pid}); lock timeout after \
             5000ms\nIf the gateway is supervised, stop it with: openclaw gateway stop"
        )),
        "{said}"
    );
    assert!(started.elapsed() >= Duration::from_secs(5));
    assert_eq!(out.status.code(), Some(75));
}

#[test]
fn the_original_with_its_lock_keeps_us_out() {
    let setup = Setup::new().arg("--port=0");
    let temp = setup.dir.path().join("tmp");
    let setup = setup.env("TMPDIR", temp.to_str().unwrap());
    // Where our own lock would be, we learn from a gateway that runs and is killed.
    let (mut gateway, _) = setup.launch();
    gateway.wait_for("READY=1");
    let dir = temp.join(format!("openclaw-{}", openclaw::base::sys::peer::own_uid()));
    let file = std::fs::read_dir(&dir)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let ours: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(ours["pid"], gateway.pid());
    assert_eq!(
        ours["startTime"],
        process::start_time(gateway.pid()).unwrap()
    );
    gateway.signal("KILL");
    gateway.wait_exit();

    let mut holder = ours.clone();
    holder["pid"] = json!(std::process::id());
    holder["startTime"] = json!(process::start_time(std::process::id()));
    std::fs::write(&file, holder.to_string()).unwrap();
    let out = gateway
        .command(BINARY)
        .env("TMPDIR", &temp)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let me = std::process::id();
    assert!(
        said.contains(&format!("gateway already running (pid {me})")),
        "{said}"
    );

    // The same pid with another start time is a dead owner's.
    holder["startTime"] = json!(1);
    std::fs::write(&file, holder.to_string()).unwrap();
    gateway.start_again();
}

#[test]
fn a_taken_port_is_named() {
    let mut setup = Setup::new();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    setup.config["gateway"]["port"] = json!(port);
    let (status, said) = setup.start_failing();
    assert!(
        said.contains(&format!(
            "Gateway failed to start: another gateway instance is already listening on \
             ws://127.0.0.1:{port}"
        )),
        "{said}"
    );
    assert_eq!(status.code(), Some(1));
}

#[test]
fn what_a_restart_would_not_mend_is_told_by_the_exit_status() {
    let refuse = |change: fn(&mut Value), args: &[&str]| {
        let mut setup = Setup::new();
        change(&mut setup.config);
        let setup = args.iter().fold(setup, |setup, arg| setup.arg(arg));
        let (status, said) = setup.start_failing();
        (status.code().unwrap(), said)
    };
    let (code, said) = refuse(|c| c["gateway"]["auth"] = json!({}), &[]);
    assert!(said.contains("Gateway auth is set to token, but no token is configured."));
    assert_eq!(code, 78);
    let (code, said) = refuse(
        |c| c["gateway"]["auth"] = json!({"allowTailscale": true}),
        &["--bind", "lan"],
    );
    assert!(said.contains("Refusing to bind gateway to lan without auth."));
    assert_eq!(code, 78);
    let (code, said) = refuse(|_| (), &["--bind", "wide"]);
    assert!(said.contains("Invalid --bind (use \"loopback\", \"lan\""));
    assert_eq!(code, 64);
    let (code, said) = refuse(|c| c["gateway"]["mode"] = json!("remote"), &[]);
    assert!(said.contains("Gateway start blocked: set gateway.mode=local"));
    assert_eq!(code, 78);
}

#[test]
fn a_listener_from_the_service_manager_is_used_and_a_newline_says_ready() {
    let setup = Setup::new();
    std::fs::write(
        setup.dir.path().join("state/openclaw.json"),
        setup.config.to_string(),
    )
    .unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut ready, theirs) = UnixStream::pair().unwrap();
    ready.set_read_timeout(Some(PATIENCE)).unwrap();
    let env: Vec<(String, String)> = [
        ("HOME", "home"),
        ("OPENCLAW_STATE_DIR", "state"),
        ("OPENCLAW_RUNTIME_DIR", "run"),
        ("TMPDIR", "run"),
    ]
    .map(|(name, dir)| {
        let dir = setup.dir.path().join(dir);
        (name.into(), dir.to_str().unwrap().into())
    })
    .into();
    let argv = [BINARY, "--notify-fd", "4"].map(String::from);
    // As systemd does it, but for the name, which here is a unit's default.
    let pid = child::spawn(&Spawn {
        program: Path::new(BINARY),
        argv: &argv,
        env: &env,
        listeners: &[("openclaw-gateway.socket", listener.as_fd())],
        extra: Some(("READY_FD", theirs.as_fd())),
        at_our_death: None,
        memory: None,
        files: None,
    })
    .unwrap();
    drop((listener, theirs));
    let mut said = Vec::new();
    ready.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"\n");
    assert_eq!(health(port).unwrap()["gateway"]["port"], port);
    assert!(TcpStream::connect(("127.0.0.1", setup.port)).is_err());
    proc::signal(pid, "TERM");
    eventually("the end", PATIENCE, || {
        // Our child, started without the standard library: it stays a zombie.
        proc::children(pid).is_empty().then_some(())
    });
    eventually("the port's end", PATIENCE, || {
        health(port).is_none().then_some(())
    });
}

#[test]
fn as_pid_1_it_reaps_what_others_leave() {
    const NAME: &str = "as_pid_1_it_reaps_what_others_leave";
    let setup = Setup::new();
    let dir = setup.dir.path().to_path_buf();
    std::fs::write(dir.join("state/openclaw.json"), setup.config.to_string()).unwrap();
    let port = setup.port;
    let spawned = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", BINARY])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.join("home"))
        .env("OPENCLAW_STATE_DIR", dir.join("state"))
        .env("OPENCLAW_RUNTIME_DIR", dir.join("run"))
        .env("TMPDIR", dir.join("run"))
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut unshare = match spawned {
        Ok(child) => child,
        Err(err) => return skip(NAME, &format!("unshare: {err}")),
    };
    let up = Instant::now();
    while health(port).is_none() {
        if let Some(status) = unshare.try_wait().unwrap() {
            return skip(NAME, &format!("no PID namespace here: unshare {status}"));
        }
        assert!(up.elapsed() < PATIENCE, "no gateway");
        std::thread::sleep(Duration::from_millis(10));
    }
    let init = proc::children(unshare.id())[0];
    // A grandchild whose parent ends: it becomes PID 1's, and must not stay a zombie.
    let in_space = std::process::Command::new("nsenter")
        .args(["--pid", "--mount", "--target", &init.to_string()])
        .args(["sh", "-c", "(sleep 0.05 &) ; exit 0"])
        .status();
    assert!(in_space.unwrap().success());
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(proc::children(init).len(), 1, "only the core is left");
    proc::signal(init, "TERM");
    assert!(unshare.wait().unwrap().success());
    assert!(health(port).is_none());
}

#[test]
fn when_the_supervisor_is_killed_the_core_goes_too() {
    let mut gateway = Gateway::start();
    let core = gateway.core_pid();
    gateway.signal("KILL");
    gateway.wait_exit();
    eventually("the core's end", PATIENCE, || {
        (!proc::is_alive(core)).then_some(())
    });
    gateway.start_again();
    assert_eq!(health(gateway.port()).unwrap()["ok"], true);
}

#[test]
fn the_core_is_told_secrets_by_its_socket_alone() {
    let token = "flag-token-4711";
    let setup = Setup::new().arg("--token").arg(token).arg("--port=0");
    let mut port_check = setup;
    port_check.config["gateway"]["port"] = json!(free_port());
    let gateway = port_check.start();
    let core = gateway.core_pid();
    let read = |what: &str| {
        let bytes = std::fs::read(format!("/proc/{core}/{what}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    assert!(!read("cmdline").contains(token));
    assert!(!read("environ").contains(token));
    assert!(!read("environ").contains("NOTIFY_SOCKET"));
}

#[test]
fn force_ends_whoever_has_the_port() {
    let first = Gateway::start();
    let port = first.port();
    let mut second = Setup::new().arg("--force");
    second.port = port;
    second.config["gateway"]["port"] = json!(port);
    let second = second.start();
    assert_eq!(health(port).unwrap()["ok"], true);
    assert!(!proc::is_alive(first.pid()));
    assert!(second.log().contains("force: killed pid"));
}
