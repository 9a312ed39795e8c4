//! What packages are made of: `contrib/install` into a folder, and what the service managers, the
//! shells and the page formatter say of the files it put there.

use crate::harness::{Dir, skip};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Every file of a system install, apart from the manual pages.
const FILES: &str = "
etc/openclaw/openclaw.json
usr/bin/openclaw
usr/bin/openclawctl
usr/lib/systemd/system/openclaw-exec.service
usr/lib/systemd/system/openclaw-exec.slice
usr/lib/systemd/system/openclaw-exec.socket
usr/lib/systemd/system/openclaw-gateway.service
usr/lib/systemd/system/openclaw-gateway.socket
usr/lib/systemd/system/openclaw.slice
usr/lib/systemd/user/openclaw-gateway.service
usr/lib/sysusers.d/openclaw.conf
usr/lib/tmpfiles.d/openclaw.conf
usr/libexec/openclaw/openclaw-channel
usr/libexec/openclaw/openclaw-exec
usr/libexec/openclaw/openclaw-memory
usr/sbin/openclaw-gateway
usr/share/bash-completion/completions/openclaw
usr/share/bash-completion/completions/openclawctl
usr/share/doc/openclaw/CHANGELOG.md
usr/share/doc/openclaw/README.md
usr/share/doc/openclaw/examples/caddy/Caddyfile
usr/share/doc/openclaw/examples/channels/openclaw-channel-echo
usr/share/doc/openclaw/examples/channels/openclaw-channel-file
usr/share/doc/openclaw/examples/launchd/ai.openclaw.gateway.plist
usr/share/doc/openclaw/examples/logrotate/openclaw
usr/share/doc/openclaw/examples/nginx/openclaw.conf
usr/share/doc/openclaw/examples/openrc/openclaw-gateway
usr/share/doc/openclaw/examples/openrc/openclaw-gateway.confd
usr/share/doc/openclaw/examples/runit/openclaw-gateway/finish
usr/share/doc/openclaw/examples/runit/openclaw-gateway/log/run
usr/share/doc/openclaw/examples/runit/openclaw-gateway/run
usr/share/doc/openclaw/examples/s6/openclaw-gateway/finish
usr/share/doc/openclaw/examples/s6/openclaw-gateway/log/run
usr/share/doc/openclaw/examples/s6/openclaw-gateway/notification-fd
usr/share/doc/openclaw/examples/s6/openclaw-gateway/run
usr/share/doc/openclaw/examples/systemd/browser.conf
usr/share/doc/openclaw/examples/systemd/cgroups.conf
usr/share/doc/openclaw/examples/systemd/credentials.conf
usr/share/doc/openclaw/examples/systemd/exec-user.conf
usr/share/doc/openclaw/examples/systemd/gpio.conf
usr/share/doc/openclaw/examples/systemd/strict.conf
usr/share/doc/openclaw/examples/sysvinit/openclaw-gateway
usr/share/fish/vendor_completions.d/openclaw.fish
usr/share/fish/vendor_completions.d/openclawctl.fish
usr/share/openclaw/openclaw.json
usr/share/zsh/site-functions/_openclaw
usr/share/zsh/site-functions/_openclawctl
";

/// Highest exposure of each unit as `systemd-analyze security` counts it, in tenths.
const EXPOSURE: [(&str, bool, &str); 3] = [
    ("system/openclaw-gateway.service", false, "15"),
    ("system/openclaw-exec.service", false, "15"),
    ("user/openclaw-gateway.service", true, "64"),
];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder with our six programs as a build leaves them, but small: each starts the real one.
fn programs(dir: &Path) -> PathBuf {
    let folder = dir.join("built");
    let real = Path::new(env!("CARGO_BIN_EXE_openclaw")).parent().unwrap();
    fs::create_dir_all(&folder).unwrap();
    for name in [
        "openclaw",
        "openclawctl",
        "openclaw-gateway",
        "openclaw-channel",
        "openclaw-exec",
        "openclaw-memory",
    ] {
        let script = format!("#!/bin/sh\nexec '{}/{name}' \"$@\"\n", real.display());
        fs::write(folder.join(name), script).unwrap();
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.join(name), mode).unwrap();
    }
    folder
}

