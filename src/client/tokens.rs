//! `<state>/identity/device-auth.json`: the tokens a gateway gave this device, one per role.

use crate::base::{atomic, time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    version: u32,
    device_id: String,
    tokens: Map<String, Value>,
}

pub struct Tokens {
    path: PathBuf,
    file: File,
}

impl Tokens {
    /// What is stored for `device_id`. A file of another device, or one that cannot be read, holds
    /// nothing for us: the shared secret brings a new token.
    pub fn open(state: &Path, device_id: &str) -> Tokens {
        let path = state.join("identity/device-auth.json");
        let file = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok())
            .filter(|file| file.version == 1 && file.device_id == device_id)
            .unwrap_or_else(|| File {
                version: 1,
                device_id: device_id.to_string(),
                tokens: Map::new(),
            });
        Tokens { path, file }
    }

    pub fn get(&self, role: &str) -> Option<&str> {
        let token = self.file.tokens.get(role)?.get("token")?.as_str()?;
        Some(token).filter(|token| !token.is_empty())
    }

    /// Keeps what a gateway gave; writes only what is new.
    pub fn put(&mut self, role: &str, token: &str, scopes: &[String]) -> io::Result<()> {
        let mut scopes = scopes.to_vec();
        scopes.sort();
        scopes.dedup();
        let old = self.file.tokens.get(role);
        let same = old.is_some_and(|old| {
            old["token"] == token && old["scopes"] == Value::from(scopes.clone())
        });
        if same {
            return Ok(());
        }
        let entry = serde_json::json!({
            "token": token, "role": role, "scopes": scopes, "updatedAtMs": time::now_ms(),
        });
        self.file.tokens.insert(role.to_string(), entry);
        self.save()
    }

    pub fn remove(&mut self, role: &str) -> io::Result<()> {
        match self.file.tokens.shift_remove(role) {
            Some(_) => self.save(),
            None => Ok(()),
        }
    }

    fn save(&self) -> io::Result<()> {
        let text = serde_json::to_string_pretty(&self.file).expect("JSON serialises");
        atomic::write(&self.path, format!("{text}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_per_role_and_only_for_its_device() {
        let dir = crate::base::id::temp_dir("tokens");
        let mut tokens = Tokens::open(&dir, "d1");
        let scopes = ["b".to_string(), "a".to_string()];
        tokens.put("operator", "t1", &scopes).unwrap();
        let path = dir.join("identity/device-auth.json");
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.contains("\"scopes\": [\n        \"a\",\n        \"b\"\n      ]"));
        std::fs::remove_file(&path).unwrap();
        tokens
            .put("operator", "t1", &["a".into(), "b".into()])
            .unwrap();
        assert!(!path.exists(), "the same token is not written again");
        std::fs::write(&path, written).unwrap();
        assert_eq!(Tokens::open(&dir, "d1").get("operator"), Some("t1"));
        assert_eq!(Tokens::open(&dir, "d2").get("operator"), None);
        tokens.remove("operator").unwrap();
        assert_eq!(Tokens::open(&dir, "d1").get("operator"), None);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
