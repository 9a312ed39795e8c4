//! What a sandboxed command can not do, tried from inside with the real runner and this kernel.

use crate::harness::model::Reply;
use crate::harness::{Gateway, eventually, skip};
use crate::runner::{Outcome, Runner, has_python, is_running, mark, shell};
use openclaw::wire::exec::{RunLimits, Sandbox};
use serde_json::json;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

struct Cage {
    runner: Runner,
    room: PathBuf,
    state: PathBuf,
}

impl Cage {
    /// `None`, and said so, where the kernel cannot fence.
    fn new(test: &str) -> Option<Cage> {
        let runner = Runner::start("sandbox");
        if !(runner.enforces("landlock") && runner.enforces("seccomp")) {
            skip(test, "this kernel has no Landlock or no seccomp");
            return None;
        }
        let state = runner.folder().join("state");
        let room = state.join("workspace");
        std::fs::create_dir_all(&room).unwrap();
        std::fs::write(state.join("openclaw.json"), "the-token").unwrap();
        Some(Cage {
            runner,
            room,
            state,
        })
    }

    fn run(&self, command: &str) -> Outcome {
        self.limited(command, RunLimits::default())
    }

    fn limited(&self, command: &str, limits: RunLimits) -> Outcome {
        let mut run = shell("a", command);
        run.cwd = self.room.clone();
        run.limits = limits;
        run.timeout_ms = 15_000;
        run.sandbox = Some(Sandbox {
            read: Vec::new(),
            write: vec![self.room.clone()],
            network: false,
        });
        self.runner.run(run)
    }
}

#[test]
fn a_sandboxed_command_works_in_its_room() {
    let Some(cage) = Cage::new("a_sandboxed_command_works_in_its_room") else {
        return;
    };
    let done = cage.run(
        "echo x > a && mkdir d && mv a d/b && cat d/b && touch $TMPDIR/t && ls $TMPDIR && \
         sh -c 'sleep 9 & kill $!' && head -c 4 /dev/zero | wc -c",
    );
    assert_eq!(done.text(), "x\nt\n4\n", "{done:?}");
    assert_eq!(done.code, Some(0));
}

#[test]
fn it_cannot_read_the_state_directory_nor_our_memory() {
    let Some(cage) = Cage::new("it_cannot_read_the_state_directory_nor_our_memory") else {
        return;
    };
    let runner = cage.runner.pid();
    let done = cage.run(&format!(
        "cat ../openclaw.json; ls ..; ln -s ../openclaw.json l; cat l; cat /etc/shadow; \
         cat /proc/{runner}/environ; cat /proc/{runner}/maps; ls -l /proc/{runner}/fd; \
         cat /proc/{runner}/root{}/openclaw.json; echo tried",
        cage.state.display()
    ));
    let text = done.text();
    assert!(text.ends_with("tried\n"), "{text}");
    assert!(
        !text.contains("the-token") && !text.contains("never-to-be-seen"),
        "{text}"
    );
    assert!(!text.contains("root:"), "{text}");
}

#[test]
fn it_cannot_write_or_change_anything_outside() {
    let Some(cage) = Cage::new("it_cannot_write_or_change_anything_outside") else {
        return;
    };
    let config = cage.state.join("openclaw.json");
    let before = std::fs::metadata(&config).unwrap();
    let done = cage.run(
        "echo x > ../openclaw.json; true > ../new; rm ../openclaw.json; mv ../openclaw.json .; \
         ln ../openclaw.json hard; truncate -s 0 ../openclaw.json; chmod 777 ../openclaw.json; \
         echo x > ../../outside; mkdir ../d; echo tried",
    );
    assert!(done.text().ends_with("tried\n"));
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "the-token");
    let after = std::fs::metadata(&config).unwrap();
    assert_eq!(before.permissions(), after.permissions());
    assert!(!cage.state.join("new").exists() && !cage.state.join("d").exists());
    assert!(!cage.room.join("hard").exists());
    assert!(!cage.runner.folder().join("outside").exists());
}

