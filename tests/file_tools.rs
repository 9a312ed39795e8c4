//! `apply_patch`, `grep`, `find` and `ls` on real files, on the whole host and from a sandbox.

use crate::tools::House;
use openclaw::base::cancel::Cancel;
use openclaw::wire::message::text_of;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

fn searching(name: &str) -> House {
    let house = House::new(
        name,
        json!({"tools": {"alsoAllow": ["grep", "find", "ls"]}}),
    );
    let workspace = house.workspace();
    for (path, text) in [
        (
            "src/main.rs",
            "fn main() {\n    // needle one\n    run();\n}\n",
        ),
        ("src/deep/lib.rs", "a\nb\nNeedle two\nc\nd\n"),
        ("src/.gitignore", "generated/\n"),
        ("src/generated/x.rs", "needle hidden\n"),
        (".gitignore", "*.log\n!keep.log\n/target\n"),
        ("a.log", "needle in a log\n"),
        ("keep.log", "needle kept\n"),
        ("target/out.rs", "needle built\n"),
        (".git/config", "needle of git\n"),
        ("Zoo.txt", "nothing\n"),
        ("data.bin", "needle\0"),
    ] {
        let path = workspace.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    symlink("/etc", workspace.join("etc-link")).unwrap();
    house
}

#[test]
fn grep_shows_lines_with_their_surroundings_and_passes_over_what_is_ignored() {
    let house = searching("grep");
    let grep = |arguments: Value| house.text("grep", arguments);
    assert_eq!(
        grep(json!({"pattern": "needle", "ignoreCase": true})),
        "keep.log:1: needle kept\nsrc/deep/lib.rs:3: Needle two\nsrc/main.rs:2:     // needle one"
    );
    assert_eq!(
        grep(json!({"pattern": "^[nN]eedle t", "path": "src", "context": 1})),
        "deep/lib.rs-2- b\ndeep/lib.rs:3: Needle two\ndeep/lib.rs-4- c"
    );
    assert_eq!(
        grep(json!({"pattern": "needle", "glob": "*.rs", "path": "src"})),
        "main.rs:2:     // needle one",
        "the outer .gitignore and the inner one hold below src"
    );
    assert_eq!(
        grep(json!({"pattern": "main()", "literal": true})),
        "src/main.rs:1: fn main() {"
    );
    assert_eq!(
        grep(json!({"pattern": "needle", "path": "a.log"})),
        "a.log:1: needle in a log",
        "a file that is named is searched"
    );
    assert_eq!(grep(json!({"pattern": "no such"})), "No matches found");
    let limited = grep(json!({"pattern": ".", "glob": "src/**/lib.rs", "limit": 2}));
    assert_eq!(
        limited,
        "src/deep/lib.rs:1: a\nsrc/deep/lib.rs:2: b\n\n[2 matches limit reached. Use limit=4 for \
         more, or refine pattern]"
    );
    let said = house.error("grep", json!({"pattern": "a(b"}));
    assert!(said.contains("Use literal"), "{said}");
}

#[test]
fn an_expression_made_to_be_slow_is_not() {
    let house = searching("grep-slow");
    let text = format!("{}\n", "a".repeat(60_000));
    fs::write(house.workspace().join("slow.txt"), text).unwrap();
    let started = std::time::Instant::now();
    let found = house.text(
        "grep",
        json!({"pattern": "(a*)*b|(a|a)*c", "path": "slow.txt"}),
    );
    assert_eq!(found, "No matches found");
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

#[test]
fn find_and_ls_name_what_is_there() {
    let house = searching("find");
    let find = |arguments: Value| house.text("find", arguments);
    assert_eq!(
        find(json!({"pattern": "*.rs"})),
        "src/deep/lib.rs\nsrc/main.rs"
    );
    assert_eq!(find(json!({"pattern": "src/*.rs"})), "src/main.rs");
    assert_eq!(find(json!({"pattern": "deep", "path": "src"})), "deep/");
    assert_eq!(
        find(json!({"pattern": "*.rs", "limit": 1})),
        "src/deep/lib.rs\n\n[1 results limit reached. Use limit=2 for more, or refine pattern]"
    );
    assert_eq!(
        find(json!({"pattern": "*.zig"})),
        "No files found matching pattern"
    );
    assert_eq!(
        house.text("ls", json!({})),
        ".git/\n.gitignore\na.log\ndata.bin\netc-link/\nkeep.log\nsrc/\ntarget/\nZoo.txt"
    );
    assert_eq!(
        house.text("ls", json!({"path": "src", "limit": 1})),
        ".gitignore\n\n[1 entries limit reached. Use limit=2 for more]"
    );
    fs::create_dir(house.workspace().join("empty")).unwrap();
    assert_eq!(
        house.text("ls", json!({"path": "empty"})),
        "(empty directory)"
    );
    let said = house.error("ls", json!({"path": "Zoo.txt"}));
    assert_eq!(said, "Not a directory: Zoo.txt");
    assert!(
        house
            .error("ls", json!({"path": "gone"}))
            .starts_with("ENOENT")
    );
}

#[test]
fn what_waits_for_a_writer_does_not_stop_a_search() {
    let house = searching("search-fifo");
    let fifo = house.workspace().join("src/fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let found = house.text("grep", json!({"pattern": "needle one"}));
    assert_eq!(found, "src/main.rs:2:     // needle one");
    let stopped = Cancel::new();
    stopped.cancel();
    let done = house.call_with("find", json!({"pattern": "*"}), &stopped);
    assert!(text_of(&done.content).contains("aborted"));
}

#[test]
fn a_sandboxed_search_stays_in_its_room() {
    let mut house = searching("search-room");
    house.config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "rw"});
    house.config["tools"]["sandbox"] = json!({"tools": {"allow": ["grep", "find", "ls"]}});
    let listed = house.text("ls", json!({}));
    assert!(
        listed.contains("etc-link\n"),
        "a link leads nowhere: {listed}"
    );
    for path in ["/etc", "..", "etc-link", "etc-link/.."] {
        for (tool, pattern) in [("ls", ""), ("find", "*"), ("grep", "root")] {
            let said = house.call(tool, json!({"path": path, "pattern": pattern}));
            let text = text_of(&said.content);
            let inside = path == "etc-link/..";
            assert!(said.failed() != inside, "{tool} {path}: {text}");
            assert!(!text.contains("passwd"), "{tool} {path}: {text}");
        }
    }
    assert_eq!(
        house.text("grep", json!({"pattern": "Needle two"})),
        "src/deep/lib.rs:3: Needle two"
    );
    // With `ro` it works in a folder of its own and may look at the workspace.
    house.config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "ro"});
    assert_eq!(house.text("ls", json!({})), "(empty directory)");
    let workspace = house.workspace();
    assert_eq!(
        house.text("grep", json!({"pattern": "Needle two", "path": workspace})),
        "src/deep/lib.rs:3: Needle two"
    );
}

