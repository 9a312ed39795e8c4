//! The tools as an agent's turn calls them, with the real runner: texts and details are those of
//! the original.

use crate::harness::{Dir, eventually, skip};
use crate::runner::{is_running, mark, start_runner};
use openclaw::base::cancel::Cancel;
use openclaw::config::{Env, Paths, Snapshot};
use openclaw::tool::approve::{self, After, Decision, Question, Sender, Stand, Then};
use openclaw::tool::process::Processes;
use openclaw::tool::{self, Call, Context, Finished, Output, policy};
use openclaw::wire::message::{Block, text_of};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KEY: &str = "agent:main:main";
const PATIENCE: Duration = Duration::from_secs(20);

pub struct House {
    pub dir: Dir,
    runner: Child,
    processes: Processes,
    notices: Arc<Mutex<Vec<String>>>,
    updates: Mutex<Vec<Output>>,
    pub config: Value,
    key: String,
    desk: Desk,
    sender: Option<Sender>,
    /// Of the model that calls, when a rule asks.
    pub provider: &'static str,
}

/// Keeps the questions for the test to answer.
#[derive(Default)]
struct Desk(Mutex<Vec<(Question, Then)>>);

impl approve::Desk for Desk {
    fn ask(&self, question: Question, _: &Cancel, then: Then) -> Result<(), String> {
        self.0.lock().unwrap().push((question, then));
        Ok(())
    }

    fn skill_bins(&self) -> Vec<String> {
        vec!["sh".into()]
    }
}

/// These tools work without one.
struct NoGateway;

impl tool::Gateway for NoGateway {
    fn call(&self, method: &str, _: Value, _: Duration, _: &Cancel) -> Result<Value, tool::Error> {
        Err(format!("{method}: no gateway here").into())
    }
}

impl House {
    pub fn new(name: &str, config: Value) -> House {
        let dir = Dir::new(name);
        let (state, run) = (dir.path().join("state"), dir.path().join("run"));
        for folder in [&state, &run, &dir.path().join("state/workspace")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(state.join("openclaw.json"), "the-token").unwrap();
        let text = |path: &PathBuf| path.to_str().unwrap().to_string();
        let env = Env::from_pairs(&[
            ("HOME", &text(&dir.path().to_path_buf())),
            ("OPENCLAW_STATE_DIR", &text(&state)),
            ("OPENCLAW_RUNTIME_DIR", &text(&run)),
        ]);
        let paths = Paths::resolve(&env, None);
        let runner = start_runner(&paths.exec_sock());
        let notices = Arc::new(Mutex::new(Vec::new()));
        let told = notices.clone();
        let on_exit = move |ended: &tool::process::Ended| {
            told.lock().unwrap().push(ended.notice.clone());
        };
        House {
            dir,
            runner,
            processes: Processes::new(paths, Box::new(|| {}), Box::new(on_exit)),
            notices,
            updates: Mutex::default(),
            config,
            key: KEY.into(),
            desk: Desk::default(),
            sender: None,
            provider: "",
        }
    }

    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("state/workspace")
    }

    pub fn call(&self, name: &str, arguments: Value) -> Finished {
        self.call_with(name, arguments, &Cancel::new())
    }

    pub fn call_with(&self, name: &str, arguments: Value, cancel: &Cancel) -> Finished {
        let config = Arc::new(Snapshot {
            config: serde_json::from_value(self.config.clone()).unwrap(),
            value: self.config.clone(),
            env: Env::from_pairs(&[
                ("PATH", "/usr/bin:/bin"),
                ("SHELL", "/bin/sh"),
                ("OPENCLAW_GATEWAY_TOKEN", "the-token"),
                ("ANTHROPIC_API_KEY", "the-token"),
            ]),
            ..Snapshot::default()
        });
        let caller = policy::Caller {
            agent_id: "main",
            session_key: &self.key,
            provider: self.provider,
            ..policy::Caller::default()
        };
        let tools = policy::allowed(&config, &caller);
        let update = |output| self.updates.lock().unwrap().push(output);
        let context = Context {
            agent_id: "main",
            session_key: &self.key,
            run_id: "run",
            workspace: self.workspace(),
            config,
            variables: &Default::default(),
            skills: &[],
            cancel,
            update: &update,
            tools: &tools,
            processes: &self.processes,
            gateway: &NoGateway,
            memory: &openclaw::tool::memory::Memory::default(),
            approve: Stand {
                desk: Some(&self.desk),
                sender: self.sender.as_ref(),
                ..Stand::default()
            },
        };
        let arguments = arguments.as_object().unwrap();
        let call = Call {
            id: "call",
            arguments,
        };
        tool::run(name, &call, &context)
    }