#[test]
fn it_cannot_reach_a_socket() {
    let Some(cage) = Cage::new("it_cannot_reach_a_socket") else {
        return;
    };
    if !has_python("it_cannot_reach_a_socket") {
        return;
    }
    let _ours = UnixListener::bind(cage.room.join("our.sock")).unwrap();
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let done = cage.run(&format!(
        "python3 -c 'import socket
def tried(*target, family=socket.AF_INET, kind=socket.SOCK_STREAM):
    try:
        socket.socket(family, kind).connect(*target); print(\"open\")
    except OSError as e: print(\"refused\")
tried(\"our.sock\", family=socket.AF_UNIX)
tried(\"\\0/tmp/.X11-unix/X0\", family=socket.AF_UNIX, kind=socket.SOCK_DGRAM)
tried((\"127.0.0.1\", {port}))
tried((\"::1\", {port}), family=socket.AF_INET6)
tried((\"192.0.2.1\", 53), kind=socket.SOCK_DGRAM)
try: socket.socket(socket.AF_UNIX); print(\"made\")
except PermissionError: print(\"not made\")'",
    ));
    let expected = format!("{}not made\n", "refused\n".repeat(5));
    assert_eq!(done.text(), expected, "{done:?}");
}

#[test]
fn with_namespaces_it_has_a_loopback_and_temp_folders_of_its_own() {
    let test = "with_namespaces_it_has_a_loopback_and_temp_folders_of_its_own";
    let Some(mut cage) = Cage::new(test) else {
        return;
    };
    if !cage.runner.enforces("namespaces") || !has_python(test) {
        skip(test, "this kernel lets us make no namespaces");
        return;
    }
    // A room below /tmp stays visible, and then /tmp is the host's: take one elsewhere.
    let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(mark(20));
    std::fs::create_dir_all(&place).unwrap();
    cage.room.clone_from(&place);
    let done = cage.run(
        "echo $TMPDIR; echo x > /tmp/seen; cat /var/tmp/seen; echo y > /dev/shm/y && ls /tmp | wc -l
         python3 -c 'import socket, threading
s = socket.create_server((\"127.0.0.1\", 0))
c = socket.create_connection(s.getsockname()); print(\"met\", s.accept()[1][0])'",
    );
    assert_eq!(done.text(), "/tmp\nx\n2\nmet 127.0.0.1\n", "{done:?}");
    assert!(!std::path::Path::new("/tmp/seen").exists());
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn it_cannot_signal_or_trace_others_or_gain_rights() {
    let Some(cage) = Cage::new("it_cannot_signal_or_trace_others_or_gain_rights") else {
        return;
    };
    let (us, runner) = (std::process::id(), cage.runner.pid());
    let done = cage.run(&format!(
        "kill -0 {us} && echo signal; kill -STOP {runner} && echo stop; kill -0 $PPID && echo keeper; \
         unshare -Ur true && echo namespace; unshare -m true && echo mounts; \
         mount -t tmpfs t . && echo mounted; grep CapEff /proc/self/status; echo tried"
    ));
    let text = done.text();
    assert!(text.ends_with("tried\n"), "{text}");
    for gained in [
        "signal\n",
        "stop\n",
        "keeper\n",
        "namespace\n",
        "mounts\n",
        "mounted\n",
    ] {
        assert!(!text.contains(gained), "{gained}: {text}");
    }
}

#[test]
fn nothing_outlives_it() {
    let Some(cage) = Cage::new("nothing_outlives_it") else {
        return;
    };
    let mark = mark(11);
    let done = cage.run(&format!(
        "(setsid sleep {mark} >/dev/null 2>&1 &); sleep {mark} >/dev/null 2>&1 & echo bye"
    ));
    assert_eq!(done.text(), "bye\n");
    assert!(!is_running(&mark));
    // Double-forked, in a session of its own, deaf to signals.
    let escape = format!(
        "(trap '' TERM HUP INT; setsid setsid sh -c 'sleep {mark}' </dev/null >/dev/null 2>&1 &) & \
         disown 2>/dev/null; echo bye"
    );
    assert_eq!(cage.run(&escape).text(), "bye\n");
    assert!(!is_running(&mark));
    // The room is below /tmp, so TMPDIR is a folder of this run alone.
    let left = cage
        .run("echo $TMPDIR/mine > $TMPDIR/mine; cat $TMPDIR/mine")
        .text();
    eventually(
        "the private temp folder is gone",
        Duration::from_secs(5),
        || (!PathBuf::from(left.trim()).exists()).then_some(()),
    );
}

/// System calls no shell makes. Each line that is printed is a way out.
const TRICKS: &str = r#"python3 -c '
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    if libc.syscall(number, *args) >= 0: print("possible:", name)
runner, keeper = int(sys.argv[1]), os.getppid()
call("ptrace the keeper", 101, 16, keeper, 0, 0)
call("read memory of the runner", 310, runner, ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0)
fd = libc.syscall(434, runner, 0)
if fd >= 0:
    call("steal a descriptor", 438, fd, 0, 0)
    call("signal by descriptor", 424, fd, 0, 0, 0)
    call("join its namespaces", 308, fd, 0x10000000)
call("io_uring", 425, 8, ctypes.create_string_buffer(120))
call("keyring", 250, 0, -3, 1)
call("request_key", 249, b"user", b"x", 0, 0)
call("user namespace", 272, 0x10000000)
call("user namespace by clone3", 435, ctypes.create_string_buffer((0x10000000).to_bytes(8, "little"), 88), 88)
call("bpf", 321, 0, 0, 0)
call("perf", 298, ctypes.create_string_buffer(128), 0, -1, -1, 0)
call("open by handle", 304, -100, ctypes.create_string_buffer(16), 0)
call("mount api", 430, b"tmpfs", 0)
call("chroot", 161, b".")
call("type into a terminal", 16, 0, 0x5412, b"x")
call("x32 table", 0x40000000 + 39)
call("no more processor time for the runner", 302, runner, 0, ctypes.create_string_buffer(16), 0)
call("its turn on the processor", 144, runner, 5, ctypes.create_string_buffer(4))
call("the priority of a user", 141, 2, 0, 19)
call("the priority of the runner", 141, 0, runner, 19)
call("the disk priority of the runner", 251, 1, runner, 3 << 13)
call("a call of tomorrow", 463, -100, b"../openclaw.json", 0, b"user.x", ctypes.create_string_buffer(16), 16)
call("a pair of datagram sockets", 53, 1, 2, 0, ctypes.create_string_buffer(8))
call("such a pair by its other name", 53, 1, 3 | 0o2000000, 0, ctypes.create_string_buffer(8))
for path in (f"/proc/{runner}/mem", f"/proc/{runner}/environ", f"/proc/{keeper}/mem", "/proc/self/mem",
             "/proc/1/root/etc/shadow", "/proc/kcore", "/dev/mem", "/sys/fs/cgroup"):
    for mode in (os.O_RDONLY, os.O_RDWR):
        try: os.open(path, mode); print("opened:", path)
        except OSError: pass
print("tried")' "#;

#[test]
fn no_rare_system_call_is_a_way_out() {
    let test = "no_rare_system_call_is_a_way_out";
    let Some(cage) = Cage::new(test) else {
        return;
    };
    if cfg!(not(target_arch = "x86_64")) || !has_python(test) {
        skip(test, "the numbers of the calls are those of x86-64");
        return;
    }
    let done = cage.run(&format!("{TRICKS} {}", cage.runner.pid()));
    assert_eq!(done.text(), "tried\n", "{done:?}");
}

#[test]
fn it_cannot_reach_another_run() {
    let Some(cage) = Cage::new("it_cannot_reach_another_run") else {
        return;
    };
    let mark = mark(21);
    let mut other = shell("b", &format!("echo up; sleep {mark}"));
    other
        .env
        .insert("OTHERS_SECRET".into(), "of-the-other".into());
    let other = cage.runner.begin(other);
    eventually("the other is up", Duration::from_secs(20), || {
        is_running(&mark).then_some(())
    });
    let done = cage.run(
        "for p in /proc/[0-9]*; do cat $p/environ; kill -9 ${p#/proc/}; done 2>/dev/null; echo tried",
    );
    let text = done.text();
    assert!(!text.contains("of-the-other"), "{text}");
    assert!(is_running(&mark), "the other run was killed");
    drop(other);
}

#[test]
fn a_memory_bomb_is_ended_alone_and_in_company() {
    let test = "a_memory_bomb_is_ended_alone_and_in_company";
    let Some(cage) = Cage::new(test) else {
        return;
    };
    if !has_python(test) {
        return;
    }
    let limits = RunLimits {
        memory: Some(128 * 1024 * 1024),
        ..RunLimits::default()
    };
    let done = cage.limited(
        "python3 -c 'x = bytearray(400 << 20); print(\"took it\")'",
        limits.clone(),
    );
    assert!(!done.text().contains("took it"), "{done:?}");
    // Each within the limit, all together not.
    let bomb = "for i in 1 2 3 4 5 6; do \
         python3 -c 'import time; x = bytearray(b\"x\" * (50 << 20)); time.sleep(9)' & done; wait; \
         echo survived";
    let done = cage.limited(bomb, limits);
    assert!(
        done.text().contains("more memory than the limit"),
        "{done:?}"
    );
}

#[test]
fn a_command_that_fills_the_disk_is_ended() {
    let Some(cage) = Cage::new("a_command_that_fills_the_disk_is_ended") else {
        return;
    };
    // The reserve is more than there is: so only the little that is always allowed is left.
    let limits = RunLimits {
        disk_reserve: Some(u64::MAX),
        ..RunLimits::default()
    };
    let fill = "i=0; while [ $i -lt 40 ]; do head -c 8000000 /dev/zero > f$i; sync f$i; i=$((i+1)); \
                sleep 0.1; done; echo filled";
    let done = cage.limited(fill, limits);
    assert!(done.text().contains("disk was nearly full"), "{done:?}");
}

#[test]
fn a_delegated_control_group_holds_each_command() {
    let test = "a_delegated_control_group_holds_each_command";
    let Some(place) = delegated() else {
        skip(test, "no control group (v2) can be made here");
        return;
    };
    let dir = crate::harness::Dir::new("group");
    let socket = dir.path().join("exec.sock");
    // Moves itself into the group, then becomes the runner.
    let start = format!(
        "echo $$ > {0}/cgroup.procs && exec \"$1\" --socket \"$2\"",
        place.display()
    );
    let mut runner = std::process::Command::new("/bin/sh")
        .args(["-c", &start, "sh", env!("CARGO_BIN_EXE_openclaw-exec")])
        .arg(&socket)
        .spawn()
        .unwrap();
    eventually("the runner listens", Duration::from_secs(20), || {
        socket.exists().then_some(())
    });
    let client = openclaw::exec::Client::new(socket, Box::new(|| {}));
    assert!(client.enforces().unwrap().contains(&"cgroup".to_string()));
    let (send, receive) = std::sync::mpsc::channel();
    let mark = mark(22);
    let mut run = shell(
        "a",
        &format!(
            "cat /proc/self/cgroup; setsid sleep {mark} </dev/null >/dev/null 2>&1 & echo bye"
        ),
    );
    run.timeout_ms = 1000;
    client
        .run(run, move |event| drop(send.send(event)))
        .unwrap();
    let done = crate::runner::outcome(&receive);
    assert!(done.text().contains("/run-"), "{done:?}");
    client.kill("a", Duration::ZERO).ok();
    drop(client);
    eventually("the command's end", Duration::from_secs(10), || {
        (!is_running(&mark)).then_some(())
    });
    let is_run =
        |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("run-");
    eventually("the group is removed", Duration::from_secs(10), || {
        let entries = std::fs::read_dir(&place).unwrap().flatten();
        (!entries.into_iter().any(|entry| is_run(&entry))).then_some(())
    });
    runner.kill().unwrap();
    runner.wait().unwrap();
    let _ = std::fs::remove_dir(place.join("runner"));
    std::fs::remove_dir(place).unwrap();
}

/// A control group marked as delegated, as systemd marks it.
fn delegated() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let mount = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    let place = PathBuf::from(mount.split(' ').nth(1)?).join(format!("openclaw-test-{}", mark(23)));
    std::fs::create_dir(&place).ok()?;
    let marked = std::process::Command::new("/usr/bin/python3")
        .args([
            "-c",
            "import os, sys; os.setxattr(sys.argv[1], 'trusted.delegate', b'1')",
        ])
        .arg(&place)
        .status();
    if !marked.is_ok_and(|status| status.success()) {
        let _ = std::fs::remove_dir(&place);
        return None;
    }
    Some(place)
}

#[test]
fn an_agent_in_the_sandbox_gets_nothing_and_the_gateway_answers() {
    let test = "an_agent_in_the_sandbox_gets_nothing_and_the_gateway_answers";
    let gateway = Gateway::with_fake_model();
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["sandbox"] =
            json!({"mode": "all", "workspaceAccess": "rw", "docker": {"pidsLimit": 60}});
    });
    gateway.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let (state, run) = (gateway.state(), gateway.run_dir());
    let command = format!(
        "cat {0}/openclaw.json {0}/*/* ~/.openclaw/identity/device.json; \
         curl -s -m 2 --unix-socket {1}/gateway.sock http://x/health; \
         curl -s -m 2 http://127.0.0.1:{2}/health; curl -s -m 2 http://localhost:{2}/health; \
         kill -9 {3} {4}; cat /proc/{3}/environ; \
         ln -sf {0}/openclaw.json SOUL.md; rm -f TOOLS.md; mkfifo TOOLS.md; \
         (setsid sh -c 'sleep 1; echo late > late' &) ; \
         for i in $(seq 100); do sleep 5 & done; echo end; wait",
        state.display(),
        run.display(),
        gateway.port(),
        gateway.core_pid(),
        gateway.pid()
    );
    gateway.model().reply(Reply::Tools(vec![(
        "exec".into(),
        json!({"command": command}),
    )]));
    gateway.model().say(&["Done."]);
    let mut ws = gateway.connect();
    let params = json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": "e"});
    let (_, last) = crate::turn::agent(&mut ws, params);
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"], "Done.",
        "{last}"
    );
    let request = gateway.model().requests().remove(1);
    let said = request["messages"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .to_string();
    if said.contains("this kernel does not offer") {
        skip(test, "this kernel has no Landlock or no seccomp");
        return;
    }
    assert!(
        said.contains("processes") || said.to_lowercase().contains("fork"),
        "{said}"
    );
    for leaked in [
        gateway.token(),
        "\\\"ok\\\":true",
        "privateKey",
        "OPENCLAW_",
    ] {
        assert!(!said.contains(leaked), "{leaked}: {said}");
    }
    ws.call("health", json!({})).unwrap();
    // What it left in the workspace neither shows the configuration to the next turn nor stops it.
    gateway.model().say(&["Again."]);
    let params = json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": "f"});
    let (_, last) = crate::turn::agent(&mut ws, params);
    assert_eq!(
        last["payload"]["result"]["payloads"][0]["text"], "Again.",
        "{last}"
    );
    let request = gateway.model().requests().remove(2)["messages"][0].to_string();
    assert!(!request.contains(gateway.token()), "{request}");
    for file in ["SOUL.md", "TOOLS.md"] {
        let missing = format!("## {file}\\n[MISSING]");
        assert!(request.contains(&missing), "{missing}: {request}");
    }
    std::thread::sleep(Duration::from_millis(1200));
    assert!(
        !gateway.workspace().join("late").exists(),
        "something outlived its run"
    );
}

#[test]
fn a_fork_bomb_is_ended_and_a_full_disk_is_bounded() {
    let Some(cage) = Cage::new("a_fork_bomb_is_ended_and_a_full_disk_is_bounded") else {
        return;
    };
    let mark = mark(12);
    let limits = RunLimits {
        processes: Some(40),
        file_size: Some(100_000),
        ..RunLimits::default()
    };
    // Bounded by itself, too: it must not take the machine when the limit fails.
    let bomb = format!("for i in $(seq 300); do sleep {mark} & done; echo all; wait");
    let done = cage.limited(&bomb, limits.clone());
    let text = done.text();
    let refused = text.to_lowercase().contains("fork") || text.contains("more processes");
    assert!(refused, "{done:?}");
    assert!(!is_running(&mark));
    cage.limited("head -c 1000000 /dev/zero > big", limits);
    assert_eq!(
        std::fs::metadata(cage.room.join("big")).unwrap().len(),
        100_000
    );
}

#[test]
fn a_grant_is_not_followed_through_a_link_that_was_put_there_since() {
    let test = "a_grant_is_not_followed_through_a_link_that_was_put_there_since";
    let Some(cage) = Cage::new(test) else {
        return;
    };
    let skill = cage.room.join("skill");
    std::os::unix::fs::symlink(&cage.state, &skill).unwrap();
    let mut run = shell("a", "cat skill/openclaw.json ../openclaw.json; echo tried");
    run.cwd.clone_from(&cage.room);
    let mut fences = Sandbox {
        read: vec![skill.clone(), cage.room.join("gone")],
        write: vec![cage.room.clone()],
        network: false,
    };
    run.sandbox = Some(fences.clone());
    let done = cage.runner.run(run.clone());
    assert!(done.text().ends_with("tried\n"), "{done:?}");
    assert!(!done.text().contains("the-token"), "{done:?}");
    fences.write.push(skill);
    run.sandbox = Some(fences);
    let done = cage.runner.run(run);
    assert!(done.failed.is_some(), "{done:?}");
}

#[test]
fn a_session_without_the_workspace_has_copies_of_its_files_and_reads_its_skills() {
    let gateway = Gateway::with_fake_model();
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "scope": "session"});
    });
    let workspace = gateway.workspace();
    let skill = workspace.join("skills/dance/SKILL.md");
    std::fs::create_dir_all(skill.parent().unwrap()).unwrap();
    let text = "---\nname: dance\ndescription: how to dance\n---\nleft, right\n";
    std::fs::write(&skill, text).unwrap();
    std::fs::write(skill.with_file_name("steps"), "one two\n").unwrap();
    std::fs::write(workspace.join("AGENTS.md"), "be kind\n").unwrap();
    std::fs::write(workspace.join("private"), "not for it\n").unwrap();
    gateway.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let dance = skill.parent().unwrap().display().to_string();
    let command = format!(
        "cat AGENTS.md {dance}/steps {}/private; echo x >> AGENTS.md; \
        echo x > {dance}/steps",
        workspace.display()
    );
    gateway.model().reply(Reply::Tools(vec![
        ("read".into(), json!({"path": skill})),
        ("write".into(), json!({"path": skill, "content": "mine"})),
        ("read".into(), json!({"path": "AGENTS.md"})),
        ("exec".into(), json!({"command": command})),
    ]));
    gateway.model().say(&["Done."]);
    let mut ws = gateway.connect();
    let params = json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": "s"});
    crate::turn::agent(&mut ws, params);
    let requests = gateway.model().requests();
    let messages = requests[1]["messages"].as_array().unwrap();
    let said: Vec<String> = messages[messages.len() - 4..]
        .iter()
        .map(|message| message["content"].to_string())
        .collect();
    if said[3].contains("this kernel does not offer") {
        let test = "a_session_without_the_workspace_has_copies_of_its_files_and_reads_its_skills";
        return skip(test, "this kernel has no Landlock or no seccomp");
    }
    assert!(said[0].contains("left, right"), "{said:?}");
    assert!(said[1].contains("can only be read"), "{said:?}");
    assert!(said[2].contains("be kind"), "{said:?}");
    assert!(said[3].contains("be kind"), "{said:?}");
    assert!(said[3].contains("one two"), "{said:?}");
    assert!(!said[3].contains("not for it"), "{said:?}");
    let system = requests[0]["messages"][0].to_string();
    assert!(system.contains("sandboxes/agent-main-main-"), "{system}");
    assert!(system.contains("cannot be reached"), "{system}");
    // The copy is the session's own from now on.
    let kept = std::fs::read_to_string(workspace.join("AGENTS.md")).unwrap();
    assert_eq!(kept, "be kind\n");
    let steps = std::fs::read_to_string(skill.with_file_name("steps")).unwrap();
    assert_eq!(steps, "one two\n");
}

#[test]
fn sandbox_explain_says_what_the_original_says_and_what_the_kernel_enforces() {
    let gateway = Gateway::with_fake_model();
    let (status, out, err) = gateway.openclaw(&["sandbox", "explain", "--json"]);
    assert!(status.success(), "{err}");
    let mut told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let held = told.as_object_mut().unwrap().remove("enforcement").unwrap();
    let root = gateway.home().join(".openclaw/sandboxes");
    let expected = json!({
        "docsUrl": "https://docs.openclaw.ai/sandbox",
        "agentId": "main",
        "sessionKey": "agent:main:main",
        "mainSessionKey": "agent:main:main",
        "sandbox": {
            "mode": "off", "scope": "agent", "perSession": false, "workspaceAccess": "none",
            "workspaceRoot": root, "sessionIsSandboxed": false,
            "tools": {
                "allow": ["exec", "process", "read", "write", "edit", "apply_patch", "image",
                    "sessions_list", "sessions_history", "sessions_send", "sessions_spawn",
                    "session_status"],
                "deny": ["browser", "canvas", "nodes", "cron", "gateway", "telegram", "whatsapp",
                    "discord", "googlechat", "slack", "signal", "imessage"],
                "sources": {
                    "allow": {"source": "default", "key": "tools.sandbox.tools.allow"},
                    "deny": {"source": "default", "key": "tools.sandbox.tools.deny"},
                },
            },
        },
        "elevated": {"enabled": true, "allowedByConfig": false, "alwaysAllowedByConfig": false,
            "allowFrom": {}, "failures": []},
        "fixIt": ["tools.sandbox.tools.allow", "tools.sandbox.tools.deny",
            "agents.list[].tools.sandbox.tools.allow", "agents.list[].tools.sandbox.tools.deny",
            "tools.elevated.enabled"],
    });
    assert_eq!(told, expected);
    let runner = Runner::start("explain");
    for what in ["landlock", "seccomp", "signals", "namespaces"] {
        assert_eq!(held[what], runner.enforces(what), "{what}");
    }
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["sandbox"] = json!({"mode": "non-main"});
        config["tools"]["elevated"] = json!({"allowFrom": {"telegram": ["*"]}});
        config["tools"]["sandbox"] = json!({"tools": {"allow": ["read"]}});
    });
    let session = "agent:main:telegram:dm:7";
    let (status, out, _) = gateway.openclaw(&["sandbox", "explain", "--session", session]);
    assert!(status.success());
    for line in [
        "  runtime: sandboxed\n",
        "  allow (global): read, image\n",
        "  channel: telegram\n  allowedByConfig: true\n",
        "Hint: with mode non-main the main session runs direct: agent:main:main\n",
        "Enforcement here:\n  backend: kernel\n  files (Landlock): ",
        "  - agents.defaults.sandbox.mode=off\n",
        "  - tools.elevated.allowFrom.telegram\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}

/// A `docker` that notes its words and runs what is to be run inside right here.
const FAKE_DOCKER: &str = r#"#!/bin/sh
dir=$(dirname "$0")
for word; do printf '%s\n' "$word"; done >> "$dir/asked"
echo -- >> "$dir/asked"
case "$1 $2" in
"inspect -f")
    test -e "$dir/made" || { echo "Error: No such object: $4" >&2; exit 1; }
    case "$3" in
    *Running*) test -e "$dir/up" && echo true || echo false ;;
    *configHash*) cat "$dir/made" ;;
    *Image*) echo own:1 ;;
    esac ;;
"image inspect") echo '[]' ;;
"create --name")
    for word; do case "$word" in openclaw.configHash=*) echo "${word#*=}" > "$dir/made";; esac; done ;;
"start "*) touch "$dir/up" ;;
"rm -f") rm -f "$dir/made" "$dir/up" ;;
"exec -i")
    shift 2
    while :; do case "$1" in -w) shift 2 ;; -e) export "$2"; shift 2 ;; *) break ;; esac; done
    shift; exec "$@" ;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
