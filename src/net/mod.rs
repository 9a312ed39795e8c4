//! Sockets and the bytes on them: accepting, request heads, WebSocket frames, relaying, TLS,
//! outgoing HTTP.

pub mod certificate;
pub mod dial;
mod error;
pub mod fetch;
pub mod frame;
pub mod head;
pub mod listen;
pub mod mdns;
pub mod policy;
pub mod relay;
mod selfsigned;
pub mod stream;
pub mod tls;
pub mod trust;
pub mod url;
