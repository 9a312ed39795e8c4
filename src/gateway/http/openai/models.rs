//! `GET /v1/models` and `GET /v1/models/<id>`: the agents, as models to choose from. An addition of
//! ours; there when one of the endpoints that take such a model is on.

use super::{Shared, chat, error, is_on, responses};
use crate::base::time;
use crate::gateway::http::control_ui::percent_decoded;
use crate::gateway::http::{Exchange, gate};
use serde_json::{Value, json};

const PATH: &str = "/v1/models";

pub fn serve(core: &Shared, exchange: Exchange) -> Option<Exchange> {
    let Some(rest) = exchange.path().strip_prefix(PATH) else {
        return Some(exchange);
    };
    let Some(id) = rest.strip_prefix('/').or(rest.is_empty().then_some("")) else {
        return Some(exchange);
    };
    let Some(id) = percent_decoded(id) else {
        return Some(exchange);
    };
    let config = core.config.current();
    if ![chat::SWITCH, responses::SWITCH]
        .iter()
        .any(|name| is_on(&config, name))
    {
        return Some(exchange);
    }
    let exchange = gate::admit(core, exchange, "GET")?;
    let agents = config.config.agent_ids();
    let names = std::iter::once("openclaw".to_string())
        .chain(agents.iter().map(|agent| format!("openclaw:{agent}")));
    let created = (time::now_ms() - core.uptime_ms()) / 1000;
    let models: Vec<Value> = names.map(|name| model(&name, created)).collect();
    if id.is_empty() {
        exchange.json(200, &json!({"object": "list", "data": models}));
        return None;
    }
    match models.iter().find(|model| model["id"] == id.as_str()) {
        Some(model) => exchange.json(200, model),
        None => {
            let why = format!("The model '{id}' does not exist");
            exchange.json(404, &error(&why, "invalid_request_error"));
        }
    }
    None
}

fn model(id: &str, created: u64) -> Value {
    json!({"id": id, "object": "model", "created": created, "owned_by": "openclaw"})
}