fn install(dir: &Path, words: &[&str]) {
    let built = format!("builddir={}", programs(dir).display());
    let output = Command::new(repository().join("contrib/install"))
        .args(words)
        .arg(built)
        .env_remove("DESTDIR")
        .env("HOME", dir)
        .output()
        .expect("contrib/install runs");
    assert!(output.status.success(), "{}", said(&output));
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Paths of all files below `root`, as they are from there.
fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let short = path.strip_prefix(root).unwrap();
                    found.insert(short.display().to_string());
                }
            }
        }
    }
    found
}

fn pages() -> impl Iterator<Item = String> {
    let names = fs::read_dir(repository().join("man")).unwrap();
    names.map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let section = name.rsplit('.').next().unwrap();
        format!("usr/share/man/man{section}/{name}")
    })
}

fn run(program: &str, words: &[&str]) -> Option<Output> {
    Command::new(program).args(words).output().ok()
}

#[test]
fn an_install_puts_every_file_in_its_place_and_takes_them_away_again() {
    let dir = Dir::new("packaging-files");
    let root = dir.path().join("root");
    let dest = format!("DESTDIR={}", root.display());
    install(dir.path(), &[&dest, "prefix=/usr"]);
    let expected: BTreeSet<String> = FILES.split_whitespace().map(String::from).collect();
    let expected = expected.union(&pages().collect()).cloned().collect();
    assert_eq!(files(&root), expected);
    for (file, mode) in [
        ("usr/sbin/openclaw-gateway", 0o755),
        ("etc/openclaw/openclaw.json", 0o640),
        ("usr/share/openclaw/openclaw.json", 0o644),
        ("usr/bin/openclaw", 0o755),
    ] {
        let meta = fs::metadata(root.join(file)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{file}");
    }
    assert!(root.join("usr/libexec/openclaw/channels").is_dir());

    // A second install changes no setting, and taking all away leaves it.
    let setting = root.join("etc/openclaw/openclaw.json");
    fs::write(&setting, "{gateway: {port: 1}}").unwrap();
    install(dir.path(), &[&dest, "prefix=/usr"]);
    install(dir.path(), &[&dest, "prefix=/usr", "--uninstall"]);
    let left: Vec<String> = files(&root).into_iter().collect();
    assert_eq!(left, ["etc/openclaw/openclaw.json"]);
    assert!(fs::read_to_string(setting).unwrap().contains("port: 1"));
}

#[test]
fn files_name_the_folders_they_were_installed_in() {
    let dir = Dir::new("packaging-prefix");
    let root = dir.path().join("root");
    let dest = format!("DESTDIR={}", root.display());
    let words = [
        dest.as_str(),
        "prefix=/opt/oc",
        "sysconfdir=/opt/etc",
        "localstatedir=/opt/var",
        "runstatedir=/opt/run",
        "init=openrc runit",
    ];
    install(dir.path(), &words);
    let all = files(&root);
    for file in [
        "opt/etc/init.d/openclaw-gateway",
        "opt/etc/sv/openclaw-gateway/log/run",
    ] {
        assert!(all.contains(file), "{all:?}");
    }
    assert!(!all.iter().any(|file| file.contains("systemd/system")));
    let papers = [
        "opt/oc/share/man",
        "opt/oc/share/doc/openclaw/examples/channels",
    ];
    for file in &all {
        if papers.iter().any(|folder| file.starts_with(folder)) || file.ends_with(".md") {
            continue;
        }
        let text = fs::read_to_string(root.join(file)).unwrap();
        for foreign in [
            "/usr/sbin/openclaw",
            "/usr/bin/openclaw",
            "/usr/libexec/openclaw",
            " /etc/openclaw",
            " /var/lib/openclaw",
            " /run/openclaw",
        ] {
            // A completion script's own comments say where it may lie.
            assert!(!text.contains(foreign), "{file}: {foreign}");
        }
    }
    let home = dir.path().join("home");
    let prefix = format!("prefix={}", home.display());
    install(dir.path(), &[&prefix, "system=no"]);
    let own = files(&home);
    assert!(own.contains("share/systemd/user/openclaw-gateway.service"));
    assert!(!own.iter().any(|file| file.contains("sysusers")), "{own:?}");
    let unit = fs::read_to_string(home.join("share/systemd/user/openclaw-gateway.service"));
    let started = format!("ExecStart={}/sbin/openclaw-gateway", home.display());
    assert!(unit.unwrap().contains(&started));
}

/// systemd's own check and its score, where it is installed; it needs not run.
#[test]
fn the_units_are_clean_and_as_closed_as_they_say() {
    let name = "the_units_are_clean_and_as_closed_as_they_say";
    let dir = Dir::new("packaging-units");
    let prefix = format!("prefix={}", dir.path().join("usr").display());
    let etc = format!("sysconfdir={}", dir.path().join("etc").display());
    install(dir.path(), &[&prefix, &etc]);
    let units = dir.path().join("usr/lib/systemd");
    let analyze = |user: bool, words: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.env("XDG_RUNTIME_DIR", dir.path()).arg("--no-pager");
        if user {
            command.arg("--user");
        }
        command.args(words).output().ok()
    };
    let verify = ["verify", "--man=no", "--recursive-errors=no"];
    for user in [false, true] {
        let folder = units.join(if user { "user" } else { "system" });
        let files = fs::read_dir(folder).unwrap();
        let files: Vec<String> = files
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        let words: Vec<&str> = verify
            .into_iter()
            .chain(files.iter().map(String::as_str))
            .collect();
        let Some(output) = analyze(user, &words) else {
            return skip(name, "no systemd-analyze");
        };
        let ours: Vec<String> = said(&output)
            .lines()
            .filter(|line| line.contains("openclaw"))
            .map(String::from)
            .collect();
        assert!(output.status.success() && ours.is_empty(), "{ours:#?}");
    }
    for (unit, user, most) in EXPOSURE {
        let file = units.join(unit).display().to_string();
        let threshold = format!("--threshold={most}");
        let words = ["security", "--offline=true", &threshold, &file];
        let output = analyze(user, &words).expect("it was there a moment ago");
        let text = said(&output);
        assert!(
            output.status.success(),
            "{unit} > {most}/10: {}",
            text.lines().last().unwrap_or_default()
        );
    }
}

