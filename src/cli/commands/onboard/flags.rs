//! The flags of `onboard` as what they ask for.

use super::super::super::failure::Failure;
use crate::base::cmdline::Matches;
use crate::base::secret::Secret;
use crate::gateway::wizard::{auth, listen};
use crate::model::offer;
use crate::ops::onboard::Local;

const RUNTIMES: [&str; 2] = ["node", "bun"];

pub fn local(matches: &Matches) -> Local {
    let text = |name: &str| {
        let typed = matches.text(name).map(str::trim);
        typed.filter(|text| !text.is_empty()).map(str::to_string)
    };
    let choice = text("auth-choice");
    let flag = choice.as_deref().and_then(|choice| {
        let offer = offer::find(auth::present_name(choice))?;
        offer.flag
    });
    Local {
        workspace: text("workspace"),
        auth: auth::Wanted {
            key: flag.and_then(|flag| secret(matches, flag)),
            choice,
            account: text("cloudflare-ai-gateway-account-id"),
            gateway: text("cloudflare-ai-gateway-gateway-id"),
            token: auth::Token {
                provider: text("token-provider"),
                token: secret(matches, "token"),
                profile: text("token-profile-id"),
                expires_in: text("token-expires-in"),
            },
        },
        gateway: listen::Wanted {
            port: text("gateway-port"),
            bind: text("gateway-bind"),
            bind_host: None,
            auth: text("gateway-auth"),
            token: secret(matches, "gateway-token"),
            password: secret(matches, "gateway-password"),
            tailscale: text("tailscale"),
            reset_on_exit: matches.switch("tailscale-reset-on-exit"),
        },
        skip_skills: matches.has("skip-skills"),
        node_manager: text("node-manager"),
    }
}

pub fn secret(matches: &Matches, name: &str) -> Option<Secret> {
    let typed = matches.text(name).map(str::trim);
    typed.filter(|text| !text.is_empty()).map(Secret::new)
}

/// Whether the service is asked for.
pub fn installs(matches: &Matches) -> bool {
    installs_said(matches) == Some(true)
}

/// The same, where anything was said of it.
pub fn installs_said(matches: &Matches) -> Option<bool> {
    match matches.has("skip-daemon") {
        true => Some(false),
        false => matches.switch("install-daemon"),
    }
}

pub fn runtime(matches: &Matches, installs: bool) -> Result<&str, Failure> {
    let name = matches.text("daemon-runtime").unwrap_or(RUNTIMES[0]);
    match installs && !RUNTIMES.contains(&name) {
        true => Err(Failure::said("Invalid --daemon-runtime (use node or bun)")),
        false => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SPEC;
    use super::*;

    #[test]
    fn every_offer_with_a_flag_has_it_here() {
        for offer in offer::OFFERS {
            if let Some(flag) = offer.flag {
                let known = SPEC.flags.iter().any(|known| known.long == flag);
                assert!(known, "--{flag}");
            }
        }
    }
}
