//! The kernel's door: the only unsafe code and the only `libc` of the project. Each file owns one
//! noun and offers safe functions over it.

#![allow(unsafe_code)]

pub mod beneath;
pub mod child;
pub mod fds;
pub mod inotify;
pub mod limits;
pub mod namespace;
pub mod notify;
pub mod peer;
pub mod poll;
pub mod port;
pub mod process;
pub mod pty;
pub mod reaper;
pub mod sandbox;
pub mod signals;
pub mod socket;
pub mod space;
pub mod stack;
pub mod terminal;
pub mod uname;
pub mod xattr;
