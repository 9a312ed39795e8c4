//! `openclaw memory status`: what is indexed, of whom, and whether its vectors can be had.

use super::super::super::Context;
use super::super::super::failure::Failure;
use super::super::super::output::Colour;
use super::VERBOSE;
use crate::base::cancel::Cancel;
use crate::base::cmdline::{Command, Flag};
use crate::tool::memory::settings::Settings;
use crate::wire::memory::{Answer, Ask, Status};
use serde_json::{Value, json};

pub const SPEC: Command = Command {
    name: "status",
    summary: "Show the index of the agents' notes",
    about: "What the index was made from and whether something has changed since. No index is \
        made by looking.",
    flags: &[
        Flag::switch("deep", "Ask the embedding service for a vector, too"),
        Flag::switch("index", "Bring the index up to date first"),
        VERBOSE,
    ],
    lenient: true,
    ..Command::NEW
};

/// What is known of one agent's.
struct Known {
    agent: String,
    settings: Settings,
    status: Status,
    /// Whether a vector was to be had, when that was asked.
    probe: Option<Result<(), String>>,
    index_error: Option<String>,
}

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let has = |flag| context.matches.has(flag);
    let (deep, index, verbose) = (has("deep"), has("index"), has("verbose"));
    let mut records = Vec::new();
    for agent in super::wanted(context)? {
        let Some(settings) = super::settings(context, &agent)? else {
            continue;
        };
        let known = look(agent, settings, deep, index, verbose)?;
        match context.json() {
            true => records.push(record(&known)),
            false => print(context, &known)?,
        }
    }
    match context.json() {
        true => Ok(context.out.json(&records)?),
        false => Ok(()),
    }
}

fn look(
    agent: String,
    settings: Settings,
    deep: bool,
    index: bool,
    verbose: bool,
) -> Result<Known, Failure> {
    let memory = super::memory();
    let failed = |why| Failure::said(format!("Memory status failed ({agent}): {why}"));
    let index_error = match index {
        true => match super::index::sync(&memory, &settings, false, verbose) {
            Ok(synced) => synced.failed,
            Err(why) => Some(why),
        },
        false => None,
    };
    let probe = deep.then(|| match &settings.embedder {
        Some(embedder) => embedder
            .embed(&["ping".into()], true, &Cancel::new())
            .map(drop),
        None => Err(settings.without.clone().unwrap_or_default()),
    });
    let ask = Ask::Status {
        index: settings.index.clone(),
    };
    let status = match memory.ask(&ask, None, &mut |_, _| {}).map_err(failed)? {
        Answer::Status(status) => *status,
        other => return Err(failed(format!("the memory index answered {other:?}"))),
    };
    Ok(Known {
        agent,
        settings,
        status,
        probe,
        index_error,
    })
}

fn record(known: &Known) -> Value {
    let (settings, status) = (&known.settings, &known.status);
    let index = &settings.index;
    let counts = status.sources.iter().map(
        |counts| json!({"source": counts.source, "files": counts.files, "chunks": counts.chunks}),
    );
    let mut cache = json!({"enabled": index.cache, "entries": status.cached});
    if index.cache_entries > 0 {
        cache["maxEntries"] = index.cache_entries.into();
    }
    let vectors = index.has_vectors();
    let mut vector = json!({"enabled": vectors, "available": vectors});
    if let Some(dims) = status.dims.filter(|_| vectors) {
        vector["dims"] = dims.into();
    }
    let scanned = status.sources.iter().map(|counts| {
        json!({
            "source": counts.source,
            "totalFiles": counts.total_files,
            "issues": counts.issues,
        })
    });
    let total: u64 = status.sources.iter().map(|counts| counts.total_files).sum();
    let mut record = json!({
        "agentId": known.agent,
        "status": {
            "backend": "builtin",
            "files": status.files,
            "chunks": status.chunks,
            "dirty": status.dirty,
            "workspaceDir": index.workspace,
            "dbPath": index.store,
            "provider": index.provider,
            "model": index.model,
            "requestedProvider": settings.requested,
            "sources": settings.sources,
            "extraPaths": settings.extra,
            "sourceCounts": counts.collect::<Vec<_>>(),
            "cache": cache,
            "fts": {"enabled": true, "available": true},
            "vector": vector,
            "batch": {"enabled": false, "failures": 0, "limit": 0, "wait": false,
                "concurrency": 0, "pollIntervalMs": 0, "timeoutMs": 0},
        },
        "scan": {
            "sources": scanned.collect::<Vec<_>>(),
            "totalFiles": total,
            "issues": status.issues,
        },
    });
    if vectors {
        record["status"]["pending"] = status.pending.into();
    }
    match &settings.without {
        Some(why) if vectors => {
            record["status"]["fallback"] = json!({"from": settings.requested, "reason": why});
        }
        Some(why) => record["status"]["wordsOnly"] = why.as_str().into(),
        None => {}
    }
    match &known.probe {
        Some(Ok(())) => record["embeddingProbe"] = json!({"ok": true}),
        Some(Err(why)) => record["embeddingProbe"] = json!({"ok": false, "error": why}),
        None => {}
    }
    if let Some(why) = &known.index_error {
        record["indexError"] = why.as_str().into();
    }
    record
}

