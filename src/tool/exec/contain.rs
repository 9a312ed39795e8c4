//! A sandboxed command in a container: the `docker` program is what the tool runner starts, for the
//! command as for looking after the container.
//!
//! The program runs outside of any sandbox of ours, so nothing of the session's wording is its
//! option: see `container`. A command that is killed loses its `docker exec`; what it started goes on
//! inside until it ends or the container goes.

use super::{env, job};
use crate::base::cancel::Cancel;
use crate::config::Env;
use crate::tool::confine::Room;
use crate::tool::container::{self, Docker, Done, Wanted};
use crate::tool::process::Processes;
use crate::tool::{Context, Error};
use crate::wire::exec::{Run, RunLimits};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Makes `run`, which is for the kernel's sandbox, one for the room's container, if it has one.
pub fn contain(
    ctx: &Context,
    room: &Room,
    given: BTreeMap<String, String>,
    command: &str,
    run: &mut Run,
) -> Result<(), Error> {
    let Some(program) = &room.docker else {
        return Ok(());
    };
    let processes = ctx.processes;
    let through = Through {
        processes,
        env: &ctx.config.env,
        program,
        cancel: ctx.cancel,
    };
    let settings = &room.settings;
    let wanted = Wanted {
        settings,
        scope: settings.scope_key(ctx.agent_id, ctx.session_key),
        folder: &room.root,
        workspace: &ctx.workspace,
    };
    let name = container::ensure(&through, processes.paths(), &wanted).map_err(Error)?;
    let workdir = container::workdir(settings);
    let mut inside: BTreeMap<String, String> = BTreeMap::new();
    inside.extend(run.env.remove("PATH").map(|path| ("PATH".into(), path)));
    inside.insert("HOME".into(), workdir);
    let own = settings.env();
    inside.extend(own.map(|(name, value)| (name.to_string(), value.to_string())));
    inside.extend(given);
    let cwd = container::inside(settings, &room.root, &run.cwd);
    run.argv = vec![program.display().to_string()];
    run.argv
        .extend(container::words(&name, &cwd, &inside, command, false));
    let shell = env::shell(&ctx.config.env, false);
    let client = container::client_variables(&ctx.config.env);
    run.env = env::whole(&ctx.config.env, &[], &shell, None, client, false);
    run.cwd.clone_from(&room.root);
    run.sandbox = None;
    run.limits = RunLimits::default();
    Ok(())
}

/// `docker` as the tool runner runs it.
struct Through<'a> {
    processes: &'a Processes,
    env: &'a Env,
    program: &'a Path,
    cancel: &'a Cancel,
}

impl Docker for Through<'_> {
    fn run(&self, words: &[&str], limit: Duration) -> Result<Done, String> {
        let words = words.iter().map(|word| word.to_string());
        let ended = job::run(
            self.processes,
            &job::Job {
                name: "docker",
                argv: std::iter::once(self.program.display().to_string())
                    .chain(words)
                    .collect(),
                cwd: self.processes.paths().home.clone(),
                env: self.env,
                with: container::client_variables(self.env),
                input: None,
                limit,
                cancel: Some(self.cancel),
            },
        )
        .map_err(|why| format!("docker: {why}"))?;
        Ok(Done {
            ok: ended.failure.is_none(),
            output: match (&ended.failure, ended.output.is_empty()) {
                (Some(why), true) => why.clone(),
                _ => ended.output,
            },
        })
    }
}
