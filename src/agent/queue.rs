//! What becomes of a message that arrives while its session is busy: the modes, and the queue of
//! one session.
//!
//! Pure: time is handed in, what runs when is the gateway's business. Order is kept; what leaves
//! because the queue is full leaves at the end its rule names, and is given back to the caller.

use super::inbound;
use serde_json::Value;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

const DEBOUNCE_MS: u64 = 1000;
const CAP: u64 = 20;
/// Whatever a session asks for: each message waits in memory and on disk.
const MAX_CAP: u64 = 200;
/// Longer than anybody pauses between two messages of one thought.
const MAX_DEBOUNCE_MS: u64 = 10 * 60 * 1000;
/// Characters of a dropped message in the summary.
const SUMMARY_CHARS: usize = 160;

const COLLECTED: &str = "[Queued messages while agent was busy]";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Into the running turn, after the next tool call.
    Steer,
    /// The same, and a turn of its own afterwards.
    SteerBacklog,
    /// Each a turn of its own afterwards.
    Followup,
    /// All together in one turn afterwards.
    Collect,
    /// The running turn is stopped.
    Interrupt,
}

/// Who leaves a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    Old,
    New,
    /// The oldest, but a line of it stays.
    Summarize,
}

/// What a message or a session asks for; the rest is as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub mode: Option<Mode>,
    pub debounce_ms: Option<u64>,
    pub cap: Option<u64>,
    pub overflow: Option<Overflow>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub mode: Mode,
    /// How long it must be quiet before the queue moves on.
    pub debounce: Duration,
    pub cap: usize,
    pub overflow: Overflow,
}

impl Mode {
    pub fn parse(word: &str) -> Option<Mode> {
        match word.trim().to_ascii_lowercase().as_str() {
            "steer" | "steering" | "queue" | "queued" => Some(Mode::Steer),
            "steer-backlog" | "steer+backlog" | "steer_backlog" => Some(Mode::SteerBacklog),
            "followup" | "follow-up" | "followups" | "follow-ups" => Some(Mode::Followup),
            "collect" | "coalesce" => Some(Mode::Collect),
            "interrupt" | "interrupts" | "abort" => Some(Mode::Interrupt),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Steer => "steer",
            Mode::SteerBacklog => "steer-backlog",
            Mode::Followup => "followup",
            Mode::Collect => "collect",
            Mode::Interrupt => "interrupt",
        }
    }
}

impl Overflow {
    pub fn parse(word: &str) -> Option<Overflow> {
        match word.trim().to_ascii_lowercase().as_str() {
            "old" | "oldest" => Some(Overflow::Old),
            "new" | "newest" => Some(Overflow::New),
            "summarize" | "summary" => Some(Overflow::Summarize),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Overflow::Old => "old",
            Overflow::New => "new",
            Overflow::Summarize => "summarize",
        }
    }
}

impl Settings {
    /// The first of `wishes` that says something decides, then `messages.queue` of the
    /// configuration, then the defaults.
    pub fn resolve(messages: &Value, channel: Option<&str>, wishes: &[Wish]) -> Settings {
        let queue = &messages["queue"];
        let own = |section: &str| channel.and_then(|channel| queue.get(section)?.get(channel));
        let word = |value: Option<&Value>| value.and_then(Value::as_str).and_then(Mode::parse);
        let mode = wishes
            .iter()
            .find_map(|wish| wish.mode)
            .or_else(|| word(own("byChannel")))
            .or_else(|| word(queue.get("mode")))
            .unwrap_or(Mode::Collect);
        let debounce = wishes
            .iter()
            .find_map(|wish| wish.debounce_ms)
            .or_else(|| own("debounceMsByChannel").and_then(Value::as_u64))
            .or_else(|| queue["debounceMs"].as_u64())
            .unwrap_or(DEBOUNCE_MS);
        let cap = wishes
            .iter()
            .find_map(|wish| wish.cap)
            .or_else(|| queue["cap"].as_u64())
            .unwrap_or(CAP);
        let overflow = wishes
            .iter()
            .find_map(|wish| wish.overflow)
            .or_else(|| queue["drop"].as_str().and_then(Overflow::parse))
            .unwrap_or(Overflow::Summarize);
        Settings {
            mode,
            debounce: Duration::from_millis(debounce.min(MAX_DEBOUNCE_MS)),
            cap: cap.clamp(1, MAX_CAP) as usize,
            overflow,
        }
    }
}

/// A message that waits.
#[derive(Debug)]
pub struct Item<T> {
    /// Two of one id are one message.
    pub id: String,
    /// As the model is to read it.
    pub text: String,
    /// What a line about it says, should it have to leave: the words alone.
    pub summary: String,
    /// Where the answer goes. Messages with equal routes may be answered together; one without any
    /// is answered alone.
    pub route: Option<String>,
    pub load: T,
}

