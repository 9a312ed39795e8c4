//! Keeps the embedded model running for as long as its settings say so.

use super::link::Supervisor;
use crate::config::Paths;
use crate::model::local::{LocalModel, WORKER_ID};

/// At the start and at each reload: asks the supervisor for what the settings say.
pub fn follow(paths: &Paths, supervisor: &Supervisor) {
    let local = LocalModel::of(paths);
    match local.settings().filter(|settings| settings.enabled) {
        Some(settings) => {
            // An older server program still serves; the log says why it is not this version's.
            if let Err(err) = local.write_server() {
                log::warn!("{}: serve.py: {err}", local.dir().display());
            }
            supervisor.want_also(local.worker(&settings));
        }
        None => supervisor.unwant(WORKER_ID),
    }
}
