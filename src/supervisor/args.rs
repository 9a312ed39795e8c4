//! The command line of `openclaw-gateway`: the flags of `openclaw gateway run`, and `--notify-fd`.

use crate::base::exit::{Exit, Report};
use crate::base::logging;
use crate::base::secret::Secret;
use crate::config::schema::Logging;
use crate::config::{Env, Paths, listen, profile};
use crate::wire::control::Flags;
use lexopt::prelude::*;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::RawFd;

#[derive(Debug, PartialEq)]
pub enum Action {
    Run(Box<Run>),
    Help,
    Version,
}

#[derive(Debug, Default, PartialEq)]
pub struct Run {
    /// What the core is told, too.
    pub flags: Flags,
    pub force: bool,
    pub reset: bool,
    pub notify_fd: Option<RawFd>,
    /// Flags of the original that were given and have no effect here.
    pub ignored: Vec<&'static str>,
}

pub const HELP: &str = "\
usage: openclaw-gateway [flags]

The daemon, in the foreground. Flags override the environment and the configuration file.

  --port N               TCP port (default 18789; 0: any free one)
  --bind MODE            loopback, lan, tailnet, auto or custom
  --auth MODE            token or password
  --token TEXT           shared token (other users can read it in ps)
  --password TEXT        shared password (likewise)
  --tailscale MODE       off, serve or funnel
  --tailscale-reset-on-exit
                         take back at the end what was published
  --allow-unconfigured   start although gateway.mode is not local
  --force                end whatever listens on the port first
  --dev, --profile NAME  another state folder and configuration
  --reset                with --dev: put its files aside, start from nothing
  --config FILE          the configuration file
  --verbose              more on stderr
  --claude-cli-logs      only that subsystem on stderr
  --notify-fd N          write a newline to descriptor N when ready
  --embedded             for one command: no port, channels, cron or heartbeats; a newline on
                         standard output when ready; ends when standard input does
  -V, --version
  -h, --help

Accepted, without effect: --ws-log STYLE, --compact, --raw-stream, --raw-stream-path FILE.

Signals: TERM and INT stop in order, HUP reads the configuration again, USR1 replaces the core
without refusing a connection. Exit: 0 stopped, 1 failed, 64 usage, 75 already running,
77 not permitted, 78 configuration.
";

#[derive(Debug)]
pub enum Error {
    Flag(lexopt::Error),
    WsLog,
    NotifyFd(String),
    ResetAlone,
}

pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, Error> {
    let mut parser = lexopt::Parser::from_args(args);
    let mut run = Run::default();
    let flags = &mut run.flags;
    let mut ws_log = None;
    let text = |parser: &mut lexopt::Parser| parser.value()?.string();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("port") => flags.port = Some(text(&mut parser)?),
            Long("bind") => flags.bind = Some(text(&mut parser)?),
            Long("auth") => flags.auth = Some(text(&mut parser)?),
            Long("token") => flags.token = Some(Secret::new(text(&mut parser)?)),
            Long("password") => flags.password = Some(Secret::new(text(&mut parser)?)),
            Long("tailscale") => flags.tailscale = Some(text(&mut parser)?),
            Long("tailscale-reset-on-exit") => flags.tailscale_reset = true,
            Long("allow-unconfigured") => flags.allow_unconfigured = true,
            Long("profile") => flags.profile = Some(text(&mut parser)?),
            Long("dev") => flags.dev = true,
            Long("verbose") => flags.verbose = true,
            Long("ws-log") => {
                run.ignored.push("--ws-log");
                ws_log = Some(text(&mut parser)?);
            }
            Long("compact") => run.ignored.push("--compact"),
            Long("claude-cli-logs") => flags.claude_cli_logs = true,
            Long("raw-stream") => run.ignored.push("--raw-stream"),
            Long("raw-stream-path") => {
                run.ignored.push("--raw-stream-path");
                text(&mut parser)?;
            }
            Long("config") => flags.config = Some(text(&mut parser)?),
            Long("force") => run.force = true,
            Long("embedded") => flags.embedded = true,
            Long("reset") => run.reset = true,
            Long("notify-fd") => run.notify_fd = Some(notify_fd(&text(&mut parser)?)?),
            Short('V') | Long("version") => return Ok(Action::Version),
            Short('h') | Long("help") => return Ok(Action::Help),
            // `openclaw gateway run` hands its words on as they are.
            Value(word) if word == "run" => {}
            other => return Err(other.unexpected().into()),
        }
    }
    if run.reset && !flags.dev {
        return Err(Error::ResetAlone);
    }
    match ws_log.as_deref() {
        None | Some("auto" | "full" | "compact") => Ok(Action::Run(Box::new(run))),
        Some(_) => Err(Error::WsLog),
    }
}