/// The messages of one session that wait.
#[derive(Debug)]
pub struct Queue<T> {
    items: VecDeque<Item<T>>,
    dropped: usize,
    lines: VecDeque<String>,
    collect: bool,
    due: Instant,
}

/// What `push` did.
#[derive(Debug)]
pub enum Pushed<T> {
    Kept,
    /// It was kept and this one left.
    Instead(Item<T>),
    /// It waits already.
    Known(Item<T>),
    /// There is no room.
    Full(Item<T>),
}

/// What runs next, as one turn.
#[derive(Debug)]
pub struct Batch<T> {
    pub text: String,
    /// Oldest first; never empty.
    pub items: Vec<Item<T>>,
}

impl<T> Queue<T> {
    pub fn new(now: Instant) -> Queue<T> {
        Queue {
            items: VecDeque::new(),
            dropped: 0,
            lines: VecDeque::new(),
            collect: false,
            due: now,
        }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// When it has been quiet long enough for the next batch.
    pub fn due(&self) -> Instant {
        self.due
    }

    pub fn push(&mut self, item: Item<T>, settings: &Settings, now: Instant) -> Pushed<T> {
        self.collect = settings.mode == Mode::Collect;
        self.due = now + settings.debounce;
        let same = |other: &Item<T>| other.id == item.id && other.route == item.route;
        if self.items.iter().any(same) {
            return Pushed::Known(item);
        }
        if self.items.len() < settings.cap {
            self.items.push_back(item);
            return Pushed::Kept;
        }
        if settings.overflow == Overflow::New {
            return Pushed::Full(item);
        }
        let Some(gone) = self.items.pop_front() else {
            return Pushed::Full(item);
        };
        if settings.overflow == Overflow::Summarize {
            self.dropped += 1;
            let line = gone.summary.split_whitespace().collect::<Vec<_>>();
            self.lines
                .push_back(inbound::cut(&line.join(" "), SUMMARY_CHARS));
            while self.lines.len() > settings.cap {
                self.lines.pop_front();
            }
        }
        self.items.push_back(item);
        Pushed::Instead(gone)
    }

    /// A message that waited before, in an earlier life: it counted against no cap then either.
    pub fn restore(&mut self, item: Item<T>, settings: &Settings, now: Instant) {
        self.collect = settings.mode == Mode::Collect;
        self.due = now + settings.debounce;
        self.items.push_back(item);
    }

    /// Messages that a running turn did not take any more: they came before all that waits here.
    pub fn put_back(&mut self, items: Vec<Item<T>>) {
        for item in items.into_iter().rev() {
            if self.items.iter().all(|other| other.id != item.id) {
                self.items.push_front(item);
            }
        }
    }

    /// Takes what runs next. Messages are collected only when all of them are answered in one
    /// place.
    pub fn take(&mut self) -> Option<Batch<T>> {
        let first = self.items.front()?;
        let together = self.collect
            && first.route.is_some()
            && self.items.iter().all(|item| item.route == first.route);
        let overflow = self.summary();
        if !together {
            let item = self.items.pop_front()?;
            let text = match overflow {
                Some(overflow) => format!("{overflow}\n\n{}", item.text),
                None => item.text.clone(),
            };
            return Some(Batch {
                text,
                items: vec![item],
            });
        }
        let items: Vec<Item<T>> = self.items.drain(..).collect();
        let mut parts = vec![COLLECTED.to_string()];
        parts.extend(overflow);
        let numbered = items.iter().enumerate();
        parts.extend(numbered.map(|(n, item)| format!("---\nQueued #{}\n{}", n + 1, item.text)));
        Some(Batch {
            text: parts.join("\n\n"),
            items,
        })
    }

    /// Takes one message out.
    pub fn remove(&mut self, id: &str) -> Option<Item<T>> {
        let at = self.items.iter().position(|item| item.id == id)?;
        self.items.remove(at)
    }

    /// Empties the queue.
    pub fn clear(&mut self) -> Vec<Item<T>> {
        self.summary();
        self.items.drain(..).collect()
    }

    /// What had to leave, told once.
    fn summary(&mut self) -> Option<String> {
        let dropped = std::mem::take(&mut self.dropped);
        let lines = std::mem::take(&mut self.lines);
        if dropped == 0 {
            return None;
        }
        let noun = if dropped == 1 { "message" } else { "messages" };
        let mut text = format!("[Queue overflow] Dropped {dropped} {noun} due to cap.\nSummary:");
        for line in lines {
            text.push_str("\n- ");
            text.push_str(&line);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn settings(mode: Mode, cap: usize, overflow: Overflow) -> Settings {
        Settings {
            mode,
            debounce: Duration::from_millis(50),
            cap,
            overflow,
        }
    }

    fn item(id: &str, route: Option<&str>) -> Item<()> {
        Item {
            id: id.into(),
            text: format!("text {id}"),
            summary: format!("text\n {id}"),
            route: route.map(String::from),
            load: (),
        }
    }

    fn texts(queue: &mut Queue<()>) -> Vec<String> {
        std::iter::from_fn(|| queue.take())
            .map(|b| b.text)
            .collect()
    }

    #[test]
    fn the_nearest_wish_decides_and_the_channel_before_all_channels() {
        let messages = json!({"queue": {"mode": "followup", "byChannel": {"telegram": "steer"},
            "debounceMs": 5, "debounceMsByChannel": {"telegram": 7}, "cap": 0, "drop": "old"}});
        let plain = Settings::resolve(&messages, None, &[]);
        assert_eq!((plain.mode, plain.cap), (Mode::Followup, 1));
        assert_eq!(plain.overflow, Overflow::Old);
        let there = Settings::resolve(&messages, Some("telegram"), &[]);
        assert_eq!(there.mode, Mode::Steer);
        assert_eq!(there.debounce, Duration::from_millis(7));
        let wish = Wish {
            mode: Mode::parse("Steer+Backlog"),
            cap: Some(100_000),
            ..Wish::default()
        };
        let wished = Settings::resolve(&messages, Some("telegram"), &[Wish::default(), wish]);
        assert_eq!(wished.mode, Mode::SteerBacklog);
        assert_eq!(wished.cap as u64, MAX_CAP);
        let default = Settings::resolve(&Value::Null, None, &[]);
        let expected = Settings {
            mode: Mode::Collect,
            debounce: Duration::from_secs(1),
            cap: 20,
            overflow: Overflow::Summarize,
        };
        assert_eq!(default, expected);
    }

    #[test]
    fn messages_for_one_place_are_collected_in_order() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let set = settings(Mode::Collect, 20, Overflow::Old);
        for id in ["a", "b"] {
            let pushed = queue.push(item(id, Some("telegram:1")), &set, now);
            assert!(matches!(pushed, Pushed::Kept));
        }
        assert_eq!(queue.due(), now + set.debounce);
        let known = queue.push(item("a", Some("telegram:1")), &set, now);
        assert!(matches!(known, Pushed::Known(_)));
        let batch = queue.take().unwrap();
        assert_eq!(batch.items.len(), 2);
        assert_eq!(
            batch.text,
            "[Queued messages while agent was busy]\n\n---\nQueued #1\ntext a\n\n---\nQueued #2\ntext b"
        );
        assert!(queue.take().is_none());
    }

    #[test]
    fn messages_for_different_places_or_none_run_one_by_one() {
        let now = Instant::now();
        let set = settings(Mode::Collect, 20, Overflow::Old);
        for routes in [[None, None], [Some("a"), Some("b")]] {
            let mut queue = Queue::new(now);
            for (id, route) in ["1", "2"].into_iter().zip(routes) {
                queue.push(item(id, route), &set, now);
            }
            assert_eq!(texts(&mut queue)[0], "text 1");
        }
        let mut queue = Queue::new(now);
        let set = settings(Mode::Followup, 20, Overflow::Old);
        queue.push(item("1", Some("a")), &set, now);
        queue.push(item("2", Some("a")), &set, now);
        assert_eq!(texts(&mut queue), ["text 1", "text 2"]);
    }

    #[test]
    fn a_full_queue_drops_at_the_end_its_rule_names() {
        let now = Instant::now();
        let run = |overflow| {
            let mut queue = Queue::new(now);
            let set = settings(Mode::Followup, 2, overflow);
            for id in ["1", "2", "3", "4"] {
                queue.push(item(id, None), &set, now);
            }
            texts(&mut queue)
        };
        assert_eq!(run(Overflow::Old), ["text 3", "text 4"]);
        assert_eq!(run(Overflow::New), ["text 1", "text 2"]);
        assert_eq!(
            run(Overflow::Summarize),
            [
                "[Queue overflow] Dropped 2 messages due to cap.\nSummary:\n- text 1\n- text 2\n\ntext 3",
                "text 4"
            ]
        );
    }

    #[test]
    fn what_a_turn_gives_back_stands_before_what_came_later() {
        let now = Instant::now();
        let mut queue = Queue::new(now);
        let set = settings(Mode::Followup, 20, Overflow::Old);
        queue.push(item("3", None), &set, now);
        queue.put_back(vec![item("1", None), item("2", None), item("3", None)]);
        assert_eq!(texts(&mut queue), ["text 1", "text 2", "text 3"]);
        queue.push(item("5", None), &set, now);
        assert_eq!(queue.clear().len(), 1);
        assert!(queue.is_empty());
    }
}
