//! Damaged configurations and states, one after another: each is named, put right where that is
//! safe, and nothing else is touched. The cases are `tests/fixtures/doctor/*.txt`.

use super::*;
use crate::base::{atomic, id};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

/// Look at the machine instead of the state.
const OF_MACHINE: [&str; 2] = ["room", "service"];
const GOOD: &str = "{gateway:{mode:'local',auth:{mode:'token',token:'t'}}}";
/// What no case may change.
const WITNESSES: [(&str, &str); 4] = [
    ("agents/main/agent/notes.txt", "mine"),
    (
        "agents/main/sessions/good.jsonl",
        "{\"type\":\"session\",\"version\":3,\"id\":\"good\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"cwd\":\"/\"}\n",
    ),
    ("credentials/keep.json", "{}"),
    ("unknown/of-a-later-version.bin", "\u{1}\u{2}"),
];

/// An installation of its own.
pub struct Place {
    pub dir: PathBuf,
    paths: Paths,
    env: Env,
}

impl Place {
    pub fn new(config: &str) -> Place {
        let dir = id::temp_dir("doctor");
        let state = dir.join(".openclaw");
        let env = Env::from_pairs(&[("HOME", dir.to_str().unwrap())]);
        let place = Place {
            paths: Paths::resolve(&env, None),
            env,
            dir,
        };
        atomic::create_private_dir(&state).unwrap();
        place.put("openclaw.json", config);
        place
    }

    /// A private file in the state folder.
    pub fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.join(".openclaw").join(name);
        atomic::write(&path, text.as_bytes()).unwrap();
        path
    }

    pub fn ground(&self) -> Ground {
        Ground::of(load::load(&self.paths, &self.env))
    }

    /// As the command does it: what was found, as text.
    fn pass(&self, repair: bool) -> Vec<String> {
        let mut ground = self.ground();
        let mut told = Vec::new();
        for check in CHECKS.iter().filter(|c| !OF_MACHINE.contains(&c.name)) {
            for finding in (check.look)(&ground) {
                told.push(format!("{} {}", finding.what, finding.details.join(" ")));
                if let (true, Cure::Ours { run, .. }) = (repair, finding.cure) {
                    match run() {
                        Ok(_) => ground.reload(),
                        Err(err) => told.push(format!("not put right: {err}")),
                    }
                }
            }
        }
        told
    }

    /// Every file with what is in it.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.dir.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let (path, kind) = (entry.path(), entry.file_type().unwrap());
                if kind.is_dir() {
                    open.push(path);
                } else if kind.is_file() {
                    let bytes = fs::read(&path).unwrap();
                    found.insert(path, bytes);
                }
            }
        }
        found
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.dir).unwrap();
    }
}

struct Case {
    name: String,
    /// Stands in what is told.
    words: String,
    /// Put right by us, or left to a person.
    repaired: bool,
    lines: Vec<String>,
}

/// `== name | words | repaired` or `left`, and the lines below.
fn cases(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/doctor");
    let text = fs::read_to_string(path.join(file)).unwrap();
    let mut found: Vec<Case> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("== ") {
            Some(head) => {
                let parts: Vec<&str> = head.split(" | ").collect();
                assert_eq!(parts.len(), 3, "{line}");
                found.push(Case {
                    name: parts[0].into(),
                    words: parts[1].into(),
                    repaired: match parts[2] {
                        "repaired" => true,
                        "left" => false,
                        other => panic!("{other}"),
                    },
                    lines: Vec::new(),
                });
            }
            None if line.starts_with('#') => {}
            None => {
                if let Some(case) = found.last_mut() {
                    case.lines.push(line.into());
                }
            }
        }
    }
    found
}

/// Goes through one; what was wrong with it.
fn faults(case: &Case, place: &Place) -> Vec<String> {
    let mut faults = Vec::new();
    let before = place.files();
    let seen = place.pass(false);
    let now = place.files();
    if now != before {
        faults.push("looking changed something".to_string());
    }
    if !seen.iter().any(|line| line.contains(&case.words)) {
        faults.push(format!("not named: {seen:?}"));
    }
    let told = place.pass(true);
    if told.iter().any(|line| line.starts_with("not put right")) {
        faults.push(format!("{told:?}"));
    }
    let after = place.files();
    for (name, text) in WITNESSES {
        let path = place.dir.join(".openclaw").join(name);
        if after.get(&path).map(Vec::as_slice) != Some(text.as_bytes()) {
            faults.push(format!("{name} was touched"));
        }
    }
    let left = place.pass(false);
    match case.repaired {
        true if !left.is_empty() => faults.push(format!("found again: {left:?}")),
        false if !left.iter().any(|line| line.contains(&case.words)) => {
            faults.push(format!("no longer named: {left:?}"));
        }
        false if after != before => {
            let other = after
                .iter()
                .filter(|(path, text)| before.get(*path) != Some(*text));
            let names: Vec<_> = other.map(|(path, _)| path.display().to_string()).collect();
            faults.push(format!("left to a person, but changed: {names:?}"));
        }
        _ => {}
    }
    faults
}

