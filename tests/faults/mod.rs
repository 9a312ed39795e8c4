//! Faults, with real processes: what is killed, cut off, filled up or flooded loses nothing it
//! promised and costs no more than its bound.

mod disk;
mod formats;
mod hostile;
mod kill;
mod kill_tools;
mod providers;
mod restarts;
pub mod slow;
