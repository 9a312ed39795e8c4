//! The generated parts of the manual pages are what the tables say.
//!
//! A generated part stands between `.\" generated: WHAT` and `.\" end`. When a table changed, run
//! `OPENCLAW_WRITE_MAN=1 cargo test --test main man` to write the parts anew, and look at the
//! difference before committing it.

use crate::harness::skip;
use openclaw::agent::command::{self, Needs};
use openclaw::base::cmdline::{Command, mdoc};
use openclaw::config::keys::{self, kind::Key, kind::Kind};
use openclaw::gateway::methods::{Scope, TABLE};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process;

const OPEN: &str = ".\\\" generated: ";
const END: &str = ".\\\" end";

fn pages() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("man/ is there")
        .map(|entry| entry.expect("man/ can be listed").path())
        .collect();
    pages.sort();
    pages
}

#[test]
fn the_generated_parts_of_the_manual_pages_are_up_to_date() {
    let write = std::env::var_os("OPENCLAW_WRITE_MAN").is_some();
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page is text");
        let fresh = refresh(&text);
        if write {
            std::fs::write(&page, &fresh).expect("man/ can be written");
        }
        assert!(
            write || text == fresh,
            "{} is behind its tables: run with OPENCLAW_WRITE_MAN=1",
            page.display()
        );
    }
}

#[test]
fn the_manual_pages_pass_the_formatters_own_check() {
    if std::env::var_os("OPENCLAW_WRITE_MAN").is_some() {
        // The other test may have a page half written.
        return;
    }
    for page in pages() {
        let run = process::Command::new("mandoc")
            .args(["-Tlint", "-W", "warning"])
            .arg(&page)
            .output();
        let Ok(output) = run else {
            return skip(
                "the_manual_pages_pass_the_formatters_own_check",
                "no mandoc",
            );
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
    }
}

#[test]
fn every_program_has_a_manual_page() {
    let names: Vec<String> = pages()
        .iter()
        .map(|page| page.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    for program in [
        "openclaw",
        "openclawctl",
        "openclaw-gateway",
        "openclaw-exec",
        "openclaw-channel",
        "openclaw-memory",
    ] {
        let found = ["1", "8"]
            .iter()
            .any(|n| names.contains(&format!("{program}.{n}")));
        assert!(found, "{program} has no page in {names:?}");
    }
}

fn refresh(text: &str) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in text.lines() {
        if line == END {
            skipping = false;
        }
        if !skipping {
            out.push_str(line);
            out.push('\n');
        }
        if let Some(what) = line.strip_prefix(OPEN) {
            out.push_str(&generate(what));
            skipping = true;
        }
    }
    assert!(!skipping, "a generated part has no end");
    out
}

/// The protocol's methods, by what a caller must be allowed.
fn methods() -> String {
    let mut out = String::from(".Bl -tag -width Ds\n");
    for (scope, right) in [
        (Scope::Read, "Ql operator.read No or Ql operator.write"),
        (Scope::Write, "Ql operator.write"),
        (Scope::Approvals, "Ql operator.approvals"),
        (Scope::Pairing, "Ql operator.pairing"),
        (Scope::Admin, "Ql operator.admin"),
        (Scope::Node, "No the role Ql node"),
    ] {
        let _ = writeln!(out, ".It {right}");
        let rows = TABLE.iter().filter(|row| row.scope == scope);
        let mut names: Vec<&str> = rows.clone().map(|row| row.name).collect();
        names.sort_unstable();
        for name in &names {
            let comma = if Some(name) == names.last() { "." } else { "," };
            let _ = writeln!(out, ".Cm {name} {comma}");
        }
    }
    out.push_str(".El\n");
    out
}

fn chat_commands() -> String {
    let mut out = String::new();
    for row in command::TABLE {
        let args = row.args.replace('|', " | ");
        let _ = writeln!(out, ".It Cm /{} Ar {args}", row.name);
        if row.args.is_empty() {
            out.truncate(out.len() - " Ar \n".len());
            out.push('\n');
        }
        let about = row.about;
        let _ = writeln!(out, "{}{}.", about[..1].to_uppercase(), &about[1..]);
        let others: Vec<String> = row
            .aliases
            .iter()
            .map(|alias| format!("/{alias}"))
            .collect();
        if !others.is_empty() {
            let _ = writeln!(out, "Also\n.Ql {} .", others.join(" , "));
        }
        match row.needs {
            Needs::Nothing => {}
            Needs::Approvals => out.push_str("Wants\n.Ql operator.approvals .\n"),
            Needs::Admin => out.push_str("Wants\n.Ql operator.admin .\n"),
        }
        if let Some(switch) = row.switch {
            let _ = writeln!(out, "Wants\n.Cm commands.{switch} .");
        }
    }
    out
}

fn generate(what: &str) -> String {
    if what == "keys" {
        return config_keys();
    }
    if what == "methods" {
        return methods();
    }
    if what == "chat" {
        return chat_commands();
    }
    let mut words = what.split(' ');
    let kind = words.next().unwrap_or_default();
    let root: &'static Command = match words.next() {
        Some("openclaw") => &openclaw::cli::commands::ROOT,
        Some("openclawctl") => &openclaw::ctl::ROOT,
        other => panic!("no program {other:?}"),
    };
    let mut path = vec![root];
    for word in words {
        let here = path[path.len() - 1];
        path.push(here.subcommand(word).expect("a command of the table"));
    }
    match kind {
        "synopsis" => mdoc::synopsis(root),
        "globals" => mdoc::globals(root),
        "commands" => mdoc::commands(root),
        "options" => mdoc::options(&path),
        other => panic!("cannot generate {other}"),
    }
}

