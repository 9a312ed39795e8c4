//! Whether every program a command starts is one that may run without asking.
//!
//! Programs are found as the shell will find them, on the command's own PATH. Where that cannot be
//! said for sure (a relative folder on PATH, `..`, a name the shell keeps for itself) the program
//! counts as unknown. A pattern judges the path of a program, never its arguments.

use super::command::{self, Segment, Word};
use super::file::{Pattern, Rules};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Characters of a pattern that is looked at: no path is longer.
const MAX_PATTERN: usize = 4096;
/// Where programs that only read their input live; a file of the same name elsewhere is another.
const SYSTEM: &[&str] = &[
    "/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/run/current-system/sw/bin",
];
/// Programs that are safe while they only read standard input.
const SAFE_BINS: &[&str] = &[
    "jq", "grep", "cut", "sort", "uniq", "head", "tail", "tr", "wc",
];
/// Names that a shell runs itself, whatever file there is of that name. Those that do no more than
/// the file would are not here.
const OWN_WORDS: &[&str] = &[
    ".",
    ":",
    "[",
    "[[",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "let",
    "local",
    "logout",
    "mapfile",
    "noglob",
    "popd",
    "printf",
    "pushd",
    "read",
    "readarray",
    "readonly",
    "repeat",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "whence",
    "while",
    "zmodload",
];

/// Words of jq's own language that read files.
const JQ_LOADS: [&str; 3] = ["import", "include", "modulemeta"];

/// What the command is judged against.
pub struct Ground<'a> {
    pub rules: &'a Rules,
    /// `tools.exec.safeBins`; `None`: not set.
    pub safe_bins: Option<&'a [String]>,
    pub skill_bins: &'a [String],
    pub cwd: &'a Path,
    pub home: &'a Path,
    /// The command's PATH.
    pub path: &'a str,
    /// Programs the shell finds are those this file describes: its language is known and the
    /// command brings no variables of its own.
    pub plain_shell: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Every program was understood and may run.
    pub satisfied: bool,
    /// The patterns that let programs pass, with the program's path.
    pub uses: Vec<(Pattern, PathBuf)>,
    /// The program of each segment, where it is known.
    pub programs: Vec<PathBuf>,
}

pub fn judge(text: &str, ground: &Ground) -> Judged {
    let mut judged = Judged::default();
    if !ground.plain_shell {
        return judged;
    }
    let Some(segments) = command::analyse(text) else {
        return judged;
    };
    judged.satisfied = true;
    for segment in &segments {
        let Some(program) = resolve(&segment.words[0], ground) else {
            judged.satisfied = false;
            continue;
        };
        match pattern(&program, ground) {
            Some(pattern) => judged.uses.push((pattern, program.clone())),
            None => judged.satisfied &= is_tame(segment, &program, ground),
        }
        judged.programs.push(program);
    }
    judged
}

/// The file the shell will start for this word.
fn resolve(word: &Word, ground: &Ground) -> Option<PathBuf> {
    let name = word.text.as_str();
    if word.expands || name.is_empty() || name.split('/').any(|part| part == "..") {
        return None;
    }
    if word.tilde {
        let rest = name.strip_prefix("~/")?;
        return Some(ground.home.join(rest)).filter(|path| is_program(path));
    }
    if name.contains('/') {
        let path: PathBuf = ground.cwd.join(name).components().collect();
        return Some(path).filter(|path| is_program(path));
    }
    if OWN_WORDS.contains(&name) || name.contains(['=', '+', '%', '^']) {
        return None;
    }
    for folder in ground.path.split(':') {
        let folder = Path::new(folder);
        if !folder.is_absolute() {
            return None;
        }
        let path = folder.join(name);
        if is_program(&path) {
            return Some(path);
        }
    }
    None
}

fn is_program(path: &Path) -> bool {
    path.is_absolute()
        && path
            .metadata()
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn pattern(program: &Path, ground: &Ground) -> Option<Pattern> {
    let path = program.to_str()?;
    let fits = |pattern: &&Pattern| matches(&pattern.text, path, ground.home);
    ground.rules.patterns.iter().find(fits).cloned()
}

/// `*` is anything but a slash, `**` anything, `?` one character; the whole path, in any case.
pub fn matches(pattern: &str, path: &str, home: &Path) -> bool {
    let pattern = pattern.trim();
    if !pattern.contains(['/', '\\', '~']) || pattern.len() > MAX_PATTERN {
        return false;
    }
    let whole = match pattern.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.display())
        }
        _ => pattern.to_string(),
    };
    let pattern: Vec<char> = whole.to_lowercase().chars().collect();
    let path: Vec<char> = path.to_lowercase().chars().collect();
    glob(&pattern, &path)
}

