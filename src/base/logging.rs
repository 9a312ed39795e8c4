//! The log of a process: JSON lines in the original's file and form, and a line for people on
//! stderr.
//!
//! The target of a record is its subsystem (`gateway`, `gateway/channels/telegram`); a record
//! without one is named after its module. What libraries say below a warning is dropped: it is not
//! about us, and may quote what we send. Under journald (stderr is the journal's socket) lines
//! begin with a priority and have no time.

use super::dayfile::{DayFile, Place};
use super::time;
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

/// Longest text of one record, bytes; the rest is cut off.
const MAX_TEXT: usize = 16 * 1024;

pub struct Options {
    pub place: Place,
    /// Of the file.
    pub level: LevelFilter,
    /// Of stderr.
    pub console: LevelFilter,
    /// stderr gets JSON, too.
    pub json: bool,
    /// Only this subsystem on stderr.
    pub only: Option<&'static str>,
}

static SINK: OnceLock<Sink> = OnceLock::new();

struct Sink {
    how: RwLock<How>,
    file: Mutex<DayFile>,
    hostname: String,
}

/// What `change` replaces.
struct How {
    console: env_logger::Logger,
    only: Option<&'static str>,
    level: LevelFilter,
}

/// Starts logging; a second call in a process changes nothing.
pub fn start(options: Options) {
    let highest = options.level.max(options.console);
    let sink = Sink {
        how: RwLock::new(How::of(&options)),
        file: Mutex::new(DayFile::new(options.place)),
        hostname: super::sys::uname::hostname(),
    };
    // Tests start it once for all of them.
    let sink = SINK.get_or_init(|| sink);
    if log::set_logger(sink).is_ok() {
        log::set_max_level(highest);
    }
}

/// Logs by other options from now on; nothing before `start`.
pub fn change(options: Options) {
    let Some(sink) = SINK.get() else { return };
    log::set_max_level(options.level.max(options.console));
    *sink.how.write().unwrap_or_else(PoisonError::into_inner) = How::of(&options);
    let mut file = sink.file.lock().unwrap_or_else(PoisonError::into_inner);
    if *file.place() != options.place {
        *file = DayFile::new(options.place);
    }
}

/// The file that is written to today; `None` before `start`.
pub fn file() -> Option<PathBuf> {
    let file = &SINK.get()?.file;
    let file = file.lock().unwrap_or_else(PoisonError::into_inner);
    Some(file.place().file(time::now_ms()))
}

impl How {
    fn of(options: &Options) -> How {
        How {
            console: console(options),
            only: options.only,
            level: options.level,
        }
    }
}

/// A level by the original's name.
pub fn level(name: &str) -> Option<LevelFilter> {
    Some(match name {
        "silent" => LevelFilter::Off,
        "fatal" | "error" => LevelFilter::Error,
        "warn" => LevelFilter::Warn,
        "info" => LevelFilter::Info,
        "debug" => LevelFilter::Debug,
        "trace" => LevelFilter::Trace,
        _ => return None,
    })
}

fn console(options: &Options) -> env_logger::Logger {
    let (json, journal) = (options.json, journal());
    env_logger::Builder::new()
        .filter_level(options.console)
        .target(env_logger::Target::Stderr)
        .format(move |out, record| {
            let (subsystem, text) = (subsystem(record), text(record));
            if json {
                let line = serde_json::json!({
                    "time": time::now_iso(), "level": name(record.level()).to_lowercase(),
                    "subsystem": subsystem, "message": text,
                });
                return writeln!(out, "{line}");
            }
            let subsystem = short(&subsystem);
            // A second line would pass for a record of its own.
            let text = text.replace('\n', "\n  ");
            match journal {
                true => writeln!(out, "<{}>[{subsystem}] {text}", priority(record.level())),
                false => writeln!(out, "{} [{subsystem}] {text}", time::now_iso()),
            }
        })
        .build()
}

/// Whether stderr is the journal's: the variable alone is inherited by children whose stderr may
/// be another.
fn journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    std::fs::metadata("/dev/stderr")
        .is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

/// Of libraries only what went wrong: below that they show frames, requests and keys.
fn is_told(record: &Record) -> bool {
    let ours = |module: &str| module == "openclaw" || module.starts_with("openclaw::");
    record.module_path().is_some_and(ours) || record.level() <= Level::Warn
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let how = self.how.read().unwrap_or_else(PoisonError::into_inner);
        metadata.level() <= how.level || how.console.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !is_told(record) {
            return;
        }
        let how = self.how.read().unwrap_or_else(PoisonError::into_inner);
        if how.only.is_none_or(|only| record.target() == only) {
            how.console.log(record);
        }
        if record.level() <= how.level {
            let now = time::now_ms();
            let mut line = serde_json::to_vec(&Line::of(record, now, &self.hostname))
                .expect("a record is plain data");
            line.push(b'\n');
            self.file
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .append(&line, now);
        }
    }

    fn flush(&self) {}
}

