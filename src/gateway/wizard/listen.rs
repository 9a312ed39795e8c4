//! The gateway's own settings: port, address, secret, Tailscale. What nothing was said of stays as it
//! is.

use super::error::Error;
use crate::base::secret::Secret;
use crate::base::{hex, id};
use crate::config::Snapshot;
use crate::config::settings::Settings;
use serde_json::Value;

/// The gateway's usual port.
const PORT: u16 = 18789;
/// Of a token that is made: 48 hexadecimal digits, as the original's.
const TOKEN_BYTES: usize = 24;

const BINDS: [&str; 5] = ["loopback", "lan", "tailnet", "auto", "custom"];
const EXPOSURES: [&str; 3] = ["off", "serve", "funnel"];

/// What was said of it.
#[derive(Default)]
pub struct Wanted {
    pub port: Option<String>,
    pub bind: Option<String>,
    /// Of `custom`.
    pub bind_host: Option<String>,
    pub auth: Option<String>,
    pub token: Option<Secret>,
    pub password: Option<Secret>,
    pub tailscale: Option<String>,
    pub reset_on_exit: Option<bool>,
}

/// What it comes to.
pub struct Gateway {
    pub port: u16,
    pub bind: String,
    /// `token` or `password`.
    pub auth: &'static str,
    pub tailscale: String,
    pub settings: Settings,
}

/// The words among them are words that are known.
pub fn check(wanted: &Wanted) -> Result<(), Error> {
    if wanted
        .port
        .as_deref()
        .is_some_and(|typed| port(typed).is_none())
    {
        return Err(Error::said("Invalid --gateway-port"));
    }
    let words: [(&Option<String>, &[&str], &str); 3] = [
        (&wanted.auth, &["token", "password"], "gateway-auth"),
        (&wanted.bind, &BINDS, "gateway-bind"),
        (&wanted.tailscale, &EXPOSURES, "tailscale"),
    ];
    for (given, known, flag) in words {
        if given.as_deref().is_some_and(|word| !known.contains(&word)) {
            return Err(Error::said(format!(
                "Invalid --{flag} (use {}).",
                known.join("|")
            )));
        }
    }
    Ok(())
}

fn port(typed: &str) -> Option<u16> {
    typed.parse::<u16>().ok().filter(|port| *port > 0)
}

pub fn look(snapshot: &Snapshot, wanted: &Wanted) -> Result<Gateway, Error> {
    check(wanted)?;
    let gateway = &snapshot.config.gateway;
    let port = wanted.port.as_deref().and_then(port);
    let port = port.unwrap_or_else(|| current_port(snapshot));
    let auth = wanted.auth.clone().or_else(|| gateway.auth.mode.clone());
    let exposed = gateway.tailscale.get("mode").and_then(Value::as_str);
    let tailscale = wanted.tailscale.as_deref().or(exposed);
    let tailscale = tailscale.unwrap_or("off").to_string();
    let bind = wanted.bind.clone().or_else(|| gateway.bind.clone());
    let mut bind = bind.unwrap_or_else(|| "loopback".into());
    if tailscale != "off" {
        // Tailscale brings in what comes from outside; the gateway itself stays on loopback.
        bind = "loopback".into();
    }
    if bind == "custom" && gateway.custom_bind_host.is_none() && wanted.bind_host.is_none() {
        return Err(Error::said(
            "--gateway-bind custom needs an address.\n  fix: openclaw config set \
             gateway.customBindHost <IPv4 address>, then run this again",
        ));
    }
    // A funnel is open to the world: only a password will do.
    let auth = match auth.as_deref() == Some("password") || tailscale == "funnel" {
        true => "password",
        false => "token",
    };
    let mut settings = Settings::default();
    secret(snapshot, wanted, auth, &mut settings)?;
    settings.put(&["gateway", "port"], port);
    settings.put(&["gateway", "bind"], bind.as_str());
    if let Some(host) = wanted.bind_host.as_deref().filter(|_| bind == "custom") {
        settings.put(&["gateway", "customBindHost"], host);
    }
    settings.put(&["gateway", "tailscale", "mode"], tailscale.as_str());
    let place = ["gateway", "tailscale", "resetOnExit"];
    match wanted.reset_on_exit {
        Some(reset) => settings.put(&place, reset),
        None => settings.fill(&place, false),
    }
    Ok(Gateway {
        port,
        bind,
        auth,
        tailscale,
        settings,
    })
}

