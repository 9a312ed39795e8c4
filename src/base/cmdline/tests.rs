use super::*;
use std::io::Write;
use std::process::{Command as Process, Stdio};

const ROOT: Command = Command {
    name: "tool",
    summary: "Test the tables",
    flags: &[
        Flag::value("url", "url", "Where to go").global(),
        Flag::switch("verbose", "Say more").global().negatable(),
    ],
    subcommands: &[
        Command {
            name: "gateway",
            aliases: &["gw"],
            summary: "It's a group that also runs",
            flags: &[Flag::number("port", "n", "Port to use").default("7")],
            standalone: true,
            subcommands: &[Command {
                name: "call",
                summary: "Call a method",
                about: "A longer text. With sentences.",
                flags: &[
                    Flag::value("env", "k=v", "Set a variable").repeatable(),
                    Flag::choice("mode", "how", &["fast", "slow"], "How to call").short('m'),
                    Flag::number("port", "n", "Port to use"),
                ],
                args: &[
                    Arg::required("method", "Which"),
                    Arg::optional("rest", "More").many(),
                ],
                ..Command::NEW
            }],
            ..Command::NEW
        },
        Command {
            name: "health",
            summary: "Ask how it is",
            lenient: true,
            ..Command::NEW
        },
    ],
    ..Command::NEW
};

fn run(line: &str) -> Result<Outcome, Error> {
    parse(&ROOT, line.split_whitespace().map(Into::into))
}

