//! The body of `POST /v1/responses`, checked: every key is known and of its type, or the first fault
//! is named with its path, as the original does.
//!
//! Taken beyond the original: messages without a `type`, and pictures and files as OpenAI's own
//! clients write them (`image_url`, `file_data`, `file_url`).

use super::attached::{File, Source};
use crate::config::keys::check;
use crate::gateway::http::openai::conversation::{Conversation, text_of};
use crate::model::ToolSpec;
use serde_json::{Map, Value};

#[derive(Debug, Default)]
pub struct Asked {
    pub model: String,
    pub conversation: Conversation,
    pub instructions: Option<String>,
    pub images: Vec<Source>,
    pub files: Vec<File>,
    pub tools: Vec<ToolSpec>,
    /// The sentence that `tool_choice` adds to the system prompt.
    pub choice: Option<String>,
    pub stream: bool,
    pub max_output_tokens: Option<u64>,
    pub user: Option<String>,
}

/// Where in the body something is wrong, and what.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    path: String,
    message: String,
}

type Checked<T> = Result<T, Fault>;

const KEYS: [&str; 16] = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "stream",
    "max_output_tokens",
    "max_tool_calls",
    "user",
    "temperature",
    "top_p",
    "metadata",
    "store",
    "previous_response_id",
    "reasoning",
    "truncation",
];

const ROLES: [&str; 4] = ["system", "developer", "user", "assistant"];

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

pub fn read(body: &Value) -> Checked<Asked> {
    let root = Node::root(body);
    root.object(&KEYS)?;
    let mut asked = Asked {
        model: root.field("model").text()?.to_string(),
        ..Asked::default()
    };
    asked.input(&root.field("input"))?;
    asked.instructions = root.maybe("instructions", Node::text)?.map(str::to_string);
    asked.tools = root.maybe("tools", tools)?.unwrap_or_default();
    asked.stream = root.maybe("stream", Node::flag)?.unwrap_or(false);
    asked.max_output_tokens = root.maybe("max_output_tokens", Node::positive)?;
    asked.user = root.maybe("user", Node::text)?.map(str::to_string);
    without_effect(&root)?;
    let choice = root.field("tool_choice");
    if choice.value.is_some() {
        asked.choose(&choice)?;
    }
    Ok(asked)
}

/// Fields that must be right and do nothing.
fn without_effect(root: &Node) -> Checked<()> {
    root.maybe("max_tool_calls", Node::positive)?;
    root.maybe("temperature", Node::number)?;
    root.maybe("top_p", Node::number)?;
    root.maybe("store", Node::flag)?;
    root.maybe("previous_response_id", Node::text)?;
    root.maybe("truncation", |node| node.one_of(&["auto", "disabled"]))?;
    root.maybe("metadata", |node| {
        for key in node.map()?.keys() {
            node.field(key).text()?;
        }
        Ok(())
    })?;
    root.maybe("reasoning", |node| {
        node.object(&["effort", "summary"])?;
        node.maybe("effort", |n| n.one_of(&["low", "medium", "high"]))?;
        node.maybe("summary", |n| n.one_of(&["auto", "concise", "detailed"]))
            .map(drop)
    })
    .map(drop)
}

fn tools(node: &Node) -> Checked<Vec<ToolSpec>> {
    node.list()?.iter().map(tool).collect()
}

fn tool(node: &Node) -> Checked<ToolSpec> {
    node.object(&["type", "function"])?;
    node.field("type").one_of(&["function"])?;
    let function = node.field("function");
    function.map()?;
    let name = function.field("name");
    if name.text()?.is_empty() {
        return Err(name.fault("Too small: expected string to have >=1 characters"));
    }
    let description = function.maybe("description", Node::text)?;
    let parameters = function.maybe("parameters", Node::map)?;
    Ok(ToolSpec {
        name: name.text()?.into(),
        description: description.unwrap_or_default().into(),
        parameters: match parameters {
            Some(map) => Value::Object(map.clone()),
            None => serde_json::json!({"type": "object", "properties": {}}),
        },
    })
}

