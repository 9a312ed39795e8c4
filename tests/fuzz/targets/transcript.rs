//! A transcript file with any content: opened for a run (which repairs it), then read the way
//! `chat.history`, previews and titles read it.
//!
//! After the first opening the file is in order: a second one must see the same conversation.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::config::{Config, Env, Paths};
use openclaw::session::{Opening, Store};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

const KEY: &str = "agent:main:main";
const ID: &str = "00000000-0000-4000-8000-000000000000";

/// One folder for the whole run, on a memory file system where there is one.
fn place() -> &'static (Paths, PathBuf) {
    static PLACE: OnceLock<(Paths, PathBuf)> = OnceLock::new();
    PLACE.get_or_init(|| {
        let base = ["/dev/shm", "/tmp"].map(PathBuf::from);
        let base = base.into_iter().find(|path| path.is_dir());
        let dir = base
            .expect("a temp folder")
            .join(format!("openclaw-fuzz-{}", std::process::id()));
        let state = dir.to_str().expect("ASCII");
        let env = Env::from_pairs(&[("OPENCLAW_STATE_DIR", state), ("HOME", state)]);
        (Paths::resolve(&env, None), dir)
    })
}

fuzz_target!(|data: &[u8]| {
    let (paths, dir) = place();
    let folder = dir.join("agents/main/sessions");
    // Backups of repaired files would pile up.
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(&folder).expect("a folder");
    let index = format!("{{\"{KEY}\":{{\"sessionId\":\"{ID}\",\"updatedAt\":1}}}}");
    std::fs::write(folder.join("sessions.json"), index).expect("written");
    std::fs::write(folder.join(format!("{ID}.jsonl")), data).expect("written");

    let first = open(paths, dir);
    assert_eq!(
        first,
        open(paths, dir),
        "another conversation after the repair"
    );
    let store = Store::open(paths, &Config::default());
    store.history(KEY, 1_000, 1 << 20).expect("a history");
    store.preview(KEY, 50, 200).expect("a preview");
    let entry = store.entry(KEY).expect("an index").expect("the entry");
    let _ = store.derived_title(KEY, &entry);
    let _ = store.last_message(KEY, &entry);
});

fn open(paths: &Paths, dir: &std::path::Path) -> Vec<String> {
    let store = Arc::new(Store::open(paths, &Config::default()));
    let mut transcript = store
        .transcript(&Opening::new(KEY, ID, dir))
        .expect("it opens");
    transcript
        .context()
        .iter()
        .map(|message| format!("{message:?}"))
        .collect()
}