fn patching(name: &str) -> House {
    let config = json!({"tools": {"exec": {"applyPatch": {"enabled": true}}}});
    let mut house = House::new(name, config);
    house.provider = "openai";
    house
}

#[test]
fn a_patch_adds_changes_moves_and_deletes_files() {
    let house = patching("patch");
    let file = |name: &str| house.workspace().join(name);
    fs::write(file("a.txt"), "one\ntwo\nthree\n").unwrap();
    fs::write(file("b.txt"), "bee\n").unwrap();
    fs::write(file("c.txt"), "sea\n").unwrap();
    let elsewhere = house.dir.path().join("outside.txt");
    let patch = format!(
        "*** Begin Patch\n*** Add File: new/dir/n.txt\n+hello\n*** Update File: a.txt\n@@ one\n\
         -two\n+TWO\n*** Update File: b.txt\n*** Move to: moved/b.txt\n@@\n-bee\n+wasp\n\
         *** Delete File: c.txt\n*** Add File: {}\n+out\n*** End Patch",
        elsewhere.display()
    );
    let done = house.call("apply_patch", json!({"input": patch}));
    let outside = elsewhere.to_str().unwrap();
    assert_eq!(
        text_of(&done.content),
        format!(
            "Success. Updated the following files:\nA new/dir/n.txt\nA {outside}\nM a.txt\n\
             M moved/b.txt\nD c.txt"
        )
    );
    assert_eq!(
        done.details.unwrap(),
        json!({"summary": {"added": ["new/dir/n.txt", outside],
            "modified": ["a.txt", "moved/b.txt"], "deleted": ["c.txt"]}})
    );
    assert_eq!(
        fs::read_to_string(file("new/dir/n.txt")).unwrap(),
        "hello\n"
    );
    assert_eq!(
        fs::read_to_string(file("a.txt")).unwrap(),
        "one\nTWO\nthree\n"
    );
    assert_eq!(fs::read_to_string(file("moved/b.txt")).unwrap(), "wasp\n");
    assert!(!file("b.txt").exists() && !file("c.txt").exists());
}

