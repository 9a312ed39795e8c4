//! The transcript as the turn's memory.

use super::text;
use crate::agent::turn::Memory;
use crate::base::time::now_ms;
use crate::model::Target;
use crate::session::{self, Transcript};
use crate::wire::message::Message;
use serde_json::json;

pub struct Tape {
    pub transcript: Transcript,
}

impl Memory for Tape {
    fn context(&mut self) -> &[Message] {
        self.transcript.context()
    }

    fn begin(&mut self, target: &Target, thinking: &str) -> Result<(), String> {
        let transcript = &mut self.transcript;
        if transcript.is_new() {
            transcript
                .append_model_change(&target.provider, &target.model)
                .map_err(text)?;
            transcript.append_thinking_level(thinking).map_err(text)?;
        }
        let same = transcript.model_snapshot().is_some_and(|s| {
            s["provider"] == target.provider.as_str() && s["modelId"] == target.model.as_str()
        });
        if same {
            return Ok(());
        }
        let snapshot = json!({
            "timestamp": now_ms(),
            "provider": target.provider,
            "modelApi": target.api,
            "modelId": target.model,
        });
        transcript
            .append_custom(session::MODEL_SNAPSHOT, &snapshot)
            .map_err(text)
    }

    fn append(&mut self, message: &Message) -> Result<(), String> {
        self.transcript
            .append(message.clone())
            .map(drop)
            .map_err(text)
    }

    fn settle(&mut self) -> Result<(), String> {
        self.transcript.finish_turn().map_err(text)
    }
}