/// One line of the file, keys and order as the original writes them.
#[derive(Serialize)]
struct Line {
    #[serde(rename = "0")]
    bindings: String,
    #[serde(rename = "1")]
    text: String,
    #[serde(rename = "_meta")]
    meta: Meta,
    time: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    runtime: &'static str,
    runtime_version: &'static str,
    hostname: String,
    name: String,
    parent_names: [&'static str; 1],
    date: String,
    log_level_id: u8,
    log_level_name: &'static str,
    path: Source,
}

/// Where in the program it was said.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    full_file_path: String,
    file_name: String,
    file_name_with_line: String,
    file_column: &'static str,
    file_line: String,
    file_path: String,
    file_path_with_line: String,
    method: String,
}

impl Line {
    fn of(record: &Record, now_ms: u64, hostname: &str) -> Line {
        let bindings = serde_json::json!({"subsystem": subsystem(record)}).to_string();
        let time = time::iso(now_ms);
        let file = record.file().unwrap_or_default();
        let name = file.rsplit('/').next().unwrap_or_default();
        let line = record.line().unwrap_or_default();
        Line {
            text: text(record),
            meta: Meta {
                runtime: "openclaw",
                runtime_version: env!("CARGO_PKG_VERSION"),
                hostname: hostname.into(),
                name: bindings.clone(),
                parent_names: ["openclaw"],
                date: time.clone(),
                log_level_id: id(record.level()),
                log_level_name: self::name(record.level()),
                path: Source {
                    full_file_path: format!("{file}:{line}"),
                    file_name: name.into(),
                    file_name_with_line: format!("{name}:{line}"),
                    file_column: "1",
                    file_line: line.to_string(),
                    file_path: file.into(),
                    file_path_with_line: format!("{file}:{line}"),
                    method: record.module_path().unwrap_or_default().into(),
                },
            },
            bindings,
            time,
        }
    }
}

/// The target, or the module's path as a subsystem when no target was given.
fn subsystem(record: &Record) -> String {
    match record.target().strip_prefix("openclaw::") {
        Some(module) => module.replace("::", "/"),
        None => record.target().into(),
    }
}

/// As people see it: `gateway/channels/telegram` is `telegram`.
fn short(subsystem: &str) -> &str {
    ["gateway/channels/", "gateway/"]
        .iter()
        .find_map(|prefix| subsystem.strip_prefix(prefix))
        .unwrap_or(subsystem)
}

fn text(record: &Record) -> String {
    let mut text = String::new();
    // Writing into a String fails only when a Display does; then what it gave is the text.
    let _ = write!(text, "{}", record.args());
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

fn id(level: Level) -> u8 {
    match level {
        Level::Trace => 1,
        Level::Debug => 2,
        Level::Info => 3,
        Level::Warn => 4,
        Level::Error => 5,
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    }
}

/// syslog(3)'s numbers.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record<'a>(target: &'a str, args: std::fmt::Arguments<'a>) -> Record<'a> {
        Record::builder()
            .level(Level::Warn)
            .target(target)
            .file(Some("src/gateway/main.rs"))
            .line(Some(7))
            .module_path(Some("openclaw::gateway::main"))
            .args(args)
            .build()
    }

    #[test]
    fn a_line_has_the_originals_keys_in_its_order() {
        let line = Line::of(
            &record("gateway/channels/telegram", format_args!("hi \"x\"")),
            1_795_239_747_705,
            "box",
        );
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            concat!(
                r#"{"0":"{\"subsystem\":\"gateway/channels/telegram\"}","1":"hi \"x\"","#,
                r#""_meta":{"runtime":"openclaw","runtimeVersion":""#,
                env!("CARGO_PKG_VERSION"),
                r#"","hostname":"box","name":"{\"subsystem\":\"gateway/channels/telegram\"}","#,
                r#""parentNames":["openclaw"],"date":"2026-11-21T05:42:27.705Z","logLevelId":4,"#,
                r#""logLevelName":"WARN","path":{"fullFilePath":"src/gateway/main.rs:7","#,
                r#""fileName":"main.rs","fileNameWithLine":"main.rs:7","fileColumn":"1","#,
                r#""fileLine":"7","filePath":"src/gateway/main.rs","#,
                r#""filePathWithLine":"src/gateway/main.rs:7","#,
                r#""method":"openclaw::gateway::main"}},"time":"2026-11-21T05:42:27.705Z"}"#
            )
        );
    }

    #[test]
    fn a_subsystem_is_the_target_or_the_module_and_people_see_it_short() {
        let of = |target: &str| subsystem(&record(target, format_args!("")));
        assert_eq!(of("openclaw::agent::turn"), "agent/turn");
        assert_eq!(short(&of("gateway/channels/telegram")), "telegram");
        assert_eq!(short(&of("gateway/reload")), "reload");
        assert_eq!(short(&of("gateway")), "gateway");
    }

    #[test]
    fn libraries_are_heard_only_when_something_went_wrong() {
        let told = |module: &'static str, level| {
            is_told(
                &Record::builder()
                    .level(level)
                    .module_path(Some(module))
                    .build(),
            )
        };
        for library in [
            "tungstenite::protocol",
            "ureq::run",
            "rustls::client",
            "openclawish",
        ] {
            assert!(told(library, Level::Warn));
            assert!(!told(library, Level::Info) && !told(library, Level::Trace));
        }
        assert!(told("openclaw::gateway::main", Level::Trace));
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ä".repeat(MAX_TEXT);
        let cut = text(&record("x", format_args!("{long}")));
        assert!(cut.len() <= MAX_TEXT + '…'.len_utf8());
        assert!(cut.ends_with("ä…"));
    }
}
