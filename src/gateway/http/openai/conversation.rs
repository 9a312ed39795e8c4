//! A conversation as such an API sends it, whole each time, and the one text an agent reads: its
//! session knows what was said before, so earlier entries are only context.

use serde_json::Value;

/// Says that what follows was said since the agent's last reply, and where the new message begins.
/// Prompts and stored transcripts of the original have these lines.
const CONTEXT: &str = "[Chat messages since your last reply - for context]";
const CURRENT: &str = "[Current message - respond to this]";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaker {
    User,
    Assistant,
    /// With the tool's or the call's name.
    Tool(Option<String>),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// For the system prompt.
    pub system: Vec<String>,
    entries: Vec<(Speaker, String)>,
}

impl Conversation {
    /// Adds a message of `role`; blank ones and unknown roles are passed over.
    pub fn add(&mut self, role: &str, name: Option<&str>, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let speaker = match role {
            "system" | "developer" => return self.system.push(text.into()),
            "user" => Speaker::User,
            "assistant" => Speaker::Assistant,
            "tool" | "function" => {
                let name = name.map(str::trim).filter(|n| !n.is_empty());
                Speaker::Tool(name.map(str::to_string))
            }
            _ => return,
        };
        self.entries.push((speaker, text.into()));
    }

    /// What the agent reads; `None` when nobody said anything to it. The last word of a user or a
    /// tool is the message; what stands after it is dropped.
    pub fn text(&self) -> Option<String> {
        let asks = |(speaker, _): &(Speaker, String)| *speaker != Speaker::Assistant;
        let at = self.entries.iter().rposition(asks);
        let at = at.or(self.entries.len().checked_sub(1))?;
        let (earlier, current) = (&self.entries[..at], &self.entries[at]);
        if earlier.is_empty() {
            return Some(current.1.clone());
        }
        let mut lines = vec![CONTEXT.to_string()];
        lines.extend(earlier.iter().map(line));
        lines.extend([String::new(), CURRENT.into(), line(current)]);
        Some(lines.join("\n"))
    }
}

fn line((speaker, text): &(Speaker, String)) -> String {
    match speaker {
        Speaker::User => format!("User: {text}"),
        Speaker::Assistant => format!("Assistant: {text}"),
        Speaker::Tool(None) => format!("Tool: {text}"),
        Speaker::Tool(Some(name)) => format!("Tool:{name}: {text}"),
    }
}

/// The text of a message's content: a string, or the text parts of a list, a line each.
pub fn text_of(content: &Value) -> String {
    let parts = match content {
        Value::String(text) => return text.clone(),
        Value::Array(parts) => parts,
        _ => return String::new(),
    };
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part["type"].as_str() {
            Some("text" | "input_text" | "output_text") => part["text"].as_str(),
            _ => part["input_text"].as_str(),
        })
        .filter(|text| !text.is_empty())
        .collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(entries: &[(&str, &str)]) -> Conversation {
        let mut conversation = Conversation::default();
        for (role, text) in entries {
            conversation.add(role, Some("clock").filter(|_| *role == "tool"), text);
        }
        conversation
    }

    #[test]
    fn a_lone_message_is_sent_bare() {
        let conversation = of(&[("system", "Be brief."), ("user", " hi "), ("critic", "no")]);
        assert_eq!(conversation.text().as_deref(), Some("hi"));
        assert_eq!(conversation.system, ["Be brief."]);
    }

    #[test]
    fn earlier_messages_are_context_and_later_answers_are_dropped() {
        let conversation = of(&[
            ("user", "What time is it?"),
            ("assistant", "I will look."),
            ("tool", "noon"),
            ("assistant", "It is"),
        ]);
        assert_eq!(
            conversation.text().unwrap(),
            "[Chat messages since your last reply - for context]\n\
             User: What time is it?\nAssistant: I will look.\n\n\
             [Current message - respond to this]\nTool:clock: noon"
        );
        assert_eq!(of(&[("assistant", "a")]).text().as_deref(), Some("a"));
        assert_eq!(of(&[("user", "  "), ("system", "s")]).text(), None);
    }

    #[test]
    fn text_is_gathered_from_every_form_of_content() {
        let parts = json!([
            {"type": "text", "text": "a"},
            {"type": "image_url", "image_url": {"url": "x"}},
            {"type": "input_text", "text": "b"},
            {"input_text": "c"},
            {"type": "text", "text": ""},
        ]);
        assert_eq!(text_of(&parts), "a\nb\nc");
        assert_eq!(text_of(&json!("plain")), "plain");
        assert_eq!(text_of(&json!({"text": "no"})), "");
    }
}