"#;

#[test]
fn a_sandbox_with_an_image_is_a_container_where_there_is_docker() {
    use std::os::unix::fs::PermissionsExt;
    let bin = crate::harness::Dir::new("docker");
    let program = bin.path().join("docker");
    std::fs::write(&program, FAKE_DOCKER).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.path().display());
    let gateway = crate::harness::Setup::with_fake_model()
        .env("PATH", &path)
        .start();
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "ro",
            "docker": {"image": "own:1", "setupCommand": "true", "env": {"COLOUR": "red"}}});
    });
    gateway.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let ask = |command: &str, key: &str| {
        let call = json!({"command": command, "workdir": "/workspace", "env": {"OWN": "1"}});
        gateway.model().reply(Reply::Tools(vec![
            ("exec".into(), call),
            ("read".into(), json!({"path": "/workspace/AGENTS.md"})),
        ]));
        gateway.model().say(&["Done."]);
        let mut ws = gateway.connect();
        let params =
            json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": key});
        crate::turn::agent(&mut ws, params);
        let request = gateway.model().requests().pop().unwrap();
        let messages = request["messages"].as_array().unwrap();
        let text = |at: usize| messages[messages.len() - at]["content"].to_string();
        [text(2), text(1), messages[0].to_string()]
    };
    std::fs::write(gateway.workspace().join("AGENTS.md"), "be kind").unwrap();
    let [ran, read, system] = ask("echo $COLOUR-$OWN-$HOME", "1");
    assert!(ran.contains("red-1-/workspace"), "{ran}");
    assert!(read.contains("be kind"), "{read}");
    assert!(system.contains("in a container (image own:1)"), "{system}");
    let asked = std::fs::read_to_string(bin.path().join("asked")).unwrap();
    let folder = gateway
        .home()
        .join(".openclaw/sandboxes/agent-main-0d71ad7a");
    let workspace = gateway.workspace().canonicalize().unwrap();
    for words in [
        "create\n--name\nopenclaw-sbx-agent-main-0d71ad7a\n--label\nopenclaw.sandbox=1\n".into(),
        format!(
            "-v\n{}:/workspace\n",
            folder.canonicalize().unwrap().display()
        ),
        format!(
            "-v\n{}:/agent:ro\nown:1\nsleep\ninfinity\n",
            workspace.display()
        ),
        "exec\n-i\nopenclaw-sbx-agent-main-0d71ad7a\nsh\n-lc\ntrue\n".into(),
        "exec\n-i\n-w\n/workspace\n-e\nCOLOUR=red\n-e\nHOME=/workspace\n-e\nOWN=1\n-e\nPATH="
            .into(),
    ] {
        assert!(asked.contains(&words), "{words}: {asked}");
    }
    let [ran, ..] = ask("exit 3", "2");
    assert!(ran.contains("exited with code 3"), "{ran}");
    let asked = std::fs::read_to_string(bin.path().join("asked")).unwrap();
    assert_eq!(asked.matches("create\n").count(), 1, "{asked}");

    let with_path = |args: &[&str]| {
        let mut command = gateway.command(env!("CARGO_BIN_EXE_openclaw"));
        let output = command.args(args).env("PATH", &path).output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (_, out) = with_path(&["sandbox", "list", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    let row = &told["containers"][0];
    assert_eq!(row["containerName"], "openclaw-sbx-agent-main-0d71ad7a");
    assert_eq!(row["sessionKey"], "agent:main");
    assert_eq!(
        (&row["running"], &row["imageMatch"]),
        (&json!(true), &json!(true)),
        "{row}"
    );
    assert_eq!(told["browsers"], json!([]));
    let (_, out) = with_path(&["sandbox", "explain"]);
    assert!(
        out.contains("backend: docker (for sandbox.docker.image)"),
        "{out}"
    );
    let (ok, out) = with_path(&["sandbox", "recreate", "--agent", "other", "--force"]);
    assert!(
        ok && out == "No containers found matching the criteria.\n",
        "{out}"
    );
    let (ok, out) = with_path(&["sandbox", "recreate", "--agent", "main", "--force"]);
    assert!(
        ok && out.contains("✓ Removed openclaw-sbx-agent-main-0d71ad7a\n"),
        "{out}"
    );
    let (_, out) = with_path(&["sandbox", "list"]);
    assert_eq!(out, "No sandbox containers found.\nTotal: 0 (0 running)\n");
    let (status, _, err) = gateway.openclaw(&["sandbox", "recreate"]);
    assert_eq!(
        err,
        "Please specify --all, --session <key>, or --agent <id>\n"
    );
    assert_eq!(status.code(), Some(1));
    // Without the program it is the kernel's, and said so.
    let mut command = gateway.command(env!("CARGO_BIN_EXE_openclaw"));
    let output = command
        .args(["sandbox", "explain"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(
        out.contains("needs Docker, which is not installed"),
        "{out}"
    );
}

#[test]
fn a_skills_folder_that_became_a_link_opens_nothing() {
    let gateway = Gateway::with_fake_model();
    gateway.edit_config(|config| {
        config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "rw"});
    });
    let skill = gateway.workspace().join("skills/dance");
    std::fs::create_dir_all(&skill).unwrap();
    let text = "---\nname: dance\ndescription: how to dance\n---\n";
    std::fs::write(skill.join("SKILL.md"), text).unwrap();
    let private = gateway.state().join("agents/main/agent");
    std::fs::create_dir_all(&private).unwrap();
    std::fs::write(private.join("keys.json"), "the-key").unwrap();
    gateway.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    let swap = format!(
        "mv skills/dance aside && ln -s {} skills/dance",
        private.display()
    );
    let exec = |command: &str| Reply::Tools(vec![("exec".into(), json!({"command": command}))]);
    gateway.model().reply(exec(&swap));
    gateway.model().reply(Reply::Tools(vec![
        (
            "exec".into(),
            json!({"command": "ls skills; cat skills/dance/keys.json; echo tried"}),
        ),
        ("read".into(), json!({"path": "skills/dance/keys.json"})),
    ]));
    gateway.model().say(&["Done."]);
    let mut ws = gateway.connect();
    let params = json!({"message": "go", "sessionKey": "agent:main:main", "idempotencyKey": "l"});
    crate::turn::agent(&mut ws, params);
    let said = gateway.model().requests().remove(2)["messages"].to_string();
    if said.contains("this kernel does not offer") {
        let test = "a_skills_folder_that_became_a_link_opens_nothing";
        return skip(test, "this kernel has no Landlock or no seccomp");
    }
    assert!(said.contains("tried"), "{said}");
    assert!(said.contains("Symlink not allowed"), "{said}");
    assert!(!said.contains("the-key"), "{said}");
}
