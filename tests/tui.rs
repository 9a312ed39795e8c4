//! The chat in the terminal, in a real terminal (tmux): what a person sees and types.

use crate::harness::model::Reply;
use crate::harness::{Gateway, skip};
use crate::parity::official;
use serde_json::json;
use std::process::Command;
use std::time::{Duration, Instant};

/// A terminal of its own, ended with the test.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// Runs `openclaw tui ARGS` against the gateway; `None`, visibly, where there is no tmux.
    fn open(test: &str, gateway: &Gateway, args: &str) -> Option<Terminal> {
        let program = env!("CARGO_BIN_EXE_openclaw");
        Terminal::run(test, &gateway.command(program), &format!("tui {args}"))
    }

    /// Runs `command` with further words in the shell's form.
    fn run(test: &str, command: &Command, args: &str) -> Option<Terminal> {
        if Command::new("tmux").arg("-V").output().is_err() {
            skip(test, "no tmux here");
            return None;
        }
        let terminal = Terminal {
            socket: format!("openclaw-{}-{test}", std::process::id()),
        };
        let program = command.get_program().to_str().expect("UTF-8");
        let env: Vec<String> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_str()?, value?.to_str()?)))
            .filter(|(name, _)| *name != "TERM")
            .map(|(name, value)| format!("{name}='{value}'"))
            .collect();
        let line = format!(
            "env -i TERM=screen LANG=C.UTF-8 {} {program} {args}; echo left with $?; sleep 60",
            env.join(" ")
        );
        let made = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "90",
            "-y",
            "24",
            &line,
        ]);
        assert!(made.status.success(), "{made:?}");
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> std::process::Output {
        Command::new("tmux")
            .args(["-u", "-L", &self.socket])
            .args(args)
            .env("LANG", "C.UTF-8")
            .env_remove("TMUX")
            .output()
            .expect("tmux runs")
    }

    fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys"];
        args.extend(keys);
        assert!(self.tmux(&args).status.success());
    }

    /// Types it as it is, and Enter.
    fn say(&self, text: &str) {
        assert!(self.tmux(&["send-keys", "-l", text]).status.success());
        self.keys(&["Enter"]);
    }

    fn screen(&self) -> String {
        let shown = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8_lossy(&shown.stdout).into_owned()
    }

    fn shows(&self, text: &str) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(text) {
                return screen;
            }
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{text:?} is not shown:\n{screen}"
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn no_longer_shows(&self, text: &str) {
        let started = Instant::now();
        while self.screen().contains(text) {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "{}",
                self.screen()
            );
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn a_person_chats_stops_a_reply_and_leaves() {
    let gateway = Gateway::with_fake_model();
    let Some(terminal) = Terminal::open("chat", &gateway, "") else {
        return;
    };
    let screen = terminal.shows("gateway connected");
    let first = screen.lines().next().unwrap();
    assert!(first.starts_with("openclaw tui - "), "{first}");
    assert!(
        first.contains("agent main - session agent:main:main"),
        "{first}"
    );
    terminal.say("hello there, 界");
    let screen = terminal.shows("> hello there, 界");
    assert!(
        screen.lines().last().unwrap().starts_with("agent main | "),
        "{screen}"
    );
    terminal.shows("Hello from the fake model");
    // What was said stands in the gateway's history.
    terminal.keys(&["Up"]);
    terminal.shows("> hello there, 界");
    terminal.keys(&["C-c"]);
    terminal.shows("Ctrl-C again leaves");
    terminal.keys(&["C-c"]);
    terminal.shows("left with 0");
}

#[test]
fn the_screen_follows_the_size_of_the_window() {
    let gateway = Gateway::with_fake_model();
    let Some(terminal) = Terminal::open("resize", &gateway, "") else {
        return;
    };
    terminal.shows("gateway connected");
    let words = "word ".repeat(30);
    terminal.say(words.trim());
    terminal.shows("Hello from the fake model");
    terminal.tmux(&["resize-window", "-x", "40", "-y", "12"]);
    let started = Instant::now();
    loop {
        let screen = terminal.screen();
        let lines: Vec<&str> = screen.trim_end_matches('\n').lines().collect();
        let fits = lines.len() == 12
            && lines[11].starts_with("agent main | ")
            && lines.iter().all(|line| line.chars().count() <= 40);
        if fits && screen.contains("Hello from the fake model") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{screen}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn commands_choose_sessions_and_set_them() {
    let gateway = Gateway::with_fake_model();
    let Some(terminal) = Terminal::open("commands", &gateway, "--message 'first words'") else {
        return;
    };
    terminal.shows("Hello from the fake model");
    terminal.say("/think high");
    terminal.shows("thinkingLevel: high");
    terminal.shows("think high");
    terminal.say("/session Other");
    terminal.shows("session agent:main:other");
    terminal.no_longer_shows("first words");
    terminal.say("in the other");
    terminal.shows("> in the other");
    terminal.keys(&["C-p"]);
    terminal.shows("Session: _");
    terminal.say("main:main");
    terminal.shows("> first words");
    terminal.keys(&["/", "s", "e"]);
    terminal.shows("Tab: /session /sessions /settings");
    terminal.keys(&["C-c"]);
    terminal.say("/new");
    terminal.shows("session reset");
    terminal.no_longer_shows("first words");
    terminal.say("/help");
    terminal.shows("Alt-Enter a new line");
    terminal.say("/exit");
    terminal.shows("left with 0");
}

#[test]
fn tools_are_seen_and_a_local_command_asks_first() {
    let gateway = Gateway::with_fake_model();
    let Some(terminal) = Terminal::open("tools", &gateway, "") else {
        return;
    };
    terminal.shows("gateway connected");
    terminal.say("/verbose full");
    terminal.shows("verboseLevel: full");
    let call = ("exec".into(), json!({"command": "echo from-the-tool"}));
    gateway.model().reply(Reply::Tools(vec![call]));
    terminal.say("run it");
    terminal.shows("* exec command: echo from-the-tool (done)");
    terminal.say("!echo from here");
    terminal.shows("on this machine? Yes or no");
    terminal.say("no");
    terminal.shows("nothing was run");
    terminal.say("!echo from here; exit 3");
    terminal.say("yes");
    terminal.shows("[local] exit 3");
    terminal.say("!sleep 100");
    terminal.shows("a local command runs");
    terminal.keys(&["Escape"]);
    terminal.shows("[local] signal 9");
}

#[test]
fn a_gateway_that_goes_and_comes_back_loses_nothing_written() {
    let gateway = Gateway::with_fake_model();
    let Some(terminal) = Terminal::open("lost", &gateway, "") else {
        return;
    };
    terminal.shows("gateway connected");
    terminal.say("before");
    terminal.shows("Hello from the fake model");
    terminal.keys(&["d", "r", "a", "f", "t"]);
    gateway.kill_core();
    terminal.shows("gateway reconnected");
    let screen = terminal.shows("> before");
    assert!(screen.contains("> draft"), "{screen}");
    terminal.keys(&["Enter"]);
    let screen = terminal.shows("> draft\n\n  Hello from the fake model");
    assert_eq!(screen.matches("> before").count(), 1, "{screen}");
}

#[test]
fn without_a_terminal_the_way_to_go_is_named() {
    let gateway = Gateway::start();
    let (status, _, said) = gateway.openclaw(&["tui"]);
    assert!(!status.success());
    assert!(
        said.contains("needs a terminal") && said.contains("openclaw agent --message"),
        "{said}"
    );
}

#[test]
fn the_terminal_chat_of_the_original_works_with_our_gateway() {
    let test = "the_terminal_chat_of_the_original_works_with_our_gateway";
    let program = match official::program() {
        Ok(program) => program.to_str().expect("UTF-8"),
        Err(why) => return skip(test, &why),
    };
    let gateway = Gateway::with_fake_model();
    let mut command = gateway.command(program);
    command
        .env("OPENCLAW_GATEWAY_PORT", gateway.port().to_string())
        .env("OPENCLAW_GATEWAY_TOKEN", gateway.token());
    let Some(terminal) = Terminal::run("original", &command, "tui") else {
        return;
    };
    terminal.shows("gateway connected");
    terminal.say("hello there");
    terminal.shows("Hello from the fake model");
    // The first Enter only takes up what its list of words proposes.
    terminal.say("/think low");
    terminal.shows("/think low");
    terminal.keys(&["Enter"]);
    terminal.shows("thinking set to low");
    let row = gateway.connect().call("sessions.list", json!({})).unwrap();
    assert_eq!(row["sessions"][0]["thinkingLevel"], "low");
    terminal.keys(&["C-c"]);
    terminal.keys(&["C-c"]);
    terminal.shows("left with 0");
}
