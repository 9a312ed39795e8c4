//! Prints every figure of the design's budgets for the programs as built for release.
//!
//! `cargo bench --bench budgets` runs all but the slow ones; `-- --build` adds the clean build,
//! `-- --turns 100000` sets the length of the endurance run, `-- --load 60` adds a crowd of 200 clients
//! for that many seconds, `-- WORD` keeps rows that contain WORD.
//! Figures are medians of several readings of this machine, whole process trees, PSS; nothing here
//! passes or fails.

#![allow(clippy::print_stdout)]

#[path = "../harness/mod.rs"]
mod harness;

mod build;
mod commands;
mod http;
mod life;
mod load;
mod memory;
#[cfg(feature = "memory")]
mod notes;
mod report;
mod rpc;
mod turns;

use report::Report;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, rest @ ..] = &words[..] {
        if first == commands::PROBE {
            return commands::probe(rest);
        }
    }
    let mut report = Report::from_args();
    report.section("memory", memory::rows);
    report.section("life", life::rows);
    report.section("commands", commands::rows);
    report.section("rpc", rpc::rows);
    report.section("http", http::rows);
    report.section("turns", turns::rows);
    #[cfg(feature = "memory")]
    report.section("notes", notes::rows);
    report.section("load", load::rows);
    report.section("build", build::rows);
    report.end();
}
