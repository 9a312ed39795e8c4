//! What the core's threads share. Each noun guards itself with its own small lock; no code holds
//! two of them at once.

use super::broadcast::Clients;
use crate::config::Live;
use std::time::Instant;

pub struct Core {
    pub config: Live,
    pub clients: Clients,
    pub started: Instant,
}
