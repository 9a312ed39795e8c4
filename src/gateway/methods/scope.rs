//! Which role and scope a method needs. The check comes before it is known whether the method
//! exists, so it is a table of names of its own; names that are not in it need admin.

use super::super::broadcast::Client;
use crate::wire::gateway::frame::RpcError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `operator.read` or `operator.write`.
    Read,
    Write,
    Admin,
    Approvals,
    Pairing,
    /// Role node, and nobody else.
    Node,
}

/// What `method` needs.
pub fn of(method: &str) -> Scope {
    match method {
        "node.invoke.result" | "node.event" | "skills.bins" => Scope::Node,
        "exec.approval.request" | "exec.approval.resolve" => Scope::Approvals,
        "node.pair.request"
        | "node.pair.list"
        | "node.pair.approve"
        | "node.pair.reject"
        | "node.pair.verify"
        | "device.pair.list"
        | "device.pair.approve"
        | "device.pair.reject"
        | "device.token.rotate"
        | "device.token.revoke"
        | "node.rename" => Scope::Pairing,
        "health" | "logs.tail" | "channels.status" | "status" | "usage.status" | "usage.cost"
        | "tts.status" | "tts.providers" | "models.list" | "agents.list" | "agent.identity.get"
        | "skills.status" | "voicewake.get" | "sessions.list" | "sessions.preview"
        | "cron.list" | "cron.status" | "cron.runs" | "system-presence" | "last-heartbeat"
        | "node.list" | "node.describe" | "chat.history" => Scope::Read,
        "send" | "agent" | "agent.wait" | "wake" | "talk.mode" | "tts.enable" | "tts.disable"
        | "tts.convert" | "tts.setProvider" | "voicewake.set" | "node.invoke" | "chat.send"
        | "chat.abort" | "browser.request" => Scope::Write,
        _ => Scope::Admin,
    }
}

/// Whether `client` may call `method`.
pub fn check(client: &Client, method: &str) -> Result<(), RpcError> {
    let wants = of(method);
    if client.is_operator() == (wants == Scope::Node) {
        return Err(RpcError::invalid(format!(
            "unauthorized role: {}",
            client.role
        )));
    }
    let has = |scope| client.has_scope(scope);
    let missing = match wants {
        Scope::Node => return Ok(()),
        _ if has("operator.admin") => return Ok(()),
        Scope::Read if has("operator.read") || has("operator.write") => return Ok(()),
        Scope::Read => "operator.read",
        Scope::Write => "operator.write",
        Scope::Approvals => "operator.approvals",
        Scope::Pairing => "operator.pairing",
        Scope::Admin => "operator.admin",
    };
    if has(missing) {
        return Ok(());
    }
    Err(RpcError::invalid(format!("missing scope: {missing}")))
}

#[cfg(test)]
mod tests {
    use super::super::super::broadcast::tests::client;
    use super::*;

    fn refusal(role: &str, scopes: &[&str], method: &str) -> Option<String> {
        let (client, _far) = client(role, scopes);
        check(&client, method).err().map(|e| e.message)
    }

    #[test]
    fn scopes_are_not_hierarchical_but_for_admin_and_write() {
        let say = |m: &str| Some(m.to_string());
        assert_eq!(refusal("operator", &["operator.admin"], "health"), None);
        assert_eq!(refusal("operator", &["operator.write"], "health"), None);
        assert_eq!(
            refusal("operator", &["operator.pairing"], "health"),
            say("missing scope: operator.read")
        );
        assert_eq!(
            refusal("operator", &["operator.read"], "chat.send"),
            say("missing scope: operator.write")
        );
        assert_eq!(
            refusal("operator", &["operator.write"], "no.such"),
            say("missing scope: operator.admin")
        );
    }

    #[test]
    fn roles_come_before_scopes() {
        assert_eq!(refusal("node", &[], "node.event"), None);
        assert_eq!(
            refusal("node", &[], "health").as_deref(),
            Some("unauthorized role: node")
        );
        assert_eq!(
            refusal("operator", &["operator.admin"], "skills.bins").as_deref(),
            Some("unauthorized role: operator")
        );
    }
}
