//! `openclaw models scan`: finds models at OpenRouter that cost nothing, and takes the good ones as
//! fallbacks.

use super::super::super::Context;
use super::super::super::ask::{self, Ask};
use super::super::super::failure::Failure;
use crate::base::cmdline::{Command, Flag};
use crate::ops::model_scan::{self, Options, Scanned, Tried};
use crate::ops::models::{self, Found};
use serde_json::json;
use std::io::Write;
use std::time::Duration;

pub const SPEC: Command = Command {
    name: "scan",
    summary: "Find models at OpenRouter that cost nothing, and take them as fallbacks",
    about: "Each is called once or twice. --timeout is the limit of one such call, 12000 \
            milliseconds without it.",
    flags: &[
        Flag::value("concurrency", "n", "Calls at the same time").default("3"),
        Flag::switch("input", "Ask which ones to take, at a terminal").negatable(),
        Flag::value("max-age-days", "days", "Leave out what is older"),
        Flag::value("max-candidates", "n", "Most fallbacks to take").default("6"),
        Flag::value(
            "min-params",
            "b",
            "Leave out what has fewer billions of parameters",
        ),
        Flag::switch("probe", "Call each one to see what it can do").negatable(),
        Flag::value("provider", "name", "Only models of this maker"),
        Flag::switch("set-default", "Make the first one the default model"),
        Flag::switch("set-image", "Make the first that sees the image model"),
        Flag::switch("yes", "Take the best without asking"),
    ],
    ..Command::NEW
};

/// Time of one call when the flag does not say.
const PATIENCE_MS: f64 = 12_000.0;

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let options = options(context)?;
    let most = super::positive(context, "max-candidates", 6.0, "> 0")?.max(1.0) as usize;
    let quiet = context.json() || !ask::is_possible();
    let mut found = model_scan::run(&context.local.snapshot, &options, &mut |done, total| {
        if !quiet {
            eprint!("\rProbing models ({done}/{total})");
            let _ = std::io::stderr().flush();
        }
    })
    .map_err(|err| super::told(&err))?;
    if !quiet && options.probe {
        eprintln!();
    }
    model_scan::sort(&mut found);
    if !options.probe {
        if context.json() {
            return Ok(context.out.json(&found)?);
        }
        context.out.line(format!(
            "Found {} OpenRouter free models (metadata only; pass --probe to test tools/images).",
            found.len()
        ))?;
        return table(context, &found);
    }
    let works: Vec<Scanned> = found.iter().filter(|m| m.tool.ok).cloned().collect();
    if works.is_empty() {
        return Err(Failure::said(
            "Error: No tool-capable OpenRouter free models found.",
        ));
    }
    let mut sees: Vec<Scanned> = found.iter().filter(|m| m.image.ok).cloned().collect();
    model_scan::sort_by_sight(&mut sees);
    if !context.json() {
        summary(context, &found)?;
        table(context, &found)?;
        context.out.flush()?;
    }
    let both: Vec<&Scanned> = works.iter().filter(|m| m.image.ok).collect();
    let preferred = match both.is_empty() {
        true => works.iter().collect(),
        false => both,
    };
    let names = |models: Vec<&Scanned>| -> Vec<String> {
        let names = models.into_iter().take(most);
        names.map(|m| m.model_ref.clone()).collect()
    };
    let best = names(preferred);
    let best_images = names(sees.iter().collect());
    let unasked = context.json()
        || context.matches.has("yes")
        || context.matches.switch("input") == Some(false);
    let (taken, images) = match (unasked, ask::is_possible()) {
        (true, _) => (best, best_images),
        (false, false) => {
            return Err(Failure::said(
                "Error: Non-interactive scan: pass --yes to apply defaults.",
            ));
        }
        (false, true) => {
            let mut ask = Ask::new()?;
            let taken = pick(&mut ask, "Fallback models, in this order", &works, &best)?;
            let images = match sees.is_empty() {
                true => Vec::new(),
                false => pick(
                    &mut ask,
                    "Image fallbacks, in this order",
                    &sees,
                    &best_images,
                )?,
            };
            (taken, images)
        }
    };
    apply(context, &taken, &images, &found)
}

fn options(context: &Context) -> Result<Options, Failure> {
    let least = |flag: &str| -> Result<f64, Failure> {
        let Some(typed) = context.matches.text(flag) else {
            return Ok(0.0);
        };
        let number = typed.trim().parse::<f64>().ok();
        number
            .filter(|n| n.is_finite() && *n >= 0.0)
            .ok_or_else(|| Failure::said(format!("Error: --{flag} must be >= 0")))
    };
    Ok(Options {
        min_params: least("min-params")?,
        max_age_days: least("max-age-days")?,
        provider: context.matches.text("provider").map(str::to_string),
        timeout: Duration::from_millis(
            super::positive(context, "timeout", PATIENCE_MS, "> 0")? as u64
        ),
        concurrency: super::positive(context, "concurrency", 3.0, "> 0")?.max(1.0) as usize,
        probe: context.matches.switch("probe") != Some(false),
    })
}