/// The one that was given; else the one there is, so that nobody who is let in today is locked out;
/// else the one the environment has, as clients take that first.
fn secret(
    snapshot: &Snapshot,
    wanted: &Wanted,
    mode: &str,
    settings: &mut Settings,
) -> Result<(), Error> {
    let configured = &snapshot.config.gateway.auth;
    let (given, there, variable) = match mode {
        "password" => (
            &wanted.password,
            configured.password.is_some(),
            "OPENCLAW_GATEWAY_PASSWORD",
        ),
        _ => (
            &wanted.token,
            configured.token.is_some(),
            "OPENCLAW_GATEWAY_TOKEN",
        ),
    };
    settings.put(&["gateway", "auth", "mode"], mode);
    let of_env = || snapshot.env.get(variable).map(Secret::new);
    let secret = match given {
        Some(secret) => secret.clone(),
        None if there => return Ok(()),
        None => match of_env() {
            Some(secret) => secret,
            None if mode == "password" => {
                return Err(Error::said("Missing --gateway-password for password auth."));
            }
            None => generated(),
        },
    };
    settings.put(&["gateway", "auth", mode], secret.expose());
    Ok(())
}

pub fn generated() -> Secret {
    Secret::new(hex::encode(&id::random::<TOKEN_BYTES>()))
}

fn current_port(snapshot: &Snapshot) -> u16 {
    let of_env = snapshot.env.get("OPENCLAW_GATEWAY_PORT");
    let of_env = of_env.and_then(|port| port.trim().parse().ok());
    of_env
        .or(snapshot.config.gateway.port)
        .filter(|port| *port > 0)
        .unwrap_or(PORT)
}

#[cfg(test)]
mod tests {
    use super::super::place::Place;
    use super::*;
    use crate::config::text;
    use serde_json::json;

    fn written(place: &Place, wanted: &Wanted) -> serde_json::Value {
        let gateway = look(&place.snapshot, wanted).unwrap();
        let (paths, env) = (&place.snapshot.paths, &place.snapshot.env);
        gateway.settings.write(paths, env).unwrap();
        let file = std::fs::read_to_string(&paths.config).unwrap();
        text::parse(&file).unwrap()["gateway"].clone()
    }

    #[test]
    fn a_secret_that_is_there_stays_and_a_new_one_is_made_only_where_there_is_none() {
        let place = Place::new("{gateway:{bind:'lan',port:18800,auth:{token:'${MINE}'}}}");
        let kept = written(&place, &Wanted::default());
        assert_eq!(kept["auth"], json!({"mode": "token", "token": "${MINE}"}));
        assert_eq!(
            (&kept["port"], &kept["bind"]),
            (&json!(18800), &json!("lan"))
        );
        let fresh = written(&Place::new("{}"), &Wanted::default());
        assert_eq!(fresh["auth"]["token"].as_str().unwrap().len(), 48);
        assert_eq!(
            (&fresh["port"], &fresh["bind"]),
            (&json!(18789), &json!("loopback"))
        );
        let given = Wanted {
            token: Some(Secret::new("t")),
            port: Some("18990".into()),
            ..Wanted::default()
        };
        assert_eq!(written(&place, &given)["auth"]["token"], "t");
    }

    #[test]
    fn tailscale_forces_loopback_and_a_funnel_a_password() {
        let place = Place::new("{}");
        let mut wanted = Wanted {
            bind: Some("lan".into()),
            tailscale: Some("funnel".into()),
            reset_on_exit: Some(true),
            ..Wanted::default()
        };
        let Err(err) = look(&place.snapshot, &wanted) else {
            panic!("without a password");
        };
        assert_eq!(
            err.to_string(),
            "Missing --gateway-password for password auth."
        );
        wanted.password = Some(Secret::new("p"));
        let gateway = written(&place, &wanted);
        assert_eq!(gateway["bind"], "loopback");
        assert_eq!(
            gateway["auth"],
            json!({"mode": "password", "password": "p"})
        );
        assert_eq!(
            gateway["tailscale"],
            json!({"mode": "funnel", "resetOnExit": true})
        );
    }

    #[test]
    fn words_that_are_none_are_refused_before_anything_is_written() {
        let place = Place::new("{}");
        let said = |wanted: Wanted| match look(&place.snapshot, &wanted) {
            Ok(_) => panic!("taken"),
            Err(err) => err.to_string(),
        };
        let some = |text: &str| Some(text.to_string());
        for port in ["0", "x", "70000"] {
            let port = some(port);
            let told = said(Wanted {
                port,
                ..Wanted::default()
            });
            assert_eq!(told, "Invalid --gateway-port");
        }
        let auth = some("none");
        let told = said(Wanted {
            auth,
            ..Wanted::default()
        });
        assert_eq!(told, "Invalid --gateway-auth (use token|password).");
        let bind = some("wan");
        assert!(
            said(Wanted {
                bind,
                ..Wanted::default()
            })
            .starts_with("Invalid --gateway-bind")
        );
        let bind = some("custom");
        assert!(
            said(Wanted {
                bind,
                ..Wanted::default()
            })
            .contains("customBindHost")
        );
    }
}
