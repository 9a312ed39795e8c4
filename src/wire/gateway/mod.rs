//! Gateway protocol 3: frames, errors, and the params and results of each method family.

pub mod frame;
pub mod health;
