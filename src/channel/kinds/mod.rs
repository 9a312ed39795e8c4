//! The kinds of channels that are built in, by name.

pub mod discord;
pub mod mattermost;
