//! `POST /v1/responses`.

mod answer;
mod ask;
mod attached;

use super::talk::{Ask, Talk};
use super::{Admitted, Shared, admit, invalid, is_on, place};
use crate::base::id;
use crate::config::Snapshot;
use crate::gateway::http::Exchange;
use crate::gateway::turns::Api;
use answer::Answer;

pub const PATH: &str = "/v1/responses";
pub const SWITCH: &str = "responses";
/// Room for two files or pictures of the largest size in base64 is more than the usual limit.
const MAX_BODY: usize = 20 * 1024 * 1024;

pub fn serve(core: &Shared, exchange: Exchange) -> Option<Exchange> {
    let config = core.config.current();
    if exchange.path() != PATH || !is_on(&config, SWITCH) {
        return Some(exchange);
    }
    if let Some(admitted) = admit(core, exchange, max_body(&config)) {
        answer(core, &config, admitted);
    }
    None
}

fn max_body(config: &Snapshot) -> usize {
    let settings = &config.value["gateway"]["http"]["endpoints"][SWITCH];
    let number = |value: &serde_json::Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    number(&settings["maxBodyBytes"]).unwrap_or_else(|| {
        let twice = |name: &str| number(&settings[name]["maxBytes"]).unwrap_or(0) * 2;
        MAX_BODY.max(twice("images")).max(twice("files"))
    })
}

fn answer(core: &Shared, config: &Snapshot, admitted: Admitted) {
    let Admitted {
        exchange,
        body,
        _place: _held,
        _large: large,
    } = admitted;
    let asked = match ask::read(&body) {
        Ok(asked) => asked,
        Err(fault) => return invalid(exchange, &fault.to_string()),
    };
    // A turn may take minutes; the body is not needed any more.
    drop(body);
    let Some(text) = asked.conversation.text() else {
        return invalid(exchange, "Missing user message in `input`.");
    };
    let loaded = attached::load(config, asked.images, asked.files, &exchange.gone);
    let (images, files) = match loaded {
        Ok(loaded) => loaded,
        Err(why) => return invalid(exchange, &format!("Error: {why}")),
    };
    drop(large);
    let user = asked.user.as_deref();
    let place = place(core, &exchange, Some(&asked.model), user, "openresponses");
    let must_call = asked.choice.is_some();
    let extra: Vec<String> = asked
        .instructions
        .into_iter()
        .chain(asked.conversation.system)
        .chain(asked.choice)
        .chain(Some(files.join("\n")).filter(|files| !files.is_empty()))
        .filter(|text| !text.trim().is_empty())
        .collect();
    let answer = Answer::new(asked.model);
    let ask = Ask {
        run_id: answer.id().to_string(),
        text,
        extra: Some(extra.join("\n\n")).filter(|text| !text.is_empty()),
        images,
        api: Api {
            max_tokens: asked.max_output_tokens,
            tools: asked.tools,
            must_call,
        },
    };
    let talk = match Talk::begin(core, &place, ask, &exchange.gone) {
        Ok(talk) => talk,
        Err(why) => return exchange.json(500, &answer.failed(&why)),
    };
    if asked.stream {
        // The client has gone, and its turn with it.
        if let Err(err) = answer.stream(exchange, &talk) {
            log::debug!("{PATH}: {err}");
        }
        return;
    }
    match talk.end() {
        Ok(result) => exchange.json(200, &answer.of(&result)),
        Err(why) => exchange.json(500, &answer.failed(&why)),
    }
}

/// A name for a part of an answer.
fn named(prefix: &str) -> String {
    format!("{prefix}_{}", id::uuid())
}
