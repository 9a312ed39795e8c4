//! Ours and the original side by side.

mod official;
mod official_against_ours;
mod ours_against_original;
mod recordings;
mod shape;
