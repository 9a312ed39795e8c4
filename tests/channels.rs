//! Channels: a program in another language is a channel, who may write, and what is answered when
//! processes die.

use crate::harness::{Gateway, Setup, eventually, model::Reply, proc};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

struct Post {
    gateway: Gateway,
    input: PathBuf,
    output: PathBuf,
}

impl Post {
    /// A gateway with a channel of files, the example in contrib.
    fn open(rules: Value) -> Option<Post> {
        if std::process::Command::new("python3")
            .arg("-V")
            .output()
            .is_err()
        {
            crate::harness::skip("channels", "no python3");
            return None;
        }
        let mut setup = Setup::with_fake_model();
        let folder = setup.dir.path().to_path_buf();
        let (input, output) = (folder.join("in"), folder.join("out"));
        let mut section = json!({"in": input, "out": output});
        for (name, value) in rules.as_object().expect("an object") {
            section[name] = value.clone();
        }
        setup.config["channels"] = json!({"file": section});
        setup.config["messages"] = json!({"groupChat": {"mentionPatterns": ["@claw"]}});
        let contrib = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/channels");
        let setup = setup.env("OPENCLAW_CHANNEL_PATH", &contrib.to_string_lossy());
        Some(Post {
            gateway: setup.start(),
            input,
            output,
        })
    }

    fn write(&self, line: &str) {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.input);
        let mut file = file.expect("a file");
        writeln!(file, "{line}").expect("written");
    }

    fn answers(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .map(|line| {
                let part = |name: &str| line[name].as_str().expect("a text").to_string();
                (part("to"), part("text"))
            })
            .collect()
    }

    fn wait_answers(&self, count: usize) -> Vec<(String, String)> {
        eventually(&format!("{count} answers"), PATIENCE, || {
            let answers = self.answers();
            (answers.len() >= count).then_some(answers)
        })
    }

    /// The carrier of the channel.
    fn worker(&self) -> u32 {
        eventually("a worker", PATIENCE, || {
            let children = proc::children(self.gateway.pid());
            children.into_iter().find(|pid| {
                let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                line.starts_with(b"openclaw-channel\0file\0")
            })
        })
    }
}

fn own(to: &str, text: &str) -> (String, String) {
    (to.into(), text.into())
}

#[test]
fn a_stranger_is_told_a_code_and_is_answered_once_it_is_approved() {
    let Some(post) = Post::open(json!({"responsePrefix": "{identity.name}, {model}:"})) else {
        return;
    };
    post.write("ann: hello");
    let told = post.wait_answers(1);
    let (to, text) = &told[0];
    assert_eq!(to, "ann");
    let code = text
        .lines()
        .find_map(|line| line.strip_prefix("Pairing code: "));
    let code = code.expect("a code");
    assert!(
        text.ends_with("openclaw pairing approve file <code>"),
        "{text}"
    );
    post.write("ann: hello?");
    let store = post.gateway.state().join("credentials/file-pairing.json");
    eventually("the repeat to be noted", PATIENCE, || {
        let text = fs::read(&store).ok()?;
        let file: Value = serde_json::from_slice(&text).ok()?;
        let request = file["requests"][0].clone();
        (request["lastSeenAt"] != request["createdAt"]).then_some(())
    });
    let (status, out, _) = post
        .gateway
        .openclaw(&["pairing", "list", "file", "--json"]);
    let listed: Value = serde_json::from_str(&out).expect("JSON");
    assert!(status.success());
    assert_eq!(listed["requests"][0]["code"], code);
    assert_eq!(listed["requests"][0]["meta"]["name"], "Ann");
    let (status, out, _) = post.gateway.openclaw(&["pairing", "approve", "file", code]);
    assert!(status.success());
    assert_eq!(out, "Approved file sender ann.\n");
    assert!(post.gateway.model().requests().is_empty());
    post.gateway.model().say(&["Hello, Ann."]);
    post.write("ann: and now?");
    let told = post.wait_answers(2);
    assert_eq!(told[1..], [own("ann", "Assistant, fake-1: Hello, Ann.")]);
    let asked = crate::harness::model::asked(&post.gateway.model().wait_request(1));
    assert!(asked.starts_with("[File Ann id:ann 20"), "{asked}");
    assert!(asked.contains(" UTC] and now?\n[message_id: "), "{asked}");
}

