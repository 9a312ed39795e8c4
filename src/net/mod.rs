//! Sockets and the bytes on them: accepting, request heads, WebSocket frames, relaying.

pub mod frame;
pub mod head;
pub mod listen;
pub mod relay;
pub mod stream;
