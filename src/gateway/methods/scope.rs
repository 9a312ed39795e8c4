//! Which roles and scopes there are, and whether a client has what a method needs.

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

/// Whether `client` may call a method that wants `wants`.
pub fn check(client: &Client, wants: Scope) -> Result<(), RpcError> {
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

    fn refusal(role: &str, scopes: &[&str], wants: Scope) -> Option<String> {
        let (client, _far) = client(role, scopes);
        check(&client, wants).err().map(|e| e.message)
    }

    #[test]
    fn scopes_are_not_hierarchical_but_for_admin_and_write() {
        let say = |m: &str| Some(m.to_string());
        assert_eq!(refusal("operator", &["operator.admin"], Scope::Read), None);
        assert_eq!(refusal("operator", &["operator.write"], Scope::Read), None);
        assert_eq!(
            refusal("operator", &["operator.pairing"], Scope::Read),
            say("missing scope: operator.read")
        );
        assert_eq!(
            refusal("operator", &["operator.read"], Scope::Write),
            say("missing scope: operator.write")
        );
        assert_eq!(
            refusal("operator", &["operator.write"], Scope::Admin),
            say("missing scope: operator.admin")
        );
    }

    #[test]
    fn roles_come_before_scopes() {
        assert_eq!(refusal("node", &[], Scope::Node), None);
        assert_eq!(
            refusal("node", &[], Scope::Read).as_deref(),
            Some("unauthorized role: node")
        );
        assert_eq!(
            refusal("operator", &["operator.admin"], Scope::Node).as_deref(),
            Some("unauthorized role: operator")
        );
    }
}
