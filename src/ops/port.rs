//! Who has a port that a gateway wants, and what to do about it.

use crate::base::sys::port::{self, Listener};
use crate::base::sys::process;
use serde::Serialize;
use std::collections::BTreeSet;

/// Listeners told of; one port has a handful at most.
const MOST: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    pub port: u16,
    /// `free` or `busy`.
    pub status: &'static str,
    pub listeners: Vec<Owner>,
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    pub address: String,
}

pub fn look(number: u16) -> Port {
    let listeners = port::listeners(number);
    let owners: Vec<Owner> = listeners.iter().take(MOST).map(owner).collect();
    Port {
        port: number,
        status: if owners.is_empty() { "free" } else { "busy" },
        hints: hints(&owners),
        listeners: owners,
    }
}

fn owner(listener: &Listener) -> Owner {
    let pid = port::holders(std::slice::from_ref(listener))
        .into_iter()
        .next();
    Owner {
        command: pid.map(process::name),
        pid,
        user: Some(listener.uid.to_string()),
        address: listener.address.to_string(),
    }
}

fn hints(owners: &[Owner]) -> Vec<String> {
    let is = |start: &str| {
        let mut names = owners.iter().filter_map(|owner| owner.command.as_deref());
        names.any(|name| name.starts_with(start))
    };
    let hint = match owners {
        [] => return Vec::new(),
        _ if is("openclaw") => {
            "Gateway already running locally. Stop it (openclaw gateway stop) or use a different \
             port."
        }
        _ if is("ssh") => {
            "SSH tunnel already bound to this port. Close the tunnel or use a different port."
        }
        _ => "Another process is listening on this port.",
    };
    let mut hints = vec![hint.to_string()];
    let pids: BTreeSet<Option<u32>> = owners.iter().map(|owner| owner.pid).collect();
    if pids.len() > 1 {
        hints.push("Several processes listen on this port; one is enough.".into());
    }
    hints
}

impl Owner {
    /// `pid 12 0: openclaw-gateway (127.0.0.1)`
    pub fn line(&self) -> String {
        let (pid, command) = match (self.pid, &self.command) {
            (Some(pid), Some(command)) => (format!("pid {pid}"), command.as_str()),
            _ => ("a process of another user".to_string(), ""),
        };
        let user = self
            .user
            .as_ref()
            .map_or(String::new(), |uid| format!(" uid {uid}"));
        match command {
            "" => format!("{pid}{user} ({})", self.address),
            command => format!("{pid}{user}: {command} ({})", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_decides_what_is_advised() {
        let owner = |command: &str, pid| Owner {
            pid: Some(pid),
            command: Some(command.into()),
            user: Some("0".into()),
            address: "127.0.0.1".into(),
        };
        assert_eq!(hints(&[]), Vec::<String>::new());
        assert!(hints(&[owner("openclaw-gateway", 1)])[0].contains("gateway stop"));
        assert!(hints(&[owner("sshd", 1)])[0].contains("tunnel"));
        assert_eq!(hints(&[owner("nginx", 1), owner("nginx", 2)]).len(), 2);
        assert_eq!(owner("nginx", 1).line(), "pid 1 uid 0: nginx (127.0.0.1)");
    }

    #[test]
    fn a_port_of_ours_is_busy() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        assert_eq!(look(number).status, "busy");
    }
}
