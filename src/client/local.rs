//! This side of a command: the flags every client program has, the environment and configuration
//! they lead to, and the gateway that follows from all three.

use super::{Caller, Who};
use crate::base::cmdline::{self, Flag, Matches};
use crate::base::exit::{Exit, Report};
use crate::base::secret::Secret;
use crate::config::client::{self, ClientFlags};
use crate::config::{Env, Paths, Snapshot, load, old_home, profile};
use std::fmt;
use std::io;
use std::time::Duration;

/// Sorted among themselves; a program's root adds its own.
pub const DEV: Flag = Flag::switch("dev", "Same as --profile dev").global();
pub const PASSWORD: Flag = Flag::value(
    "password",
    "text",
    "Password of the gateway (others can read it in ps)",
)
.global();
pub const PROFILE: Flag = Flag::value(
    "profile",
    "name",
    "Use the state, configuration and service of this profile",
)
.global();
pub const TIMEOUT: Flag = Flag::value("timeout", "ms", "Longest time for the whole call")
    .default("10000")
    .global();
pub const TOKEN: Flag = Flag::value(
    "token",
    "text",
    "Token of the gateway (others can read it in ps)",
)
.global();
pub const URL: Flag = Flag::value(
    "url",
    "url",
    "Gateway to talk to (ws:// or wss://; needs --token or --password)",
)
.global();

/// Names the gateway as `--url` does; weaker than the flag.
const URL_VARIABLE: &str = "OPENCLAW_GATEWAY_URL";

pub struct Local {
    pub snapshot: Snapshot,
    flags: ClientFlags,
    /// What became of a state folder with an old name.
    pub taken_over: io::Result<Option<old_home::Moved>>,
}

#[derive(Debug)]
pub enum Error {
    Profile(profile::Error),
    Flag(cmdline::Error),
}

impl Local {
    /// A configuration that was read already, and nothing from the command line.
    pub fn of(snapshot: Snapshot) -> Local {
        Local {
            snapshot,
            flags: ClientFlags::default(),
            taken_over: Ok(None),
        }
    }

    /// Profile, `.env` files and configuration, in that order.
    pub fn open(matches: &Matches) -> Result<Local, Error> {
        let mut env = Env::process();
        profile::apply(&mut env, matches.text("profile"), matches.has("dev"))
            .map_err(Error::Profile)?;
        // Before the `.env` of the state folder is read.
        let taken_over = old_home::take_over(&env);
        if let Ok(cwd) = std::env::current_dir() {
            env = env.with_dotenv(&cwd);
        }
        let paths = Paths::resolve(&env, None);
        let snapshot = load::load(&paths, &env);
        let named = |long| matches.text(long).map(Secret::new);
        let mut flags = ClientFlags {
            url: matches.text("url").map(str::to_string),
            token: named("token"),
            password: named("password"),
        };
        if flags.url.is_none() {
            if let Some(url) = env.get(URL_VARIABLE) {
                flags.url = Some(url.to_string());
                // Who sets the address in the environment sets the secret there, too.
                let from = |name| env.get(name).map(Secret::new);
                flags.token = flags.token.or_else(|| from("OPENCLAW_GATEWAY_TOKEN"));
                flags.password = flags.password.or_else(|| from("OPENCLAW_GATEWAY_PASSWORD"));
            }
        }
        Ok(Local {
            snapshot,
            flags,
            taken_over,
        })
    }

    pub fn paths(&self) -> &Paths {
        &self.snapshot.paths
    }

    /// The gateway to talk to, as a command does.
    pub fn caller(&self) -> Result<Caller, client::Error> {
        let target = client::resolve(&self.snapshot, &self.flags)?;
        let explicit =
            self.flags.url.is_some() || self.flags.token.is_some() || self.flags.password.is_some();
        Ok(Caller::new(&self.snapshot, target, explicit))
    }

    /// The same gateway, as a probe.
    pub fn prober(&self) -> Result<Caller, client::Error> {
        Ok(self.caller()?.with(Who::probe()))
    }

    /// The gateway of this machine, whatever the flags and `gateway.mode` say.
    pub fn loopback(&self) -> Result<Caller, client::Error> {
        let mut snapshot = self.snapshot.clone();
        snapshot.config.gateway.mode = None;
        let flags = match self.flags.url {
            // The secret belongs to the gateway that was named with it.
            Some(_) => ClientFlags::default(),
            None => self.flags.clone(),
        };
        let explicit = flags.token.is_some() || flags.password.is_some();
        let target = client::resolve(&snapshot, &flags)?;
        Ok(Caller::new(&snapshot, target, explicit).with(Who::probe()))
    }

    /// Whether the user named gateway or secret.
    pub fn names_gateway(&self) -> bool {
        self.flags.url.is_some()
    }
}

/// `--timeout` in milliseconds.
pub fn timeout(matches: &Matches, default: Duration) -> Result<Duration, cmdline::Error> {
    let bad = |got: &str| cmdline::Error::BadNumber {
        flag: "--timeout".into(),
        got: got.into(),
    };
    match matches.number::<u64>("timeout")? {
        None => Ok(default),
        Some(0) => Err(bad("0")),
        Some(ms) => Ok(Duration::from_millis(ms)),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Profile(err) => err.fmt(f),
            Error::Flag(err) => err.fmt(f),
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
            Error::Profile(err) => err.hint(),
            Error::Flag(err) => err.hint(),
        }
    }
}
