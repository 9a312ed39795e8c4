//! JSON-RPC 2.0, one message a line.

use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Longest line: a prompt with pictures; the gateway takes no more either.
const MAX_LINE: usize = 25 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;

pub const PARSE_ERROR: i64 = -32700;
pub const INVALID_REQUEST: i64 = -32600;
pub const METHOD_NOT_FOUND: i64 = -32601;
pub const INTERNAL_ERROR: i64 = -32603;

/// The other side's lines, read without ever waiting for the rest of one.
pub struct Reader {
    file: File,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were searched for the end of a line.
    searched: usize,
}

impl Reader {
    pub fn new(fd: OwnedFd) -> Reader {
        Reader {
            file: fd.into(),
            buffer: Vec::new(),
            searched: 0,
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Takes what is there; to be called when there is something. False at the end.
    pub fn fill(&mut self) -> io::Result<bool> {
        if self.buffer.len() > MAX_LINE {
            let said = "a line is longer than 25 MiB";
            return Err(io::Error::new(io::ErrorKind::InvalidData, said));
        }
        let mut part = [0; CHUNK];
        loop {
            match self.file.read(&mut part) {
                Ok(count) => {
                    self.buffer.extend_from_slice(&part[..count]);
                    return Ok(count > 0);
                }
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// The next whole line, if there is one.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.searched..];
        let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.drain(..=self.searched + at).collect();
        self.searched = 0;
        Some(line)
    }
}

pub fn result(id: &Value, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

/// `details` is for the reader; what the kind of error is called stands in the protocol.
pub fn error(id: &Value, code: i64, details: &str) -> Value {
    let message = match code {
        PARSE_ERROR => "Parse error",
        INVALID_REQUEST => "Invalid request",
        METHOD_NOT_FOUND => "Method not found",
        _ => "Internal error",
    };
    let data = json!({"details": details});
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, "data": data}})
}

pub fn notification(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

pub fn write(to: &mut impl Write, message: &Value) -> io::Result<()> {
    let mut line = message.to_string();
    line.push('\n');
    to.write_all(line.as_bytes())?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::sys::reaper;

    #[test]
    fn lines_come_whole_however_they_were_written() {
        let (reads, writes) = reaper::pipe().unwrap();
        let (mut reader, mut writer) = (Reader::new(reads), File::from(writes));
        writer.write_all(b"{\"a\":1}\n{\"b\"").unwrap();
        assert!(reader.fill().unwrap());
        assert_eq!(reader.line().unwrap(), b"{\"a\":1}\n");
        assert_eq!(reader.line(), None);
        writer.write_all(b":2}\n\n").unwrap();
        drop(writer);
        assert!(reader.fill().unwrap());
        assert_eq!(reader.line().unwrap(), b"{\"b\":2}\n");
        assert_eq!(reader.line().unwrap(), b"\n");
        assert!(!reader.fill().unwrap());
    }
}
