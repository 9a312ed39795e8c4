use super::*;
use serde_json::json;
use std::cell::RefCell;

fn settings(sandbox: Value) -> Settings {
    let value = json!({"agents": {"defaults": {"sandbox": sandbox}}});
    let config = serde_json::from_value(value).unwrap();
    Settings::of(&config, &Paths::default(), "main")
}

fn wanted(settings: &Settings) -> Wanted<'_> {
    Wanted {
        settings,
        scope: settings.scope_key("main", "agent:main:x"),
        folder: Path::new("/h/.openclaw/sandboxes/agent-main-0d71ad7a"),
        workspace: Path::new("/h/.openclaw/workspace"),
    }
}

/// Answers as a Docker with these containers would.
#[derive(Default)]
struct Fake {
    asked: RefCell<Vec<String>>,
    running: RefCell<Option<bool>>,
    hash: RefCell<String>,
}

impl Docker for Fake {
    fn run(&self, words: &[&str], _: Duration) -> Result<Done, String> {
        self.asked.borrow_mut().push(words.join(" "));
        let done = |ok, output: &str| {
            let output = output.to_string();
            Ok(Done { ok, output })
        };
        match words {
            ["inspect", _, format, _] if format.contains("Running") => {
                match *self.running.borrow() {
                    None => done(false, "Error: No such object"),
                    Some(running) => done(true, &format!("WARNING: slow\n{running}\n")),
                }
            }
            ["inspect", ..] => done(true, &self.hash.borrow()),
            ["image", "inspect", ..] => done(false, "Error: No such image: x"),
            ["create", ..] | ["start", ..] => {
                *self.running.borrow_mut() = Some(true);
                done(true, "id")
            }
            _ => done(true, ""),
        }
    }
}

#[test]
fn only_what_a_container_alone_can_give_asks_for_one() {
    let needs = |docker: Value| {
        let settings = settings(json!({ "docker": docker }));
        settings.needs_container().map(str::to_string)
    };
    assert_eq!(needs(json!({})), None);
    assert_eq!(
        needs(json!({"network": "bridge", "memory": "1g", "env": {}})),
        None
    );
    assert_eq!(needs(json!({"image": "a:b"})), Some("image".into()));
    assert_eq!(
        needs(json!({"setupCommand": "true"})),
        Some("setupCommand".into())
    );
}

#[test]
fn a_container_is_made_as_the_original_makes_it() {
    let all = settings(json!({"workspaceAccess": "ro", "docker": {
        "image": "own:1", "pidsLimit": 100, "memory": "512m", "memorySwap": 0, "cpus": 1.5,
        "user": "1000:1000", "ulimits": {"nofile": {"soft": 1024, "hard": 2048}, "nproc": 64},
        "seccompProfile": "/p.json", "dns": ["1.1.1.1", " "], "extraHosts": ["a:1.2.3.4"],
        "binds": ["/data:/data:ro"]}}));
    let words = spec::create(&wanted(&all), "openclaw-sbx-a", "hash", 7).join(" ");
    assert_eq!(
        words,
        "create --name openclaw-sbx-a --label openclaw.sandbox=1 --label \
         openclaw.sessionKey=agent:main --label openclaw.createdAtMs=7 --label \
         openclaw.configHash=hash --read-only --tmpfs /tmp --tmpfs /var/tmp --tmpfs /run \
         --network none --user 1000:1000 --cap-drop ALL --security-opt no-new-privileges \
         --security-opt seccomp=/p.json --dns 1.1.1.1 --add-host a:1.2.3.4 --pids-limit 100 \
         --memory 512m --cpus 1.5 --ulimit nofile=1024:2048 --ulimit nproc=64 \
         -v /data:/data:ro --workdir /workspace \
         -v /h/.openclaw/sandboxes/agent-main-0d71ad7a:/workspace \
         -v /h/.openclaw/workspace:/agent:ro own:1 sleep infinity"
    );
    let name = |sandbox: Value| spec::name(&wanted(&settings(sandbox)));
    assert_eq!(name(json!({})), "openclaw-sbx-agent-main-0d71ad7a");
    assert_eq!(name(json!({"scope": "shared"})), "openclaw-sbx-shared");
}

