//! The state folder of the program's earlier names: taken over under its present name before
//! anything is read, as the original does before every command.
//!
//! It matters: `~/.openclaw` also holds what belongs to no profile (the device key), so it comes
//! into being sooner or later, and from then on a folder of an old name would not be found.
//! Nothing is lost when this fails: the old folder is used where it is.

use super::Env;
use super::paths::{CONFIG_NAMES, STATE_NAMES};
use crate::base::atomic;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// What was done.
#[derive(Debug, PartialEq, Eq)]
pub struct Moved {
    pub from: PathBuf,
    pub to: PathBuf,
    /// The configuration that was copied to its present name.
    pub config: Option<PathBuf>,
}

/// Moves the folder when there is one and no present one; its old name becomes a link. With a state
/// folder that is named by a variable there is nothing to guess.
pub fn take_over(env: &Env) -> io::Result<Option<Moved>> {
    if env
        .first(&["OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"])
        .is_some()
    {
        return Ok(None);
    }
    let home = env.home();
    let to = home.join(STATE_NAMES[0]);
    if fs::symlink_metadata(&to).is_ok() {
        return Ok(None);
    }
    let olds = STATE_NAMES[1..].iter().map(|name| home.join(name));
    let Some(from) = olds
        .into_iter()
        .find(|dir| fs::symlink_metadata(dir).is_ok())
    else {
        return Ok(None);
    };
    if !fs::symlink_metadata(&from)?.is_dir() {
        return Ok(None);
    }
    fs::rename(&from, &to)?;
    if let Err(err) = symlink(&to, &from) {
        // Programs that know only the old name would make an empty one.
        fs::rename(&to, &from)?;
        return Err(err);
    }
    let config = to.join(CONFIG_NAMES[0]);
    let mut copied = None;
    if !config.exists() {
        let named = CONFIG_NAMES[1..].iter().map(|name| to.join(name));
        if let Some(old) = named.into_iter().find(|file| file.is_file()) {
            atomic::write(&config, &fs::read(&old)?)?;
            copied = Some(config);
        }
    }
    Ok(Some(Moved {
        from,
        to,
        config: copied,
    }))
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "state of an earlier version: {} is {} now, its old name a link to it",
            self.from.display(),
            self.to.display()
        )?;
        match &self.config {
            Some(config) => write!(f, "; its configuration is copied to {}", config.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    #[test]
    fn a_folder_of_an_old_name_is_taken_over_once_with_its_configuration() {
        let dir = temp_dir("old-home");
        let env = Env::from_pairs(&[("HOME", dir.to_str().unwrap())]);
        assert_eq!(take_over(&env).unwrap(), None);
        let old = dir.join(".clawdbot");
        fs::create_dir(&old).unwrap();
        fs::write(old.join("clawdbot.json"), "{}").unwrap();
        let moved = take_over(&env).unwrap().unwrap();
        let new = dir.join(".openclaw");
        assert_eq!((&moved.from, &moved.to), (&old, &new));
        assert_eq!(fs::read_link(&old).unwrap(), new);
        assert_eq!(fs::read_to_string(new.join("openclaw.json")).unwrap(), "{}");
        assert_eq!(take_over(&env).unwrap(), None);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_named_folder_a_present_one_and_a_link_are_left_alone() {
        let dir = temp_dir("old-home-not");
        let home = dir.to_str().unwrap();
        fs::create_dir(dir.join("there")).unwrap();
        symlink(dir.join("there"), dir.join(".moltbot")).unwrap();
        let env = Env::from_pairs(&[("HOME", home)]);
        assert_eq!(take_over(&env).unwrap(), None);
        fs::remove_file(dir.join(".moltbot")).unwrap();
        fs::create_dir(dir.join(".moltbot")).unwrap();
        let named = Env::from_pairs(&[("HOME", home), ("OPENCLAW_STATE_DIR", home)]);
        assert_eq!(take_over(&named).unwrap(), None);
        fs::create_dir(dir.join(".openclaw")).unwrap();
        assert_eq!(take_over(&env).unwrap(), None);
        fs::remove_dir_all(dir).unwrap();
    }
}