fn config_keys() -> String {
    let mut out = String::from(".Bl -tag -width Ds\n");
    section(&mut out, "", &keys::ROOT);
    out.push_str(".El\n");
    out
}

/// Every key below `kind`, dotted.
fn section(out: &mut String, path: &str, kind: &Kind) {
    match kind {
        Kind::Object(keys) | Kind::Stripped(keys) => rows(out, path, keys),
        Kind::ObjectOr(keys, other) => {
            rows(out, path, keys);
            section(out, &join(path, "*"), other);
        }
        Kind::List(item) => section(out, &format!("{path}[]"), item),
        Kind::Map(value) | Kind::Named(value) => section(out, &join(path, "*"), value),
        Kind::Union(kinds) => {
            for kind in *kinds {
                section(out, path, kind);
            }
        }
        Kind::Late(kind) => services(out, path, kind()),
        _ => {}
    }
}

/// Each service with the names it knows, then what the names are for: most are of many services.
fn services(out: &mut String, path: &str, kind: &Kind) {
    let Kind::ObjectOr(services, _) = kind else {
        panic!("{path} has services");
    };
    let mut names: Vec<&str> = Vec::new();
    for service in *services {
        if !service.doc().is_empty() {
            continue;
        }
        let Kind::Object(keys) = service.kind else {
            panic!("{} has keys", service.name());
        };
        if service.name() == "defaults" {
            section(out, &join(path, service.name()), &service.kind);
            continue;
        }
        let _ = writeln!(out, ".It Cm {}", mdoc::word(&join(path, service.name())));
        let known: Vec<&str> = keys.iter().map(Key::name).collect();
        let _ = writeln!(out, "{}.", mdoc::text(&known.join(", ")));
        collect(&service.kind, &mut names);
    }
    names.sort_unstable_by_key(|name| name.to_lowercase());
    names.dedup();
    for name in names {
        let (default, doc) = keys::channels::doc(name);
        if doc.is_empty() {
            continue;
        }
        let place = format!("{path}.*.{name}");
        let _ = writeln!(out, ".It Cm {}", mdoc::word(&place));
        let _ = writeln!(out, "{}.", mdoc::text(&sentence(doc)));
        if !default.is_empty() {
            let _ = writeln!(out, "Default:\n.Ql {} .", mdoc::word(&default));
        }
    }
}

fn collect<'k>(kind: &'k Kind, names: &mut Vec<&'k str>) {
    match kind {
        Kind::Object(keys) => {
            for key in *keys {
                names.push(key.name());
                collect(&key.kind, names);
            }
        }
        Kind::List(item) | Kind::Map(item) => collect(item, names),
        Kind::Union(kinds) => kinds.iter().for_each(|kind| collect(kind, names)),
        _ => {}
    }
}

fn rows(out: &mut String, path: &str, keys: &[Key]) {
    for key in keys {
        let name = join(path, key.name());
        if !key.doc().is_empty() {
            let _ = writeln!(out, ".It Cm {}", mdoc::word(&name));
            let _ = writeln!(
                out,
                "{}.",
                mdoc::text(&sentence(key.doc().trim_end_matches('.')))
            );
            if !key.default().is_empty() {
                let _ = writeln!(out, "Default:\n.Ql {} .", mdoc::word(key.default()));
            }
        }
        section(out, &name, &key.kind);
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_string(),
        path => format!("{path}.{name}"),
    }
}
