//! What a sandboxed command can not do, tried from inside with the real runner and this kernel.

use crate::harness::{eventually, skip};
use crate::runner::{Outcome, Runner, has_python, is_running, mark, shell};
use openclaw::wire::exec::{RunLimits, Sandbox};
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
    let done = cage.run(
        "python3 -c 'import socket
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    try:
        socket.socket(family, socket.SOCK_DGRAM); print(\"open\")
    except PermissionError: print(\"refused\")'",
    );
    assert_eq!(done.text(), "refused\n".repeat(4), "{done:?}");
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
    eventually(
        "the private temp folder is gone",
        Duration::from_secs(5),
        || {
            let left = cage.run("echo $TMPDIR").text();
            (!PathBuf::from(left.trim()).exists()).then_some(())
        },
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
