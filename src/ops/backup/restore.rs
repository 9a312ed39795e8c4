//! Puts the files of an archive where this installation keeps them. The archive is read twice: to
//! see that it is whole, and to write.
//!
//! Each file is written beside its place and renamed into it, below a folder that is held open, so
//! that no link on the way leads elsewhere. A tarball of the Node program's folder is taken, too;
//! there is no list in it to compare with.

use super::read::{self, Contents, damaged};
use super::tar::{Entry, Kind, Reader};
use super::{CONFIG, Error, HEAD, MANIFEST, MAX_FILES, MAX_SEALED, SEALED, Skipped, inside, io};
use crate::base::secret::Secret;
use crate::base::sys::beneath::{self, How};
use crate::base::sys::space;
use crate::base::{atomic, id};
use crate::config::{Config, Env, Paths, Snapshot, load, paths};
use crate::supervisor::lock;
use std::fs;
use std::io::{BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    pub force: bool,
    pub passphrase: Option<&'a Secret>,
    pub without_secrets: bool,
}

#[derive(Debug, Default)]
pub struct Restored {
    pub files: usize,
    pub bytes: u64,
    /// In the archive and not written, and why.
    pub left: Vec<Skipped>,
    /// Settings that the archive has no values for.
    pub left_out: Vec<String>,
    pub secrets: bool,
}

/// Where a file goes: the folder that is held, and the way from there.
type Place = (PathBuf, PathBuf);

pub fn restore(paths: &Paths, env: &Env, from: &Path, wish: Wish) -> Result<Restored, Error> {
    if let Some(pid) = lock::holder(paths, env) {
        return Err(Error::Running(pid));
    }
    if !read::is_ours(from)? {
        return theirs(paths, from, wish);
    }
    let head = read::head(from)?;
    if head.secrets.is_some() && wish.passphrase.is_none() && !wish.without_secrets {
        return Err(Error::NeedsPassphrase);
    }
    let contents = read::verify(from)?;
    ours(paths, env, from, &contents, wish)
}

fn ours(
    paths: &Paths,
    env: &Env,
    from: &Path,
    contents: &Contents,
    wish: Wish,
) -> Result<Restored, Error> {
    let secrets = match (&contents.head.secrets, wish.passphrase) {
        (Some(lock), Some(passphrase)) if !wish.without_secrets => {
            Some(lock.open(passphrase, sealed(from)?)?)
        }
        _ => None,
    };
    // The workspaces are where the restored configuration says.
    let config = config(paths, env, from, secrets.as_deref())?;
    let place = |name: &str| placed(paths, &config, name);
    let mut names: Vec<String> = contents
        .manifest
        .files
        .iter()
        .map(|file| file.name.clone())
        .collect();
    if let Some(secrets) = &secrets {
        let mut inner = Reader::new(&secrets[..]);
        while let Some(entry) = inner.entry().map_err(damaged)? {
            if entry.kind != Kind::File {
                return Err(Error::Unsafe(entry.name));
            }
            names.push(entry.name);
        }
    }
    let mut targets = Vec::new();
    for name in &names {
        targets.extend(place(name)?);
    }
    room(paths, contents.manifest.bytes())?;
    free(&targets, wish.force)?;
    let mut done = Restored {
        left_out: match secrets {
            Some(_) => Vec::new(),
            None => contents.head.left_out.clone(),
        },
        secrets: secrets.is_some(),
        ..Restored::default()
    };
    let mut archive = read::open(from)?;
    while let Some(entry) = archive.entry().map_err(damaged)? {
        // The whole configuration comes with the secrets.
        let masked = entry.name == CONFIG && done.secrets;
        match place(&entry.name)? {
            Some(at) if !masked => done.write(&at, &entry, &mut archive)?,
            _ if matches!(entry.name.as_str(), HEAD | MANIFEST | SEALED) || masked => {}
            _ => done.leave(
                &entry.name,
                "its place is outside of your home: name it in agents.*.workspace",
            ),
        }
    }
    if let Some(secrets) = &secrets {
        let mut inner = Reader::new(&secrets[..]);
        while let Some(entry) = inner.entry().map_err(damaged)? {
            if let Some(at) = place(&entry.name)? {
                done.write(&at, &entry, &mut inner)?;
            }
        }
    }
    Ok(done)
}

fn sealed(from: &Path) -> Result<Vec<u8>, Error> {
    let mut archive = read::open(from)?;
    while let Some(entry) = archive.entry().map_err(damaged)? {
        if entry.name == SEALED {
            return read::text(&mut archive, &entry, MAX_SEALED + 1024);
        }
    }
    Err(Error::Format("its secrets are missing".into()))
}