#[test]
fn every_message_is_answered_once_and_in_order_whoever_is_killed() {
    let Some(post) = Post::open(json!({"dmPolicy": "open", "allowFrom": ["*"]})) else {
        return;
    };
    let model = post.gateway.model();
    model.otherwise(Reply::Text(vec!["yes".into()], Duration::from_millis(20)));
    let rounds = 6;
    for round in 0..rounds {
        for n in 0..3 {
            post.write(&format!("p{n}: question {round}"));
        }
        std::thread::sleep(Duration::from_millis(150));
        match round % 2 {
            0 => post.gateway.kill_core(),
            _ => proc::signal(post.worker(), "KILL"),
        }
    }
    post.wait_answers(rounds * 3);
    // One too many would come now.
    std::thread::sleep(Duration::from_millis(500));
    let answers = post.answers();
    for n in 0..3 {
        let to = format!("p{n}");
        let count = answers.iter().filter(|(who, _)| *who == to).count();
        assert_eq!(count, rounds, "{answers:?}");
    }
    // Asked about in the order they were written.
    let rounds_asked: Vec<String> = model
        .requests()
        .iter()
        .map(crate::harness::model::asked)
        .filter(|text| text.contains("id:p0 "))
        .map(|text| text.split("question ").nth(1).unwrap_or("")[..1].to_string())
        .collect();
    assert!(rounds_asked.is_sorted(), "{rounds_asked:?}");
}

#[test]
fn a_core_restart_leaves_the_channel_alone_and_a_changed_account_starts_anew() {
    let Some(post) = Post::open(json!({"dmPolicy": "disabled"})) else {
        return;
    };
    let worker = post.worker();
    post.gateway.restart_core();
    assert_eq!(post.worker(), worker);
    post.gateway.model().say(&["There."]);
    post.gateway.edit_config(|config| {
        config["channels"]["file"]["dmPolicy"] = json!("allowlist");
        config["channels"]["file"]["allowFrom"] = json!(["file:Ann"]);
    });
    let changed = eventually("a new worker", PATIENCE, || {
        Some(post.worker()).filter(|pid| *pid != worker)
    });
    assert_ne!(changed, worker);
    post.write("bob: me too");
    post.write("ann: anybody?");
    assert_eq!(post.wait_answers(1), [own("ann", "There.")]);
}

#[test]
fn a_group_is_answered_when_it_calls_and_takes_commands_and_what_clients_send() {
    let rules = json!({"groupAllowFrom": ["ann"], "groups": {"club": {"systemPrompt": "Rhyme."}}});
    let Some(post) = Post::open(rules) else {
        return;
    };
    let model = post.gateway.model();
    model.say(&["Hello, club."]);
    post.write("eve@club: @claw, obey me");
    post.write("ann@other: @claw, are you there?");
    post.write("ann@club: what a day");
    post.write("ann@club: @claw, say hello");
    assert_eq!(post.wait_answers(1), [own("club", "Hello, club.")]);
    let request = model.wait_request(1);
    assert!(request.to_string().contains("Rhyme."));
    let asked = crate::harness::model::asked(&request);
    assert!(
        asked.starts_with("[Chat messages since your last reply"),
        "{asked}"
    );
    assert!(asked.contains("Ann (ann): what a day"), "{asked}");
    assert!(
        asked.contains("] Ann (ann): @claw, say hello\n[message_id: "),
        "{asked}"
    );
    assert!(!asked.contains("obey"), "{asked}");
    post.write("ann@club: /whoami");
    let told = post.wait_answers(2);
    assert!(
        told[1].0 == "club" && told[1].1.contains("Channel: file"),
        "{told:?}"
    );
    assert_eq!(model.requests().len(), 1);
    let mut client = post.gateway.connect();
    let mut call = |method: &str, params: Value| client.call(method, params).expect("an answer");
    let order = json!({"channel": "file", "to": "bob", "message": "**Tea** is ready.",
        "idempotencyKey": "tea"});
    let sent = call("send", order.clone());
    assert!(
        sent["messageId"].is_string() && sent["runId"] == "tea",
        "{sent}"
    );
    // Asked again it is not said again.
    assert_eq!(call("send", order), sent);
    let told = post.wait_answers(3);
    // Written as the channel takes it, which said nothing of Markdown.
    assert_eq!(told[2..], [own("bob", "Tea is ready.")]);
    let status = call("channels.status", json!({}));
    let account = &status["channelAccounts"]["file"][0];
    assert!(
        account["running"] == true && account["connected"] == true,
        "{status}"
    );
    assert!(account["lastInboundAt"].is_u64() && account["lastOutboundAt"].is_u64());
    assert_eq!(status["channelLabels"], json!({"file": "File"}));
}
