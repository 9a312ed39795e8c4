//! The core's side of the line to the helper.
//!
//! Another program of our user may put a socket in the helper's place; it is believed only when it
//! has the pid of the child the supervisor started.

use crate::base::jsonl;
use crate::base::sys::peer;
use crate::wire::tailscale::{Answer, Ask, MAX_LINE};
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Asks the helper with that pid and waits `patience` for each of its bytes.
pub fn ask(socket: &Path, pid: u32, question: &Ask, patience: Duration) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    if peer::credentials(&stream)?
        .pid
        .is_some_and(|theirs| theirs != pid)
    {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the socket is not our helper's",
        ));
    }
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(&jsonl::line(question))?;
    let mut line = Vec::new();
    if !jsonl::read_line(&mut BufReader::new(stream), &mut line, MAX_LINE)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    serde_json::from_slice(&line).map_err(io::Error::from)
}
