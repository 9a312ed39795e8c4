//! The gateway as a tool sees it: the methods its clients have, called from within.
//!
//! The core implements it. A tool names the method itself, never the model, so the caller has an
//! operator's rights; what a model may reach is the tool's own decision and the policy's.

use super::{Context, Error};
use crate::base::cancel::Cancel;
use serde_json::Value;
use std::time::Duration;

/// How long a method may take that somebody waits for: the original's.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub trait Gateway: Sync {
    /// The first answer of `method`. Ends early, with an error, when the run is cancelled.
    fn call(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
        cancel: &Cancel,
    ) -> Result<Value, Error>;
}

impl Context<'_> {
    /// Calls a method of the gateway that answers soon.
    pub fn call(&self, method: &str, params: Value) -> Result<Value, Error> {
        self.call_for(method, params, PATIENCE)
    }

    pub fn call_for(
        &self,
        method: &str,
        params: Value,
        patience: Duration,
    ) -> Result<Value, Error> {
        self.gateway.call(method, params, patience, self.cancel)
    }
}