/// One row of the usual table at a time: the work is the product of the lengths, whatever stars a
/// pattern has.
fn glob(pattern: &[char], path: &[char]) -> bool {
    // `row[n]`: the pattern so far fits the first n characters.
    let mut row = vec![false; path.len() + 1];
    row[0] = true;
    let mut at = 0;
    while at < pattern.len() {
        let star = pattern[at] == '*';
        let any = star && pattern.get(at + 1) == Some(&'*');
        let mut next = vec![false; path.len() + 1];
        for n in 0..=path.len() {
            next[n] = match pattern[at] {
                '*' => row[n] || (n > 0 && next[n - 1] && (any || path[n - 1] != '/')),
                '?' => n > 0 && row[n - 1],
                c => n > 0 && row[n - 1] && path[n - 1] == c,
            };
        }
        row = next;
        at += if any { 2 } else { 1 };
    }
    row[path.len()]
}

/// A program that needs no pattern: a safe one that only reads its input, or one a skill needs.
/// Only by its bare name: what stands in a folder of the agent's choice may be anything.
fn is_tame(segment: &Segment, program: &Path, ground: &Ground) -> bool {
    let name = segment.words[0].text.as_str();
    if name.contains('/') {
        return false;
    }
    if ground.rules.auto_allow_skills && ground.skill_bins.iter().any(|bin| bin == name) {
        return true;
    }
    let named = match ground.safe_bins {
        Some(bins) => bins.iter().any(|bin| bin.trim().to_lowercase() == name),
        None => SAFE_BINS.contains(&name),
    };
    let system = program
        .parent()
        .is_some_and(|dir| SYSTEM.iter().any(|known| dir == Path::new(known)));
    named && system && only_reads_input(name, &segment.words[1..], ground.cwd)
}

/// No argument names a file, or could once the shell is done with it, and none makes the program
/// write a file or start another.
fn only_reads_input(name: &str, words: &[Word], cwd: &Path) -> bool {
    words.iter().all(|word| {
        let text = word.text.as_str();
        if word.expands || word.tilde {
            return false;
        }
        if text.is_empty() || text == "-" {
            return true;
        }
        // What follows may be a file whatever it begins with.
        if text == "--" {
            return false;
        }
        // Its programs can load files of any folder by name.
        if name == "jq" && JQ_LOADS.iter().any(|load| text.contains(load)) {
            return false;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (option, value) = long.split_once('=').unwrap_or((long, ""));
            return !is_long_danger(name, option) && !names_file(value, cwd);
        }
        if let Some(short) = text.strip_prefix('-') {
            // A value may hang on the letter, and the letter may stand in a row of them.
            let mut tails = short
                .char_indices()
                .map(|(at, c)| &short[at + c.len_utf8()..]);
            return !short.contains(|c| is_short_danger(name, c))
                && !tails.any(|tail| names_file(tail.trim_start_matches('='), cwd));
        }
        // Its second operand is a file it writes.
        name != "uniq" && !names_file(text, cwd)
    })
}

fn names_file(text: &str, cwd: &Path) -> bool {
    let path_like = ["/", "~", "./", "../"]
        .iter()
        .any(|head| text.starts_with(head));
    let is_file = || cwd.join(text).metadata().is_ok_and(|meta| !meta.is_dir());
    !text.is_empty() && (path_like && text.len() > 1 || is_file())
}

/// Options may be cut short.
fn is_long_danger(name: &str, option: &str) -> bool {
    let dangers: &[&str] = match name {
        "sort" => &[
            "output",
            "compress-program",
            "files0-from",
            "temporary-directory",
            "random-source",
        ],
        "wc" => &["files0-from"],
        "grep" => &["file", "recursive", "dereference-recursive", "directories"],
        "jq" => &[
            "from-file",
            "slurpfile",
            "rawfile",
            "argfile",
            "library-path",
        ],
        _ => &[],
    };
    !option.is_empty() && dangers.iter().any(|danger| danger.starts_with(option))
}

