//! The picture of what the screen knows: a bar, the conversation or a list, what is going on, the
//! line being written, a bar.

use super::app::App;
use super::commands;
use super::history;
use super::screen::{Picture, Row, Style};
use super::text::clean;
use std::time::{Duration, Instant};

/// Rows that the written text may take; more scrolls inside.
const MAX_EDITOR: usize = 6;
/// A word stays for so long while one waits.
const WORD: Duration = Duration::from_secs(8);
const WORDS: [&str; 5] = [
    "thinking",
    "pondering",
    "working",
    "still at it",
    "not giving up",
];

/// `host` is the address of the gateway.
pub fn paint(app: &mut App, host: &str, columns: usize, rows: usize, now: Instant) -> Picture {
    let (text, cursor_row, cursor_column) = app.editor.rows(columns.saturating_sub(2));
    let shown = text
        .len()
        .min(MAX_EDITOR)
        .min(rows.saturating_sub(4).max(1));
    // The window of the written text that has the cursor in it.
    let from = (cursor_row + 1).saturating_sub(shown);
    let middle = rows.saturating_sub(3 + shown);

    let mut picture = vec![bar(&title(app, host), columns)];
    match &app.picker {
        Some(picker) => picture.extend(picker.rows(middle)),
        None => {
            let view = app.view(columns);
            let (mut log, more) = app.log.rows(view, middle, app.scroll);
            if !more && log.len() < middle {
                // Nothing further up: do not count beyond it.
                app.scroll = 0;
            }
            log.resize(middle, Row::new(Style::Plain, String::new()));
            picture.extend(log);
        }
    }
    picture.truncate(middle + 1);
    picture.push(activity(app, now));
    for (at, line) in text[from..].iter().take(shown).enumerate() {
        let mark = if from + at == 0 { "> " } else { "  " };
        picture.push(Row::new(Style::Plain, format!("{mark}{line}")));
    }
    picture.push(bar(&footer(app), columns));
    Picture {
        rows: picture,
        cursor: (middle + 2 + cursor_row - from, cursor_column + 2),
    }
}

pub fn title(app: &App, host: &str) -> String {
    let (agent, session) = (&app.agent, &app.session);
    clean(&format!(
        "openclaw tui - {host} - agent {agent} - session {session}"
    ))
}

fn bar(text: &str, columns: usize) -> Row {
    let width = super::text::width(text);
    let fill = " ".repeat(columns.saturating_sub(width));
    Row::new(Style::Reverse, format!("{text}{fill}"))
}

fn activity(app: &App, now: Instant) -> Row {
    let offers = commands::completions(app.editor.text());
    if app.leaving() {
        return Row::new(Style::Accent, "Ctrl-C again leaves".into());
    }
    if !offers.is_empty() && app.picker.is_none() {
        let offers: Vec<String> = offers.iter().map(|name| format!("/{name}")).collect();
        return Row::new(Style::Dim, format!("Tab: {}", offers.join(" ")));
    }
    if app.shell_runs {
        return Row::new(Style::Accent, "a local command runs · Esc ends it".into());
    }
    if !app.connected {
        let why = &app.lost_because;
        return Row::new(
            Style::Bad,
            format!("gateway disconnected: {why} · trying again"),
        );
    }
    match &app.running {
        Some((_, since)) => {
            let elapsed = now.saturating_duration_since(*since);
            let word = elapsed.as_secs() / WORD.as_secs();
            let word = WORDS[(word as usize).min(WORDS.len() - 1)];
            Row::new(
                Style::Accent,
                format!("{word} {} s · Esc stops", elapsed.as_secs()),
            )
        }
        None if app.scroll > 0 => Row::new(Style::Dim, "further up · Page down".into()),
        None => Row::new(Style::Dim, app.standing.into()),
    }
}

fn footer(app: &App) -> String {
    let of = |name: &str| app.row[name].as_str();
    let model = match (of("modelProvider"), of("model")) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        (None, Some(model)) => model.into(),
        _ => {
            let named = |name: &str| app.defaults[name].as_str().unwrap_or("?");
            format!("{}/{}", named("modelProvider"), named("model"))
        }
    };
    let level = |name: &str| of(name).unwrap_or("default");
    clean(&format!(
        "agent {} | {} | {model} | think {} | verbose {} | reasoning {} | {}",
        app.agent,
        app.session,
        level("thinkingLevel"),
        level("verboseLevel"),
        level("reasoningLevel"),
        history::tokens(&app.row, &app.defaults),
    ))
}