/// Names that a user may type are offered, and the scripts are whole.
#[test]
fn the_completions_of_scripts_command_work_in_three_shells() {
    let dir = Dir::new("packaging-completions");
    let prefix = format!("prefix={}", dir.path().display());
    install(dir.path(), &[&prefix, "system=no"]);
    let share = dir.path().join("share");
    let path = |file: &str| share.join(file).display().to_string();
    let bash = path("bash-completion/completions/openclawctl");
    let ask = format!(
        "source {bash}; COMP_WORDS=(openclawctl st); COMP_CWORD=1; \
         f=$(complete -p openclawctl | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $f; echo \"${{COMPREPLY[@]}}\""
    );
    match run("bash", &["-c", &ask]) {
        Some(output) => assert_eq!(said(&output).trim(), "status"),
        None => skip("completions of openclawctl", "no bash"),
    }
    match run("zsh", &["-n", &path("zsh/site-functions/_openclawctl")]) {
        Some(output) => assert!(output.status.success(), "{}", said(&output)),
        None => skip("completions of openclawctl", "no zsh"),
    }
    let fish = path("fish/vendor_completions.d/openclawctl.fish");
    let ask = format!("source {fish}; complete -C 'openclawctl st'");
    match run("fish", &["--no-config", "-c", &ask]) {
        Some(output) => assert!(said(&output).starts_with("status"), "{}", said(&output)),
        None => skip("completions of openclawctl", "no fish"),
    }
}

