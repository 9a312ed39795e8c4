//! `openclaw onboard`: from nothing to a gateway that answers, in a conversation or from flags.

pub mod channels;
pub mod extras;
pub mod finish;
mod flags;
pub mod talk;
mod wizard;

use super::super::Context;
use super::super::failure::Failure;
use super::super::output::Out;
use crate::base::cmdline::{Command, Flag};
use crate::base::exit::Report;
use crate::client::local::Local;
use crate::config::paths::expand;
use crate::gateway::wizard::error::Error;
use crate::ops::onboard::{self, Done};
use crate::ops::removal::{self, Scope};
use serde_json::json;
use std::path::Path;

pub const SPEC: Command = Command {
    name: "onboard",
    summary: "Set up gateway, model, workspace and service",
    about: "Asks at a terminal; with --non-interactive everything comes from flags and the \
            environment. A key is better left in its variable: a flag can be read by everybody on \
            the machine. A gateway token that is there stays unless another is given.",
    flags: &[
        Flag::switch(
            "accept-risk",
            "An agent with tools is powerful: go on without asking",
        ),
        Flag::value("ai-gateway-api-key", "key", "Key of Vercel AI Gateway"),
        Flag::value("anthropic-api-key", "key", "Key of Anthropic"),
        Flag::value(
            "auth-choice",
            "choice",
            "What opens the model: apiKey, openai-api-key, token, skip and others",
        ),
        Flag::value(
            "cloudflare-ai-gateway-account-id",
            "id",
            "Account at Cloudflare",
        ),
        Flag::value(
            "cloudflare-ai-gateway-api-key",
            "key",
            "Key of Cloudflare AI Gateway",
        ),
        Flag::value(
            "cloudflare-ai-gateway-gateway-id",
            "id",
            "Gateway at Cloudflare",
        ),
        Flag::value(
            "daemon-runtime",
            "name",
            "Accepted (node or bun), without effect",
        ),
        Flag::value("flow", "name", "quickstart, manual or advanced"),
        Flag::value("gateway-auth", "mode", "token or password"),
        Flag::value(
            "gateway-bind",
            "mode",
            "loopback, lan, tailnet, auto or custom",
        ),
        Flag::value("gateway-password", "text", "Password of the gateway"),
        Flag::value("gateway-port", "n", "TCP port of the gateway"),
        Flag::value("gateway-token", "text", "Token of the gateway"),
        Flag::value("gemini-api-key", "key", "Key of Google"),
        Flag::switch("install-daemon", "Install the service").negatable(),
        Flag::value("kimi-code-api-key", "key", "Key of Kimi Code"),
        Flag::value("minimax-api-key", "key", "Key of MiniMax"),
        Flag::value("mode", "name", "local or remote"),
        Flag::value("moonshot-api-key", "key", "Key of Moonshot AI"),
        Flag::value(
            "node-manager",
            "name",
            "npm, pnpm or bun, for skills that need one",
        ),
        Flag::switch("non-interactive", "Ask nothing (needs --accept-risk)"),
        Flag::value("openai-api-key", "key", "Key of OpenAI"),
        Flag::value("opencode-zen-api-key", "key", "Key of OpenCode Zen"),
        Flag::value("openrouter-api-key", "key", "Key of OpenRouter"),
        Flag::value("remote-token", "text", "Token of a gateway elsewhere"),
        Flag::value("remote-url", "url", "Address of a gateway elsewhere"),
        Flag::switch("reset", "First put what is there into the trash"),
        Flag::switch("skip-channels", "Set up no channels"),
        Flag::switch("skip-daemon", "Same as --no-install-daemon"),
        Flag::switch("skip-health", "Do not ask the gateway how it is at the end"),
        Flag::switch("skip-skills", "Set up nothing for skills"),
        Flag::switch("skip-ui", "Offer neither chat nor Control UI at the end"),
        Flag::value("synthetic-api-key", "key", "Key of Synthetic"),
        Flag::value("tailscale", "mode", "off, serve or funnel"),
        Flag::switch(
            "tailscale-reset-on-exit",
            "Take the exposure back when the gateway stops",
        ),
        Flag::value(
            "token",
            "text",
            "Token of claude setup-token, for --auth-choice token",
        ),
        Flag::value(
            "token-expires-in",
            "duration",
            "When that token ends: 365d, 12h",
        ),
        Flag::value("token-profile-id", "id", "Name of its profile"),
        Flag::value("token-provider", "id", "Whose token it is: anthropic"),
        Flag::value("venice-api-key", "key", "Key of Venice"),
        Flag::dir("workspace", "dir", "Where the agent works"),
        Flag::value("xiaomi-api-key", "key", "Key of Xiaomi"),
        Flag::value("zai-api-key", "key", "Key of Z.AI"),
    ],
    ..Command::NEW
};

pub fn run(context: &mut Context) -> Result<(), Failure> {
    let non_interactive = context.matches.has("non-interactive");
    if non_interactive && !context.matches.has("accept-risk") {
        return Err(Failure::said(format!(
            "Non-interactive onboarding requires explicit risk acknowledgement.\n\
             Read: https://docs.openclaw.ai/security\nRe-run with: {}",
            context.command("onboard --non-interactive --accept-risk ...")
        )));
    }
    let mode = context.matches.text("mode").unwrap_or("local");
    if !["local", "remote"].contains(&mode) {
        return Err(Failure::said(format!(
            "Invalid --mode \"{mode}\" (use local|remote)."
        )));
    }
    if !non_interactive {
        return wizard::run(context);
    }
    match mode {
        "remote" => remote(context),
        _ => local(context),
    }
}

