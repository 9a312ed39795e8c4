//! Everything here starts our real binaries and talks to them as a user or a client would.

mod abort;
mod browser;
mod chat;
mod cli;
mod config;
mod ctl;
mod faults;
mod frames;
mod front;
mod handshake;
mod harness;
mod http;
mod local_model;
mod man;
mod parity;
mod providers;
mod quickstart;
mod restart;
mod runner;
mod sandbox;
mod session_state;
mod sessions;
mod supervisor;
mod tidy;
mod tools;
mod turn;
