//! What the gateway tells: answers to what was asked, and events.

use super::app::{App, Choosing, Why};
use super::history;
use super::log::ToolState;
use super::text::clean;
use serde_json::Value;
use std::time::Instant;

/// Ended runs that are remembered, so that a late piece of one changes nothing.
const MAX_ENDED: usize = 200;

impl App {
    pub fn answer(&mut self, why: Why, result: Result<Value, String>) {
        if let Why::Send { run } = &why {
            self.sending.remove(run);
        }
        let value = match result {
            Ok(value) => value,
            Err(err) => return self.refused(&why, &err),
        };
        match why {
            Why::Agents { choose } => {
                let list = value["agents"].as_array().map_or(&[][..], |list| list);
                let items = || list.iter().filter_map(history::agent_item).collect();
                self.agents = items();
                if choose {
                    self.open(Choosing::Agent, "Agent", items());
                }
            }
            Why::Sessions { choose } => {
                let list = value["sessions"].as_array().map_or(&[][..], |list| list);
                let own = list.iter().find(|row| row["key"] == self.session.as_str());
                self.row = own.cloned().unwrap_or_default();
                self.defaults = value["defaults"].clone();
                if choose {
                    let items = list.iter().filter_map(history::session_item).collect();
                    self.open(Choosing::Session, "Session", items);
                }
            }
            Why::Models => {
                let list = value["models"].as_array().map_or(&[][..], |list| list);
                let items = list.iter().filter_map(history::model_item).collect();
                self.open(Choosing::Model, "Model", items);
            }
            Why::History => {
                self.log.clear();
                let messages = value["messages"].as_array().map_or(&[][..], |list| list);
                history::show(messages, &mut self.log);
                if let Some(message) = self.options.message.take() {
                    self.send(&message);
                }
            }
            Why::Status => {
                let text = history::status(&value);
                self.log.note(&text);
            }
            Why::Send { run } => {
                // A command of the gateway's may have been answered in the answer itself.
                if value["status"] == "ok" && self.is_running(&run) {
                    self.end(&run);
                    self.look_again();
                }
            }
            Why::Abort if value["aborted"] == false => self.log.note("no active run"),
            Why::Abort => {}
            Why::Patch(said) => {
                self.log.note(&said);
                self.list_sessions(false);
            }
            Why::Reset => {
                self.log.clear();
                self.log.note("session reset");
                self.list_sessions(false);
            }
        }
    }

    fn refused(&mut self, why: &Why, err: &str) {
        if let Why::Send { run } = why {
            self.end(run);
            return self.log.note(&format!("send failed: {err}"));
        }
        let what = match why {
            Why::Agents { .. } => "agents",
            Why::Sessions { .. } => "sessions",
            Why::Models => "models",
            Why::History => "history",
            Why::Status => "status",
            Why::Abort => "abort",
            Why::Reset => "reset",
            Why::Patch(said) => said.as_str(),
            Why::Send { .. } => "send",
        };
        self.log.note(&format!("{what} failed: {err}"));
    }

    /// `seq` counts what this connection was told; a gap means that something was missed.
    pub fn event(&mut self, name: &str, payload: &Value, seq: Option<u64>) {
        if let Some(seq) = seq {
            match self.next_seq {
                Some(expected) if seq > expected => {
                    self.log
                        .note(&format!("event gap: expected {expected}, got {seq}"));
                    self.look_again();
                }
                _ => {}
            }
            self.next_seq = Some(seq + 1);
        }
        let ours = payload["sessionKey"] == self.session.as_str();
        match name {
            "chat" if ours => self.chat(payload),
            "agent" if ours => self.agent_event(payload),
            "shutdown" => {
                let reason = payload["reason"].as_str().unwrap_or("shutdown");
                self.log
                    .note(&format!("the gateway stops: {}", clean(reason)));
            }
            _ => {}
        }
    }

    fn chat(&mut self, payload: &Value) {
        let run = payload["runId"].as_str().unwrap_or_default().to_string();
        let state = payload["state"].as_str().unwrap_or_default();
        if self.ended.contains(&run) {
            return;
        }
        let (thoughts, text) = history::said(&payload["message"]);
        if !text.is_empty() || !thoughts.is_empty() {
            self.log.agent(&run, &thoughts, &text);
        }
        match state {
            "delta" if self.running.is_none() => {
                self.running = Some((run, Instant::now()));
            }
            "final" => {
                if text.is_empty() && self.is_running(&run) && !self.log.has_said(&run) {
                    self.log.note("(no output)");
                }
                self.end(&run);
            }
            "aborted" => {
                self.log.note("run aborted");
                self.end(&run);
            }
            "error" => {
                let why = payload["errorMessage"].as_str().unwrap_or("unknown error");
                self.log.note(&format!("run error: {why}"));
                self.end(&run);
            }
            _ => {}
        }
    }

