//! The work of a compaction: asks the model for the summary, part by part where the conversation is
//! longer than the model can read at once, and has it recorded.

use super::plan::{Plan, Room, plan, tokens};
use super::text::{self, Files};
use crate::agent::inbound;
use crate::base::cancel::Cancel;
use crate::base::time::now_ms;
use crate::model::{Class, Client, Error, Request, Target};
use crate::wire::message::{Content, Message, StopReason, User};

/// Parts a conversation is read in at most, the newest ones: each costs a call of the model, and
/// what is so long ago is rarely asked for again.
const MAX_PARTS: usize = 4;
/// Tokens of the instructions around a part.
const INSTRUCTIONS: u64 = 1_000;
/// Characters per token when a part is measured: fewer than usual, so that it surely fits.
const CHARS_PER_TOKEN: u64 = 3;
/// Characters of a summary for each token it may have: more comes only from a service that keeps no
/// limit, and would fill the window that the summary is to free.
const SUMMARY_CHARS_PER_TOKEN: u64 = 8;
/// The least a part may be: what a window gives that is too small for anything.
const MIN_PART: u64 = 2_000;

/// The conversation as a compaction sees it.
pub trait Record {
    /// Every message of the context, oldest first; the last summary stands first.
    fn messages(&mut self) -> &[Message];
    /// Characters of all of them, known without a look at each.
    fn chars(&mut self) -> usize;
    /// The last summary, and when it was made.
    fn summary(&mut self) -> Option<(String, u64)>;
    /// Puts `summary` in place of everything before message `kept`.
    fn replace(
        &mut self,
        kept: usize,
        summary: &str,
        tokens_before: u64,
        files: (&[String], &[String]),
    ) -> Result<(), String>;
}

pub struct Work<'a> {
    pub model: &'a dyn Client,
    pub target: &'a Target,
    pub session_id: &'a str,
    pub cancel: &'a Cancel,
    pub room: Room,
    /// Tokens that stay word for word; half of a shorter conversation.
    pub keep: u64,
    /// What a person wants the summary to look at.
    pub focus: Option<&'a str>,
}

/// Tokens before and after, and the first message that stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub before: u64,
    pub after: u64,
    pub kept: usize,
}

#[derive(Debug)]
pub enum Failure {
    /// There is nothing to summarise.
    Nothing,
    Cancelled,
    Model(Error),
    /// The transcript cannot be written.
    Broken(String),
}

/// Summarises the older part of the conversation. On any failure nothing has changed.
pub fn run<R: Record + ?Sized>(work: &Work, record: &mut R) -> Result<Done, Failure> {
    let previous = record.summary();
    let first = usize::from(previous.is_some());
    let made = previous.as_ref().map_or(0, |(_, at)| *at);
    let previous = previous.map(|(text, _)| text);
    let messages = record.messages();
    let before = tokens(messages, made);
    let short: u64 = messages.iter().map(super::plan::estimate).sum();
    let keep = work.keep.min(short / 2);
    let cut = plan(messages, first, keep).ok_or(Failure::Nothing)?;
    let (summary, files) = write(work, messages, first, cut, previous.as_deref())?;
    record
        .replace(cut.kept, &summary, before, (&files.read, &files.modified))
        .map_err(Failure::Broken)?;
    Ok(Done {
        before,
        after: tokens(record.messages(), now_ms()),
        kept: cut.kept,
    })
}

fn write(
    work: &Work,
    messages: &[Message],
    first: usize,
    cut: Plan,
    previous: Option<&str>,
) -> Result<(String, Files), Failure> {
    let turn = cut.turn.unwrap_or(cut.kept);
    let (earlier, begun) = (&messages[first..turn], &messages[turn..cut.kept]);
    let files = Files::of(&messages[first..cut.kept], previous);
    let mut history = previous.map(text::without_files).map(str::to_string);
    let max_tokens = work.room.reserve * 4 / 5;
    for part in newest(text::parts(earlier, part_chars(&work.room))) {
        let task = text::task(history.as_deref(), work.focus);
        history = Some(ask(work, &text::request(&part, &task), max_tokens)?);
    }
    let mut so_far = None;
    if let Some(asked) = begun.first() {
        // The person's words are kept as they are; the summary is of what came after them.
        let parts = newest(text::parts(begun, part_chars(&work.room)));
        let mut told = Vec::new();
        for part in parts {
            let request = text::request(&part, text::TURN_TASK);
            told.push(ask(work, &request, work.room.reserve / 2)?);
        }
        so_far = Some((asked, told.join("\n\n")));
    }
    let turn = so_far
        .as_ref()
        .map(|(asked, so_far)| (*asked, so_far.as_str()));
    let history = history.unwrap_or_default();
    Ok((text::stored(&history, turn, &files), files))
}

fn newest(mut parts: Vec<String>) -> Vec<String> {
    parts.drain(..parts.len().saturating_sub(MAX_PARTS));
    parts
}

/// Characters of the conversation that one request may carry.
fn part_chars(room: &Room) -> usize {
    let tokens = room.window - room.reserve;
    let chars = tokens.saturating_sub(INSTRUCTIONS) * CHARS_PER_TOKEN;
    usize::try_from(chars.max(MIN_PART)).unwrap_or(usize::MAX)
}

/// One answer of the summariser.
fn ask(work: &Work, request: &str, max_tokens: u64) -> Result<String, Failure> {
    let messages = [Message::User(User {
        content: Content::Blocks(vec![crate::wire::message::Block::text(request)]),
        timestamp: now_ms(),
    })];
    let limits = [max_tokens, work.target.max_tokens.min(max_tokens)];
    let mut last = None;
    for (i, max_tokens) in limits.into_iter().enumerate() {
        let request = Request {
            system: text::SYSTEM,
            messages: &messages,
            tools: &[],
            thinking: "high",
            session_id: work.session_id,
            max_tokens: Some(max_tokens),
            must_call: false,
        };
        let answer = work
            .model
            .stream(work.target, &request, work.cancel, &mut |_| {});
        if work.cancel.is_cancelled() {
            return Err(Failure::Cancelled);
        }
        let error = match answer {
            Ok(said) if said.stop_reason != StopReason::Error => {
                let text = crate::agent::clean::finished(&said.text(), false).text;
                if !text.trim().is_empty() {
                    let most = max_tokens.saturating_mul(SUMMARY_CHARS_PER_TOKEN);
                    let most = usize::try_from(most).unwrap_or(usize::MAX);
                    return Ok(inbound::cut(&text, most));
                }
                unusable("the model answered nothing")
            }
            Ok(said) => unusable(said.error_message.as_deref().unwrap_or("the model refused")),
            Err(error) if error.class == Class::Aborted => return Err(Failure::Cancelled),
            Err(error) => error,
        };
        // Some models refuse an answer longer than they can give: asked once more for less.
        let too_long = i == 0 && error.status == Some(400) && limits[1] < limits[0];
        if !too_long {
            return Err(Failure::Model(error));
        }
        last = Some(error);
    }
    Err(Failure::Model(
        last.unwrap_or_else(|| unusable("the model was not asked")),
    ))
}

fn unusable(why: &str) -> Error {
    Error {
        class: Class::Unknown,
        status: None,
        message: why.into(),
        retry_after_ms: None,
        partial: None,
    }
}
