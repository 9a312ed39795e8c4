//! The transcript as the turn's memory.

use super::text;
use crate::agent::compact::Record;
use crate::agent::turn::Memory;
use crate::base::time::now_ms;
use crate::model::Target;
use crate::session::{self, Compaction, Transcript};
use crate::wire::message::Message;
use serde_json::json;

pub struct Tape {
    pub transcript: Transcript,
}

impl Record for Tape {
    fn messages(&mut self) -> &[Message] {
        self.transcript.context()
    }

    fn chars(&mut self) -> usize {
        self.transcript.context_chars()
    }

    fn summary(&mut self) -> Option<(String, u64)> {
        let (text, at) = self.transcript.summary()?;
        Some((text.to_string(), at))
    }

    fn replace(
        &mut self,
        kept: usize,
        summary: &str,
        tokens_before: u64,
        (read_files, modified_files): (&[String], &[String]),
    ) -> Result<(), String> {
        let ids = self.transcript.context_ids();
        let first_kept = ids.get(kept).cloned().unwrap_or_default();
        let compaction = Compaction {
            summary,
            first_kept: &first_kept,
            tokens_before,
            read_files,
            modified_files,
        };
        self.transcript
            .append_compaction(&compaction)
            .map(drop)
            .map_err(text)
    }
}

impl Memory for Tape {
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
