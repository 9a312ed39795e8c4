//! Link flags of the released programs. They stand here, not in a cargo configuration, so that
//! they reach our programs only and not build scripts and macros, from whatever folder one builds.
//!
//! Relative relocations in the packed form, which takes 1/40 of the room (GNU libc from 2.36). No
//! unwind tables: a panic ends the process with its message and place, and a stripped program has
//! no names a backtrace could print.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=contrib/link/lean.ld");
    let is = |name: &str, value: &str| var(name).is_ok_and(|v| v == value);
    if !is("PROFILE", "release")
        || !is("CARGO_CFG_TARGET_OS", "linux")
        || !is("CARGO_CFG_TARGET_ENV", "gnu")
    {
        return;
    }
    let root = var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for flag in [
        "-Wl,-z,pack-relative-relocs".to_string(),
        "-Wl,--no-eh-frame-hdr".to_string(),
        format!("-Wl,-T,{root}/contrib/link/lean.ld"),
    ] {
        println!("cargo:rustc-link-arg-bins={flag}");
    }
}
