//! Ours and the original side by side.

mod captures;
mod cron_expressions;
pub mod official;
mod official_admin;
mod official_against_ours;
mod official_commands;
mod official_jobs;
mod official_models;
mod our_page_on_original;
mod ours_against_original;
mod recordings;
pub mod server;
mod shape;