fn pick(
    ask: &mut Ask,
    question: &str,
    models: &[Scanned],
    best: &[String],
) -> Result<Vec<String>, Failure> {
    let names: Vec<&str> = models.iter().map(|m| m.model_ref.as_str()).collect();
    let place = |name: &String| names.iter().position(|n| n == name).map(|at| at + 1);
    for (i, model) in models.iter().enumerate() {
        let tool = time(&model.tool);
        let image = time(&model.image);
        eprintln!(
            "  {}  {} (tool {tool}, image {image})",
            i + 1,
            model.model_ref
        );
    }
    let default: Vec<String> = best
        .iter()
        .filter_map(place)
        .map(|n| n.to_string())
        .collect();
    loop {
        let typed = ask.text(&format!("{question} (numbers)"), Some(&default.join(" ")))?;
        let words = typed.split(|c: char| c == ',' || c.is_whitespace());
        let chosen: Option<Vec<String>> = words
            .filter(|word| !word.is_empty())
            .map(|word| {
                let at = word.parse::<usize>().ok()?.checked_sub(1)?;
                names.get(at).map(|name| name.to_string())
            })
            .collect();
        match chosen.filter(|chosen| !chosen.is_empty()) {
            Some(chosen) => return Ok(chosen),
            None => eprintln!("  numbers from 1 to {}", names.len()),
        }
    }
}

fn apply(
    context: &mut Context,
    taken: &[String],
    images: &[String],
    found: &[Scanned],
) -> Result<(), Failure> {
    let set_default = context.matches.has("set-default");
    let set_image = context.matches.has("set-image");
    if set_image && images.is_empty() {
        return Err(Failure::said(
            "Error: No image-capable models selected for image model.",
        ));
    }
    let snapshot = &context.local.snapshot;
    let chosen = Found {
        models: taken,
        image_models: images,
        set_default,
        set_image,
    };
    let after = models::take_found(&snapshot.paths, &snapshot.env, &chosen)
        .map_err(|err| super::told(&err))?;
    if context.json() {
        return Ok(context.out.json(&json!({
            "selected": taken,
            "selectedImages": images,
            "setDefault": set_default,
            "setImage": set_image,
            "results": found,
            "warnings": [],
        }))?);
    }
    super::updated(context, &after)?;
    let out = &mut context.out;
    out.line(format!("Fallbacks: {}", taken.join(", ")))?;
    if !images.is_empty() {
        out.line(format!("Image fallbacks: {}", images.join(", ")))?;
    }
    if set_default {
        out.line(format!("Default model: {}", taken[0]))?;
    }
    if set_image {
        out.line(format!("Image model: {}", images[0]))?;
    }
    Ok(())
}

fn summary(context: &mut Context, found: &[Scanned]) -> Result<(), Failure> {
    let count = |what: fn(&Scanned) -> bool| found.iter().filter(|m| what(m)).count();
    Ok(context.out.line(format!(
        "Scan results: tested {}, tool ok {}, image ok {}, tool+image ok {}, image only {}",
        found.len(),
        count(|m| m.tool.ok),
        count(|m| m.image.ok),
        count(|m| m.tool.ok && m.image.ok),
        count(|m| m.image.ok && !m.tool.ok),
    ))?)
}

fn table(context: &mut Context, found: &[Scanned]) -> Result<(), Failure> {
    let columns = |cells: [&str; 6]| {
        let [model, tool, image, window, params, notes] = cells;
        let line = format!("{model:<42} {tool:<10} {image:<10} {window:<8} {params:<8} {notes}");
        line.trim_end().to_string()
    };
    let head = columns(["Model", "Tool", "Image", "Ctx", "Params", "Notes"]);
    context.out.line(head)?;
    for model in found {
        let window = model.context_length;
        let window = window.map_or("-".into(), |n| format!("{}k", n / 1024));
        let params = model.params.map_or("-".into(), |n| format!("{n}b"));
        let notes = model.modality.as_deref().map(|m| format!("modality:{m}"));
        context.out.line(columns([
            &model.model_ref,
            &time(&model.tool),
            &time(&model.image),
            &window,
            &params,
            &notes.unwrap_or_default(),
        ]))?;
    }
    Ok(())
}

fn time(tried: &Tried) -> String {
    match tried {
        Tried { skipped: true, .. } => "skip".into(),
        Tried { ok: false, .. } => "fail".into(),
        Tried { latency_ms, .. } => super::status::milliseconds(*latency_ms),
    }
}
