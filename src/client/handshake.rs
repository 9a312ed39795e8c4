//! The `connect` request: who we are, what we ask for, and the signature over both.

use super::identity::Identity;
use crate::base::{id, time};
use crate::wire::version;
use serde_json::{Value, json};

/// The role of every client here.
pub const ROLE: &str = "operator";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Cli,
    /// Asks how a gateway is and leaves; counted apart from people's commands.
    Probe,
    /// A person's screen that stays connected.
    Ui,
}

#[derive(Clone, Copy, Debug)]
pub struct Who {
    pub mode: Mode,
    pub scopes: &'static [&'static str],
    pub caps: &'static [&'static str],
}

impl Who {
    pub const fn cli() -> Who {
        Who {
            mode: Mode::Cli,
            scopes: &["operator.admin", "operator.approvals", "operator.pairing"],
            caps: &[],
        }
    }

    pub const fn probe() -> Who {
        Who {
            mode: Mode::Probe,
            scopes: &["operator.admin"],
            caps: &[],
        }
    }

    /// The chat in a terminal.
    pub const fn tui() -> Who {
        Who {
            mode: Mode::Ui,
            scopes: &["operator.admin"],
            caps: &["tool-events"],
        }
    }

    /// Also wants the tool events of the runs it starts.
    pub const fn with_tool_events(mut self) -> Who {
        self.caps = &["tool-events"];
        self
    }
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::Cli => "cli",
            Mode::Probe => "probe",
            Mode::Ui => "ui",
        }
    }

    fn client_id(self) -> &'static str {
        match self {
            Mode::Cli | Mode::Probe => "cli",
            Mode::Ui => "gateway-client",
        }
    }
}

/// What is shown to the gateway besides the device.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    pub token: Option<String>,
    pub password: Option<String>,
}

/// The params of `connect`. Over the local socket there is no identity: the kernel's word counts.
pub fn params(who: &Who, secrets: &Secrets, identity: Option<&Identity>, nonce: &str) -> Value {
    let mut params = json!({
        "minProtocol": version::GATEWAY,
        "maxProtocol": version::GATEWAY,
        "client": {
            "id": who.mode.client_id(),
            "version": "dev",
            "platform": std::env::consts::OS,
            "mode": who.mode.name(),
            "instanceId": id::uuid(),
        },
        "caps": who.caps,
        "role": ROLE,
        "scopes": who.scopes,
    });
    if who.mode == Mode::Ui {
        params["client"]["displayName"] = json!("openclaw-tui");
    }
    let mut auth = serde_json::Map::new();
    if let Some(token) = &secrets.token {
        auth.insert("token".into(), json!(token));
    }
    if let Some(password) = &secrets.password {
        auth.insert("password".into(), json!(password));
    }
    if !auth.is_empty() {
        params["auth"] = Value::Object(auth);
    }
    if let Some(identity) = identity {
        let signed_at = time::now_ms();
        let text = payload(who, secrets, &identity.device_id, signed_at, nonce);
        params["device"] = json!({
            "id": identity.device_id,
            "publicKey": identity.public_key(),
            "signature": identity.sign(&text),
            "signedAt": signed_at,
            "nonce": nonce,
        });
    }
    params
}

/// The text that is signed, version 2. The password is never part of it.
fn payload(who: &Who, secrets: &Secrets, device: &str, signed_at: u64, nonce: &str) -> String {
    format!(
        "v2|{device}|{}|{}|{ROLE}|{}|{signed_at}|{}|{nonce}",
        who.mode.client_id(),
        who.mode.name(),
        who.scopes.join(","),
        secrets.token.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_text_has_the_fields_in_the_order_of_the_protocol() {
        let secrets = Secrets {
            token: Some("tok".into()),
            password: Some("never".into()),
        };
        assert_eq!(
            payload(&Who::probe(), &secrets, "dev", 7, "n"),
            "v2|dev|cli|probe|operator|operator.admin|7|tok|n"
        );
        assert_eq!(
            payload(&Who::tui(), &secrets, "dev", 7, "n"),
            "v2|dev|gateway-client|ui|operator|operator.admin|7|tok|n"
        );
        assert_eq!(
            payload(&Who::cli(), &Secrets::default(), "dev", 7, "n"),
            "v2|dev|cli|cli|operator|operator.admin,operator.approvals,operator.pairing|7||n"
        );
    }

    #[test]
    fn absent_keys_are_absent() {
        let params = params(&Who::cli(), &Secrets::default(), None, "n");
        assert!(params.get("auth").is_none() && params.get("device").is_none());
    }
}