/// The configuration that will be in force.
fn config(paths: &Paths, env: &Env, from: &Path, secrets: Option<&[u8]>) -> Result<Config, Error> {
    /// As the file itself may be.
    const MAX: u64 = 16 * 1024 * 1024;
    let of = |raw: Vec<u8>| -> Snapshot {
        load::from_text(paths, env, String::from_utf8_lossy(&raw).into_owned())
    };
    if let Some(secrets) = secrets {
        let mut inner = Reader::new(secrets);
        while let Some(entry) = inner.entry().map_err(damaged)? {
            if entry.name == CONFIG {
                let mut raw = Vec::new();
                inner.read_to_end(&mut raw).map_err(damaged)?;
                return Ok(of(raw).config);
            }
        }
    }
    let mut archive = read::open(from)?;
    while let Some(entry) = archive.entry().map_err(damaged)? {
        if entry.name == CONFIG {
            return Ok(of(read::text(&mut archive, &entry, MAX)?).config);
        }
    }
    Ok(Config::default())
}

/// Where a name of an archive belongs here; `None` for what is no file of an installation, or whose
/// place is nobody's to choose for an archive.
fn placed(of: &Paths, config: &Config, name: &str) -> Result<Option<Place>, Error> {
    let path = inside(name)?;
    let mut parts = path.iter();
    let first = parts
        .next()
        .and_then(|part| part.to_str())
        .unwrap_or_default();
    let rest: PathBuf = parts.as_path().to_path_buf();
    let parent = |file: &Path| file.parent().unwrap_or(Path::new("/")).to_path_buf();
    if rest.as_os_str().is_empty() {
        return Ok(None);
    }
    Ok(Some(match first {
        "state" => (of.state.clone(), rest),
        "shared" => (of.shared(), rest),
        "credentials" => (of.credentials.clone(), rest),
        "agent" => (of.agent_dir.clone(), rest),
        "include" => (parent(&of.config), rest),
        "config" => {
            let file = of.config.file_name().unwrap_or_default();
            (parent(&of.config), file.into())
        }
        "workspace" => {
            let mut parts = rest.iter();
            let agent = parts
                .next()
                .and_then(|part| part.to_str())
                .unwrap_or_default();
            let folder = paths::normal(&config.workspace(agent, of));
            let rest = parts.as_path().to_path_buf();
            let near = folder.starts_with(&of.home) || folder.starts_with(&of.state);
            if rest.as_os_str().is_empty() || !near {
                return Ok(None);
            }
            (folder, rest)
        }
        _ => return Ok(None),
    }))
}

/// A tarball of the other program's folder: everything beside the configuration found nearest to
/// its top.
fn theirs(paths: &Paths, from: &Path, wish: Wish) -> Result<Restored, Error> {
    let mut found: Option<PathBuf> = None;
    let mut seen = Vec::new();
    let mut total = 0_u64;
    walk(from, &mut |entry, _| {
        let path = inside(&entry.name)?;
        let names = ["openclaw.json", "clawdbot.json", "moltbot.json"];
        let is_config = names.iter().any(|name| path.ends_with(name));
        let depth = |path: &Path| path.components().count();
        let nearer = found.as_ref().is_none_or(|best| depth(&path) < depth(best));
        if is_config && entry.kind == Kind::File && nearer {
            found = Some(path.clone());
        }
        if entry.kind == Kind::File {
            total = total.saturating_add(entry.size);
            seen.push(path);
        }
        match seen.len() > MAX_FILES {
            true => Err(Error::Format("there are too many files".into())),
            false => Ok(()),
        }
    })?;
    let Some(config) = found else {
        return Err(Error::Format(
            "neither a backup of this program nor a folder with an openclaw.json".into(),
        ));
    };
    let prefix = config.parent().unwrap_or(Path::new(""));
    let place = |path: &Path| -> Option<Place> {
        if path == config {
            // Also where an earlier name of the program is in it.
            let file = paths.config.file_name()?;
            return Some((paths.config.parent()?.into(), file.into()));
        }
        let rest = path.strip_prefix(prefix).ok()?;
        (!rest.as_os_str().is_empty()).then(|| (paths.state.clone(), rest.to_path_buf()))
    };
    let targets: Vec<Place> = seen.iter().filter_map(|path| place(path)).collect();
    room(paths, total)?;
    free(&targets, wish.force)?;
    let mut done = Restored {
        secrets: true,
        ..Restored::default()
    };
    walk(
        from,
        &mut |entry, bytes| match (entry.kind, place(&inside(&entry.name)?)) {
            (Kind::File, Some(at)) => done.write(&at, entry, bytes),
            (Kind::Other, Some(_)) => {
                done.leave(&entry.name, "a link or a device");
                Ok(())
            }
            _ => Ok(()),
        },
    )?;
    Ok(done)
}