fn go_through(file: &str, make: impl Fn(&Case) -> Place) {
    let cases = cases(file);
    assert!(cases.len() >= 40, "{} cases", cases.len());
    let mut bad = Vec::new();
    for case in &cases {
        let place = make(case);
        for (name, text) in WITNESSES {
            place.put(name, text);
        }
        let sessions = place.dir.join(".openclaw/agents/main/sessions");
        fs::set_permissions(&sessions, Permissions::from_mode(0o700)).unwrap();
        damage(&place, &case.lines);
        for fault in faults(case, &place) {
            bad.push(format!("{}: {fault}", case.name));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Lines that begin with `@` do something to the state; others were the configuration.
fn damage(place: &Place, lines: &[String]) {
    for line in lines {
        let Some(line) = line.strip_prefix('@') else {
            continue;
        };
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let at = |name: &str| match name.strip_prefix("~/") {
            Some(rest) => place.dir.join(rest),
            None => place.dir.join(".openclaw").join(name),
        };
        match words[..] {
            ["put", name, text] => {
                let text = text.replace("\\n", "\n").replace("\\0", "\0");
                atomic::write(&at(name), text.as_bytes()).unwrap();
            }
            ["put", name] => atomic::write(&at(name), b"").unwrap(),
            ["dir", name] => atomic::create_private_dir(&at(name)).unwrap(),
            ["mode", bits, name] => {
                let bits = u32::from_str_radix(bits, 8).unwrap();
                fs::set_permissions(at(name), Permissions::from_mode(bits)).unwrap();
            }
            ["age", seconds, name] => {
                let age = Duration::from_secs(seconds.parse().unwrap());
                let file = fs::File::open(at(name)).unwrap();
                file.set_modified(SystemTime::now() - age).unwrap();
            }
            ["link", name, to] => std::os::unix::fs::symlink(to, at(name)).unwrap(),
            ["remove", name] => {
                let path = at(name);
                match path.is_dir() {
                    true => fs::remove_dir_all(path).unwrap(),
                    false => fs::remove_file(path).unwrap(),
                }
            }
            _ => panic!("{line}"),
        }
    }
}

#[test]
fn every_damaged_configuration_is_named_and_put_right_where_that_is_safe() {
    go_through("configs.txt", |case| {
        let text = case.lines.iter().filter(|line| !line.starts_with('@'));
        let text: Vec<&str> = text.map(String::as_str).collect();
        Place::new(&text.join("\n").replace("\\0", "\0"))
    });
}

#[test]
fn every_damaged_state_is_named_and_put_right_where_that_is_safe() {
    go_through("states.txt", |_| Place::new(GOOD));
}

#[test]
fn a_sound_installation_has_nothing_wrong() {
    let place = Place::new(GOOD);
    assert_eq!(place.pass(true), Vec::<String>::new());
}

#[test]
fn only_a_word_for_it_or_a_person_is_a_yes() {
    let said = |repair, non_interactive, generate_token, terminal| Said {
        repair,
        force: false,
        non_interactive,
        generate_token,
        terminal,
    };
    let answers = |said: Said| {
        [
            Kind::Config,
            Kind::Migration,
            Kind::Token,
            Kind::Permissions,
        ]
        .map(|kind| said.answer(kind))
    };
    use Answer::{Ask, No, Yes};
    assert_eq!(answers(said(false, false, false, false)), [No; 4]);
    assert_eq!(answers(said(false, false, false, true)), [Ask; 4]);
    assert_eq!(answers(said(true, false, false, false)), [Yes; 4]);
    assert_eq!(answers(said(true, false, false, true)), [Yes; 4]);
    let quiet = [No, Yes, No, No];
    let of = |force, terminal, repair| Said {
        repair,
        force,
        terminal,
        ..Said::default()
    };
    assert_eq!(of(false, true, true).answer(Kind::Overwrite), No);
    assert_eq!(of(false, true, false).answer(Kind::Overwrite), Ask);
    assert_eq!(of(true, false, true).answer(Kind::Overwrite), Yes);
    assert_eq!(of(true, false, false).answer(Kind::Service), No);
    assert_eq!(answers(said(false, true, false, true)), quiet);
    assert_eq!(answers(said(true, true, false, true)), [Yes, Yes, No, No]);
    assert_eq!(answers(said(false, true, true, false)), [No, Yes, Yes, No]);
}

#[test]
fn every_check_has_a_name_of_its_own() {
    let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), CHECKS.len());
}
