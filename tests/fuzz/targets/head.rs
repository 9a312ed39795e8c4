//! The head of an HTTP request, and every question asked of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::net::head;

fuzz_target!(|data: &[u8]| {
    // Where the reader would end it.
    let Some(at) = data.windows(4).position(|w| w == b"\r\n\r\n") else {
        return;
    };
    let mut slots = head::slots();
    let Ok(head) = head::parse(&data[..at + 4], &mut slots) else {
        return;
    };
    assert!(head.headers.len() <= head::MAX_HEADERS);
    assert!(head.target.starts_with(head.path()));
    let _ = (head.wants_websocket(), head.closes(), head.has_body());
    for name in [
        "host",
        "origin",
        "authorization",
        "x-forwarded-for",
        "content-length",
    ] {
        if let Some(value) = head.header(name) {
            assert!(head.has(name));
            assert!(
                !value.contains(['\r', '\n']),
                "a header carries another line"
            );
        }
    }
});