/// Gzipped or not.
fn walk(
    from: &Path,
    visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut magic = [0; 2];
    let mut file = fs::File::open(from).map_err(io(from))?;
    let read = file.read(&mut magic).map_err(io(from))?;
    let file = BufReader::new(fs::File::open(from).map_err(io(from))?);
    let plain: Box<dyn Read> = match read == 2 && magic == [0x1f, 0x8b] {
        true => Box::new(flate2::read::MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut archive = Reader::new(plain);
    while let Some(entry) = archive.entry().map_err(damaged)? {
        if matches!(entry.name.as_str(), "./" | ".") {
            continue;
        }
        visit(&entry, &mut archive)?;
    }
    Ok(())
}

fn room(paths: &Paths, need: u64) -> Result<(), Error> {
    let mut folder = paths.state.as_path();
    while !folder.exists() {
        folder = folder.parent().unwrap_or(Path::new("/"));
    }
    match space::on_disk(folder) {
        Some(free) if free < need => Err(Error::NoRoom { need, free }),
        _ => Ok(()),
    }
}

fn free(targets: &[Place], force: bool) -> Result<(), Error> {
    let taken: Vec<PathBuf> = targets
        .iter()
        .map(|(folder, rest)| folder.join(rest))
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    match force || taken.is_empty() {
        true => Ok(()),
        false => Err(Error::Exists(taken)),
    }
}

impl Restored {
    fn leave(&mut self, name: &str, why: &str) {
        self.left.push(Skipped {
            path: name.into(),
            why: why.into(),
        });
    }

    fn write(&mut self, at: &Place, entry: &Entry, bytes: &mut dyn Read) -> Result<(), Error> {
        let (folder, rest) = at;
        if !folder.exists() {
            atomic::create_private_dir(folder).map_err(io(folder))?;
        }
        let root = fs::File::open(folder).map_err(io(folder))?;
        let whole = folder.join(rest);
        let refused = |err: std::io::Error| match beneath::is_symlink(&err) {
            true => Error::Unsafe(whole.display().to_string()),
            false => io(&whole)(err),
        };
        let above = rest.parent().unwrap_or(Path::new(""));
        if !above.as_os_str().is_empty() {
            beneath::create_folders(&root, above).map_err(refused)?;
        }
        let part = above.join(format!(".restore-{}", id::short()));
        let mut file = beneath::open(&root, &part, How::Write).map_err(refused)?;
        // Ours alone, as everything of ours; what could be run still can.
        let mode = atomic::PRIVATE_FILE | (entry.mode & 0o100);
        let written = file
            .set_permissions(fs::Permissions::from_mode(mode))
            .and_then(|()| std::io::copy(bytes, &mut file))
            .and_then(|written| file.sync_all().map(|()| written))
            .and_then(|written| fs::rename(folder.join(&part), &whole).map(|()| written));
        match written {
            Ok(written) => {
                self.files += 1;
                self.bytes += written;
                Ok(())
            }
            Err(err) => {
                // Half a file under a name of its own; the error is what matters.
                let _ = fs::remove_file(folder.join(&part));
                Err(io(&whole)(err))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::create::create;
    use super::super::tar::Writer;
    use super::*;
    use std::os::unix::fs::symlink;

    struct Home {
        dir: PathBuf,
        paths: Paths,
        env: Env,
    }

    impl Home {
        fn new(name: &str) -> Home {
            let dir = id::temp_dir(name);
            let env = Env::from_pairs(&[("HOME", dir.to_str().unwrap())]);
            let paths = Paths::resolve(&env, None);
            Home { dir, paths, env }
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.paths.state.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn read(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.paths.state.join(name)).ok()
        }

        fn archive(&self, passphrase: Option<&Secret>) -> PathBuf {
            let to = self.dir.join("b.tar.gz");
            let snapshot = load::load(&self.paths, &self.env);
            create(&snapshot, &to, true, passphrase).unwrap();
            to
        }

        fn restore(&self, from: &Path, wish: Wish) -> Result<Restored, Error> {
            restore(&self.paths, &self.env, from, wish)
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }

    fn furnished(name: &str) -> Home {
        let home = Home::new(name);
        home.write(
            "openclaw.json",
            "{gateway: {auth: {token: 'hush'}, port: 18999}}",
        );
        home.write("agents/main/sessions/sessions.json", "{}");
        home.write("agents/main/sessions/a.jsonl", "{\"a\":1}\n{\"torn");
        home.write("credentials/telegram-allowFrom.json", "[7]");
        home.write("workspace/SOUL.md", "be kind");
        home.write("rs/runs.jsonl", "x");
        symlink("/etc", home.paths.state.join("elsewhere")).unwrap();
        home
    }

    #[test]
    fn a_home_moves_with_its_secrets_and_without_what_is_made_anew() {
        let old = furnished("backup-old");
        let secret = Secret::new("correct horse battery");
        let archive = old.archive(Some(&secret));
        let bytes = fs::read(&archive).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"hush"));
        let contents = read::verify(&archive).unwrap();
        assert_eq!(contents.manifest.skipped[0].why, "a symbolic link");

        let new = Home::new("backup-new");
        let asked = new.restore(&archive, Wish::default());
        assert!(matches!(asked, Err(Error::NeedsPassphrase)));
        let wrong = Secret::new("wrong horse");
        let wish = Wish {
            passphrase: Some(&wrong),
            ..Wish::default()
        };
        assert!(matches!(
            new.restore(&archive, wish),
            Err(Error::Passphrase)
        ));
        assert!(!new.paths.state.exists(), "something was written");
        let wish = Wish {
            passphrase: Some(&secret),
            ..Wish::default()
        };
        let done = new.restore(&archive, wish).unwrap();
        assert!(done.secrets && done.left_out.is_empty());
        assert_eq!(new.read("openclaw.json"), old.read("openclaw.json"));
        assert_eq!(
            new.read("credentials/telegram-allowFrom.json").unwrap(),
            "[7]"
        );
        assert_eq!(
            new.read("agents/main/sessions/a.jsonl").unwrap(),
            "{\"a\":1}\n"
        );
        assert_eq!(new.read("workspace/SOUL.md").unwrap(), "be kind");
        assert_eq!(new.read("rs/runs.jsonl"), None);
        let again = new.restore(&archive, wish);
        assert!(matches!(again, Err(Error::Exists(files)) if files.len() >= 5));
    }

    #[test]
    fn without_secrets_the_settings_come_and_say_what_they_lack() {
        let old = furnished("backup-bare");
        let archive = old.archive(None);
        let new = Home::new("backup-bare-new");
        new.write("openclaw.json", "{}");
        let refused = new.restore(&archive, Wish::default());
        assert!(matches!(refused, Err(Error::Exists(_))));
        assert_eq!(new.read("openclaw.json").unwrap(), "{}");
        let wish = Wish {
            force: true,
            ..Wish::default()
        };
        let done = new.restore(&archive, wish).unwrap();
        assert_eq!(done.left_out, ["gateway.auth.token"]);
        assert!(new.read("openclaw.json").unwrap().contains("18999"));
        assert_eq!(new.read("credentials/telegram-allowFrom.json"), None);
    }

    #[test]
    fn a_damaged_archive_is_found_before_anything_is_written() {
        let old = furnished("backup-damaged");
        let archive = old.archive(None);
        let whole = fs::read(&archive).unwrap();
        let new = Home::new("backup-damaged-new");
        for at in [whole.len() / 2, whole.len() - 30] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&archive, &bytes).unwrap();
            assert!(new.restore(&archive, Wish::default()).is_err(), "{at}");
            fs::write(&archive, &whole[..at]).unwrap();
            assert!(new.restore(&archive, Wish::default()).is_err(), "{at}");
        }
        assert!(!new.paths.state.exists(), "something was written");
    }

    #[test]
    fn a_tarball_of_the_other_program_is_taken_and_a_way_out_of_it_is_not() {
        let pack = |files: &[(&str, &str)]| {
            let mut writer = Writer::new(Vec::new());
            for (name, text) in files {
                let bytes = text.as_bytes();
                writer
                    .file(name, 0o644, bytes.len() as u64, &mut &bytes[..])
                    .unwrap();
            }
            writer.finish().unwrap()
        };
        let new = Home::new("backup-node");
        let tarball = new.dir.join("node.tar");
        let files = [
            ("home/u/.openclaw/agents/main/sessions/sessions.json", "{}"),
            ("home/u/.openclaw/openclaw.json", "{gateway:{port:18888}}"),
            ("home/u/other", "x"),
        ];
        fs::write(&tarball, pack(&files)).unwrap();
        let done = new.restore(&tarball, Wish::default()).unwrap();
        assert_eq!(done.files, 2);
        assert_eq!(
            new.read("agents/main/sessions/sessions.json").unwrap(),
            "{}"
        );

        let evil = [("s/openclaw.json", "{}"), ("s/../../escaped", "x")];
        fs::write(&tarball, pack(&evil)).unwrap();
        let force = Wish {
            force: true,
            ..Wish::default()
        };
        assert!(matches!(
            new.restore(&tarball, force),
            Err(Error::Unsafe(_))
        ));
        // A link that is there already is not gone through.
        fs::remove_dir_all(new.paths.state.join("agents")).unwrap();
        symlink(&new.dir, new.paths.state.join("agents")).unwrap();
        fs::write(&tarball, pack(&files)).unwrap();
        assert!(matches!(
            new.restore(&tarball, force),
            Err(Error::Unsafe(_))
        ));
        assert!(!new.dir.join("main").exists());
    }
}