impl Asked {
    fn input(&mut self, node: &Node) -> Checked<()> {
        if let Some(text) = node.value.and_then(Value::as_str) {
            self.conversation.add("user", None, text);
            return Ok(());
        }
        for item in node.list()? {
            self.item(&item)?;
        }
        Ok(())
    }

    fn item(&mut self, node: &Node) -> Checked<()> {
        let map = node.map()?;
        let kind = node.maybe("type", Node::text)?;
        match kind {
            None if map.contains_key("role") => self.message(node),
            Some("message") => self.message(node),
            Some("function_call_output") => {
                node.object(&["type", "call_id", "output"])?;
                let id = node.field("call_id").text()?;
                let output = node.field("output").text()?;
                self.conversation.add("tool", Some(id), output);
                Ok(())
            }
            Some("function_call") => {
                node.object(&["type", "name", "arguments", "id", "call_id"])?;
                node.field("name").text()?;
                node.field("arguments").text().map(drop)
            }
            Some("reasoning") => node
                .object(&["type", "content", "encrypted_content", "summary"])
                .map(drop),
            Some("item_reference") => {
                node.object(&["type", "id"])?;
                node.field("id").text().map(drop)
            }
            _ => node
                .field("type")
                .one_of(&[
                    "message",
                    "function_call",
                    "function_call_output",
                    "reasoning",
                    "item_reference",
                ])
                .map(drop),
        }
    }

    fn message(&mut self, node: &Node) -> Checked<()> {
        node.object(&["type", "role", "content"])?;
        let role = node.field("role").one_of(&ROLES)?;
        let content = node.field("content");
        if content.value.is_none_or(|value| !value.is_string()) {
            for part in content.list()? {
                self.part(&part)?;
            }
        }
        let text = text_of(content.value.unwrap_or(&Value::Null));
        self.conversation.add(role, None, &text);
        Ok(())
    }

    fn part(&mut self, node: &Node) -> Checked<()> {
        node.map()?;
        let kind = node.field("type");
        match kind.one_of(&["input_text", "output_text", "input_image", "input_file"])? {
            "input_image" => {
                let source = match node.maybe("image_url", Node::text)? {
                    Some(url) => {
                        node.object(&["type", "image_url", "detail"])?;
                        Source::of_url(url)
                    }
                    None => {
                        node.object(&["type", "source"])?;
                        source(&node.field("source"))?.0
                    }
                };
                self.images.push(source);
            }
            "input_file" => {
                let file = match (
                    node.maybe("file_data", Node::text)?,
                    node.maybe("file_url", Node::text)?,
                ) {
                    (None, None) => {
                        node.object(&["type", "source"])?;
                        let (source, name) = source(&node.field("source"))?;
                        File { source, name }
                    }
                    (data, url) => {
                        node.object(&["type", "file_data", "file_url", "filename"])?;
                        let name = node.maybe("filename", Node::text)?;
                        File {
                            source: Source::of_url(data.or(url).unwrap_or_default()),
                            name: name.map(str::to_string),
                        }
                    }
                };
                self.files.push(file);
            }
            _ => {
                node.object(&["type", "text", "annotations"])?;
                node.field("text").text()?;
            }
        }
        Ok(())
    }

    fn choose(&mut self, node: &Node) -> Checked<()> {
        let none = |asked: &Asked| asked.tools.is_empty();
        match node.value {
            Some(Value::String(word)) => match word.as_str() {
                "auto" => Ok(()),
                "none" => {
                    self.tools.clear();
                    Ok(())
                }
                "required" if none(self) => Err(Fault {
                    path: "tool_choice".into(),
                    message: "\"required\" needs tools".into(),
                }),
                "required" => {
                    self.choice = Some(
                        "Answer this message with a call of one of the tools the caller brought."
                            .into(),
                    );
                    Ok(())
                }
                _ => node.one_of(&["auto", "none", "required"]).map(drop),
            },
            _ => {
                node.object(&["type", "function"])?;
                node.field("type").one_of(&["function"])?;
                let name = node.field("function").field("name").text()?;
                if !self.tools.iter().any(|tool| tool.name == name) {
                    let known = "function.name";
                    return Err(Fault {
                        path: format!("tool_choice.{known}"),
                        message: format!("no tool is called \"{name}\""),
                    });
                }
                self.tools.retain(|tool| tool.name == name);
                self.choice = Some(format!(
                    "Answer this message with a call of the tool {name}."
                ));
                Ok(())
            }
        }
    }
}

