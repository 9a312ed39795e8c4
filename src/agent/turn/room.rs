//! Room in the model's window: the conversation is summarised before it fills the window, and when
//! a service finds a request too large the turn asks again with less. The person's message is part
//! of every request, whatever gives way.

use super::super::compact::{self, Failure, Room, Work};
use super::super::event::Event;
use super::super::history;
use super::super::prompt::Prompt;
use super::super::trim::Force;
use super::{Run, Stop, ask, pause};
use crate::model::{Class, Error, Target, ToolSpec};
use crate::wire::message::{Message, value_chars};
use std::time::Duration;

/// Compactions of one run: after the second there is little left to summarise.
const MAX_COMPACTIONS: u64 = 2;
/// Before the call that did not fit is made again.
const BREATH: Duration = Duration::from_millis(100);

/// What this run did for room.
#[derive(Debug, Default)]
pub(super) struct Relief {
    pub compactions: u64,
    /// A summary was not to be had, for want of room.
    pub failed: bool,
    /// Requests are cut to half of the window.
    hard: bool,
}

impl Run<'_, '_> {
    /// Before the first call: summarises a conversation that fills the window, and chooses how much
    /// of it goes along. A fallback may have a smaller window.
    pub(super) fn make_room(&mut self, target: &Target, prompt: &Prompt) -> Result<(), Stop> {
        if self.turn.compact && self.is_full(target, prompt) {
            let keep = self.room(target).keep;
            match self.compact(target, keep, false) {
                Ok(()) | Err(Failure::Nothing) => {}
                Err(Failure::Model(error)) => {
                    log::warn!("the conversation was not summarised: {error}");
                }
                Err(Failure::Cancelled) => return Err(Stop::Cancelled),
                Err(Failure::Broken(why)) => return Err(Stop::Broken(why)),
            }
        }
        let budget = self.budget(target, prompt);
        let memory = &mut self.parts.memory;
        let all = memory.chars();
        let (earlier, own) = memory.messages().split_at(self.own);
        let own: usize = own.iter().map(Message::chars).sum();
        // The usual case needs no look at each message of a long conversation.
        let fits = all.saturating_sub(own) <= budget && self.turn.max_turns.is_none();
        self.shown = match fits {
            true => 0,
            false => {
                let turns = self.turn.max_turns.unwrap_or(usize::MAX);
                history::first_that_fits(earlier, budget, turns)
            }
        };
        self.hidden = earlier[..self.shown].iter().map(Message::chars).sum();
        self.prune(target);
        Ok(())
    }

    fn prune(&mut self, target: &Target) {
        self.pruned.clear();
        let Some(pruning) = &self.turn.pruning else {
            return;
        };
        let (from, total) = (self.shown, self.shown_chars());
        let shown = &self.parts.memory.messages()[from..];
        let replaced = pruning.replacements(shown, total, target);
        self.pruned = replaced.into_iter().map(|(i, m)| (from + i, m)).collect();
    }

    /// After a refusal for its size: `None` when the call is worth making again.
    pub(super) fn relieve(
        &mut self,
        target: &Target,
        prompt: &Prompt,
        error: Error,
    ) -> Option<Stop> {
        if self.turn.compact && self.relief.compactions < MAX_COMPACTIONS {
            // The estimate was too low, so each time half as much stays.
            let keep = self.room(target).keep >> (self.relief.compactions + 1);
            match self.compact(target, keep, true) {
                Ok(()) => {
                    (self.shown, self.hidden) = (0, 0);
                    return (!pause(self.turn.cancel, BREATH)).then_some(Stop::Cancelled);
                }
                Err(Failure::Cancelled) => return Some(Stop::Cancelled),
                Err(Failure::Broken(why)) => return Some(Stop::Broken(why)),
                Err(Failure::Nothing) => {}
                Err(Failure::Model(error)) => {
                    self.relief.failed = error.class == Class::ContextOverflow;
                    log::warn!("the conversation was not summarised: {error}");
                }
            }
        }
        let before = self.allowance(target, prompt);
        if before.1 == Force::Hard || !self.can_be_cut(target, prompt) {
            return Some(Stop::Model(error));
        }
        log::warn!("the request was too large for the model; long parts of it are left out");
        self.relief.hard = true;
        None
    }

    /// Characters that the messages of a request may have, and what may be done for it.
    pub(super) fn allowance(&self, target: &Target, prompt: &Prompt) -> (usize, Force) {
        let budget = self.budget(target, prompt);
        match self.relief.hard {
            true => (budget / 2, Force::Hard),
            false => (budget, Force::Gentle),
        }
    }

    fn can_be_cut(&mut self, target: &Target, prompt: &Prompt) -> bool {
        let budget = self.budget(target, prompt) / 2;
        let total = self.shown_chars();
        let shown = &self.parts.memory.messages()[self.shown..];
        let cut = super::super::trim::fit(shown, total, budget, Force::Hard);
        *cut != *shown
    }

    /// Characters of the messages that are sent.
    pub(super) fn shown_chars(&mut self) -> usize {
        self.parts.memory.chars().saturating_sub(self.hidden)
    }

    fn room(&self, target: &Target) -> Room {
        Room::of(target.context_window, self.turn.reserve)
    }

    fn budget(&self, target: &Target, prompt: &Prompt) -> usize {
        let room = self.room(target);
        let chars = (room.window - room.reserve) * history::CHARS_PER_TOKEN;
        usize::try_from(chars)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.overhead(prompt))
    }

    /// Characters of a request besides its messages.
    fn overhead(&self, prompt: &Prompt) -> usize {
        let size = |tool: &ToolSpec| tool.description.len() + value_chars(&tool.parameters);
        let tools = ask::offered(self.parts.tools, self.owes, prompt);
        let tools: usize = tools.iter().map(size).sum();
        prompt.text.len() + tools
    }

    fn is_full(&mut self, target: &Target, prompt: &Prompt) -> bool {
        let room = self.room(target);
        let overhead = self.overhead(prompt);
        let made = self.parts.memory.summary().map_or(0, |(_, at)| at);
        let own = self.own;
        let all = self.parts.memory.chars();
        let messages = self.parts.memory.messages();
        let (from, chars) = match self.turn.max_turns {
            None => (0, all),
            Some(turns) => {
                let from = history::first_that_fits(&messages[..own], usize::MAX, turns);
                (from, messages[from..].iter().map(Message::chars).sum())
            }
        };
        let counted = compact::tokens(&messages[from..], made);
        let chars = u64::try_from(chars + overhead).unwrap_or(u64::MAX);
        room.is_full(counted) || room.is_full(chars / history::CHARS_PER_TOKEN)
    }

    fn compact(&mut self, target: &Target, keep: u64, will_retry: bool) -> Result<(), Failure> {
        let sink = self.parts.sink;
        sink.tell(Event::Compacting);
        let done = compact::run(
            &Work {
                model: self.parts.model,
                target,
                session_id: self.turn.session_id,
                cancel: self.turn.cancel,
                room: self.room(target),
                keep,
                focus: None,
            },
            self.parts.memory,
        );
        let will_retry = will_retry && done.is_ok();
        sink.tell(Event::Compacted { will_retry });
        let done = done?;
        log::info!(
            "the conversation was summarised: {} tokens before, {} after",
            done.before,
            done.after
        );
        self.relief.compactions += 1;
        // The numbers of the messages are others now.
        self.pruned.clear();
        // The summary stands in the place of all that went.
        self.own = (self.own + 1).saturating_sub(done.kept).max(1);
        Ok(())
    }
}