#[test]
fn a_patch_that_does_not_fit_changes_nothing() {
    let house = patching("patch-misfit");
    let file = |name: &str| house.workspace().join(name);
    fs::write(file("a.txt"), "one\n").unwrap();
    let starts =
        "*** Begin Patch\n*** Add File: n.txt\n+x\n*** Update File: a.txt\n@@\n-one\n+two\n";
    for rest in [
        "*** Update File: a.txt\n@@\n-one\n+again\n",
        "*** Delete File: gone.txt\n",
        "*** Delete File: .\n",
        "*** Update File: gone.txt\n@@\n-x\n+y\n",
        "*** Delete File: n.txt\n*** Update File: n.txt\n@@\n-x\n+y\n",
    ] {
        let patch = format!("{starts}{rest}*** End Patch");
        house.error("apply_patch", json!({"input": patch}));
        assert!(!file("n.txt").exists(), "{rest}");
        assert_eq!(
            fs::read_to_string(file("a.txt")).unwrap(),
            "one\n",
            "{rest}"
        );
    }
}

#[test]
fn a_sandboxed_patch_stays_in_its_room() {
    let mut house = patching("patch-room");
    house.config["agents"]["defaults"]["sandbox"] = json!({"mode": "all", "workspaceAccess": "rw"});
    let outside = house.dir.path().join("outside.txt");
    fs::write(&outside, "kept\n").unwrap();
    symlink(house.dir.path(), house.workspace().join("link")).unwrap();
    let link = house.workspace().join("link/outside.txt");
    for path in [
        "../../outside.txt",
        "link/outside.txt",
        outside.to_str().unwrap(),
    ] {
        for change in [
            "Add File: P\n+x",
            "Delete File: P",
            "Update File: P\n@@\n-kept\n+x",
        ] {
            let change = change.replace('P', path);
            let patch = format!("*** Begin Patch\n*** {change}\n*** End Patch");
            house.error("apply_patch", json!({"input": patch}));
            assert_eq!(fs::read_to_string(&link).unwrap(), "kept\n", "{change}");
        }
    }
    let patch = "*** Begin Patch\n*** Add File: d/in.txt\n+x\n*** Delete File: d/in.txt\n\
        *** Add File: d/in.txt\n+y\n*** End Patch";
    house.text("apply_patch", json!({"input": patch}));
    let patch = "*** Begin Patch\n*** Update File: d/in.txt\n*** Move to: out.txt\n@@\n-y\n+z\n\
        *** End Patch";
    house.text("apply_patch", json!({"input": patch}));
    assert_eq!(
        fs::read_to_string(house.workspace().join("out.txt")).unwrap(),
        "z\n"
    );
    assert!(!house.workspace().join("d/in.txt").exists());
}
