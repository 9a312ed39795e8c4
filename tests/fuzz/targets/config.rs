//! The configuration loader on any text, without a disk: a snapshot always comes back, and one that
//! is valid stays valid when it is written out and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::config::{Env, Paths, load};

fuzz_target!(|data: &[u8]| {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    // Includes would make the outcome depend on the machine.
    if raw.contains("include") {
        return;
    }
    let env = Env::from_pairs(&[
        ("HOME", "/nonexistent/home"),
        ("OPENCLAW_STATE_DIR", "/nonexistent/state"),
        ("SET", "value"),
    ]);
    let paths = Paths::resolve(&env, None);
    let snapshot = load::from_text(&paths, &env, raw.into());
    assert_eq!(snapshot.valid, snapshot.issues.is_empty());
    for issue in snapshot.issues.iter().chain(&snapshot.warnings) {
        assert!(!issue.to_string().is_empty());
    }
    if snapshot.valid {
        let text = snapshot.parsed.to_string();
        let again = load::from_text(&paths, &env, text);
        assert!(
            again.valid,
            "valid as written, refused as plain JSON: {:?}",
            again.issues
        );
        assert_eq!(again.value, snapshot.value);
    }
});
