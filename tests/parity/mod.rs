//! Ours and the original side by side.

mod official;
mod official_against_ours;
mod recordings;
mod shape;