fn remote(context: &mut Context) -> Result<(), Failure> {
    let matches = &context.matches;
    let url = matches.text("remote-url").map(str::trim);
    let Some(url) = url.filter(|url| !url.is_empty()) else {
        return Err(Failure::said("Missing --remote-url for remote mode."));
    };
    let token = flags::secret(matches, "remote-token");
    let url = url.to_string();
    reset(context)?;
    let done = onboard::remote(&context.local.snapshot, &url, token.as_ref()).map_err(told)?;
    tell(context, &done)?;
    if context.json() {
        let auth = if token.is_some() { "token" } else { "none" };
        let all = json!({"mode": "remote", "remoteUrl": url, "auth": auth});
        return Ok(context.out.json(&all)?);
    }
    tip(context)
}

fn local(context: &mut Context) -> Result<(), Failure> {
    let wanted = flags::local(&context.matches);
    let installs = flags::installs(&context.matches);
    let runtime = flags::runtime(&context.matches, installs)?.to_string();
    // Everything is checked before anything is put away.
    onboard::look(&context.local.snapshot, &wanted).map_err(told)?;
    reset(context)?;
    let plan = onboard::look(&context.local.snapshot, &wanted).map_err(told)?;
    let mut summary = onboard::summary(&plan.gateway, Path::new(""), &wanted);
    let done = plan.apply(&context.local.snapshot).map_err(told)?;
    tell(context, &done)?;
    summary["workspace"] = json!(done.workspace);
    context.local = Local::of(done.after);
    let json = context.json();
    let installed = installs && finish::install(context)?;
    let skip_health = context.matches.has("skip-health");
    if !skip_health {
        finish::health(context, installed)?;
    }
    if json {
        summary["installDaemon"] = json!(installs);
        if installs {
            summary["daemonRuntime"] = json!(runtime);
        }
        summary["skipSkills"] = json!(wanted.skip_skills);
        summary["skipHealth"] = json!(skip_health);
        return Ok(context.out.json(&summary)?);
    }
    tip(context)
}

/// `--reset`: what is there goes to the trash.
fn reset(context: &mut Context) -> Result<(), Failure> {
    if !context.matches.has("reset") {
        return Ok(());
    }
    not_running(context)?;
    let snapshot = context.local.snapshot.clone();
    let asked = context.matches.text("workspace");
    let mut paths = removal::of_reset(&snapshot, Scope::Sessions);
    match asked {
        Some(typed) => paths.push(expand(typed, &snapshot.paths.home)),
        None => paths.extend(removal::workspaces(&snapshot)),
    }
    for path in paths {
        put_away(context, &path)?;
    }
    let fresh = crate::config::load::load(&snapshot.paths, &snapshot.env);
    context.local = Local::of(fresh);
    Ok(())
}

/// Nobody takes the state from under a gateway.
fn not_running(context: &Context) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    match crate::supervisor::lock::holder(&snapshot.paths, &snapshot.env) {
        None => Ok(()),
        Some(pid) => Err(Failure::said(format!(
            "Error: a gateway runs on this state (pid {pid})\n  fix: {}, then this again",
            context.command("gateway stop")
        ))),
    }
}

/// Into the trash, and the line that says so.
fn put_away(context: &mut Context, path: &Path) -> Result<(), Failure> {
    let snapshot = &context.local.snapshot;
    let shown = snapshot.paths.tilde(path);
    if removal::is_unsafe(snapshot, path) {
        return Err(Failure::said(format!(
            "Refusing to remove unsafe path: {shown}"
        )));
    }
    match removal::to_trash(snapshot, path) {
        Ok(None) => Ok(()),
        Ok(Some(to)) => {
            let line = format!("Moved to Trash: {shown} ({})", snapshot.paths.tilde(&to));
            aside(context, &line)
        }
        Err(err) => Err(Failure::said(format!(
            "Failed to move to Trash: {shown}: {err}"
        ))),
    }
}

fn tell(context: &mut Context, done: &Done) -> Result<(), Failure> {
    for line in &done.lines {
        aside(context, line)?;
    }
    Ok(())
}

/// For people: beside the document where one was asked for.
fn aside(context: &mut Context, line: &str) -> Result<(), Failure> {
    match context.json() {
        true => eprintln!("{line}"),
        false => context.out.line(line)?,
    }
    Ok(())
}

fn tip(context: &mut Context) -> Result<(), Failure> {
    let command = context.command("configure --section web");
    let out: &mut Out = &mut context.out;
    Ok(out.line(format!(
        "Tip: run `{command}` to store your Brave API key for web_search. Docs: \
         https://docs.openclaw.ai/tools/web"
    ))?)
}

fn told(err: Error) -> Failure {
    match err {
        Error::Said(text) => Failure::Said(text),
        other => Failure::of(&other as &dyn Report),
    }
}