    pub fn text(&self, name: &str, arguments: Value) -> String {
        text_of(&self.call(name, arguments).content)
    }

    /// Answers the oldest question; what was asked, and what followed.
    fn answer(&self, decision: Option<Decision>) -> (Question, After) {
        let (question, then) = self.desk.0.lock().unwrap().remove(0);
        (question, then(decision, &self.processes))
    }

    fn questions(&self) -> usize {
        self.desk.0.lock().unwrap().len()
    }

    fn write_approvals(&self, file: Value) {
        let dir = self.dir.path().join(".openclaw");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("exec-approvals.json"), file.to_string()).unwrap();
    }

    fn approvals(&self) -> Value {
        let path = self.dir.path().join(".openclaw/exec-approvals.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    /// The message of a tool that failed.
    pub fn error(&self, name: &str, arguments: Value) -> String {
        let finished = self.call(name, arguments);
        assert!(finished.failed() && !finished.is_error, "{finished:?}");
        let details = finished.details.unwrap();
        assert_eq!(details["tool"], name);
        details["error"].as_str().unwrap().to_string()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.runner.kill();
        let _ = self.runner.wait();
    }
}

#[test]
fn exec_answers_as_the_original_does() {
    let house = House::new("tools-exec", json!({}));
    let done = house.call("exec", json!({"command": "echo hello-from-exec"}));
    assert_eq!(text_of(&done.content), "hello-from-exec");
    let details = done.details.unwrap();
    assert_eq!(details["status"], "completed");
    assert_eq!(details["exitCode"], 0);
    assert_eq!(details["aggregated"], "hello-from-exec");
    assert_eq!(details["cwd"], house.workspace().to_str().unwrap());
    let updates = house.updates.lock().unwrap();
    assert_eq!(text_of(&updates[0].content), "hello-from-exec\n");
    assert_eq!(updates[0].details.as_ref().unwrap()["status"], "running");
    drop(updates);

    let failed = house.call("exec", json!({"command": "echo oops >&2; exit 3"}));
    assert_eq!(
        text_of(&failed.content),
        "{\n  \"status\": \"error\",\n  \"tool\": \"exec\",\n  \"error\": \"oops\\n\\nCommand exited with code 3\"\n}"
    );
    assert!(!failed.is_error && failed.failed());
    assert_eq!(
        house.text("exec", json!({"command": "true"})),
        "(no output)"
    );
    assert_eq!(
        house.error("exec", json!({"command": "kill -9 $$"})),
        "Command aborted by signal SIGKILL"
    );
    assert_eq!(
        house.error("exec", json!({"command": "sleep 60", "timeout": "0.2"})),
        "Command timed out after 0.2 seconds"
    );
    assert_eq!(
        house.text("exec", json!({"command": "pwd", "workdir": "nowhere"})),
        format!(
            "Warning: workdir \"nowhere\" is unavailable; using \"{0}\".\n\n{0}",
            house.workspace().display()
        )
    );
}

#[test]
fn a_call_that_never_ran_is_an_error() {
    let house = House::new("tools-bad", json!({"tools": {"deny": ["write"]}}));
    let bad = house.call("exec", json!({"cmd": "echo hi"}));
    assert!(bad.is_error);
    assert!(text_of(&bad.content).starts_with(
        "Validation failed for tool \"exec\":\n  - command: must have required property 'command'\n"
    ));
    let unknown = house.call("no_such_tool", json!({}));
    assert!(unknown.is_error);
    assert_eq!(text_of(&unknown.content), "Tool no_such_tool not found");
    let denied = house.call("write", json!({"path": "a", "content": ""}));
    assert_eq!(text_of(&denied.content), "Tool write not found");
}

#[test]
fn the_last_200_000_characters_are_kept() {
    let house = House::new("tools-long", json!({}));
    let text = house.text("exec", json!({"command": "seq -w 100000"}));
    assert_eq!(
        text.len(),
        199_999,
        "200,000 with the newline that is trimmed"
    );
    assert!(text.ends_with("\n100000"));
}

#[test]
fn no_secret_of_ours_is_in_a_commands_environment() {
    let house = House::new("tools-env", json!({}));
    let text = house.text("exec", json!({"command": "env", "env": {"MINE": "yes"}}));
    assert!(text.contains("MINE=yes"), "{text}");
    assert!(
        !text.contains("the-token") && !text.contains("never-to-be-seen"),
        "{text}"
    );
    let said = house.error(
        "exec",
        json!({"command": "env", "env": {"LD_PRELOAD": "x"}}),
    );
    assert!(said.starts_with("Security Violation: Environment variable 'LD_PRELOAD'"));
}

#[test]
fn a_background_session_outlives_its_call_and_tells_its_end() {
    let house = House::new("tools-background", json!({}));
    let command = "read line; echo got $line; sleep 0.1; exit 2";
    let started = house.call("exec", json!({"command": command, "background": true}));
    let details = started.details.unwrap();
    let id = details["sessionId"].as_str().unwrap().to_string();
    let pid = details["pid"].as_u64().unwrap();
    assert_eq!(
        text_of(&started.content),
        format!(
            "Command still running (session {id}, pid {pid}). Use process \
             (list/poll/log/write/kill/clear/remove) for follow-up."
        )
    );
    let process = |action: &str| json!({"action": action, "sessionId": id});
    let listed = house.text("process", json!({"action": "list"}));
    assert!(listed.starts_with(&format!("{id} running   ")), "{listed}");
    assert!(listed.ends_with(" :: read line;"), "{listed}");
    assert_eq!(
        house.text("process", process("poll")),
        "(no new output)\n\nProcess still running."
    );
    let written = json!({"action": "write", "sessionId": id, "data": "it\n", "eof": true});
    assert_eq!(
        house.text("process", written),
        format!("Wrote 3 bytes to session {id} (stdin closed).")
    );
    let short: String = id.chars().take(8).collect();
    eventually("the notice", PATIENCE, || {
        let notices = house.notices.lock().unwrap();
        (*notices == [format!("Exec failed ({short}, code 2) :: got it")]).then_some(())
    });
    assert_eq!(
        house.text("process", process("poll")),
        "got it\n\nProcess exited with code 2."
    );
    assert_eq!(house.text("process", process("log")), "got it");
    assert_eq!(
        house.text("process", process("write")),
        format!("No active session found for {id}")
    );
    assert_eq!(
        house.text("process", process("clear")),
        format!("Cleared session {id}.")
    );
    assert_eq!(
        house.text("process", json!({"action": "list"})),
        "No running or recent sessions."
    );
    assert_eq!(
        house.text("process", process("poll")),
        format!("No session found for {id}")
    );
}

#[test]
fn a_slow_command_goes_on_after_yield_ms_and_can_be_killed() {
    let house = House::new("tools-yield", json!({}));
    let mark = mark(21);
    let command = format!("echo up; sleep {mark}");
    let started = Instant::now();
    let running = house.call("exec", json!({"command": command, "yieldMs": 50}));
    assert!(started.elapsed() < Duration::from_secs(5));
    let id = running.details.unwrap()["sessionId"]
        .as_str()
        .unwrap()
        .to_string();
    let killed = house.text("process", json!({"action": "kill", "sessionId": id}));
    assert_eq!(killed, format!("Killed session {id}."));
    eventually("its end", PATIENCE, || (!is_running(&mark)).then_some(()));
}

#[test]
fn a_terminal_takes_keys() {
    let house = House::new("tools-keys", json!({}));
    let mark = mark(29);
    let command = format!("read -r x; echo \"[$x]\"; sleep {mark}");
    let started = house.call(
        "exec",
        json!({"command": command, "pty": true, "background": true}),
    );
    let id = started.details.unwrap()["sessionId"]
        .as_str()
        .unwrap()
        .to_string();
    let keys = json!({"action": "send-keys", "sessionId": id, "literal": "abx", "keys": ["BSpace", "Enter"]});
    assert_eq!(
        house.text("process", keys),
        format!("Sent 5 bytes to session {id}.")
    );
    eventually("the answer", PATIENCE, || {
        let log = house.text("process", json!({"action": "log", "sessionId": id}));
        log.contains("[ab]").then_some(())
    });
    // A shell loses an interrupt that comes while it starts a program.
    eventually("the sleep", PATIENCE, || {
        is_running(&format!("sleep\0{mark}")).then_some(())
    });
    let interrupt = json!({"action": "send-keys", "sessionId": id, "keys": ["C-c"]});
    house.text("process", interrupt);
    eventually("the interrupted command's end", PATIENCE, || {
        let poll = house.text("process", json!({"action": "poll", "sessionId": id}));
        poll.contains("Process exited with").then_some(())
    });
}

#[test]
fn a_cancelled_run_kills_its_command_at_once() {
    let house = House::new("tools-cancel", json!({}));
    let mark = mark(22);
    let cancel = Cancel::new();
    let other = cancel.clone();
    std::thread::scope(|scope| {
        let mark = &mark;
        scope.spawn(move || {
            eventually("the command is up", PATIENCE, || {
                is_running(mark).then_some(())
            });
            other.cancel();
        });
        let started = Instant::now();
        let command = json!({"command": format!("sleep {mark}")});
        let done = house.call_with("exec", command, &cancel);
        assert!(done.failed());
        assert!(
            started.elapsed() < Duration::from_secs(9),
            "it waited for yieldMs"
        );
    });
    eventually("its end", PATIENCE, || (!is_running(&mark)).then_some(()));
}

#[test]
fn what_may_not_run_on_the_host_is_refused_with_the_reason() {
    let exec = |settings: Value| {
        let house = House::new("tools-host", json!({"tools": {"exec": settings}}));
        text_of(&house.call("exec", json!({"command": "echo ran"})).content)
    };
    let deny = exec(json!({"host": "gateway", "security": "deny"}));
    assert!(
        deny.contains("exec denied: host=gateway security=deny"),
        "{deny}"
    );
    let miss = exec(json!({"host": "gateway", "ask": "off"}));
    assert!(miss.contains("exec denied: allowlist miss"), "{miss}");
    let full = json!({"host": "gateway", "security": "full", "ask": "off"});
    assert_eq!(exec(full.clone()), "ran");
    let house = House::new("tools-host", json!({"tools": {"exec": full}}));
    // The stricter of the configuration, the file and the call wins.
    house.write_approvals(json!({"version": 1, "defaults": {"security": "deny"}}));
    let denied = house.error("exec", json!({"command": "true"}));
    assert_eq!(denied, "exec denied: host=gateway security=deny");
    house.write_approvals(json!({"version": 2}));
    let unsound = house.error("exec", json!({"command": "true"}));
    assert!(unsound.contains("is no approvals file"), "{unsound}");
    house.write_approvals(json!({"version": 1}));
    let strict = json!({"command": "true", "security": "allowlist"});
    assert_eq!(house.error("exec", strict), "exec denied: allowlist miss");
    let house = House::new("tools-host", json!({}));
    assert_eq!(
        house.error("exec", json!({"command": "true", "host": "gateway"})),
        "exec host not allowed (requested gateway; configure tools.exec.host=gateway to allow)."
    );
}

#[test]
fn a_command_that_must_be_approved_returns_at_once_and_runs_when_it_is() {
    let exec = json!({"host": "gateway", "approvalRunningNoticeMs": 1500});
    let house = House::new("tools-ask", json!({"tools": {"exec": exec}}));
    let asked = house.call(
        "exec",
        json!({"command": "echo one && echo two", "env": {"A": "b"}}),
    );
    let details = asked.details.unwrap();
    let id = details["approvalId"].as_str().unwrap().to_string();
    let text = text_of(&asked.content);
    let first = format!(
        "Approval required (id {}). Approve to run; updates will arrive after completion.\n",
        &id[..8]
    );
    assert!(text.starts_with(&first), "{text}");
    assert_eq!(details["status"], "approval-pending");
    assert_eq!(details["approvalSlug"], id[..8]);
    assert_eq!(details["host"], "gateway");
    assert_eq!(details["command"], "echo one && echo two");
    assert_eq!(details["cwd"], house.workspace().to_str().unwrap());
    assert!(house.notices.lock().unwrap().is_empty());
    let (question, after) = house.answer(Some(Decision::AllowOnce));
    assert_eq!(question.command, "A='b' echo one && echo two");
    assert_eq!(question.id, id);
    assert!(after.note.is_none());
    let running = after.running.unwrap();
    assert_eq!(running.after, Duration::from_millis(1500));
    let process = running.process;
    assert_eq!(
        running.note,
        format!("Exec running (gateway id={id}, session={process}, >2s): echo one && echo two")
    );
    let notice = eventually("its end", PATIENCE, || house.notices.lock().unwrap().pop());
    let finished = format!("Exec finished (gateway id={id}, session={process}, code 0)\none two");
    assert_eq!(notice, finished);
}

#[test]
fn an_answer_for_good_is_kept_and_used() {
    let exec = json!({"host": "gateway"});
    let house = House::new("tools-always", json!({"tools": {"exec": exec}}));
    let command = json!({"command": "uname -s; id -u"});
    house.call("exec", command.clone());
    house.answer(Some(Decision::AllowAlways));
    let list = house.approvals()["agents"]["main"]["allowlist"].clone();
    let patterns: Vec<&str> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pattern"].as_str().unwrap())
        .collect();
    assert!(patterns[0].ends_with("/bin/uname") && patterns[1].ends_with("/bin/id"));
    let done = house.call("exec", command);
    assert_eq!(done.details.unwrap()["status"], "completed");
    let entry = house.approvals()["agents"]["main"]["allowlist"][0].clone();
    assert_eq!(entry["lastUsedCommand"], "uname -s; id -u");
    assert_eq!(entry["lastResolvedPath"], patterns[0]);
    // What is not on the list, or cannot be understood, asks again.
    for command in ["uname; ls", "uname > x", "uname $(ls)", "./uname"] {
        house.call("exec", json!({"command": command}));
        assert_eq!(house.questions(), 1, "{command}");
        let (_, after) = house.answer(Some(Decision::Deny));
        let note = after.note.unwrap();
        assert!(note.contains("user-denied): "), "{note}");
    }
    // Variables change what a program does.
    house.call("exec", json!({"command": "uname", "env": {"X": "y"}}));
    assert_eq!(house.questions(), 1);
    // `ask: always` asks for listed ones, too.
    house.call("exec", json!({"command": "uname", "ask": "always"}));
    assert_eq!(house.questions(), 2);
}

#[test]
fn without_an_answer_the_fallback_decides() {
    let exec = json!({"host": "gateway"});
    let house = House::new("tools-fallback", json!({"tools": {"exec": exec}}));
    let unanswered = |fallback: &str, command: &str| {
        house.write_approvals(json!({"version": 1,
            "defaults": {"askFallback": fallback, "ask": "always"},
            "agents": {"*": {"allowlist": [{"pattern": "/**/uname"}]}}}));
        house.call("exec", json!({"command": command}));
        house.answer(None).1.note
    };
    let note = unanswered("deny", "uname").unwrap();
    assert!(note.contains(", approval-timeout): uname"), "{note}");
    assert!(unanswered("allowlist", "uname").is_none());
    let note = unanswered("allowlist", "id").unwrap();
    assert!(note.contains("approval-timeout (allowlist-miss)"), "{note}");
    assert!(unanswered("full", "id").is_none());
}

#[test]
fn elevation_is_for_those_who_are_named() {
    let config = json!({"agents": {"defaults": {"sandbox": {"mode": "all"}}},
        "tools": {"elevated": {"allowFrom": {"webchat": ["@Me"]}}}});
    let mut house = House::new("tools-elevated", config);
    let elevated = json!({"command": "echo out", "elevated": true});
    let refused = house.error("exec", elevated.clone());
    assert!(
        refused.contains("Failing gate: allowFrom (tools.elevated.allowFrom."),
        "{refused}"
    );
    house.sender = Some(Sender {
        channel: "webchat".into(),
        names: vec!["me".into()],
    });
    house.call("exec", elevated.clone());
    assert_eq!(house.questions(), 1);
    house.config["agents"]["defaults"]["elevatedDefault"] = json!("full");
    assert_eq!(house.text("exec", elevated.clone()), "out");
    assert_eq!(house.text("exec", json!({"command": "echo out"})), "out");
    house.config["tools"]["elevated"]["enabled"] = json!(false);
    let refused = house.error("exec", elevated);
    assert!(refused.contains("Failing gate: enabled"), "{refused}");
}

#[test]
fn files_are_read_written_and_edited() {
    let house = House::new("tools-files", json!({}));
    let notes = json!({"file_path": "d/notes.txt", "content": "alpha\nbeta\n"});
    assert_eq!(
        house.text("write", notes),
        "Successfully wrote 11 bytes to d/notes.txt"
    );
    assert_eq!(
        house.text("read", json!({"path": "d/notes.txt"})),
        "alpha\nbeta\n"
    );
    let edited = house.call(
        "edit",
        json!({"path": "d/notes.txt", "old_string": "beta", "newText": "gamma"}),
    );
    assert_eq!(
        text_of(&edited.content),
        "Successfully replaced text in d/notes.txt."
    );
    assert_eq!(edited.details.unwrap()["firstChangedLine"], 2);
    let missing = house.workspace().join("none.txt");
    assert_eq!(
        house.error("read", json!({"path": "none.txt"})),
        format!(
            "ENOENT: no such file or directory, access '{}'",
            missing.display()
        )
    );
    assert_eq!(
        house.error(
            "edit",
            json!({"path": "none.txt", "oldText": "a", "newText": "b"})
        ),
        "File not found: none.txt"
    );
    assert_eq!(
        house.error("read", json!({})),
        "Missing required parameter: path (path or file_path)"
    );
    assert!(
        house
            .error("read", json!({"path": "/dev/zero"}))
            .contains("Not a regular file")
    );
    let png = b"\x89PNG\r\n\x1a\n rest";
    std::fs::write(house.workspace().join("p.txt"), png).unwrap();
    let image = house.call("read", json!({"path": "p.txt"}));
    assert_eq!(image.content[0], Block::text("Read image file [image/png]"));
    assert!(
        matches!(&image.content[1], Block::Image { mime_type, .. } if mime_type == "image/png")
    );
}

#[test]
fn a_sandboxed_session_stays_in_its_room() {
    let sandbox = json!({"mode": "all", "workspaceAccess": "rw"});
    let mut house = House::new(
        "tools-caged",
        json!({"agents": {"defaults": {"sandbox": sandbox}}}),
    );
    std::os::unix::fs::symlink("../openclaw.json", house.workspace().join("link")).unwrap();
    let said = house.error("read", json!({"path": "../openclaw.json"}));
    assert!(said.starts_with("Path escapes sandbox root ("), "{said}");
    let said = house.error("read", json!({"path": "link"}));
    assert!(
        said.starts_with("Symlink not allowed in sandbox path: "),
        "{said}"
    );
    let said = house.error("write", json!({"path": "link", "content": "x"}));
    assert!(said.starts_with("Symlink not allowed"), "{said}");
    let token = std::fs::read_to_string(house.dir.path().join("state/openclaw.json"));
    assert_eq!(token.unwrap(), "the-token");
    house.text("write", json!({"path": "a/b", "content": "in"}));
    let run = house.call("exec", json!({"command": "cat a/b; cat ../openclaw.json"}));
    let text = text_of(&run.content);
    if text.contains("this kernel does not offer") {
        skip(
            "a_sandboxed_session_stays_in_its_room",
            "no Landlock or no seccomp here",
        );
        return;
    }
    assert!(text.contains("in") && !text.contains("the-token"), "{text}");
    // What a container would be given holds for the kernel's sandbox, too.
    let docker = json!({"image": "x", "ulimits": {"nofile": 77, "fsize": 4096}});
    house.config["agents"]["defaults"]["sandbox"]["docker"] = docker;
    let limited = json!({"command": "ulimit -n; head -c 9999 /dev/zero > big"});
    house.call("exec", limited.clone());
    assert!(text_of(&house.call("exec", limited).content).contains("77"));
    let big = std::fs::metadata(house.workspace().join("big")).unwrap();
    assert_eq!(big.len(), 4096);
    // The workspace can be read and not written; the folder it works in is its own.
    house.config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "ro"});
    let at = |name: &str| house.workspace().join(name).display().to_string();
    let seen = house.text("exec", json!({"command": format!("cat {}", at("a/b"))}));
    assert_eq!(seen, "in");
    assert_eq!(house.text("read", json!({"path": at("a/b")})), "in");
    // With ro there are no tools that write at all.
    let refused = house.call("write", json!({"path": at("a/b"), "content": "out"}));
    assert!(refused.is_error, "{refused:?}");
    let text = house.call(
        "exec",
        json!({"command": format!("echo x > {}; echo y > y; cat y", at("c"))}),
    );
    assert!(text_of(&text.content).contains('y') && !house.workspace().join("c").exists());
    // A room of its own: the workspace is not in it.
    house.config = json!({"agents": {"defaults": {"sandbox": {"mode": "non-main"}}}});
    house.key = "agent:main:group".into();
    let text = house.text("exec", json!({"command": "pwd; ls"}));
    assert!(
        text.contains("/.openclaw/sandboxes/agent-main-0d71ad7a") && !text.contains("link"),
        "{text}"
    );
}