/// Users and folders, as a package's install makes them.
#[test]
fn the_users_and_folders_of_a_package_are_made() {
    let name = "the_users_and_folders_of_a_package_are_made";
    if openclaw::base::sys::peer::own_uid() != 0 {
        return skip(name, "not root");
    }
    let dir = Dir::new("packaging-users");
    let root = dir.path().join("root");
    let dest = format!("DESTDIR={}", root.display());
    install(dir.path(), &[&dest, "prefix=/usr"]);
    let at = format!("--root={}", root.display());
    let conf = |kind: &str| format!("{}/usr/lib/{kind}.d/openclaw.conf", root.display());
    for (program, words) in [
        ("systemd-sysusers", vec![at.clone(), conf("sysusers")]),
        (
            "systemd-tmpfiles",
            vec![at.clone(), "--create".into(), conf("tmpfiles")],
        ),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(output) = run(program, &words) else {
            return skip(name, "no systemd");
        };
        assert!(output.status.success(), "{program}: {}", said(&output));
    }
    let users = fs::read_to_string(root.join("etc/passwd")).unwrap();
    assert!(
        users.contains("OpenClaw gateway:/var/lib/openclaw:"),
        "{users}"
    );
    for (path, mode) in [
        ("etc/openclaw", 0o750),
        ("etc/openclaw/openclaw.json", 0o640),
        ("etc/openclaw/credentials", 0o700),
        ("var/lib/openclaw", 0o700),
        ("var/lib/openclaw/openclaw.json", 0o600),
        ("var/lib/openclaw-workspace", 0o2770),
    ] {
        let meta = fs::metadata(root.join(path)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, mode, "{path}");
    }
}

/// From a folder that lies as the releases on a server do.
#[test]
fn the_installer_installs_upgrades_and_refuses_what_was_changed_on_the_way() {
    let name = "the_installer_installs_upgrades_and_refuses_what_was_changed_on_the_way";
    if ["curl", "bash"]
        .iter()
        .any(|program| run(program, &["--version"]).is_none())
    {
        return skip(name, "no curl");
    }
    let dir = Dir::new("packaging-installer");
    let releases = dir.path().join("site/latest/download");
    let made = Command::new(repository().join("contrib/binary-tarball"))
        .arg(&releases)
        .env("BUILT", programs(dir.path()))
        .env("SOURCE_DATE_EPOCH", "1")
        .env("TARGET", "x86_64-linux-gnu")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    if !cfg!(target_arch = "x86_64") || !cfg!(target_env = "gnu") {
        return skip(
            name,
            "other programs than those of the test are fetched here",
        );
    }
    let prefix = dir.path().join("prefix");
    let installer = || {
        let script = fs::File::open(repository().join("contrib/install.sh")).unwrap();
        Command::new("bash")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir.path())
            .env("OPENCLAW_NO_ONBOARD", "1")
            .env("OPENCLAW_PREFIX", &prefix)
            .env(
                "OPENCLAW_INSTALL_URL",
                format!("file://{}/site", dir.path().display()),
            )
            .stdin(script)
            .output()
            .unwrap()
    };
    let first = installer();
    let text = said(&first);
    assert!(first.status.success() && text.contains("Next: "), "{text}");
    assert!(text.contains("is not on your PATH"), "{text}");
    assert!(files(&prefix).contains("sbin/openclaw-gateway"));
    let again = installer();
    let text = said(&again);
    assert!(
        again.status.success() && text.contains("(before: 2026.2.3)"),
        "{text}"
    );
    // One byte more than was released.
    let tarball = releases.join("openclaw-x86_64-linux-gnu.tar.gz");
    let mut bytes = fs::read(&tarball).unwrap();
    bytes.push(0);
    fs::write(&tarball, bytes).unwrap();
    let refused = installer();
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("not what was released"), "{text}");
    assert!(
        run(
            &prefix.join("bin/openclaw").display().to_string(),
            &["--version"]
        )
        .is_some()
    );
}

/// What the usual check of scripts does not find by their first line.
#[test]
fn the_scripts_of_openrc_are_clean() {
    let script = repository().join("contrib/openrc/openclaw-gateway");
    let confd = repository().join("contrib/openrc/openclaw-gateway.confd");
    let words = ["-s", "sh", "-e", "SC2034"];
    let files = [script, confd].map(|file| file.display().to_string());
    let words: Vec<&str> = words
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    match run("shellcheck", &words) {
        Some(output) => assert!(output.status.success(), "{}", said(&output)),
        None => skip("the_scripts_of_openrc_are_clean", "no shellcheck"),
    }
}
