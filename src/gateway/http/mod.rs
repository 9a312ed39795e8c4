//! Everything over HTTP that is not a WebSocket: the order in which endpoints are tried, and what
//! they share.

pub mod avatar;
pub mod canvas;
pub mod control_ui;
pub mod exchange;
pub mod gate;
pub mod health;
mod hooks;
pub mod metrics;
pub mod openai;
pub mod plane;
mod tools_invoke;

pub use exchange::Exchange;

use super::core::Core;
use exchange::Door;
use std::sync::Arc;

/// Answers a request, or gives it back for the next endpoint.
pub type Endpoint = fn(&Arc<Core>, Exchange) -> Option<Exchange>;

/// In the order they are tried. The Control UI answers every path it is not told to leave alone,
/// so it stands last.
const ENDPOINTS: &[Endpoint] = &[
    hooks::serve,
    tools_invoke::serve,
    openai::responses::serve,
    openai::chat::serve,
    openai::models::serve,
    metrics::serve,
    canvas::serve,
    avatar::serve,
    control_ui::serve,
];

/// Serves one request.
pub fn serve(core: &Arc<Core>, exchange: Exchange) {
    let endpoints = match exchange.sender.door {
        Door::Gateway => ENDPOINTS,
        Door::Canvas => &[canvas::serve as Endpoint],
    };
    let mut exchange = exchange;
    for endpoint in endpoints {
        match endpoint(core, exchange) {
            Some(back) => exchange = back,
            None => return,
        }
    }
    exchange.text(404, "Not Found");
}
