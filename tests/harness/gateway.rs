//! Our gateway, started from the built binary with folders, port and environment of its own.

use super::{Dir, FakeModel, Ws, eventually, free_port, proc};
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub const BINARY: &str = env!("CARGO_BIN_EXE_openclaw-gateway");
const TOKEN: &str = "test-token-0123456789abcdef";
/// Longest a start or a stop may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a gateway starts with; change it, then `start`.
pub struct Setup {
    pub dir: Dir,
    pub port: u16,
    /// The whole configuration file.
    pub config: Value,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub model: Option<FakeModel>,
}

pub struct Gateway {
    dir: Dir,
    port: u16,
    child: Child,
    spawned: Instant,
    notify: UnixDatagram,
    model: Option<FakeModel>,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Setup {
    pub fn new() -> Setup {
        let dir = Dir::new("gateway");
        let port = free_port();
        for name in ["home", "state", "run", "logs", "workspace"] {
            openclaw::base::atomic::create_private_dir(&dir.path().join(name)).expect("a folder");
        }
        let config = json!({
            "gateway": {
                "mode": "local",
                "port": port,
                "auth": {"mode": "token", "token": TOKEN},
            },
            "agents": {"defaults": {"workspace": dir.path().join("workspace"), "skipBootstrap": true}},
            "logging": {"file": dir.path().join("logs/gateway.log"), "level": "debug"},
        });
        Setup {
            dir,
            port,
            config,
            args: Vec::new(),
            env: Vec::new(),
            model: None,
        }
    }

    /// With a scripted model as provider `fake`, model `fake-1`, the default.
    pub fn with_fake_model() -> Setup {
        let mut setup = Setup::new();
        let model = FakeModel::start();
        setup.config["models"] = json!({"providers": {"fake": {
            "baseUrl": model.base_url(),
            "apiKey": "sk-fake",
            "api": "openai-completions",
            "models": [{
                "id": "fake-1", "name": "Fake", "reasoning": false, "input": ["text"],
                "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                "contextWindow": 128000, "maxTokens": 8192,
            }],
        }}});
        setup.config["agents"]["defaults"]["model"] = json!({"primary": "fake/fake-1"});
        setup.model = Some(model);
        setup
    }

    pub fn arg(mut self, arg: &str) -> Setup {
        self.args.push(arg.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts and waits until the gateway says READY.
    pub fn start(self) -> Gateway {
        let (mut gateway, _) = self.launch();
        gateway.wait_for("READY=1");
        gateway
    }

    /// Runs a gateway that is expected to end by itself; its exit status and stderr.
    pub fn start_failing(self) -> (ExitStatus, String) {
        let (mut gateway, _) = self.launch();
        let status = gateway.wait_exit();
        (status, gateway.stderr())
    }

    /// Starts without waiting.
    pub fn launch(self) -> (Gateway, u32) {
        let path = self.dir.path();
        write_config(path, &self.config);
        let notify = UnixDatagram::bind(path.join("notify")).expect("a socket");
        let spawned = Instant::now();
        let child = spawn(path, &self.args, &self.env);
        let pid = child.id();
        let gateway = Gateway {
            dir: self.dir,
            port: self.port,
            child,
            spawned,
            notify,
            model: self.model,
            args: self.args,
            env: self.env,
        };
        (gateway, pid)
    }
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::new()
    }
}

fn write_config(dir: &Path, config: &Value) {
    let text = serde_json::to_vec_pretty(config).expect("JSON");
    openclaw::base::atomic::write(&dir.join("state/openclaw.json"), &text).expect("written");
}

fn spawn(dir: &Path, args: &[String], env: &[(String, String)]) -> Child {
    let errors = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("stderr"))
        .expect("a file");
    let mut command = Command::new(BINARY);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("NOTIFY_SOCKET", dir.join("notify"))
        .envs(environment(dir))
        .envs(env.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors);
    command.spawn().expect("openclaw-gateway starts")
}

/// What every program of the test needs to find this gateway and nothing else.
fn environment(dir: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("HOME", dir.join("home")),
        ("OPENCLAW_STATE_DIR", dir.join("state")),
        ("OPENCLAW_CONFIG_PATH", dir.join("state/openclaw.json")),
        ("OPENCLAW_RUNTIME_DIR", dir.join("run")),
    ]
}

impl Gateway {
    pub fn start() -> Gateway {
        Setup::new().start()
    }

    pub fn with_fake_model() -> Gateway {
        Setup::with_fake_model().start()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn home(&self) -> PathBuf {
        self.dir().join("home")
    }

    pub fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir().join("run")
    }

    pub fn workspace(&self) -> PathBuf {
        self.dir().join("workspace")
    }

    pub fn config_path(&self) -> PathBuf {
        self.state().join("openclaw.json")
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir().join("logs/gateway.log")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn token(&self) -> &'static str {
        TOKEN
    }

    pub fn model(&self) -> &FakeModel {
        self.model.as_ref().expect("started with a fake model")
    }

    /// Just before the program was started.
    pub fn spawned(&self) -> Instant {
        self.spawned
    }

