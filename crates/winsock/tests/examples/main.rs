//! Runs the programs of `examples/` as a user would, and speaks with them. `cargo test` builds them.

mod linux;
mod porting;
mod program;
mod servers;
