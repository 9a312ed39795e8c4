//! Sockets and the bytes on them: accepting, request heads, WebSocket frames, relaying, outgoing
//! HTTP.

mod dial;
pub mod fetch;
pub mod frame;
pub mod head;
pub mod listen;
pub mod policy;
pub mod relay;
pub mod stream;