fn is_short_danger(name: &str, letter: char) -> bool {
    let dangers: &[char] = match name {
        "sort" => &['o', 'T'],
        "grep" => &['f', 'r', 'R', 'd'],
        "jq" => &['f', 'L'],
        _ => &[],
    };
    dangers.contains(&letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: PathBuf,
        rules: Rules,
    }

    impl Place {
        fn new(patterns: &[&str]) -> Place {
            let dir = crate::base::id::temp_dir("allow");
            std::fs::create_dir(dir.join("bin")).unwrap();
            for name in ["tool", "grep", "up"] {
                let path = dir.join("bin").join(name);
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            }
            std::fs::write(dir.join("data"), "").unwrap();
            let pattern = |text: &&str| Pattern {
                place: "main".into(),
                text: text.replace("DIR", dir.to_str().unwrap()),
            };
            let rules = Rules {
                patterns: patterns.iter().map(pattern).collect(),
                ..Rules::default()
            };
            Place { dir, rules }
        }

        fn judge(&self, command: &str, path: &str) -> Judged {
            let path = path.replace("DIR", self.dir.to_str().unwrap());
            let ground = Ground {
                rules: &self.rules,
                safe_bins: None,
                skill_bins: &["up".into()],
                cwd: &self.dir,
                home: &self.dir,
                path: &path,
                plain_shell: true,
            };
            judge(&command.replace("DIR", self.dir.to_str().unwrap()), &ground)
        }

        fn passes(&self, command: &str) -> bool {
            self.judge(command, "DIR/bin:/usr/bin:/bin").satisfied
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.dir).unwrap();
        }
    }

    #[test]
    fn every_program_of_a_command_must_fit_a_pattern() {
        let place = Place::new(&["DIR/bin/to*"]);
        assert!(place.passes("tool -a /etc/passwd $x && DIR/bin/tool | ./bin/tool"));
        assert!(place.passes("~/bin/tool"));
        for miss in [
            "tool; up",
            "tool | up",
            "DIR/bin/../bin/tool",
            "$x",
            "'too'*",
            "x=1 tool",
            "missing",
            "exec tool",
            "'~/bin/tool'",
            "~root/bin/tool",
        ] {
            assert!(!place.passes(miss), "{miss}");
        }
        let judged = place.judge("tool; up", "DIR/bin");
        assert_eq!(judged.programs.len(), 2);
        assert_eq!(judged.uses.len(), 1);
        // The shell would look into `.` first.
        assert!(!place.judge("tool", ".:DIR/bin").satisfied);
        assert!(!place.judge("tool", ":DIR/bin").satisfied);
    }

    #[test]
    fn patterns_are_globs_on_the_whole_path() {
        let home = Path::new("/home/u");
        let fits = |pattern, path| matches(pattern, path, home);
        assert!(fits("/usr/bin/UPTIME", "/usr/bin/uptime"));
        assert!(fits("/usr/*/upt?me", "/usr/bin/uptime"));
        assert!(fits("~/**/x", "/home/u/a/b/x"));
        assert!(!fits("/usr/*", "/usr/bin/uptime"));
        assert!(!fits("/usr/bin/up", "/usr/bin/uptime"));
        assert!(!fits("uptime", "/usr/bin/uptime"));
        assert!(!fits("*", "/usr/bin/uptime"));
        let stars = format!("/{}b", "*a".repeat(500));
        assert!(!fits(&stars, &"/a".repeat(500)));
    }

    #[test]
    fn safe_programs_pass_only_while_they_read_their_input() {
        let place = Place::new(&[]);
        let passes = |command: &str| place.judge(command, "/usr/bin:/bin").satisfied;
        assert!(passes("head -n 5 | sort -rn | uniq -c | wc -l"));
        assert!(passes(
            "grep -i 'a.*b' - | cut -d/ -f2 | tr a-z A-Z | tail -n1"
        ));
        for miss in [
            "grep x data",
            "grep x /etc/passwd",
            "grep x ./y",
            "grep -fdata",
            "grep --file=data",
            "grep -r x",
            "grep --recurs x",
            "head $F",
            "head *",
            "head ~",
            "sort -o out",
            "sort -no out",
            "sort --output=out",
            "sort --compress-prog=sh",
            "sort --files0-from=-",
            "uniq - out",
            "wc --files0=-",
            "cat",
            "grep -- x -data",
            "jq -n 'import \"a\" as $a {search:\"DIR\"}; $a'",
            "jq 'include \"a\"; b'",
            "jq modulemeta",
        ] {
            assert!(!passes(miss), "{miss}");
        }
        // A file of that name elsewhere is another program.
        assert!(!place.judge("grep x", "DIR/bin:/usr/bin").satisfied);
        assert!(!passes("./bin/grep x"));
    }

    #[test]
    fn programs_of_skills_pass_when_the_file_says_so() {
        let mut place = Place::new(&[]);
        assert!(!place.passes("up"));
        place.rules.auto_allow_skills = true;
        assert!(place.passes("up --any /thing"));
        assert!(!place.passes("./bin/up"));
    }

    #[test]
    fn an_unknown_shell_is_not_guessed_at() {
        let place = Place::new(&["/**"]);
        let ground = Ground {
            rules: &place.rules,
            safe_bins: Some(&[]),
            skill_bins: &[],
            cwd: &place.dir,
            home: &place.dir,
            path: "/usr/bin",
            plain_shell: false,
        };
        assert_eq!(judge("ls", &ground), Judged::default());
    }
}