/// `{type:"url",url}` or `{type:"base64",media_type,data,filename?}`.
fn source(node: &Node) -> Checked<(Source, Option<String>)> {
    node.map()?;
    match node.field("type").one_of(&["url", "base64"])? {
        "url" => {
            node.object(&["type", "url"])?;
            Ok((Source::Url(node.field("url").text()?.into()), None))
        }
        _ => {
            node.object(&["type", "media_type", "data", "filename"])?;
            let source = Source::Data {
                media_type: node.field("media_type").text()?.into(),
                base64: node.field("data").text()?.into(),
            };
            let name = node.maybe("filename", Node::text)?;
            Ok((source, name.map(str::to_string)))
        }
    }
}

/// A value and where it stands.
#[derive(Clone)]
struct Node<'a> {
    value: Option<&'a Value>,
    path: String,
}

impl<'a> Node<'a> {
    fn root(value: &'a Value) -> Node<'a> {
        Node {
            value: Some(value),
            path: String::new(),
        }
    }

    fn field(&self, key: &str) -> Node<'a> {
        Node {
            value: self.value.and_then(|value| value.get(key)),
            path: match self.path.as_str() {
                "" => key.to_string(),
                path => format!("{path}.{key}"),
            },
        }
    }

    /// What `read` makes of an optional field.
    fn maybe<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Node<'a>) -> Checked<T>,
    ) -> Checked<Option<T>> {
        let node = self.field(key);
        match node.value {
            None => Ok(None),
            Some(_) => read(&node).map(Some),
        }
    }

    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault {
            path: self.path.clone(),
            message: message.into(),
        }
    }

    fn expected(&self, what: &str) -> Fault {
        let got = check::received(self.value);
        self.fault(format!("Invalid input: expected {what}, received {got}"))
    }

    fn text(&self) -> Checked<&'a str> {
        let text = self.value.and_then(Value::as_str);
        text.ok_or_else(|| self.expected("string"))
    }

    fn flag(&self) -> Checked<bool> {
        let flag = self.value.and_then(Value::as_bool);
        flag.ok_or_else(|| self.expected("boolean"))
    }

    fn number(&self) -> Checked<f64> {
        let number = self.value.and_then(Value::as_f64);
        number.ok_or_else(|| self.expected("number"))
    }

    fn positive(&self) -> Checked<u64> {
        let number = self.number()?;
        if number <= 0.0 {
            return Err(self.fault("Too small: expected number to be >0"));
        }
        if number.fract() != 0.0 {
            return Err(self.fault("Invalid input: expected int, received number"));
        }
        Ok(number as u64)
    }

    fn one_of(&self, words: &[&'static str]) -> Checked<&'static str> {
        let text = self.value.and_then(Value::as_str);
        let known = words.iter().find(|word| Some(**word) == text);
        known.copied().ok_or_else(|| {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            self.fault(match words.len() {
                1 => format!("Invalid input: expected {}", words[0]),
                _ => format!("Invalid option: expected one of {}", words.join("|")),
            })
        })
    }

    fn map(&self) -> Checked<&'a Map<String, Value>> {
        let map = self.value.and_then(Value::as_object);
        map.ok_or_else(|| self.expected("object"))
    }

    /// An object without other keys than these.
    fn object(&self, keys: &[&str]) -> Checked<&'a Map<String, Value>> {
        let map = self.map()?;
        match map.keys().find(|key| !keys.contains(&key.as_str())) {
            Some(key) => Err(self.fault(format!("Unrecognized key: \"{key}\""))),
            None => Ok(map),
        }
    }

    fn list(&self) -> Checked<Vec<Node<'a>>> {
        let list = self.value.and_then(Value::as_array);
        let list = list.ok_or_else(|| self.expected("array"))?;
        Ok(list
            .iter()
            .enumerate()
            .map(|(at, value)| Node {
                value: Some(value),
                path: format!("{}.{at}", self.path),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fault(body: Value) -> String {
        read(&body).expect_err("a fault").to_string()
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = json!({"model": "openclaw", "input": "hi"});
        body[key] = value;
        body
    }

    #[test]
    fn the_first_fault_is_named_with_its_path() {
        assert_eq!(
            fault(json!({"input": "x"})),
            "model: Invalid input: expected string, received undefined"
        );
        assert_eq!(
            fault(with("wish", json!(1))),
            ": Unrecognized key: \"wish\""
        );
        assert_eq!(
            fault(with("max_output_tokens", json!(0))),
            "max_output_tokens: Too small: expected number to be >0"
        );
        assert_eq!(
            fault(with("truncation", json!("no"))),
            "truncation: Invalid option: expected one of \"auto\"|\"disabled\""
        );
        assert!(fault(with("input", json!([{"type": "magic"}]))).starts_with("input.0.type: "));
        assert!(fault(with("input", json!([{"role": "user"}]))).starts_with("input.0.content: "));
        assert!(
            fault(with(
                "tools",
                json!([{"type": "function", "function": {"name": ""}}])
            ))
            .starts_with("tools.0.function.name: ")
        );
        assert!(fault(json!([])).starts_with(": Invalid input: expected object"));
    }

    #[test]
    fn items_become_a_conversation_with_its_pictures_and_files() {
        let asked = read(&with(
            "input",
            json!([
                {"type": "message", "role": "developer", "content": "Be brief."},
                {"role": "user", "content": [
                    {"type": "input_text", "text": "Look"},
                    {"type": "input_image", "source": {"type": "url", "url": "https://x/a.png"}},
                    {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                    {"type": "input_file", "source": {"type": "base64",
                        "media_type": "text/plain", "data": "aGk=", "filename": "a.txt"}},
                ]},
                {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c"},
                {"type": "function_call_output", "call_id": "c", "output": "42"},
                {"type": "reasoning"},
                {"type": "item_reference", "id": "x"},
            ]),
        ))
        .unwrap();
        assert_eq!(asked.conversation.system, ["Be brief."]);
        assert!(asked.conversation.text().unwrap().ends_with("\nTool:c: 42"));
        assert_eq!(asked.images.len(), 2);
        assert_eq!(asked.files[0].name.as_deref(), Some("a.txt"));
    }

    #[test]
    fn a_tool_choice_must_name_a_tool_there_is() {
        let tools = json!([
            {"type": "function", "function": {"name": "a"}},
            {"type": "function", "function": {"name": "b", "parameters": {"type": "object"}}},
        ]);
        let chosen = |choice: Value| {
            let mut body = with("tools", tools.clone());
            body["tool_choice"] = choice;
            read(&body)
        };
        assert_eq!(chosen(json!("auto")).unwrap().tools.len(), 2);
        assert!(chosen(json!("none")).unwrap().tools.is_empty());
        assert!(chosen(json!("required")).unwrap().choice.is_some());
        let one = chosen(json!({"type": "function", "function": {"name": "b"}})).unwrap();
        assert!(one.tools.len() == 1 && one.choice.unwrap().contains('b'));
        let unknown = chosen(json!({"type": "function", "function": {"name": "c"}}));
        assert!(unknown.unwrap_err().to_string().contains("\"c\""));
        assert!(fault(with("tool_choice", json!("required"))).contains("needs tools"));
    }
}
