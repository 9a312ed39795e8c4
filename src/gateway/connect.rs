//! The params of `connect`, the one request before a connection is accepted.

use crate::wire::shape::{BOOL, NON_EMPTY, STRING, Shape, UNSIGNED, at_least, optional, required};
use serde::Deserialize;
use serde_json::Value;

/// Items a client may name in one list; the original sets no bound, its clients name a dozen.
const MAX_ITEMS: usize = 256;

const LIST: Shape = Shape::Array {
    items: &NON_EMPTY,
    min: 0,
    max: MAX_ITEMS,
};

pub const SHAPE: Shape = Shape::Closed(&[
    required("minProtocol", at_least(1)),
    required("maxProtocol", at_least(1)),
    required("client", CLIENT),
    optional("caps", LIST),
    optional("commands", LIST),
    optional("permissions", Shape::MapOf(&BOOL)),
    optional("pathEnv", STRING),
    optional("role", NON_EMPTY),
    optional("scopes", LIST),
    optional(
        "device",
        Shape::Closed(&[
            required("id", NON_EMPTY),
            required("publicKey", NON_EMPTY),
            required("signature", NON_EMPTY),
            required("signedAt", UNSIGNED),
            optional("nonce", NON_EMPTY),
        ]),
    ),
    optional(
        "auth",
        Shape::Closed(&[optional("token", STRING), optional("password", STRING)]),
    ),
    optional("locale", STRING),
    optional("userAgent", STRING),
]);

const CLIENT: Shape = Shape::Closed(&[
    required(
        "id",
        Shape::OneOf(&[
            "webchat-ui",
            "openclaw-control-ui",
            "webchat",
            "cli",
            "gateway-client",
            "openclaw-macos",
            "openclaw-ios",
            "openclaw-android",
            "node-host",
            "test",
            "fingerprint",
            "openclaw-probe",
        ]),
    ),
    optional("displayName", NON_EMPTY),
    required("version", NON_EMPTY),
    required("platform", NON_EMPTY),
    optional("deviceFamily", NON_EMPTY),
    optional("modelIdentifier", NON_EMPTY),
    required(
        "mode",
        Shape::OneOf(&["webchat", "cli", "ui", "backend", "node", "probe", "test"]),
    ),
    optional("instanceId", NON_EMPTY),
]);

/// No Debug: it holds the secrets of `auth`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    pub min_protocol: f64,
    pub max_protocol: f64,
    pub client: Client,
    #[serde(default)]
    pub caps: Vec<String>,
    #[serde(default)]
    pub commands: Vec<String>,
    pub permissions: Option<Value>,
    pub path_env: Option<String>,
    pub role: Option<String>,
    pub scopes: Option<Vec<String>>,
    pub device: Option<Device>,
    #[serde(default)]
    auth: Auth,
    pub locale: Option<String>,
    pub user_agent: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    pub id: String,
    pub display_name: Option<String>,
    pub version: String,
    pub platform: String,
    pub device_family: Option<String>,
    pub model_identifier: Option<String>,
    pub mode: String,
    pub instance_id: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    pub id: String,
    pub public_key: String,
    pub signature: String,
    #[serde(deserialize_with = "whole")]
    pub signed_at: u64,
    nonce: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct Auth {
    token: Option<String>,
    password: Option<String>,
}

impl Connect {
    /// Typed params, or everything that does not fit, as the original words it.
    pub fn read(params: &Value) -> Result<Connect, String> {
        let errors = SHAPE.errors(params);
        if !errors.is_empty() {
            return Err(errors.join("; "));
        }
        Connect::deserialize(params).map_err(|err| err.to_string())
    }

    pub fn role(&self) -> &str {
        self.role.as_deref().unwrap_or("operator")
    }

    /// What the client may do when admitted: what it asks for, else what its role gets.
    pub fn effective_scopes(&self) -> Vec<String> {
        match &self.scopes {
            Some(scopes) if !scopes.is_empty() => scopes.clone(),
            _ if self.role() == "operator" => vec!["operator.admin".into()],
            _ => Vec::new(),
        }
    }

    pub fn token(&self) -> Option<&str> {
        self.auth.token.as_deref().filter(|t| !t.is_empty())
    }

    pub fn password(&self) -> Option<&str> {
        self.auth.password.as_deref().filter(|p| !p.is_empty())
    }

    pub fn speaks(&self, version: u32) -> bool {
        self.min_protocol <= f64::from(version) && f64::from(version) <= self.max_protocol
    }

    pub fn is_control_ui(&self) -> bool {
        self.client.id == "openclaw-control-ui"
    }

    /// The connection is said to come from a browser page, so its origin counts.
    pub fn is_browser(&self) -> bool {
        self.is_control_ui() || self.client.mode == "webchat" || self.client.id == "webchat-ui"
    }
}

impl Device {
    /// Trimmed; a blank nonce is none.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce
            .as_deref()
            .map(str::trim)
            .filter(|n| !n.is_empty())
    }
}

/// `1.0` is an integer in JSON Schema.
fn whole<'de, D: serde::Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    number
        .as_u64()
        .or_else(|| number.as_f64().map(|n| n as u64))
        .ok_or_else(|| serde::de::Error::custom("not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn params_are_refused_in_the_original_words() {
        let bad = json!({"minProtocol":3,"client":{"id":"x","version":"1","platform":"l",
                         "mode":"cli"},"colour":1});
        assert_eq!(
            Connect::read(&bad).err().unwrap(),
            "must have required property 'maxProtocol'; \
             at root: unexpected property 'colour'; \
             at /client/id: must be equal to constant; \
             at /client/id: must match a schema in anyOf"
        );
    }

    #[test]
    fn an_operator_that_asks_for_nothing_gets_admin_and_a_node_nothing() {
        let mut params = json!({"minProtocol":1,"maxProtocol":3.0,"client":{"id":"cli",
                               "version":"1","platform":"l","mode":"cli"},"scopes":[]});
        let operator = Connect::read(&params).unwrap();
        assert!(operator.speaks(3) && !operator.speaks(4));
        assert_eq!(operator.effective_scopes(), ["operator.admin"]);
        params["role"] = json!("node");
        assert!(
            Connect::read(&params)
                .unwrap()
                .effective_scopes()
                .is_empty()
        );
    }
}
