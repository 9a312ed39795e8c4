//! What a client sends after the upgrade: WebSocket frames as the server reads them, and the text
//! in them as a request, checked against its row of the method table.
//!
//! A request that was taken must be taken again, the same, when written out plainly.

#![no_main]

use libfuzzer_sys::fuzz_target;
use openclaw::gateway::dispatch::{Malformed, Request};
use openclaw::gateway::methods;
use openclaw::wire::gateway::frame::MAX_PAYLOAD;
use std::io::{self, Cursor, Read, Write};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

/// The client's bytes; what the server says to them is dropped.
struct Peer<'a>(Cursor<&'a [u8]>);

impl Read for Peer<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        request(text);
    }
    let limits = WebSocketConfig::default()
        .read_buffer_size(2048)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_PAYLOAD))
        .max_frame_size(Some(MAX_PAYLOAD));
    let mut socket =
        WebSocket::from_raw_socket(Peer(Cursor::new(data)), Role::Server, Some(limits));
    while let Ok(message) = socket.read() {
        if let Message::Text(text) = message {
            request(&text);
        }
    }
});

fn request(text: &str) {
    let request = match Request::read(text) {
        Ok(request) => request,
        Err(Malformed::Unreadable) => return,
        Err(Malformed::Invalid(_, errors)) => {
            assert!(!errors.is_empty(), "refused without a reason");
            return;
        }
    };
    if let Some(row) = methods::find(&request.method) {
        let _ = row.params.errors(&request.params);
    }
    let plain = serde_json::json!({
        "type": "req", "id": request.id, "method": request.method, "params": request.params,
    });
    let Ok(again) = Request::read(&plain.to_string()) else {
        panic!("not taken when written plainly: {plain}");
    };
    assert_eq!(again.method, request.method);
    assert_eq!(again.params, request.params);
}
