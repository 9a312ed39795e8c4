//! What keeps the gateway from starting although the configuration is valid: asked of the gateway's
//! own rules, so that the doctor and a start never disagree.

use super::config::note_run;
use super::{Cure, Error, Finding, Ground, Kind, Remedy};
use crate::base::exit::Report;
use crate::base::{hex, id};
use crate::config::edit;
use crate::config::listen::{self, AuthMode, Flags};
use crate::config::refusal::Error as Refusal;
use serde_json::json;

/// Of a token that is made: 48 hexadecimal digits, as the original's.
const TOKEN_BYTES: usize = 24;

pub fn look(ground: &Ground) -> Vec<Finding> {
    let snapshot = &ground.snapshot;
    // What is wrong with the file itself has been told.
    if !snapshot.valid {
        return Vec::new();
    }
    let Err(refusal) = listen::resolve(snapshot, &Flags::default()) else {
        return Vec::new();
    };
    if snapshot.config.gateway.mode.as_deref() == Some("remote") {
        // There is no gateway to start here.
        return Vec::new();
    }
    let cure = match &refusal {
        Refusal::NoSecret(AuthMode::Token) | Refusal::OpenBind(_) => Cure::Ours {
            kind: Kind::Token,
            question: "Generate and configure a gateway token now?".into(),
            run: make_token(ground),
        },
        other => Cure::Yours(
            other
                .hint()
                .unwrap_or_else(|| "see openclaw.json(5)".into()),
        ),
    };
    let no_secret = matches!(refusal, Refusal::NoSecret(_) | Refusal::OpenBind(_));
    vec![Finding {
        topic: if no_secret { "Gateway auth" } else { "Gateway" },
        grave: true,
        what: refusal.to_string(),
        details: Vec::new(),
        why: "The gateway does not start so.",
        cure,
    }]
}

fn make_token(ground: &Ground) -> Remedy {
    let (paths, env) = (ground.paths().clone(), ground.env().clone());
    Box::new(move || {
        let token = hex::encode(&id::random::<TOKEN_BYTES>());
        edit::change(&paths, &env, |tree| {
            let auth = crate::ops::models::object(tree, &["gateway", "auth"])?;
            auth.insert("mode".into(), json!("token"));
            auth.insert("token".into(), json!(token));
            note_run(tree);
            Ok(())
        })
        .map_err(Error::Config)?;
        Ok(vec![format!(
            "Gateway token configured in {}",
            paths.tilde(&paths.config)
        )])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use crate::config::{Env, Paths, load};

    #[test]
    fn a_gateway_without_a_secret_gets_a_token_and_one_without_a_mode_a_command() {
        let dir = id::temp_dir("doctor-gateway");
        let d = dir.to_str().unwrap();
        let env = Env::from_pairs(&[("HOME", d), ("OPENCLAW_STATE_DIR", d)]);
        let paths = Paths::resolve(&env, None);
        std::fs::write(&paths.config, "{}").unwrap();
        let mut ground = Ground::of(load::load(&paths, &env));
        let found = look(&ground);
        assert!(
            matches!(&found[0].cure, Cure::Yours(how) if how == "openclaw config set gateway.mode local")
        );
        std::fs::write(&paths.config, "{gateway:{mode:'local'}}").unwrap();
        ground.reload();
        let found = look(&ground).remove(0);
        assert_eq!(found.topic, "Gateway auth");
        let Cure::Ours { run, .. } = found.cure else {
            panic!("no remedy");
        };
        let done = run().unwrap();
        ground.reload();
        let token = ground.snapshot.value["gateway"]["auth"]["token"].clone();
        let token = token.as_str().unwrap();
        assert_eq!(token.len(), 48);
        assert!(!done[0].contains(token));
        assert!(look(&ground).is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
