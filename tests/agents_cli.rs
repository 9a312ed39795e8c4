//! `openclaw agents`: the words and forms of the original, without a gateway.

use crate::harness::Dir;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

struct Home(Dir);

impl Home {
    fn new() -> Home {
        let home = Home(Dir::new("agents-cli"));
        fs::create_dir_all(home.state()).unwrap();
        let config = json!({"agents": {"defaults": {"workspace": home.0.path().join("ws3")}}});
        fs::write(home.config(), config.to_string()).unwrap();
        home
    }

    fn state(&self) -> PathBuf {
        self.0.path().join(".openclaw")
    }

    fn config(&self) -> PathBuf {
        self.state().join("openclaw.json")
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_openclaw"))
            .arg("agents")
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.0.path())
            .stdin(Stdio::null())
            .output()
            .expect("openclaw starts")
    }

    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {err}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn add_ops(&self) -> Value {
        let args = [
            "add",
            "ops",
            "--non-interactive",
            "--workspace",
            "~/ws-ops",
            "--json",
        ];
        serde_json::from_str(&self.says(&args)).unwrap()
    }
}

#[test]
fn the_agents_are_listed_as_by_the_original() {
    let home = Home::new();
    let listed = "Agents:\n- main (default)\n  Workspace: ~/ws3\n  \
        Agent dir: ~/.openclaw/agents/main/agent\n  Routing rules: 0\n  \
        Routing: default (no explicit rules)\n\
        Routing rules map channel/account/peer to an agent. Use --bindings for full rules.\n\
        Channel status reflects local config/creds. For live health: openclaw channels status --probe.\n";
    assert_eq!(home.says(&["list"]), listed);
    assert_eq!(home.says(&[]), listed);
    home.add_ops();
    let rows: Value = serde_json::from_str(&home.says(&["list", "--json"])).unwrap();
    assert_eq!(rows[0]["isDefault"], true);
    let keys: Vec<&String> = rows[1].as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "name",
            "workspace",
            "agentDir",
            "bindings",
            "isDefault"
        ]
    );
}

#[test]
fn an_agent_is_added_named_and_deleted() {
    let home = Home::new();
    let path = |name: &str| home.0.path().join(name).display().to_string();
    let own = path(".openclaw/agents/ops/agent");
    assert_eq!(
        home.add_ops(),
        json!({"agentId": "ops", "name": "ops", "workspace": path("ws-ops"), "agentDir": own,
            "bindings": {"added": [], "skipped": [], "conflicts": []}})
    );
    let config: Value = serde_json::from_slice(&fs::read(home.config()).unwrap()).unwrap();
    assert_eq!(
        config["agents"]["list"],
        json!([{"id": "main"}, {"id": "ops", "name": "ops", "workspace": path("ws-ops"),
            "agentDir": own}])
    );
    assert_eq!(
        home.says(&[
            "set-identity",
            "--agent",
            "ops",
            "--name",
            "Ops",
            "--emoji",
            "🛠"
        ]),
        "Updated ~/.openclaw/openclaw.json\nAgent: ops\nName: Ops\nEmoji: 🛠\n"
    );
    fs::write(path("ws-ops/IDENTITY.md"), "- Theme: calm\n- Name: Opal\n").unwrap();
    let said = home.says(&["set-identity", "--workspace", "~/ws-ops", "--from-identity"]);
    assert!(
        said.ends_with("Agent: ops\nName: Opal\nTheme: calm\nEmoji: 🛠\n"),
        "{said}"
    );
    assert!(
        home.says(&["list"])
            .contains("- ops\n  Identity: 🛠 Opal (config)\n")
    );
    let gone: Value =
        serde_json::from_str(&home.says(&["delete", "ops", "--force", "--json"])).unwrap();
    assert_eq!(
        gone,
        json!({"agentId": "ops", "workspace": path("ws-ops"), "agentDir": own,
            "sessionsDir": path(".openclaw/agents/ops/sessions"), "removedBindings": 0,
            "removedAllow": 0})
    );
    assert!(!PathBuf::from(path("ws-ops")).exists());
    assert_eq!(fs::read_dir(path(".Trash")).unwrap().count(), 3);
}

#[test]
fn what_cannot_be_done_is_said_in_the_originals_words() {
    let home = Home::new();
    home.add_ops();
    for (args, words) in [
        (
            &["add", "ops2", "--non-interactive"][..],
            "Non-interactive mode requires --workspace. Re-run without flags to use the wizard.",
        ),
        (
            &["add", "ops", "--workspace", "~/x"],
            "Agent \"ops\" already exists.",
        ),
        (
            &["add", "Main", "--workspace", "~/x"],
            "\"main\" is reserved. Choose another name.",
        ),
        (
            &["delete", "main", "--force"],
            "\"main\" cannot be deleted.",
        ),
        (
            &["delete", "ghost", "--force"],
            "Agent \"ghost\" not found.",
        ),
        (
            &["delete", "ops"],
            "Non-interactive session. Re-run with --force.",
        ),
        (
            &["set-identity", "--workspace", "~", "--name", "x"],
            "No agent workspace matches ~. Pass --agent to target a specific agent.",
        ),
    ] {
        assert_eq!(home.refuses(args), format!("{words}\n"));
    }
    assert!(home.0.path().join("ws-ops").exists());
}
