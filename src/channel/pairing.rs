//! Strangers who asked for access and those who got it: `credentials/<kind>-pairing.json` and
//! `<kind>-allowFrom.json`, in the original's form and under its lock, so that either program may
//! be asked.
//!
//! A stranger costs at most one of three places per kind, for an hour. A file that is no store is an
//! error, never overwritten.

use super::access;
use crate::base::{atomic, id, lock, time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Strangers at once, of all accounts of a kind; the original's number.
const MAX_PENDING: usize = 3;
const LIFETIME_MS: u64 = 3600 * 1000;
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const CODE: usize = 8;
/// For another program to be done with a file.
const PATIENCE: Duration = Duration::from_secs(5);
/// Far more people than anybody lets in.
const MAX_FILE: u64 = 1024 * 1024;
/// Characters of what a stranger calls itself.
const MAX_META: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub id: String,
    pub code: String,
    pub created_at: String,
    pub last_seen_at: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    version: u32,
    #[serde(default)]
    requests: Vec<Request>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Allowed {
    version: u32,
    #[serde(default)]
    allow_from: Vec<String>,
}

#[derive(Debug)]
pub enum Error {
    File { path: PathBuf, err: io::Error },
    Lock(lock::Error),
    NoRequest(String),
}

/// The store of one kind.
pub struct Store {
    kind: String,
    pending: PathBuf,
    allowed: PathBuf,
}

impl Store {
    pub fn of(credentials: &Path, kind: &str) -> Store {
        let kind = kind.trim().to_lowercase();
        let odd = |c| if r#"\/:*?"<>|"#.contains(c) { '_' } else { c };
        let name: String = kind.chars().map(odd).collect();
        let name = name.replace("..", "_");
        Store {
            kind,
            pending: credentials.join(format!("{name}-pairing.json")),
            allowed: credentials.join(format!("{name}-allowFrom.json")),
        }
    }

    /// Ids that were let in.
    pub fn allowed(&self) -> Result<Vec<String>, Error> {
        let file: Option<Allowed> = read(&self.allowed)?;
        Ok(file.map_or_else(Vec::new, |file| file.allow_from))
    }

    pub fn pending(&self) -> Result<Vec<Request>, Error> {
        let file: Option<Pending> = read(&self.pending)?;
        let requests = file.map_or_else(Vec::new, |file| file.requests);
        Ok(pruned(requests, time::now_ms()))
    }

    /// A stranger asks for access: the code, when it is to be told one. A repeat and a full house
    /// are told nothing.
    pub fn ask(
        &self,
        stranger: &str,
        meta: BTreeMap<String, String>,
    ) -> Result<Option<String>, Error> {
        let known = self.pending()?;
        // Without the lock and a write: a flood of strangers costs a read each.
        if known.len() >= MAX_PENDING && known.iter().all(|request| request.id != stranger) {
            return Ok(None);
        }
        let _lock = self.lock(&self.pending)?;
        // Approved in the meantime.
        if self
            .allowed()?
            .contains(&access::stored(&self.kind, stranger))
        {
            return Ok(None);
        }
        let mut requests = self.pending()?;
        let now = time::now_iso();
        let meta: BTreeMap<String, String> = meta
            .into_iter()
            .map(|(name, text)| (name, text.trim().chars().take(MAX_META).collect()))
            .filter(|(_, text): &(String, String)| !text.is_empty())
            .collect();
        let known = requests.iter().position(|r| r.id == stranger);
        let code = match known {
            Some(at) => {
                requests[at].last_seen_at = now;
                requests[at].meta = meta;
                None
            }
            None if requests.len() >= MAX_PENDING => return Ok(None),
            None => {
                let mut code = draw();
                while requests.iter().any(|request| request.code == code) {
                    code = draw();
                }
                requests.push(Request {
                    id: stranger.into(),
                    code: code.clone(),
                    created_at: now.clone(),
                    last_seen_at: now,
                    meta,
                });
                Some(code)
            }
        };
        write(
            &self.pending,
            &Pending {
                version: 1,
                requests,
            },
        )?;
        Ok(code)
    }

    /// Lets the one in who was told `code`; who that is.
    pub fn approve(&self, code: &str) -> Result<String, Error> {
        let _lock = self.lock(&self.pending)?;
        let mut requests = self.pending()?;
        let code = code.trim();
        let found = requests
            .iter()
            .position(|request| request.code.eq_ignore_ascii_case(code));
        let at = found.ok_or_else(|| Error::NoRequest(code.into()))?;
        let request = requests.remove(at);
        // First: an approval that is half done can be repeated.
        self.allow(&request.id)?;
        write(
            &self.pending,
            &Pending {
                version: 1,
                requests,
            },
        )?;
        Ok(request.id)
    }

    fn allow(&self, who: &str) -> Result<(), Error> {
        let _lock = self.lock(&self.allowed)?;
        let mut allow_from = self.allowed()?;
        let entry = access::stored(&self.kind, who);
        if entry.is_empty() || entry == "*" || allow_from.contains(&entry) {
            return Ok(());
        }
        allow_from.push(entry);
        write(
            &self.allowed,
            &Allowed {
                version: 1,
                allow_from,
            },
        )
    }

    fn lock(&self, file: &Path) -> Result<lock::Folder, Error> {
        if let Some(folder) = file.parent() {
            atomic::create_private_dir(folder).map_err(|err| Error::File {
                path: folder.into(),
                err,
            })?;
        }
        lock::take_folder(file, PATIENCE).map_err(Error::Lock)
    }
}

fn draw() -> String {
    let bytes: [u8; CODE] = id::random();
    // The alphabet has 32 letters: no letter is likelier than another.
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(byte % 32)]);
    bytes.iter().map(letter).collect()
}

