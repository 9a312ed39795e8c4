//! The asker's side: a question to the index, its wishes for vectors served, the last answer.

use super::PROGRAM;
use crate::base::jsonl;
use crate::base::sys::child::{self, Spawn};
use crate::base::sys::signals::Signal;
use crate::wire::memory::{Answer, Ask, Embedded, FD_VARIABLE, MAX_LINE};
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Between two words of the index. Making a large one anew takes long, but it says how it goes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the asker does meanwhile.
pub trait Helper {
    fn embed(&mut self, texts: &[String], query: bool) -> Result<Vec<Vec<f32>>, String>;
    fn progress(&mut self, done: u64, total: u64);
    fn note(&mut self, text: &str);
}

/// Starts an index of the asker's own, for one question. It ends with the answer, or with the thread
/// that started it; everything it needs to know is in the question.
pub fn start(program: &Path) -> io::Result<UnixStream> {
    let (ours, its) = UnixStream::pair()?;
    child::spawn(&Spawn {
        program,
        argv: &[PROGRAM.to_string()],
        env: &[],
        listeners: &[],
        extra: Some((FD_VARIABLE, its.as_fd())),
        at_our_death: Some(Signal::Kill),
        memory: None,
        files: None,
    })?;
    Ok(ours)
}

/// The last answer. The error says that the index is not there, or not any more.
pub fn ask(mut stream: &UnixStream, ask: &Ask, helper: &mut dyn Helper) -> io::Result<Answer> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&jsonl::line(ask))?;
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        if !jsonl::read_line(&mut reader, &mut line, MAX_LINE)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match serde_json::from_slice(&line)? {
            Answer::Embed { texts, query } => {
                let answer = match helper.embed(&texts, query) {
                    Ok(vectors) => Embedded::Vectors { vectors },
                    Err(why) => Embedded::Failed { why },
                };
                stream.write_all(&jsonl::line(&answer))?;
            }
            Answer::Progress { done, total } => helper.progress(done, total),
            Answer::Note { text } => helper.note(&text),
            last => return Ok(last),
        }
    }
}
