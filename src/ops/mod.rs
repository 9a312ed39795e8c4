//! Operations on an installation: what a person asks for that is more than one request. They return
//! what they found or did and print nothing.

pub mod agents;
pub mod audit;
pub mod backup;
pub mod containers;
pub mod doctor;
pub mod embedded;
pub mod hooks;
pub mod local_model;
mod loopback;
pub mod model_probe;
pub mod model_scan;
pub mod models;
pub mod onboard;
pub mod port;
pub mod quickstart;
pub mod removal;
pub mod sandbox;
pub mod service;
