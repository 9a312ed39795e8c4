//! The gateway under test: ours, or with `OPENCLAW_PARITY=original` the original's, on the same
//! configuration. A case that passes against both says the same of both. `OPENCLAW_PARITY=record`
//! is the original, and the cases that compare with a fixture write it.

use super::official;
use crate::harness::ws::Device;
use crate::harness::{FakeModel, Gateway, Setup, Ws, eventually, proc};
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The original needs seconds for what ours does in milliseconds.
const PATIENCE: Duration = Duration::from_secs(180);

pub enum Server {
    Ours(Gateway),
    Original(Original),
}

/// The original's gateway in private folders.
pub struct Original {
    setup: Setup,
    child: Child,
}

/// Whether the original was asked for.
pub fn is_original() -> bool {
    match std::env::var("OPENCLAW_PARITY").as_deref() {
        Ok("original" | "record") => true,
        Ok("ours") | Err(_) => false,
        Ok(other) => panic!("OPENCLAW_PARITY is ours, original or record, not {other:?}"),
    }
}

/// Whether what the original does now is to become what is expected.
pub fn is_recording() -> bool {
    std::env::var("OPENCLAW_PARITY").as_deref() == Ok("record")
}

impl Server {
    /// With the scripted model as default.
    pub fn start() -> Server {
        Server::of(Setup::with_fake_model())
    }

    pub fn of(setup: Setup) -> Server {
        match is_original() {
            false => Server::Ours(setup.start()),
            true => Server::Original(Original::start(setup)),
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Server::Ours(gateway) => gateway.port(),
            Server::Original(original) => original.setup.port,
        }
    }

    pub fn token(&self) -> String {
        token(self.dir())
    }

    pub fn model(&self) -> &FakeModel {
        match self {
            Server::Ours(gateway) => gateway.model(),
            Server::Original(original) => original.setup.model.as_ref().expect("a fake model"),
        }
    }

    pub fn dir(&self) -> &Path {
        match self {
            Server::Ours(gateway) => gateway.dir(),
            Server::Original(original) => original.setup.dir.path(),
        }
    }

    /// What a client program needs to find this gateway and nothing else.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.dir(), self.port())
    }

    /// A connected operator with the shared token.
    pub fn connect(&self) -> Ws {
        Ws::operator(self.port(), &self.token())
    }

    /// A connected operator that proves a key of its own.
    pub fn connect_device(&self, device: &Device) -> Ws {
        self.connect_with(device, |_| {})
    }

    /// A connected client of role `node`.
    pub fn connect_node(&self) -> Ws {
        self.connect_with(&Device::new(), |params| {
            params["client"]["id"] = json!("node-host");
            params["client"]["mode"] = json!("node");
            params["role"] = json!("node");
            params["scopes"] = json!([]);
        })
    }

    fn connect_with(&self, device: &Device, change: impl FnOnce(&mut Value)) -> Ws {
        let mut ws = Ws::open(self.port());
        let mut params = ws.params(&self.token());
        change(&mut params);
        let params = ws.signed(params, device);
        ws.hello(&params).expect("the gateway accepts");
        ws
    }
}

fn token(dir: &Path) -> String {
    let text = std::fs::read(dir.join("state/openclaw.json")).expect("a configuration");
    let config: Value = serde_json::from_slice(&text).expect("JSON");
    let token = config["gateway"]["auth"]["token"].as_str();
    token.expect("token authentication").into()
}

fn environment(dir: &Path, port: u16) -> Vec<(&'static str, String)> {
    let path = |name: &str| dir.join(name).to_str().expect("UTF-8").to_string();
    vec![
        ("HOME", path("home")),
        ("OPENCLAW_STATE_DIR", path("state")),
        ("OPENCLAW_CONFIG_PATH", path("state/openclaw.json")),
        ("OPENCLAW_GATEWAY_PORT", port.to_string()),
        ("OPENCLAW_GATEWAY_TOKEN", token(dir)),
    ]
}

impl Original {
    pub fn start(setup: Setup) -> Original {
        let dir = setup.dir.path();
        let text = serde_json::to_vec_pretty(&setup.config).expect("JSON");
        openclaw::base::atomic::write(&dir.join("state/openclaw.json"), &text).expect("written");
        let program = official::program().unwrap_or_else(|why| panic!("{why}"));
        let child = Command::new(program)
            .args(["gateway", "--port", &setup.port.to_string()])
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(environment(dir, setup.port))
            .env("OPENCLAW_SKIP_CHANNELS", "1")
            .env("OPENCLAW_DISABLE_BONJOUR", "1")
            .env("TZ", "UTC")
            .env(official::READY.0, official::READY.1)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the original starts");
        let original = Original { setup, child };
        let port = original.setup.port;
        eventually("the original's gateway listening", PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        original
    }

    /// What a client program needs to find this gateway and nothing else.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.setup.dir.path(), self.setup.port)
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // It may start itself again as a child, which outlives a parent that is killed alone.
        for pid in proc::tree(self.child.id()) {
            proc::signal(pid, "KILL");
        }
        let _ = self.child.wait();
    }
}