fn matched(line: &str) -> Matches {
    match run(line) {
        Ok(Outcome::Run(matches)) => matches,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> String {
    run(line).unwrap_err().to_string()
}

#[test]
fn flags_are_read_wherever_they_stand() {
    for line in [
        "--url u gateway call --port=5 m x --env a=1 --env b=2 -mfast",
        "gateway --port 5 call m --url=u -m fast x --env=a=1 --env b=2",
        "--port 5 gw -m fast call --env a=1 --env b=2 -- m x --url u",
    ] {
        let m = matched(line);
        assert_eq!(m.name(), "gateway call", "{line}");
        assert_eq!(m.arg(0), Some("m"));
        assert_eq!(m.number::<u16>("port").unwrap(), Some(5));
        assert_eq!(m.text("mode"), Some("fast"));
        assert_eq!(m.all("env").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }
    let m = matched("gateway call -- m --url u");
    assert_eq!(m.args(), ["m", "--url", "u"]);
    assert_eq!(matched("gateway").name(), "gateway");
}

#[test]
fn the_last_form_of_a_negatable_switch_counts() {
    assert_eq!(
        matched("health --verbose --no-verbose").switch("verbose"),
        Some(false)
    );
    assert!(matched("--no-verbose health --verbose").has("verbose"));
    assert_eq!(matched("health").switch("verbose"), None);
}

#[test]
fn mistakes_are_named_as_the_original_names_them() {
    assert_eq!(refused("frob"), "unknown command 'frob'");
    assert_eq!(
        refused("gateway call m --prot 5"),
        "unknown option '--prot'"
    );
    assert_eq!(refused("gateway --mode fast"), "unknown option '--mode'");
    assert_eq!(
        refused("gateway call"),
        "missing required argument 'method'"
    );
    assert_eq!(
        refused("gateway call m -m fats"),
        "option '--mode' argument 'fats' is invalid. Allowed choices are fast, slow."
    );
    assert_eq!(
        refused("gateway --port"),
        "option '--port <n>' argument missing"
    );
    assert_eq!(
        refused("gateway --port x"),
        "option '--port' argument 'x' is not a valid number"
    );
    assert_eq!(
        refused("health now"),
        "too many arguments for 'health'. Expected 0 arguments but got 1."
    );
    assert_eq!(
        refused("gateway call m --verbose=1"),
        "option '--verbose' takes no value"
    );
    use crate::base::exit::Report;
    let hint = |line: &str| run(line).unwrap_err().hint();
    assert_eq!(hint("helth").as_deref(), Some("did you mean health?"));
    assert_eq!(
        hint("gateway --prot 5").as_deref(),
        Some("did you mean --port?")
    );
    let m = matched("gateway --port 70000");
    assert!(m.number::<u16>("port").is_err());
}

#[test]
fn a_lenient_command_keeps_unknown_flags_aside() {
    assert_eq!(matched("health --deep --x=1").ignored, ["--deep", "--x"]);
}

#[test]
fn help_is_asked_for_by_flag_word_or_want_of_a_subcommand() {
    let path = |line: &str| match run(line) {
        Ok(Outcome::Help { path, asked }) => (path_name(&path), asked),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(path("--help"), ("tool".into(), true));
    assert_eq!(path(""), ("tool".into(), false));
    assert_eq!(path("gateway call -h"), ("tool gateway call".into(), true));
    assert_eq!(
        path("help gateway call"),
        ("tool gateway call".into(), true)
    );
    assert!(matches!(run("-V"), Ok(Outcome::Version)));
    assert!(matches!(run("--version gateway"), Ok(Outcome::Version)));
}

#[test]
fn help_fits_80_columns_and_names_everything() {
    for path in ROOT.walk() {
        let text = help::render(&path);
        assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
        for flag in flags_of(&path) {
            assert!(text.contains(flag.long), "{text}");
        }
    }
    let text = help::render(&[&ROOT, &ROOT.subcommands[0]]);
    assert!(text.starts_with("Usage: tool gateway [options] [command]\n\nIt's a group"));
    assert!(
        text.contains("    --port <n>  Port to use [default: 7]"),
        "{text}"
    );
}

#[test]
fn a_sound_table_has_no_faults_and_an_unsound_one_is_told() {
    assert_eq!(faults(&ROOT), Vec::<String>::new());
    const BAD: Command = Command {
        name: "bad",
        flags: &[Flag::switch("b", "B"), Flag::switch("a", "A.")],
        args: &[Arg::optional("x", "X"), Arg::required("y", "Y")],
        ..Command::NEW
    };
    assert_eq!(faults(&BAD).len(), 4, "{:?}", faults(&BAD));
}

/// The script passes the shell's own syntax check, where the shell is installed.
#[test]
fn the_scripts_are_valid_for_their_shells() {
    for (shell, program, flag) in [
        (complete::Shell::Bash, "bash", "-n"),
        (complete::Shell::Fish, "fish", "--no-execute"),
        (complete::Shell::Zsh, "zsh", "-n"),
    ] {
        let script = complete::script(&ROOT, shell);
        for word in ["gateway", "call", "mode", "fast", "verbose", "url"] {
            assert!(script.contains(word), "{program}: {word}");
        }
        let Ok(mut child) = Process::new(program)
            .args([flag, "/dev/stdin"])
            .stdin(Stdio::piped())
            .spawn()
        else {
            eprintln!("skipped: the_scripts_are_valid_for_their_shells: no {program}");
            continue;
        };
        child
            .stdin
            .take()
            .unwrap()
            .write_all(script.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success(), "{program}:\n{script}");
    }
}

#[test]
fn bash_offers_commands_flags_and_values() {
    let script = complete::script(&ROOT, complete::Shell::Bash);
    let offered = |words: &[&str]| -> Option<String> {
        let line = format!(
            "{script}\nCOMP_WORDS=({})\nCOMP_CWORD={}\n_tool\necho \"${{COMPREPLY[*]}}\"",
            words
                .iter()
                .map(|w| format!("'{w}'"))
                .collect::<Vec<_>>()
                .join(" "),
            words.len() - 1
        );
        let out = Process::new("bash").arg("-c").arg(line).output().ok()?;
        Some(String::from_utf8(out.stdout).unwrap().trim().to_string())
    };
    let Some(first) = offered(&["tool", ""]) else {
        eprintln!("skipped: bash_offers_commands_flags_and_values: no bash");
        return;
    };
    assert_eq!(first, "gateway health");
    assert_eq!(
        offered(&["tool", "--url", "gateway", "h"]).unwrap(),
        "health"
    );
    assert_eq!(
        offered(&["tool", "gw", "call", "--mode", "s"]).unwrap(),
        "slow"
    );
    assert_eq!(
        offered(&["tool", "gw", "call", "-m", "=", "f"]).unwrap(),
        "fast"
    );
    assert_eq!(offered(&["tool", "gateway", "--po"]).unwrap(), "--port");
    assert_eq!(
        offered(&["tool", "gateway", "call", "--url", ""]).unwrap(),
        ""
    );
}

#[test]
fn mdoc_names_every_command_and_flag() {
    let text = mdoc::commands(&ROOT);
    assert!(text.contains(".Ic gateway call\n"), "{text}");
    assert!(text.contains(".It Fl m , Fl -mode Ar how\n"), "{text}");
    assert!(text.contains(".Op Ar rest ...\n"), "{text}");
    assert!(mdoc::synopsis(&ROOT).contains(".Op Fl -[no\\-]verbose\n"));
    assert!(mdoc::options(&[&ROOT]).contains(".It Fl V , Fl -version\n"));
}
