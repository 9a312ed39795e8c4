use super::*;
use crate::model::{Delta, Request};
use crate::wire::message::{Assistant, Block, Content, StopReason, User, text_of};
use serde_json::json;
use std::sync::Mutex;

/// When the turn's message is said, in milliseconds; what is there before it is as old as can be.
const AFTER_A_PAUSE: u64 = 3_600_000;

/// Answers in order; each may stream first.
struct Script(
    Mutex<Vec<Result<Assistant, Error>>>,
    Mutex<Vec<Vec<Message>>>,
    /// Whether it had to call a tool, and of how many.
    Mutex<Vec<(bool, usize)>>,
);

impl Client for Script {
    fn stream(
        &self,
        _: &Target,
        request: &Request,
        cancel: &Cancel,
        on: &mut dyn FnMut(Delta),
    ) -> Result<Assistant, Error> {
        self.1.lock().unwrap().push(request.messages.to_vec());
        let told = (request.must_call, request.tools.len());
        self.2.lock().unwrap().push(told);
        let next = self.0.lock().unwrap().remove(0);
        if let Ok(answer) = &next {
            for block in &answer.content {
                if let Block::Text { text, .. } = block {
                    for word in text.split_inclusive(' ') {
                        on(Delta::Text(word));
                    }
                    on(Delta::TextEnd);
                }
            }
            if answer.text() == "cancel" {
                cancel.cancel();
                return Err(error(Class::Aborted, None, "aborted"));
            }
        }
        next
    }
}

#[derive(Default)]
struct Tape {
    kept: Vec<Message>,
    settled: usize,
    full_after: Option<usize>,
    summary: Option<String>,
}

impl Record for Tape {
    fn messages(&mut self) -> &[Message] {
        &self.kept
    }
    fn chars(&mut self) -> usize {
        self.kept.iter().map(Message::chars).sum()
    }
    fn summary(&mut self) -> Option<(String, u64)> {
        self.summary.clone().map(|text| (text, 1))
    }
    fn replace(
        &mut self,
        kept: usize,
        summary: &str,
        _: u64,
        _: (&[String], &[String]),
    ) -> Result<(), String> {
        let text = Message::User(User {
            content: Content::Text(format!("summary: {summary}")),
            timestamp: 1,
        });
        self.kept.splice(..kept, [text]);
        self.summary = Some(summary.into());
        Ok(())
    }
}

