//! The first command a newcomer types, in a home of its own.

use crate::harness::{self, Dir, eventually, free_port, proc};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const OPENCLAW: &str = env!("CARGO_BIN_EXE_openclaw");

/// A home whose gateway is stopped at the end.
struct Newcomer {
    dir: Dir,
    path: PathBuf,
    env: Vec<(&'static str, &'static str)>,
}

impl Newcomer {
    /// `path` is where programs are looked for. The port is settled beforehand, so that tests side
    /// by side do not race for the usual one.
    fn new(path: &Path) -> Newcomer {
        let dir = Dir::new("newcomer");
        let config = format!(r#"{{"gateway": {{"port": {}}}}}"#, free_port());
        let state = dir.path().join(".openclaw-quickstart");
        openclaw::base::atomic::write(&state.join("openclaw.json"), config.as_bytes()).unwrap();
        Newcomer {
            dir,
            path: path.to_path_buf(),
            env: Vec::new(),
        }
    }

    fn without_programs() -> Newcomer {
        Newcomer::new(Path::new("/nonexistent"))
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join(".openclaw-quickstart")
    }

    fn config(&self) -> Value {
        let text = std::fs::read(self.state().join("openclaw.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// `openclaw quickstart ARGS`: what it printed.
    fn quickstart(&self, args: &[&str]) -> String {
        let output = Command::new(OPENCLAW)
            .arg("quickstart")
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", &self.path)
            .envs(self.env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts");
        assert!(
            output.status.success(),
            "quickstart {args:?}: {}\n{}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn gateway(&self) -> Option<u32> {
        openclaw::base::lock::holder(&self.state().join("rs/gateway.lock")).map(|h| h.pid)
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let Some(pid) = self.gateway() else { return };
        let tree = proc::tree(pid);
        proc::signal(pid, "TERM");
        eventually("the gateway's end", Duration::from_secs(20), || {
            tree.iter().all(|pid| !proc::is_alive(*pid)).then_some(())
        });
    }
}

#[test]
fn without_key_server_and_python_the_echo_answers_and_says_how_to_get_a_model() {
    let newcomer = Newcomer::without_programs();
    let shown = newcomer.quickstart(&[]);
    assert!(shown.contains("Model      builtin/echo"), "{shown}");
    assert!(shown.contains("No model answers"), "{shown}");
    assert!(shown.contains("python3"), "{shown}");
    let reply = newcomer.quickstart(&["--message", "is there anybody?"]);
    assert!(reply.contains("is there anybody?"), "{reply}");
}

#[test]
fn a_key_in_the_environment_is_found_named_and_not_written_down() {
    let mut newcomer = Newcomer::without_programs();
    newcomer.env.push(("GROQ_API_KEY", "gsk-never-written"));
    let shown = newcomer.quickstart(&[]);
    assert!(
        shown.contains("Model      groq/llama-3.3-70b-versatile: GROQ_API_KEY is set"),
        "{shown}"
    );
    let token = newcomer.config()["gateway"]["auth"]["token"].clone();
    let token = token.as_str().expect("a generated token");
    assert!(shown.contains(&format!("/?token={token}")), "{shown}");
    for file in ["openclaw.json", "logs/gateway.err.log"] {
        let text = std::fs::read_to_string(newcomer.state().join(file)).unwrap();
        assert!(!text.contains("gsk-never-written"), "{file} holds the key");
    }
}

/// A clone where cargo has made one program only, and a cargo that makes the daemon of a script.
#[test]
fn what_cargo_runs_has_the_rest_of_the_programs_made() {
    use std::os::unix::fs::PermissionsExt;
    let clone = Dir::new("clone");
    let made = clone.path().join("target/release");
    std::fs::create_dir_all(&made).unwrap();
    std::fs::copy(OPENCLAW, made.join("openclaw")).unwrap();
    let cargo = clone.path().join("cargo");
    let script = "#!/bin/sh\necho \"$@\" >\"$0.asked\"\n\
                  printf '#!/bin/sh\\necho the daemon\\n' >\"${0%/*}/target/release/openclaw-gateway\"\n\
                  chmod +x \"${0%/*}/target/release/openclaw-gateway\"\n";
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run = |package: &str| {
        let output = Command::new(made.join("openclaw"))
            .args(["gateway", "run"])
            .env_clear()
            .env("HOME", clone.path())
            .env("PATH", "/usr/bin:/bin")
            .env("CARGO", &cargo)
            .env("CARGO_MANIFEST_DIR", clone.path())
            .env("CARGO_PKG_NAME", package)
            .output()
            .expect("openclaw starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(run("another"), "", "another package's cargo builds nothing");
    assert_eq!(run("openclaw"), "the daemon\n");
    let asked = std::fs::read_to_string(clone.path().join("cargo.asked")).unwrap();
    assert!(
        asked.starts_with("build --bins --profile release --target-dir"),
        "{asked}"
    );
}

#[test]
fn a_second_run_finds_the_gateway_and_its_settings_and_stop_ends_it() {
    let newcomer = Newcomer::without_programs();
    newcomer.quickstart(&["--message", "one"]);
    let (pid, config) = (newcomer.gateway().expect("it runs"), newcomer.config());
    let shown = newcomer.quickstart(&[]);
    assert!(
        shown.contains(&format!("running already, pid {pid}")),
        "{shown}"
    );
    assert_eq!(newcomer.config()["gateway"], config["gateway"]);
    newcomer.quickstart(&["--stop"]);
    eventually("the gateway's end", Duration::from_secs(20), || {
        (!proc::is_alive(pid) && newcomer.gateway().is_none()).then_some(())
    });
    assert!(newcomer.quickstart(&["--stop"]).contains("No gateway"));
}

#[test]
fn with_python_a_real_model_is_installed_and_answers() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newcomer = Newcomer::new(Path::new(&path));
    // The installation of the other tests, where there is one: pip's work is theirs to test.
    let (installed, settings) = match harness::local_model::installed() {
        Ok(installed) => installed,
        Err(why) => {
            let test = "with_python_a_real_model_is_installed_and_answers";
            return harness::skip(test, &why);
        }
    };
    let own = newcomer.state().join("rs/local-model");
    openclaw::base::atomic::create_private_dir(&own).unwrap();
    std::os::unix::fs::symlink(installed.venv(), own.join("venv")).unwrap();
    let settings = serde_json::to_vec(&settings).unwrap();
    std::fs::write(own.join("settings.json"), settings).unwrap();

    let reply = newcomer.quickstart(&["--message", "Say hello in one short sentence."]);
    assert!(!reply.trim().is_empty());
    assert_eq!(
        newcomer.config()["agents"]["defaults"]["model"]["primary"],
        "local/smollm2-135m"
    );
    let shown = newcomer.quickstart(&[]);
    assert!(shown.contains("Model      local/smollm2-135m"), "{shown}");
}