    fn agent_event(&mut self, payload: &Value) {
        let run = payload["runId"].as_str().unwrap_or_default();
        if self.ended.contains(run) {
            return;
        }
        let data = &payload["data"];
        let phase = data["phase"].as_str().unwrap_or_default();
        match payload["stream"].as_str().unwrap_or_default() {
            // A run of another client in our session is shown, too.
            "lifecycle" if phase == "start" => {
                self.running = Some((run.into(), Instant::now()));
            }
            "tool" => {
                let id = data["toolCallId"].as_str().unwrap_or_default();
                match phase {
                    "start" => {
                        let name = data["name"].as_str().unwrap_or("tool");
                        self.log.tool(id, name, &data["args"]);
                    }
                    "update" => {
                        let text = history::text_of(&data["partialResult"]["content"]);
                        self.log.tool_result(id, &text, ToolState::Running);
                    }
                    "result" => {
                        let failed = data["isError"] == true;
                        let state = if failed {
                            ToolState::Failed
                        } else {
                            ToolState::Done
                        };
                        let text = history::text_of(&data["result"]["content"]);
                        self.log.tool_result(id, &text, state);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn is_running(&self, run: &str) -> bool {
        self.running.as_ref().is_some_and(|(of, _)| of == run)
    }

    fn end(&mut self, run: &str) {
        if self.ended.insert(run.into()) {
            self.ended_order.push_back(run.into());
        }
        if self.ended_order.len() > MAX_ENDED {
            if let Some(oldest) = self.ended_order.pop_front() {
                self.ended.remove(&oldest);
            }
        }
        if self.is_running(run) {
            self.running = None;
        }
        if self.connected {
            self.list_sessions(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::app::{Options, Want};
    use super::super::log::View;
    use super::*;
    use serde_json::json;

    fn connected() -> App {
        let mut app = App::new(Options {
            session: None,
            deliver: false,
            thinking: None,
            message: None,
            timeout_ms: None,
            history_limit: 10,
        });
        app.connected(&json!({"snapshot": {"sessionDefaults":
            {"defaultAgentId": "main", "mainKey": "main", "scope": "per-sender"}}}));
        app.wants.clear();
        app
    }

    fn chat(app: &mut App, run: &str, state: &str, text: &str) {
        let content = json!([{"type": "text", "text": text}]);
        let payload = json!({"runId": run, "sessionKey": "agent:main:main", "state": state,
            "message": {"role": "assistant", "content": content}});
        app.event("chat", &payload, None);
    }

    fn shown(app: &mut App) -> String {
        let view = View {
            columns: 60,
            unfolded: false,
            thoughts: false,
        };
        let (rows, _) = app.log.rows(view, 100, 0);
        rows.iter().map(|row| format!("{}|", row.text)).collect()
    }

    #[test]
    fn a_late_piece_of_an_ended_run_changes_nothing() {
        let mut app = connected();
        chat(&mut app, "r", "delta", "Hel");
        assert!(app.running.is_some());
        chat(&mut app, "r", "final", "Hello");
        chat(&mut app, "r", "delta", "Hel");
        assert!(app.running.is_none());
        assert_eq!(shown(&mut app), "  Hello||");
        let other = json!({"runId": "x", "sessionKey": "agent:main:other", "state": "delta"});
        app.event("chat", &other, None);
        assert!(app.running.is_none());
    }

    #[test]
    fn a_gap_in_the_events_has_the_history_read_again() {
        let mut app = connected();
        app.event("tick", &Value::Null, Some(4));
        app.event("tick", &Value::Null, Some(5));
        assert!(app.wants.is_empty());
        app.event("tick", &Value::Null, Some(8));
        assert!(shown(&mut app).contains("event gap: expected 6, got 8"));
        let asked = |want: &Want| {
            matches!(
                want,
                Want::Ask {
                    method: "chat.history",
                    ..
                }
            )
        };
        assert!(app.wants.iter().any(asked));
    }

    #[test]
    fn a_message_without_an_answer_is_sent_again_with_its_key_and_once_answered_not_any_more() {
        let mut app = connected();
        app.send("hi");
        let run = match &app.wants[..] {
            [
                Want::Ask {
                    why: Why::Send { run },
                    ..
                },
            ] => run.clone(),
            other => panic!("{other:?}"),
        };
        app.lost("gone");
        app.wants.clear();
        app.connected(&Value::Null);
        let again = |want: &&Want| matches!(want, Want::Ask { params, .. } if params["idempotencyKey"] == run.as_str());
        assert_eq!(app.wants.iter().filter(again).count(), 1);
        app.answer(
            Why::Send { run: run.clone() },
            Ok(json!({"status": "started"})),
        );
        app.lost("gone");
        app.wants.clear();
        app.connected(&Value::Null);
        assert_eq!(app.wants.iter().filter(again).count(), 0);
    }

    #[test]
    fn a_run_without_words_says_so_and_a_failed_one_says_why() {
        let mut app = connected();
        app.event(
            "agent",
            &json!({"runId": "r", "sessionKey": "agent:main:main",
            "stream": "lifecycle", "data": {"phase": "start"}}),
            None,
        );
        app.event(
            "chat",
            &json!({"runId": "r", "sessionKey": "agent:main:main", "state": "final"}),
            None,
        );
        app.event(
            "chat",
            &json!({"runId": "q", "sessionKey": "agent:main:main", "state": "error",
            "errorMessage": "no \u{1b}[31mkey"}),
            None,
        );
        let shown = shown(&mut app);
        assert!(
            shown.contains("(no output)") && shown.contains("run error: no key"),
            "{shown}"
        );
    }
}