fn print(context: &mut Context, known: &Known) -> Result<(), Failure> {
    let (settings, status) = (&known.settings, &known.status);
    let index = &settings.index;
    let paths = context.local.paths();
    let (store, workspace) = (paths.tilde(&index.store), paths.tilde(&index.workspace));
    let requested = &settings.requested;
    let total: u64 = status.sources.iter().map(|counts| counts.total_files).sum();
    let mut lines = vec![
        format!("Provider: {} (requested: {requested})", index.provider),
        format!("Model: {}", index.model),
        format!("Sources: {}", settings.sources.join(", ")),
    ];
    if !settings.extra.is_empty() {
        lines.push(format!("Extra paths: {}", settings.extra.join(", ")));
    }
    let (files, chunks) = (status.files, status.chunks);
    lines.push(format!("Indexed: {files}/{total} files · {chunks} chunks"));
    lines.push(format!(
        "Dirty: {}",
        if status.dirty { "yes" } else { "no" }
    ));
    lines.push(format!("Store: {store}"));
    lines.push(format!("Workspace: {workspace}"));
    match &known.probe {
        Some(Ok(())) => lines.push("Embeddings: ready".into()),
        Some(Err(why)) => {
            lines.push("Embeddings: unavailable".into());
            lines.push(format!("Embeddings error: {why}"));
        }
        None => {}
    }
    lines.push("By source:".into());
    for counts in &status.sources {
        lines.push(format!(
            "  {} · {}/{} files · {} chunks",
            counts.source, counts.files, counts.total_files, counts.chunks
        ));
    }
    match index.has_vectors() {
        true => {
            let instead = settings.without.as_ref();
            lines.extend(instead.map(|why| format!("Fallback: from {requested}: {why}")));
            lines.push("Vector: ready".into());
            lines.extend(status.dims.map(|dims| format!("Vector dims: {dims}")));
            if status.pending > 0 {
                lines.push(format!("Without a vector yet: {}", status.pending));
            }
        }
        false => {
            lines.push("Vector: off; words are compared".into());
            // What to do about it; the probe has said so already.
            let why = settings.without.as_ref().filter(|_| known.probe.is_none());
            lines.extend(why.map(|why| format!("No embeddings: {why}")));
        }
    }
    lines.push("FTS: ready".into());
    lines.push(match index.cache {
        true => format!("Embedding cache: enabled ({} entries)", status.cached),
        false => "Embedding cache: disabled".into(),
    });
    if let Some(why) = &known.index_error {
        lines.push(format!("Index error: {why}"));
    }
    if !status.issues.is_empty() {
        lines.push("Issues:".into());
        lines.extend(status.issues.iter().map(|issue| format!("  {issue}")));
    }
    context
        .out
        .title(&format!("Memory Search ({})", known.agent))?;
    for line in lines {
        let line = match line.split_once(": ") {
            Some((label, value)) if !label.starts_with(' ') => {
                let label = context.out.paint(Colour::Dim, &format!("{label}:"));
                format!("{label} {value}")
            }
            _ => line,
        };
        context.out.line(line)?;
    }
    Ok(context.out.line("")?)
}