impl Memory for Tape {
    fn begin(&mut self, _: &Target, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn append(&mut self, message: &Message) -> Result<(), String> {
        if self.full_after == Some(self.kept.len()) {
            return Err("disk full".into());
        }
        self.kept.push(message.clone());
        Ok(())
    }
    fn settle(&mut self) -> Result<(), String> {
        self.settled = self.kept.len();
        Ok(())
    }
}

/// With those of the caller.
struct Tools(Vec<ToolSpec>);

impl Toolbox for Tools {
    fn specs(&self) -> &[ToolSpec] {
        &[]
    }
    fn callers(&self) -> &[ToolSpec] {
        &self.0
    }
    fn call(&self, call: &Call, cancel: &Cancel, update: &(dyn Fn(Output) + Sync)) -> Ran {
        let text = |text: &str| Output {
            content: vec![Block::text(text)],
            details: None,
        };
        match call.name {
            "exec" => {
                update(text("part"));
                Ran {
                    output: text("done"),
                    ..Ran::default()
                }
            }
            "stopper" => {
                cancel.cancel();
                Ran::default()
            }
            _ => Ran {
                output: text("Tool x not found"),
                refused: true,
                failed: true,
                last: false,
            },
        }
    }
}

/// Words that a person says meanwhile.
#[derive(Default)]
struct Words(Mutex<Vec<&'static str>>, Mutex<usize>);

impl Steer for Words {
    fn next(&self, _: bool) -> Option<Message> {
        let mut words = self.0.lock().unwrap();
        (!words.is_empty()).then(|| {
            Message::User(User {
                content: Content::Text(words.remove(0).into()),
                timestamp: 2,
            })
        })
    }
    fn stored(&self) {
        *self.1.lock().unwrap() += 1;
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Sink for Log {
    fn tell(&self, event: Event) {
        let mut data = event.data(false);
        for clock in ["startedAt", "endedAt"] {
            if let Some(map) = data.as_object_mut() {
                map.remove(clock);
            }
        }
        let line = format!("{} {data}", event.stream());
        self.0.lock().unwrap().push(line);
    }
}

fn answer(content: Value) -> Result<Assistant, Error> {
    let tool = content[0]["type"] == "toolCall" || content[1]["type"] == "toolCall";
    Ok(serde_json::from_value(json!({
        "content": content, "api": "a", "provider": "p", "model": "m", "timestamp": 1,
        "stopReason": if tool { "toolUse" } else { "stop" },
        "usage": {"input": 3, "output": 1, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 4},
    }))
    .unwrap())
}

fn say(text: &str) -> Result<Assistant, Error> {
    answer(json!([{"type":"text","text":text}]))
}

fn call(name: &str) -> Result<Assistant, Error> {
    answer(json!([{"type":"toolCall","id":"c1","name":name,"arguments":{"command":"ls"}}]))
}

fn error(class: Class, status: Option<u16>, message: &str) -> Error {
    Error {
        class,
        status,
        message: message.into(),
        retry_after_ms: None,
        partial: None,
    }
}

fn target(model: &str) -> Target {
    Target {
        provider: match model {
            "claude" => "anthropic".into(),
            _ => "p".into(),
        },
        model: model.into(),
        tools: true,
        context_window: 64_000,
        ..Target::default()
    }
}

struct Played {
    outcome: Outcome,
    tape: Tape,
    events: Vec<String>,
    asked: Vec<Vec<Message>>,
    told: Vec<(bool, usize)>,
}

fn play_with(script: Vec<Result<Assistant, Error>>, models: &[&str], tape: Tape) -> Played {
    play_steered(script, models, tape, &Words::default())
}

fn play_steered(
    script: Vec<Result<Assistant, Error>>,
    models: &[&str],
    tape: Tape,
    words: &Words,
) -> Played {
    play_owing(Vec::new(), script, models, tape, words)
}

fn play_owing(
    owed: Vec<ToolSpec>,
    script: Vec<Result<Assistant, Error>>,
    models: &[&str],
    mut tape: Tape,
    words: &Words,
) -> Played {
    let client = Script(Mutex::new(script), Mutex::default(), Mutex::default());
    let log = Log::default();
    let targets: Vec<Target> = models.iter().map(|m| target(m)).collect();
    let cancel = Cancel::new();
    let turn = Turn {
        message: Message::User(User {
            content: Content::Text("hi".into()),
            timestamp: AFTER_A_PAUSE,
        }),
        candidates: &targets,
        thinking: "off",
        patience: Patience::default(),
        session_id: "s",
        cancel: &cancel,
        deadline: Instant::now() + Duration::from_secs(60),
        max_turns: None,
        max_tokens: None,
        must_call: !owed.is_empty(),
        reasoning: false,
        compact: true,
        reserve: None,
        pruning: Pruning::of(&json!({"mode": "cache-ttl"})),
    };
    let outcome = run(
        &turn,
        Parts {
            model: &client,
            tools: &Tools(owed),
            steer: words,
            memory: &mut tape,
            sink: &log,
            prompt: &|_| Prompt::default(),
        },
    );
    outcome.tell_end(&log);
    Played {
        outcome,
        tape,
        events: log.0.into_inner().unwrap(),
        asked: client.1.into_inner().unwrap(),
        told: client.2.into_inner().unwrap(),
    }
}

fn play(script: Vec<Result<Assistant, Error>>) -> Played {
    play_with(script, &["m"], Tape::default())
}

fn texts(outcome: &Outcome) -> Vec<&str> {
    outcome.payloads.iter().map(|p| p.text.as_str()).collect()
}

#[test]
fn a_text_turn_is_stored_told_and_settled_in_order() {
    let played = play(vec![say("Hello there")]);
    assert_eq!(played.outcome.end, End::Done);
    assert_eq!(texts(&played.outcome), ["Hello there"]);
    assert_eq!(played.outcome.usage.total_tokens, 4);
    assert_eq!(played.tape.settled, 2);
    assert_eq!(
        played.events,
        [
            r#"lifecycle {"phase":"stored"}"#,
            r#"lifecycle {"phase":"start"}"#,
            r#"assistant {"text":"Hello","delta":"Hello"}"#,
            r#"assistant {"text":"Hello there","delta":" there"}"#,
            r#"lifecycle {"phase":"end"}"#,
        ]
    );
}

#[test]
fn tools_run_in_order_and_their_results_go_back_to_the_model() {
    let played = play(vec![call("exec"), call("nope"), say("All done.")]);
    assert_eq!(texts(&played.outcome), ["All done."]);
    let tools: Vec<&String> = played
        .events
        .iter()
        .filter(|e| e.starts_with("tool"))
        .collect();
    assert_eq!(
        tools[0],
        r#"tool {"phase":"start","name":"exec","toolCallId":"c1","args":{"command":"ls"}}"#
    );
    assert_eq!(
        tools[1],
        r#"tool {"phase":"update","name":"exec","toolCallId":"c1"}"#
    );
    assert_eq!(
        tools[2],
        r#"tool {"phase":"result","name":"exec","toolCallId":"c1","meta":"ls","isError":false}"#
    );
    assert!(tools[4].contains(r#""isError":true"#));
    assert_eq!(played.asked[2].len(), 5);
    match &played.tape.kept[4] {
        Message::ToolResult(r) => assert!(r.is_error && r.tool_name == "nope"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_cut_off_by_the_token_limit_does_not_run() {
    let mut cut = call("exec").unwrap();
    cut.stop_reason = StopReason::Length;
    let played = play(vec![Ok(cut), say("again")]);
    let Message::ToolResult(result) = &played.tape.kept[2] else {
        panic!("a result");
    };
    assert!(result.is_error);
    assert!(text_of(&result.content).contains("cut off"));
}

#[test]
fn words_said_meanwhile_skip_the_calls_that_are_left_and_come_one_at_a_time() {
    let calls = answer(json!([
        {"type":"toolCall","id":"c1","name":"exec","arguments":{}},
        {"type":"toolCall","id":"c2","name":"exec","arguments":{}},
    ]));
    let words = Words(Mutex::new(vec!["wait", "and this"]), Mutex::default());
    let script = vec![calls, say("One."), say("Two.")];
    let played = play_steered(script, &["m"], Tape::default(), &words);
    assert_eq!(played.outcome.end, End::Done);
    assert_eq!(texts(&played.outcome), ["One.", "Two."]);
    let said = |at: usize| serde_json::to_value(&played.tape.kept[at]).unwrap();
    assert_eq!(said(2)["isError"], false);
    assert_eq!(
        said(3)["content"][0]["text"],
        "Skipped due to queued user message."
    );
    assert_eq!(said(3)["toolCallId"], "c2");
    assert_eq!(said(4)["content"], "wait");
    assert_eq!(said(6)["content"], "and this");
    assert_eq!(*words.1.lock().unwrap(), 2);
}

#[test]
fn a_models_error_is_the_answer_and_leaves_a_trace() {
    let played = play(vec![Err(error(
        Class::Auth,
        Some(401),
        "401 Incorrect API key provided",
    ))]);
    assert_eq!(played.outcome.end, End::Done);
    assert_eq!(texts(&played.outcome), ["401 Incorrect API key provided"]);
    assert_eq!(played.outcome.usage, Usage::default());
    match &played.tape.kept[1] {
        Message::Assistant(a) => {
            assert_eq!(a.stop_reason, StopReason::Error);
            assert!(a.content.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_next_model_answers_when_the_first_is_refused() {
    let refused = || Err(error(Class::Auth, Some(401), "no"));
    let played = play_with(vec![refused(), say("hi")], &["a", "b"], Tape::default());
    assert_eq!(played.outcome.candidate, 1);
    assert_eq!(texts(&played.outcome), ["hi"]);
    let played = play_with(vec![refused(), refused()], &["a", "b"], Tape::default());
    assert_eq!(
        played.outcome.end,
        End::Failed("All models failed (2): p/a: no (auth) | p/b: no (auth)".into())
    );
    assert!(played.events.last().unwrap().contains(r#""phase":"error""#));
}

#[test]
fn a_call_that_is_owed_is_asked_for_until_an_answer_comes_or_the_service_cannot() {
    let owed = vec![ToolSpec {
        name: "exec".into(),
        description: String::new(),
        parameters: json!({}),
    }];
    let play = |script| {
        let words = Words::default();
        play_owing(owed.clone(), script, &["m"], Tape::default(), &words)
    };
    let played = play(vec![call("exec"), say("done")]);
    assert_eq!(played.told, [(true, 1), (false, 0)]);
    let unable = error(Class::Unknown, Some(400), "400 unknown field tool_choice");
    let played = play(vec![Err(unable), say("in words")]);
    assert_eq!(played.told, [(true, 1), (false, 0)]);
    assert_eq!(texts(&played.outcome), ["in words"]);
}

#[test]
fn a_level_that_the_model_does_not_know_is_lowered_at_once() {
    let refused = "400 Unsupported value: 'off'. Supported values are: 'low' and 'high'.";
    let refused = error(Class::Unknown, Some(400), refused);
    let played = play(vec![Err(refused), say("done")]);
    assert_eq!(played.outcome.end, End::Done);
    assert_eq!(texts(&played.outcome), ["done"]);
    assert!(played.outcome.failed.is_empty());
}

#[test]
fn an_aborted_turn_keeps_no_partial_answer_and_tells_no_end() {
    let played = play(vec![say("cancel")]);
    assert_eq!(played.outcome.end, End::Aborted);
    assert_eq!(played.tape.kept.len(), 1);
    assert!(!played.events.last().unwrap().contains("end"));
    let played = play(vec![call("stopper")]);
    assert_eq!(played.outcome.end, End::Aborted);
    assert_eq!(played.tape.kept.len(), 2);
}

#[test]
fn a_transcript_that_cannot_be_written_fails_the_run() {
    let full_after = |n| Tape {
        full_after: Some(n),
        ..Tape::default()
    };
    let played = play_with(vec![say("lost")], &["m"], full_after(0));
    assert_eq!(played.outcome.end, End::Failed("disk full".into()));
    assert_eq!(played.events.len(), 1);
    assert!(played.asked.is_empty());
    let played = play_with(vec![say("lost")], &["m"], full_after(1));
    assert_eq!(played.outcome.end, End::Failed("disk full".into()));
    assert!(played.events.last().unwrap().contains(r#""phase":"error""#));
}

#[test]
fn thinking_in_tags_becomes_a_block() {
    let played = play(vec![say("<think>plan</think>Hi")]);
    match &played.tape.kept[1] {
        Message::Assistant(a) => assert_eq!(
            a.content,
            [
                Block::Thinking {
                    thinking: "plan".into(),
                    thinking_signature: None
                },
                Block::text("Hi")
            ]
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(texts(&played.outcome), ["Hi"]);
}

fn overflow() -> Result<Assistant, Error> {
    Err(error(
        Class::ContextOverflow,
        Some(400),
        "400 prompt is too long",
    ))
}

/// A conversation of `turns` turns with about 1000 tokens each.
fn long(turns: usize) -> Tape {
    let mut tape = Tape::default();
    for i in 0..turns {
        tape.kept.push(Message::User(User {
            content: Content::Blocks(vec![Block::text(format!("q{i} {}", "x".repeat(2000)))]),
            timestamp: 1,
        }));
        let mut said = say(&"y".repeat(2000)).unwrap();
        said.usage = Usage::default();
        tape.kept.push(Message::Assistant(said));
    }
    tape
}

fn user_texts(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|m| match m {
            Message::User(user) => Some(user.content.text().chars().take(40).collect()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_full_conversation_is_summarised_before_the_question_is_asked() {
    // 64,000 tokens less 20,000 in reserve are fewer than 50 turns of a thousand.
    let played = play_with(vec![say("the gist"), say("hi")], &["m"], long(50));
    assert_eq!(texts(&played.outcome), ["hi"]);
    assert_eq!(played.outcome.compactions, 1);
    let asked = user_texts(&played.asked[0]);
    assert!(
        asked[0].starts_with("<conversation>\n[User]: q0 xx"),
        "{asked:?}"
    );
    let sent = user_texts(&played.asked[1]);
    assert_eq!(sent[0], "summary: the gist");
    assert_eq!(sent.last().map(String::as_str), Some("hi"));
    assert!((18..24).contains(&sent.len()), "{}", sent.len());
    let told = played.events.join("\n");
    assert!(told.contains("start\"}\ncompaction {\"phase\":\"start\"}\ncompaction {\"phase\":\"end\",\"willRetry\":false}\nassistant"), "{told}");
}

#[test]
fn a_summary_is_no_longer_than_was_asked_for() {
    let vast = "word ".repeat(100_000);
    let played = play_with(vec![say(&vast), say("hi")], &["m"], long(50));
    assert_eq!(texts(&played.outcome), ["hi"]);
    let kept = played.tape.summary.unwrap().chars().count();
    assert!(kept < 16_000 * 8 + 100, "{kept}");
}

#[test]
fn a_summary_that_is_not_to_be_had_does_not_stop_the_turn() {
    let no = Err(error(Class::Auth, Some(401), "no"));
    let played = play_with(vec![no, say("hi")], &["m"], long(50));
    assert_eq!(texts(&played.outcome), ["hi"]);
    assert_eq!(played.outcome.compactions, 0);
    let sent = user_texts(&played.asked[1]);
    assert!(sent.len() < 48 && sent.last().unwrap() == "hi");
}

#[test]
fn an_overflow_is_answered_by_a_summary_and_the_question_is_kept() {
    let script = vec![overflow(), say("the gist"), say("hi")];
    let played = play_with(script, &["m"], long(4));
    assert_eq!(texts(&played.outcome), ["hi"]);
    let sent = user_texts(&played.asked[2]);
    assert_eq!(sent[0], "summary: the gist");
    assert_eq!(sent.last().unwrap(), "hi");
    assert!(
        played
            .events
            .iter()
            .any(|e| e.contains("\"willRetry\":true"))
    );
    // Twice is enough; then the error is the answer.
    let script = vec![
        overflow(),
        say("a"),
        overflow(),
        say("b"),
        say("c"),
        overflow(),
    ];
    let played = play_with(script, &["m"], long(12));
    assert_eq!(played.outcome.compactions, 2);
    assert_eq!(played.outcome.error.unwrap().kind, "context_overflow");
    assert!(user_texts(&played.asked[5]).last().unwrap() == "hi");
}

#[test]
fn a_long_result_is_cut_when_a_summary_does_not_help() {
    let mut tape = Tape::default();
    tape.kept.push(Message::User(User {
        content: Content::Blocks(vec![Block::text("p".repeat(150_000))]),
        timestamp: 1,
    }));
    // Nothing before this message, so nothing to summarise.
    let played = play_with(vec![overflow(), say("hi")], &["m"], tape);
    assert_eq!(texts(&played.outcome), ["hi"]);
    let size = |at: usize| played.asked[at][0].chars();
    assert!(
        size(0) == 150_000 && size(1) < 100_000,
        "{} {}",
        size(0),
        size(1)
    );
}

#[test]
fn old_results_go_along_shortened_after_a_pause_and_stay_whole_in_the_transcript() {
    let before = |tape: &mut Tape| {
        for _ in 0..4 {
            let question = json!({"role": "user", "content": "q", "timestamp": 1});
            let result = json!({"role": "toolResult", "toolCallId": "c1", "toolName": "exec",
                "isError": false, "timestamp": 1,
                "content": [{"type": "text", "text": "r".repeat(30_000)}]});
            tape.kept.push(serde_json::from_value(question).unwrap());
            let Ok(called) = call("exec") else {
                panic!("a call");
            };
            tape.kept.push(Message::Assistant(called));
            tape.kept.push(serde_json::from_value(result).unwrap());
        }
    };
    let sizes = |messages: &[Message]| -> Vec<usize> {
        let results = messages
            .iter()
            .filter(|m| matches!(m, Message::ToolResult(_)));
        results.map(|m| m.chars() / 1000).collect()
    };
    for (model, expected) in [("claude", [3, 30, 30, 30]), ("m", [30; 4])] {
        let mut tape = Tape::default();
        before(&mut tape);
        let played = play_with(vec![call("exec"), say("hi")], &[model], tape);
        assert_eq!(texts(&played.outcome), ["hi"]);
        for asked in &played.asked {
            assert_eq!(sizes(asked)[..4], expected, "{model}");
        }
        assert_eq!(sizes(&played.tape.kept)[..4], [30; 4]);
    }
}
