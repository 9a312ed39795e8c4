//! What can go wrong with an index.

use std::fmt;
use std::io;
use std::path::PathBuf;

#[derive(Debug)]
pub enum Error {
    /// SQLite's word, and whether it is that the file is damaged.
    Store {
        path: PathBuf,
        err: rusqlite::Error,
    },
    Io {
        path: PathBuf,
        err: io::Error,
    },
    /// Another process brings this index up to date.
    Busy(PathBuf),
    /// The asker could not embed.
    Embedding(String),
    /// The asker has gone, or does not speak our language.
    Asker(io::Error),
}

impl Error {
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |err| Error::Io { path, err }
    }

    /// The file is not what SQLite left, and only making it anew helps.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Error::Store { err, .. } => {
                let code = err.sqlite_error_code();
                // A table that is missing or of another form was not made by a program like ours.
                matches!(code, Some(DatabaseCorrupt | NotADatabase))
                    || err.to_string().contains("no such table")
                    || err.to_string().contains("no such column")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Store { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Io { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Busy(path) => write!(
                f,
                "{}: another process is bringing it up to date",
                path.display()
            ),
            Error::Embedding(why) => f.write_str(why),
            Error::Asker(err) => write!(f, "lost who asked: {err}"),
        }
    }
}