/// Without those too old, and of the rest the ones seen last.
fn pruned(mut requests: Vec<Request>, now_ms: u64) -> Vec<Request> {
    requests.retain(|request| {
        let at = request.created_at.parse::<jiff::Timestamp>();
        let at = at
            .ok()
            .and_then(|at| u64::try_from(at.as_millisecond()).ok());
        at.is_some_and(|at| now_ms.saturating_sub(at) <= LIFETIME_MS)
    });
    while requests.len() > MAX_PENDING {
        let oldest = (0..requests.len()).min_by_key(|at| &requests[*at].last_seen_at);
        requests.remove(oldest.unwrap_or(0));
    }
    requests
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let fail = |err| Error::File {
        path: path.into(),
        err,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(fail(err)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(fail)?;
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|err| fail(err.into()))
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("texts are plain data");
    bytes.push(b'\n');
    atomic::write(path, &bytes).map_err(|err| Error::File {
        path: path.into(),
        err,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File { path, err } => write!(f, "{}: {err}", path.display()),
            Error::Lock(err) => err.fmt(f),
            Error::NoRequest(code) => {
                write!(f, "No pending pairing request found for code: {code}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::temp_dir;

    fn none() -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    #[test]
    fn a_stranger_is_told_a_code_once_and_a_fourth_one_none() {
        let dir = temp_dir("pairing");
        let store = Store::of(&dir, "Telegram");
        let meta = BTreeMap::from([("username".to_string(), "ann".to_string())]);
        let code = store.ask("1", meta).unwrap().expect("a code");
        assert_eq!(code.len(), CODE);
        assert!(code.bytes().all(|b| ALPHABET.contains(&b)), "{code}");
        assert_eq!(store.ask("1", none()).unwrap(), None);
        assert!(store.ask("2", none()).unwrap().is_some());
        assert!(store.ask("3", none()).unwrap().is_some());
        for stranger in 4..1000 {
            assert_eq!(store.ask(&stranger.to_string(), none()).unwrap(), None);
        }
        let pending = store.pending().unwrap();
        assert_eq!((pending.len(), &pending[0].code), (3, &code));
        let text = std::fs::read_to_string(dir.join("telegram-pairing.json")).unwrap();
        assert!(text.starts_with(
            "{\n  \"version\": 1,\n  \"requests\": [\n    {\n      \"id\": \"1\",\n      \"code\": "
        ));
        assert!(text.ends_with("}\n"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn an_approved_stranger_is_in_the_list_and_waits_no_more() {
        let dir = temp_dir("pairing");
        let store = Store::of(&dir, "telegram");
        let code = store.ask("tg:77", none()).unwrap().unwrap();
        assert!(matches!(store.approve("nope"), Err(Error::NoRequest(_))));
        assert_eq!(store.approve(&code.to_lowercase()).unwrap(), "tg:77");
        assert_eq!(store.allowed().unwrap(), ["77"]);
        assert_eq!(store.ask("tg:77", none()).unwrap(), None);
        assert!(store.pending().unwrap().is_empty());
        assert!(matches!(store.approve(&code), Err(Error::NoRequest(_))));
        let text = std::fs::read_to_string(dir.join("telegram-allowFrom.json")).unwrap();
        let expected = "{\n  \"version\": 1,\n  \"allowFrom\": [\n    \"77\"\n  ]\n}\n";
        assert_eq!(text, expected);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_request_is_good_for_an_hour() {
        let request = |id: &str, at: u64, seen: u64| Request {
            id: id.into(),
            code: id.into(),
            created_at: time::iso(at),
            last_seen_at: time::iso(seen),
            meta: none(),
        };
        let now = 1_795_236_600_000;
        let list = vec![
            request("old", now - LIFETIME_MS - 1, now),
            request("a", now - LIFETIME_MS, now),
            request("b", now, now - 5),
            request("c", now, now),
            request("d", now, now),
        ];
        let left: Vec<String> = pruned(list, now).into_iter().map(|r| r.id).collect();
        assert_eq!(left, ["a", "c", "d"]);
    }

    #[test]
    fn a_file_that_is_no_store_is_left_alone() {
        let dir = temp_dir("pairing");
        std::fs::write(dir.join("irc-pairing.json"), "{").unwrap();
        let store = Store::of(&dir, "irc");
        assert!(matches!(store.ask("x", none()), Err(Error::File { .. })));
        let text = std::fs::read(dir.join("irc-pairing.json")).unwrap();
        assert_eq!(text, b"{");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