    /// The supervisor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The core, once there is one.
    pub fn core_pid(&self) -> u32 {
        eventually("a core", PATIENCE, || proc::core_of(self.pid()))
    }

    /// A connected operator with the shared token.
    pub fn connect(&self) -> Ws {
        Ws::operator(self.port, TOKEN)
    }

    /// A command of ours set up to find this gateway.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env(super::NO_SERVICE.0, super::NO_SERVICE.1)
            .envs(environment(self.dir()))
            .stdin(Stdio::null());
        command
    }

    /// `openclaw ARGS`: exit status, stdout, stderr.
    pub fn openclaw(&self, args: &[&str]) -> (ExitStatus, String, String) {
        output(self.command(env!("CARGO_BIN_EXE_openclaw")).args(args))
    }

    /// `openclawctl ARGS`: exit status, stdout, stderr.
    pub fn openclawctl(&self, args: &[&str]) -> (ExitStatus, String, String) {
        output(self.command(env!("CARGO_BIN_EXE_openclawctl")).args(args))
    }

    /// Replaces the configuration file, as an editor would.
    pub fn edit_config(&self, change: impl FnOnce(&mut Value)) {
        let text = fs::read(self.config_path()).expect("a config");
        let mut config = serde_json::from_slice(&text).expect("JSON");
        change(&mut config);
        write_config(self.dir(), &config);
    }

    /// Waits for a line told to the service manager.
    pub fn wait_for(&mut self, line: &str) {
        let started = Instant::now();
        let mut buffer = [0; 4096];
        self.notify
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a timeout");
        loop {
            if let Ok(n) = self.notify.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                if text.lines().any(|l| l.starts_with(line)) {
                    return;
                }
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the gateway ended with {status}:\n{}", self.stderr());
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {line} within {PATIENCE:?}:\n{}",
                self.stderr()
            );
        }
    }

    /// Writes fields into a session's entry as another program would, making it when missing.
    pub fn set_session(&self, key: &str, fields: Value) {
        let path = self.state().join("agents/main/sessions/sessions.json");
        let text = fs::read(&path).unwrap_or_else(|_| b"{}".to_vec());
        let mut store: Value = serde_json::from_slice(&text).expect("JSON");
        if store[key].is_null() {
            let now = openclaw::base::time::now_ms();
            store[key] = json!({"sessionId": openclaw::base::id::uuid(), "updatedAt": now});
        }
        for (name, value) in fields.as_object().expect("an object") {
            store[key][name] = value.clone();
        }
        let text = serde_json::to_vec_pretty(&store).expect("JSON");
        openclaw::base::atomic::write(&path, &text).expect("written");
    }

    /// The lines told to the service manager within `wait`.
    pub fn told_within(&mut self, wait: Duration) -> Vec<String> {
        let (started, mut lines) = (Instant::now(), Vec::new());
        let mut buffer = [0; 4096];
        self.notify
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a timeout");
        while started.elapsed() < wait {
            if let Ok(n) = self.notify.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                lines.extend(text.lines().map(str::to_string));
            }
        }
        lines
    }

    pub fn signal(&self, signal: &str) {
        proc::signal(self.pid(), signal);
    }

    /// SIGUSR1, and waits for a new core that answers.
    pub fn restart_core(&self) {
        let old = self.core_pid();
        self.signal("USR1");
        eventually("a new core", PATIENCE, || {
            (self.core_pid() != old && !proc::is_alive(old)).then_some(())
        });
        self.connect();
    }

    /// SIGKILL to the core; the supervisor starts another.
    pub fn kill_core(&self) {
        let old = self.core_pid();
        proc::signal(old, "KILL");
        eventually("the core's end", PATIENCE, || {
            (!proc::is_alive(old)).then_some(())
        });
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_exit()
    }

    /// Starts again on the same folders after `stop` or a kill.
    pub fn start_again(&mut self) {
        self.child = spawn(self.dir.path(), &self.args, &self.env);
        self.wait_for("READY=1");
    }

    pub fn wait_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the gateway's end", PATIENCE, || {
            child.try_wait().expect("our child")
        })
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir().join("stderr")).unwrap_or_default()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

fn output(command: &mut Command) -> (ExitStatus, String, String) {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut err = child.stderr.take().expect("piped");
    let errors = std::thread::spawn(move || {
        let mut text = String::new();
        err.read_to_string(&mut text).map(|_| text)
    });
    let mut out = String::new();
    let mut pipe = child.stdout.take().expect("piped");
    pipe.read_to_string(&mut out).expect("UTF-8");
    let errors = errors.join().expect("no panic").expect("UTF-8");
    (child.wait().expect("our child"), out, errors)
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let pids = proc::tree(self.child.id());
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
            let started = Instant::now();
            while matches!(self.child.try_wait(), Ok(None)) && started.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let left: Vec<u32> = pids
            .into_iter()
            .filter(|pid| proc::is_alive(*pid))
            .collect();
        for pid in &left {
            eprintln!("left behind: {pid} {}", proc::command_line(*pid));
            proc::signal(*pid, "KILL");
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- stderr of the gateway ---\n{}", self.stderr());
        } else {
            assert!(left.is_empty(), "the gateway left processes behind");
        }
    }
}