#[test]
fn a_command_is_run_as_the_original_runs_it() {
    let env = BTreeMap::from([
        ("PATH".into(), "/b".into()),
        ("X".to_string(), "1".to_string()),
    ]);
    let words = words("box", "/workspace/a", &env, "make", false);
    assert_eq!(
        words,
        [
            "exec",
            "-i",
            "-w",
            "/workspace/a",
            "-e",
            "PATH=/b",
            "-e",
            "X=1",
            "-e",
            "OPENCLAW_PREPEND_PATH=/b",
            "box",
            "sh",
            "-lc",
            "export PATH=\"${OPENCLAW_PREPEND_PATH}:$PATH\"; unset OPENCLAW_PREPEND_PATH; make",
        ]
    );
}

#[test]
fn a_container_is_made_once_started_when_it_stands_and_made_anew_when_settings_change() {
    let dir = crate::base::id::temp_dir("container");
    let paths = Paths {
        state: dir.clone(),
        ..Paths::default()
    };
    let docker = Fake::default();
    let settings = settings(json!({"docker": {"setupCommand": "apt-get install x"}}));
    let wanted = wanted(&settings);
    let asked = || {
        let words = docker.asked.take().into_iter();
        let words = words.filter(|words| !words.starts_with("inspect"));
        let first = |words: String| words.split(' ').take(2).collect::<Vec<_>>().join(" ");
        words.map(first).collect::<Vec<_>>()
    };
    let name = ensure(&docker, &paths, &wanted).unwrap();
    assert_eq!(
        asked(),
        [
            "image inspect",
            "pull debian:bookworm-slim",
            "tag debian:bookworm-slim",
            "create --name",
            "start openclaw-sbx-agent-main-0d71ad7a",
            "exec -i"
        ]
    );
    let entry = registry(&paths).find(&name).unwrap();
    assert_eq!(entry.config_hash, Some(spec::hash(&wanted)));
    assert_eq!(
        (entry.session_key.as_str(), entry.image.as_str()),
        ("agent:main", spec::IMAGE)
    );

    *docker.hash.borrow_mut() = spec::hash(&wanted);
    *docker.running.borrow_mut() = Some(false);
    ensure(&docker, &paths, &wanted).unwrap();
    assert_eq!(asked(), [format!("start {name}")]);

    // Other settings now, but it was used a moment ago: it stays, with what it was made from.
    *docker.hash.borrow_mut() = "another".into();
    ensure(&docker, &paths, &wanted).unwrap();
    assert_eq!(asked(), Vec::<String>::new());
    let entry = registry(&paths).find(&name).unwrap();
    assert_eq!(entry.config_hash.as_deref(), Some("another"));

    *docker.running.borrow_mut() = Some(false);
    ensure(&docker, &paths, &wanted).unwrap();
    assert_eq!(asked()[0], "rm -f");

    let mut old = registry(&paths).find(&name).unwrap();
    old.last_used_at_ms = 0;
    registry(&paths).put(old).unwrap();
    prune(&docker, &registry(&paths), &settings, now_ms());
    assert_eq!(asked(), ["rm -f"]);
    assert_eq!(registry(&paths).read(), []);
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_hash_is_the_originals() {
    // From the original's own code, for these settings.
    let plain = settings(json!({}));
    assert_eq!(
        spec::hash(&wanted(&plain)),
        "b4e40df1f2e69a23205e5ba6237f4d790b781051"
    );
    let rich = settings(
        json!({"scope": "session", "workspaceAccess": "ro", "docker": {
        "image": "own:1", "cpus": 2.0, "env": {"b_c": "1", "LANG": "C", "b1": "2", "Ab": "3"},
        "tmpfs": ["/run", "/tmp"], "dns": ["9.9.9.9", "1.1.1.1"],
        "ulimits": {"nofile": {"soft": 1, "hard": 2}}, "binds": ["/z:/z", "/a:/a"]}}),
    );
    assert_eq!(
        spec::hash(&wanted(&rich)),
        "e9ee9c9928f9934043fedfb125c29d46d95582a5"
    );
}

#[test]
fn paths_are_known_by_both_their_names() {
    let all = settings(json!({"workspaceAccess": "ro"}));
    let (room, workspace) = (Path::new("/r"), Path::new("/w"));
    let out = |path: &str| outside(&all, room, workspace, Path::new(path));
    assert_eq!(out("/workspace/a/b"), Some("/r/a/b".into()));
    assert_eq!(out("/agent/x"), Some("/w/x".into()));
    assert_eq!(out("/etc/passwd"), None);
    assert_eq!(inside(&all, room, Path::new("/r/a")), "/workspace/a");
    assert_eq!(inside(&all, room, room), "/workspace");
}