fn notify_fd(text: &str) -> Result<RawFd, Error> {
    match text.parse() {
        Ok(fd) if fd > 2 => Ok(fd),
        _ => Err(Error::NotifyFd(text.into())),
    }
}

/// The environment both roles see: what the flags say over what we were started with, over the
/// `.env` files.
pub fn environment(flags: &Flags) -> Result<Env, profile::Error> {
    let mut env = Env::process();
    profile::apply(&mut env, flags.profile.as_deref(), flags.dev)?;
    if let Some(config) = &flags.config {
        env.lay_over(BTreeMap::from([(
            "OPENCLAW_CONFIG_PATH".to_string(),
            config.clone(),
        )]));
    }
    Ok(env.with_dotenv(&std::env::current_dir().unwrap_or_default()))
}

/// Both roles log alike, into one file.
pub fn logging(config: &Logging, paths: &Paths, flags: &Flags) -> logging::Options {
    let level = |name: &Option<String>| name.as_deref().and_then(logging::level);
    let console = match flags.verbose {
        true => log::LevelFilter::Debug,
        // What goes wrong is the command's to tell.
        false if flags.embedded => log::LevelFilter::Off,
        false => level(&config.console_level).unwrap_or(log::LevelFilter::Info),
    };
    logging::Options {
        place: paths.log(config),
        level: level(&config.level).unwrap_or(log::LevelFilter::Info),
        console,
        json: config.console_style.as_deref() == Some("json"),
        only: flags.claude_cli_logs.then_some("agent/claude-cli"),
    }
}

/// The part of the flags that decides where to listen.
pub fn listening(flags: &Flags) -> listen::Flags {
    listen::Flags {
        port: flags.port.clone(),
        bind: flags.bind.clone(),
        auth: flags.auth.clone(),
        token: flags.token.clone(),
        password: flags.password.clone(),
        tailscale: flags.tailscale.clone(),
        tailscale_reset: flags.tailscale_reset,
        allow_unconfigured: flags.allow_unconfigured,
        embedded: flags.embedded,
    }
}

impl From<lexopt::Error> for Error {
    fn from(err: lexopt::Error) -> Error {
        Error::Flag(err)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Flag(err) => err.fmt(f),
            Error::WsLog => f.write_str("Invalid --ws-log (use \"auto\", \"full\", \"compact\")"),
            Error::NotifyFd(text) => write!(f, "--notify-fd {text}: not an inherited descriptor"),
            Error::ResetAlone => f.write_str("Use --reset with --dev."),
        }
    }
}

impl std::error::Error for Error {}

impl Report for Error {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hint(&self) -> Option<String> {
        match self {
            Error::Flag(_) => Some("openclaw-gateway --help lists the flags".into()),
            Error::NotifyFd(_) => Some("a number from 3 on, open when we start".into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Action, Error> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn flags_may_come_with_or_without_an_equals_sign_and_after_run() {
        let Action::Run(run) = run(&["run", "--port=1", "--bind", "lan", "--compact"]).unwrap()
        else {
            panic!("not a run");
        };
        assert_eq!(run.flags.port.as_deref(), Some("1"));
        assert_eq!(run.flags.bind.as_deref(), Some("lan"));
        assert_eq!(run.ignored, ["--compact"]);
    }

    #[test]
    fn refusals_are_usage_errors_in_the_original_words() {
        let said = |args: &[&str]| {
            let err = run(args).unwrap_err();
            assert_eq!(err.exit(), Exit::Usage);
            err.to_string()
        };
        assert_eq!(said(&["--reset"]), "Use --reset with --dev.");
        assert_eq!(
            said(&["--ws-log", "x"]),
            "Invalid --ws-log (use \"auto\", \"full\", \"compact\")"
        );
        assert!(said(&["--wide"]).contains("--wide"));
        assert!(said(&["--notify-fd", "1"]).contains("--notify-fd 1"));
    }
}
