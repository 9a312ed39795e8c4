//! `builtin/echo`: what answers when there is no model. No network, no guessing: it says what is
//! missing and how to add it.

use super::{Class, Delta, Error, Request, Target};
use crate::base::cancel::Cancel;
use crate::base::time;
use crate::wire::message::{Assistant, Block, Content, Message, StopReason, Usage};

pub const ADVICE: &str = "No language model is set up yet, so I can only repeat what you write. \
    Put a provider key into the environment (ANTHROPIC_API_KEY, OPENAI_API_KEY, OPENROUTER_API_KEY, \
    GEMINI_API_KEY or GROQ_API_KEY) and run `openclaw` again, or install the small local model with \
    `openclaw models local install`.";

/// Longest repetition, characters.
const REPEATED: usize = 500;

pub(super) fn stream(
    target: &Target,
    request: &Request,
    cancel: &Cancel,
    on: &mut dyn FnMut(Delta),
) -> Result<Assistant, Error> {
    if cancel.is_cancelled() {
        return Err(Error {
            class: Class::Aborted,
            status: None,
            message: "Request was aborted.".into(),
            retry_after_ms: None,
            partial: None,
        });
    }
    let told = request.messages.iter().rev().find_map(|m| match m {
        Message::User(user) => Some(match &user.content {
            Content::Text(text) => text.clone(),
            Content::Blocks(_) => user.content.text(),
        }),
        _ => None,
    });
    let told: String = told.unwrap_or_default().chars().take(REPEATED).collect();
    let answer = format!("{ADVICE}\n\nYou wrote: {}", told.trim());
    for word in answer.split_inclusive(' ') {
        on(Delta::Text(word));
    }
    on(Delta::TextEnd);
    Ok(Assistant {
        content: vec![Block::text(answer)],
        api: target.api.clone(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        usage: Usage::default(),
        stop_reason: StopReason::Stop,
        error_message: None,
        timestamp: time::now_ms(),
    })
}
